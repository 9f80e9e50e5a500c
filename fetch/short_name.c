#include "fetch/short_name.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "fetch/registries_conf_priv.h"

void ol_name_choices_done(ol_name_choices *choices)
{
	free(choices->refs);
	*choices = (ol_name_choices){ 0 };
}

static int add(ol_name_choices *choices, const char *text, ol_error *err)
{
	ol_ref ref = { 0 };
	int rc = ol_ref_parse(text, &ref, err);

	if (rc < 0)
		return rc;
	choices->refs = ol_realloc_array(choices->refs, choices->count + 1, sizeof *choices->refs);
	choices->refs[choices->count++] = ref;
	return OL_OK;
}

static int add_searched(
	const ol_registries_conf *conf, const char *text, ol_name_choices *out, ol_error *err)
{
	const char *file = NULL;
	const char *const *hosts = ol_registries_conf_search(conf, &file);
	int rc = OL_OK;

	for (; rc == OL_OK && *hosts && out->count < OL_CONFIG_LIST_MAX; hosts++) {
		ol_autofree char *whole = ol_text("%s/%s", *hosts, text);

		rc = add(out, whole, err);
	}
	if (rc == OL_OK && out->count)
		(void)snprintf(out->rule, sizeof out->rule, "unqualified-search-registries in %s",
			file ? file : "nothing");
	return rc;
}

int ol_name_resolve(const ol_registries_conf *conf, const char *text, bool search,
	ol_name_choices *out, ol_error *err)
{
	size_t name_size = strcspn(text, ":@");
	ol_autofree char *name = ol_strndup(text, name_size);
	const char *file = NULL, *alias;
	ol_name_choices choices = { .is_short = ol_is_short_name(ol_view_of(text)) };
	ol_ref checked;
	int rc = ol_ref_parse(text, &checked, err);

	if (rc < 0)
		return rc;
	alias = choices.is_short ? ol_registries_conf_alias(conf, name, &file) : NULL;
	if (alias) {
		ol_autofree char *whole = ol_text("%s%s", alias, text + name_size);

		rc = add(&choices, whole, err);
		choices.is_found = true;
		(void)snprintf(choices.rule, sizeof choices.rule, "alias in %s", file);
	} else if (choices.is_short && search) {
		rc = add_searched(conf, text, &choices, err);
		choices.is_found = choices.count > 0;
	}
	if (rc == OL_OK && choices.count == 0) {
		rc = add(&choices, text, err);
		if (choices.is_short)
			(void)snprintf(choices.rule, sizeof choices.rule,
				"no alias: docker.io, as docker has it");
	}
	if (rc < 0) {
		ol_name_choices_done(&choices);
		return rc;
	}
	*out = choices;
	return OL_OK;
}
