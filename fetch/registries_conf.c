#include "fetch/registries_conf.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "fetch/endpoints.h"
#include "fetch/registries_conf_priv.h"
#include "fetch/toml.h"

#define MIRRORS_MAX (OL_ENDPOINTS_MAX - 1) /* and the registry itself */

struct alias {
	const char *name, *value, *file;
};

struct ol_registries_conf {
	ol_arena *arena;         /* owned: all strings, mirrors and lists */
	ol_registry_rule *rules; /* owned */
	size_t rule_count, rule_cap;
	struct alias *aliases; /* owned */
	size_t alias_count, alias_cap;
	const char *const *search, *const *helpers;
	const char *search_file;
};

ol_registries_conf *ol_registries_conf_new(void)
{
	ol_registries_conf *conf = ol_alloc(sizeof *conf);

	conf->arena = ol_arena_new();
	return conf;
}

void ol_registries_conf_free(ol_registries_conf *conf)
{
	if (!conf)
		return;
	ol_arena_free(conf->arena);
	free(conf->rules);
	free(conf->aliases);
	free(conf);
}

static int bad(const ol_toml *value, const char *text, const char *why, ol_error *err)
{
	ol_auto_str ol_str safe = OL_STR(1200);

	(void)ol_str_add_safe(&safe, ol_view_from(text, strnlen(text, 255)));
	return ol_fail(
		err, OL_EINVAL, "line %u: \"%s\" %s", ol_toml_line(value), ol_str_text(&safe), why);
}

/* "host[:port][/path…]", without a slash at its end, into the arena. */
static int read_location(ol_registries_conf *conf, const ol_toml *table, const char *key,
	const char **out, ol_error *err)
{
	const char *text = NULL, *host;
	size_t size, first;
	int rc = ol_toml_get_text(table, key, &text, err);

	if (rc < 0 || !text || !*text)
		return rc;
	size = strlen(text);
	while (size > 1 && text[size - 1] == '/')
		size--;
	first = strcspn(text, "/");
	if (strstr(text, "://"))
		return bad(ol_toml_get(table, key), text, "has a scheme, and is a name", err);
	if (size > OL_REFERENCE_NAME_MAX || strcspn(text, " \t\n?#\\\"") < size ||
		!ol_endpoint_host(ol_view_from(text + (strncmp(text, "*.", 2) == 0 ? 2 : 0),
					  first - (strncmp(text, "*.", 2) == 0 ? 2 : 0)),
			OL_TRANSPORT_TRY, conf->arena, &host))
		return bad(ol_toml_get(table, key), text, "is no host with a path", err);
	*out = ol_arena_strndup(conf->arena, text, size);
	return OL_OK;
}

static int read_use(const ol_toml *table, bool by_digest_only, ol_mirror_use *out, ol_error *err)
{
	static const struct {
		const char *name;
		ol_mirror_use use;
	} known[] = { { "all", OL_MIRROR_ALL }, { "digest-only", OL_MIRROR_DIGESTS },
		{ "tag-only", OL_MIRROR_TAGS } };
	const char *text = NULL;
	int rc = ol_toml_get_text(table, "pull-from-mirror", &text, err);

	*out = by_digest_only ? OL_MIRROR_DIGESTS : OL_MIRROR_ALL;
	if (rc < 0 || !text || !*text)
		return rc;
	if (by_digest_only)
		return bad(ol_toml_get(table, "pull-from-mirror"), text,
			"stands beside mirror-by-digest-only = true: one of them says it", err);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(text, known[i].name) == 0) {
			*out = known[i].use;
			return OL_OK;
		}
	return bad(ol_toml_get(table, "pull-from-mirror"), text,
		"is not one of all, digest-only and tag-only", err);
}

/* An array of tables under key. */
static int tables_of(const ol_toml *table, const char *key, const ol_toml **out, ol_error *err)
{
	const ol_toml *list = ol_toml_get(table, key);

	if (list && !ol_toml_is_array(list))
		return ol_fail(err, OL_EINVAL, "line %u: %s is %s, and must be written [[%s]]",
			ol_toml_line(list), key, ol_toml_type_name(list), key);
	for (const ol_toml *item = ol_toml_first(list); item; item = ol_toml_next(item))
		if (!ol_toml_is_table(item))
			return ol_fail(err, OL_EINVAL, "line %u: %s holds %s", ol_toml_line(item),
				key, ol_toml_type_name(item));
	*out = list;
	return OL_OK;
}

