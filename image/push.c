/* push: a copy from the store to a registry, with docker's words. */
#include "image/push.h"

#include <string.h>

#include "base/alloc.h"
#include "image/session_priv.h"
#include "store/name.h"

int ol_push(ol_session *session, const char *source, const char *target,
	const ol_copy_options *options, ol_copied *out, ol_error *err)
{
	const char *to = target ? target : source;
	/* What --creds and its kin say is the target's, and nobody else's to see. */
	static const ol_copy_side none = { 0 };
	ol_copy_options copy = *options;
	ol_autofree char *from = ol_text("store:%s", source);
	ol_autofree char *docker =
		strncmp(to, "docker://", 9) == 0 ? ol_strdup(to) : ol_text("docker://%s", to);
	ol_ref ref;
	int rc = ol_ref_parse(docker + strlen("docker://"), &ref, err);

	if (rc < 0 && !target)
		return ol_hint(err, rc, "say what it is to be called there: orlop push %.60s NAME",
			source);
	if (rc < 0)
		return rc;
	copy.source = from;
	copy.target = docker;
	copy.source_side = options->source_side ? options->source_side : &none;
	copy.target_side = NULL;
	rc = ol_copy_image(session, &copy, out, err);
	return rc < 0 ? ol_wrap(err, rc, "cannot push %.255s", source) : OL_OK;
}

/* All tags of a repository. */
struct tags {
	const char *prefix; /* "docker.io/library/debian:" */
	char **names;       /* owned */
	size_t count, cap;
};

static int add(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct tags *tags = ctx;

	(void)err;
	if (strncmp(info->name, tags->prefix, strlen(tags->prefix)) != 0)
		return OL_OK;
	OL_GROW(tags->names, tags->count, tags->cap);
	tags->names[tags->count++] = ol_strdup(info->name);
	return OL_OK;
}

int ol_push_tags(ol_session *session, const char *repository,
	int (*call)(void *ctx, const char *name, ol_error *err), void *ctx, ol_error *err)
{
	ol_autofree char *prefix = NULL;
	struct tags tags = { 0 };
	ol_ref ref;
	int rc = ol_ref_parse(repository, &ref, err);

	if (rc < 0)
		return rc;
	prefix = ol_text("%s:", ol_ref_name(&ref).text);
	tags.prefix = prefix;
	rc = ol_name_each(session->store, add, &tags, err);
	if (rc == OL_OK && tags.count == 0)
		rc = ol_fail(err, OL_ENOTFOUND,
			"An image does not exist locally with the tag: %.255s",
			ol_ref_name_familiar(&ref).text);
	/* A push takes its time: no row is held meanwhile. */
	for (size_t i = 0; rc == OL_OK && i < tags.count; i++)
		rc = call(ctx, tags.names[i], err);
	for (size_t i = 0; i < tags.count; i++)
		free(tags.names[i]);
	free(tags.names);
	return rc;
}