static int read_mirrors(ol_registries_conf *conf, const ol_toml *table, bool by_digest_only,
	ol_registry_rule *rule, ol_error *err)
{
	const ol_toml *list = NULL;
	ol_registry_mirror *mirrors;
	int rc = tables_of(table, "mirror", &list, err);

	if (rc == OL_OK && ol_toml_count(list) > MIRRORS_MAX)
		rc = ol_fail(err, OL_ELIMIT, "line %u: more than %d mirrors", ol_toml_line(list),
			MIRRORS_MAX);
	if (rc < 0)
		return rc;
	mirrors = ol_arena_alloc(conf->arena, (ol_toml_count(list) + 1) * sizeof *mirrors);
	for (const ol_toml *item = ol_toml_first(list); item; item = ol_toml_next(item)) {
		ol_registry_mirror *mirror = &mirrors[rule->mirror_count++];

		rc = read_location(conf, item, "location", &mirror->location, err);
		if (rc == OL_OK && (!mirror->location || *mirror->location == '*'))
			rc = ol_fail(err, OL_EINVAL, "line %u: a mirror has no location",
				ol_toml_line(item));
		if (rc == OL_OK)
			rc = ol_toml_get_bool(item, "insecure", &mirror->insecure, err);
		if (rc == OL_OK)
			rc = read_use(item, by_digest_only, &mirror->use, err);
		if (rc < 0)
			return rc;
	}
	rule->mirrors = mirrors;
	return OL_OK;
}

static int read_rule(ol_registries_conf *conf, const ol_toml *table, const char *file,
	ol_registry_rule *rule, ol_error *err)
{
	bool by_digest_only = false;
	int rc = read_location(conf, table, "prefix", &rule->prefix, err);

	rule->file = file;
	rule->line = ol_toml_line(table);
	if (rc == OL_OK)
		rc = read_location(conf, table, "location", &rule->location, err);
	if (rc == OL_OK && rule->location && *rule->location == '*')
		rc = bad(table, rule->location, "is no location: only a prefix has \"*.\"", err);
	if (rc == OL_OK && !rule->location && (!rule->prefix || *rule->prefix != '*'))
		rc = ol_fail(err, OL_EINVAL, "line %u: a registry has no location", rule->line);
	if (rc < 0)
		return rc;
	if (!rule->prefix)
		rule->prefix = rule->location;
	assert(rule->prefix);
	/* "*.example.com" stands for hosts, not for what is in them. */
	if (rc == OL_OK && *rule->prefix == '*' && strchr(rule->prefix, '/'))
		rc = bad(table, rule->prefix, "has a path behind its \"*.\"", err);
	if (rc == OL_OK)
		rc = ol_toml_get_bool(table, "insecure", &rule->insecure, err);
	if (rc == OL_OK)
		rc = ol_toml_get_bool(table, "blocked", &rule->blocked, err);
	if (rc == OL_OK)
		rc = ol_toml_get_bool(table, "mirror-by-digest-only", &by_digest_only, err);
	if (rc < 0)
		return rc;
	return read_mirrors(conf, table, by_digest_only, rule, err);
}

static int put_rule(ol_registries_conf *conf, const ol_registry_rule *rule, ol_error *err)
{
	for (size_t i = 0; i < conf->rule_count; i++) {
		ol_registry_rule *there = &conf->rules[i];

		if (strcmp(there->prefix, rule->prefix) != 0)
			continue;
		if (there->file == rule->file &&
			(there->blocked != rule->blocked || there->insecure != rule->insecure))
			return ol_fail(err, OL_EINVAL,
				"line %u: \"%s\" stands at line %u too, and there it is otherwise "
				"blocked or insecure",
				rule->line, rule->prefix, there->line);
		if (there->file != rule->file)
			*there = *rule;
		return OL_OK;
	}
	if (conf->rule_count == OL_REGISTRY_RULES_MAX)
		return ol_fail(err, OL_ELIMIT, "more than %d registries", OL_REGISTRY_RULES_MAX);
	OL_GROW(conf->rules, conf->rule_count, conf->rule_cap);
	conf->rules[conf->rule_count++] = *rule;
	return OL_OK;
}

static int read_rules(
	ol_registries_conf *conf, const ol_toml *root, const char *file, ol_error *err)
{
	const ol_toml *list = NULL;
	int rc = tables_of(root, "registry", &list, err);

	for (const ol_toml *item = ol_toml_first(list); rc == OL_OK && item;
		item = ol_toml_next(item)) {
		ol_registry_rule rule = { 0 };

		rc = read_rule(conf, item, file, &rule, err);
		if (rc == OL_OK)
			rc = put_rule(conf, &rule, err);
	}
	return rc;
}

/* A name that Docker would look for at docker.io: its first part is no host. */
bool ol_is_short_name(ol_view name)
{
	const char *slash = name.size ? memchr(name.data, '/', name.size) : NULL;
	ol_view first = ol_view_from(name.data, slash ? (size_t)(slash - name.data) : 0);

	for (size_t i = 0; i < first.size; i++)
		if (first.data[i] == '.' || first.data[i] == ':' ||
			(first.data[i] >= 'A' && first.data[i] <= 'Z'))
			return false;
	return !ol_view_is(first, "localhost");
}

static void put_alias(ol_registries_conf *conf, const struct alias *alias)
{
	for (size_t i = 0; i < conf->alias_count; i++)
		if (strcmp(conf->aliases[i].name, alias->name) == 0) {
			conf->aliases[i] = *alias;
			return;
		}
	OL_GROW(conf->aliases, conf->alias_count, conf->alias_cap);
	conf->aliases[conf->alias_count++] = *alias;
}

/* An alias leads from a short name to a whole one; neither has a tag or digest. */
static int read_aliases(
	ol_registries_conf *conf, const ol_toml *root, const char *file, ol_error *err)
{
	const ol_toml *table = NULL;
	int rc = ol_toml_get_table(root, "aliases", &table, err);

	for (const ol_toml *item = ol_toml_first(table); rc == OL_OK && item;
		item = ol_toml_next(item)) {
		const char *name = ol_toml_key(item), *value = ol_toml_text(item);
		ol_ref ref;

		if (ol_toml_type_of(item) != OL_TOML_STRING)
			return ol_fail(err, OL_EINVAL, "line %u: an alias is %s",
				ol_toml_line(item), ol_toml_type_name(item));
		if (!ol_is_short_name(ol_view_of(name)) || strpbrk(name, ":@") ||
			ol_ref_parse(name, &ref, NULL) < 0)
			return bad(item, name, "is no short name", err);
		if (*value && (ol_is_short_name(ol_view_of(value)) || !strchr(value, '/') ||
				      strchr(value, '@') || strchr(strchr(value, '/'), ':') ||
				      ol_ref_parse(value, &ref, NULL) < 0))
			return bad(
				item, value, "is no name with its registry and without a tag", err);
		put_alias(conf, &(struct alias){ ol_arena_strdup(conf->arena, name),
					ol_arena_strdup(conf->arena, value), file });
	}
	return rc;
}

/* An array of strings, ended by NULL, in the arena. */
static int read_list(ol_registries_conf *conf, const ol_toml *root, const char *key,
	const char *const **out, ol_error *err)
{
	const ol_toml *list = NULL;
	const char **texts;
	size_t count = 0;
	int rc = ol_toml_get_texts(root, key, &list, err);

	if (rc < 0 || !list)
		return rc;
	if (ol_toml_count(list) > OL_CONFIG_LIST_MAX)
		return ol_fail(err, OL_ELIMIT, "line %u: %s has more than %d entries",
			ol_toml_line(list), key, OL_CONFIG_LIST_MAX);
	texts = ol_arena_alloc(conf->arena, (ol_toml_count(list) + 1) * sizeof *texts);
	for (const ol_toml *item = ol_toml_first(list); item; item = ol_toml_next(item))
		texts[count++] = ol_arena_strdup(conf->arena, ol_toml_text(item));
	*out = texts;
	return OL_OK;
}

static int read_search(
	ol_registries_conf *conf, const ol_toml *root, const char *file, ol_error *err)
{
	const char *const *list = NULL, *host;
	int rc = read_list(conf, root, "unqualified-search-registries", &list, err);

	if (rc < 0 || !list)
		return rc;
	for (const char *const *item = list; *item; item++) {
		size_t size = strcspn(*item, "/");

		if (!ol_endpoint_host(
			    ol_view_from(*item, size), OL_TRANSPORT_TRY, conf->arena, &host))
			return bad(ol_toml_get(root, "unqualified-search-registries"), *item,
				"is no registry", err);
	}
	conf->search = list;
	conf->search_file = file;
	return OL_OK;
}

/* Said, and not followed: there is nobody to ask. But what cannot be meant is refused. */
static int read_mode(const ol_toml *root, ol_error *err)
{
	static const char *const known[] = { "", "enforcing", "permissive", "disabled" };
	const char *mode = "";
	int rc = ol_toml_get_text(root, "short-name-mode", &mode, err);

	for (size_t i = 0; rc == OL_OK && i < sizeof known / sizeof known[0]; i++)
		if (strcmp(mode, known[i]) == 0)
			return OL_OK;
	return rc < 0 ? rc
		      : bad(ol_toml_get(root, "short-name-mode"), mode,
				"is not one of enforcing, permissive and disabled", err);
}

/* The format before mirrors: [registries.search], [registries.insecure], [registries.block]. */
static int refuse_version_1(const ol_toml *root, ol_error *err)
{
	const ol_toml *old = ol_toml_get(root, "registries");

	if (!old)
		return OL_OK;
	(void)ol_fail(err, OL_EUNSUPPORTED,
		"line %u: this is the version 1 format of registries.conf", ol_toml_line(old));
	return ol_hint(err, OL_EUNSUPPORTED,
		"write unqualified-search-registries and [[registry]]: "
		"containers-registries.conf(5)");
}

int ol_registries_conf_add(ol_registries_conf *conf, ol_view text, const char *file, ol_error *err)
{
	ol_auto(ol_toml_free) ol_toml *root = NULL;
	const char *name = ol_arena_strdup(conf->arena, file);
	int rc = ol_toml_parse(text, &root, err);

	if (rc == OL_OK)
		rc = refuse_version_1(root, err);
	if (rc == OL_OK)
		rc = read_search(conf, root, name, err);
	if (rc == OL_OK)
		rc = read_mode(root, err);
	if (rc == OL_OK)
		rc = read_list(conf, root, "credential-helpers", &conf->helpers, err);
	if (rc == OL_OK)
		rc = read_aliases(conf, root, name, err);
	if (rc == OL_OK)
		rc = read_rules(conf, root, name, err);
	return rc < 0 ? ol_wrap(err, rc, "%s", file) : OL_OK;
}

int ol_registries_conf_add_cache(
	ol_registries_conf *conf, ol_view text, const char *file, ol_error *err)
{
	ol_auto(ol_toml_free) ol_toml *root = NULL;
	int rc = ol_toml_parse(text, &root, err);

	if (rc == OL_OK)
		rc = read_aliases(conf, root, ol_arena_strdup(conf->arena, file), err);
	return rc < 0 ? ol_wrap(err, rc, "%s", file) : OL_OK;
}

/* How much of name the prefix covers; 0: it does not match. */
static size_t match(const char *prefix, const char *name)
{
	size_t size = strlen(prefix);

	if (strncmp(prefix, "*.", 2) == 0) {
		size_t host = strcspn(name, ":/");

		size--; /* ".example.com" */
		return host > size && memcmp(name + host - size, prefix + 1, size) == 0 ? host : 0;
	}
	if (strncmp(name, prefix, size) != 0)
		return 0;
	/* "host" is not "host:5000", but "host/app" is "host/app:tag". */
	if (name[size] == ':' && !strchr(prefix, '/'))
		return 0;
	return !name[size] || strchr("/:@", name[size]) ? size : 0;
}

const ol_registry_rule *ol_registries_conf_find(const ol_registries_conf *conf, const ol_ref *ref)
{
	const ol_ref_string name = ol_ref_format(ref);
	const ol_registry_rule *best = NULL;

	for (size_t i = 0; conf && i < conf->rule_count; i++) {
		const ol_registry_rule *rule = &conf->rules[i];

		if (match(rule->prefix, name.text) &&
			(!best || strlen(rule->prefix) > strlen(best->prefix)))
			best = rule;
	}
	return best;
}

void ol_registry_rule_rewrite(
	const ol_registry_rule *rule, const char *location, const ol_ref *ref, ol_str *out)
{
	const ol_ref_string whole = ol_ref_format(ref), name = ol_ref_name(ref);
	size_t covered = location ? match(rule->prefix, whole.text) : 0;

	/* A prefix may hold the tag: then all of the name is covered. */
	if (covered > strlen(name.text))
		covered = strlen(name.text);
	(void)ol_str_addf(out, "%s%s", location ? location : "", name.text + covered);
}

const char *ol_registries_conf_alias(
	const ol_registries_conf *conf, const char *name, const char **file)
{
	for (size_t i = 0; conf && i < conf->alias_count; i++)
		if (strcmp(conf->aliases[i].name, name) == 0 && *conf->aliases[i].value) {
			*file = conf->aliases[i].file;
			return conf->aliases[i].value;
		}
	return NULL;
}

const char *const *ol_registries_conf_search(const ol_registries_conf *conf, const char **file)
{
	static const char *const none[] = { NULL };

	*file = conf ? conf->search_file : NULL;
	return conf && conf->search ? conf->search : none;
}

const char *const *ol_registries_conf_helpers(const ol_registries_conf *conf)
{
	return conf ? conf->helpers : NULL;
}
