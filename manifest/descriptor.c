#include "manifest/descriptor.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/base64.h"
#include "base/limits.h"
#include "manifest/descriptor_priv.h"

const char *ol_descriptor_annotation(const ol_descriptor *descriptor, const char *key)
{
	for (size_t i = 0; i < descriptor->annotation_count; i++)
		if (strcmp(descriptor->annotations[i].key, key) == 0)
			return descriptor->annotations[i].value;
	return NULL;
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if (*text & 0x80)
			return false;
	return true;
}

int ol_members_check(const ol_json *object, const char *const *names, ol_error *err)
{
	const char *key;
	const ol_json *value;
	void *it = NULL;

	while (ol_json_next(object, &it, &key, &value)) {
		if (!is_ascii(key))
			return ol_fail(err, OL_EINVAL, "a member's name is not ASCII");
		for (const char *const *name = names; *name; name++)
			if (strcasecmp(key, *name) == 0 && strcmp(key, *name) != 0)
				return ol_fail(err, OL_EINVAL,
					"member \"%s\" could be read as \"%s\"", key, *name);
	}
	return OL_OK;
}

int ol_member_text(
	const ol_json *object, const char *key, ol_arena *arena, const char **out, ol_error *err)
{
	const char *text = NULL;
	int rc;

	rc = ol_json_get_text(object, key, &text, err);
	if (rc == OL_OK && text)
		*out = ol_arena_strdup(arena, text);
	return rc;
}

int ol_annotations_parse(const ol_json *object, ol_arena *arena, const ol_annotation **out,
	size_t *count, ol_error *err)
{
	const ol_json *json = NULL, *value;
	ol_annotation *list;
	const char *key;
	size_t used = 0;
	void *it = NULL;
	int rc;

	rc = ol_json_get_object(object, "annotations", &json, err);
	if (rc < 0 || !json)
		return rc;
	list = ol_arena_alloc(arena, ol_json_count(json) * sizeof *list);
	while (ol_json_next(json, &it, &key, &value)) {
		/* null is Go's empty text. */
		const char *text =
			ol_json_type_of(value) == OL_JSON_NULL ? "" : ol_json_text(value);

		if (!text)
			return ol_fail(
				err, OL_EINVAL, "annotations: value %zu is not a string", used + 1);
		list[used].key = ol_arena_strdup(arena, key);
		list[used++].value = ol_arena_strdup(arena, text);
	}
	*out = list;
	*count = used;
	return OL_OK;
}

/* Into a field of a platform. */
static int parse_word(const ol_json *json, const char *key, char *field, size_t size, ol_error *err)
{
	const char *text = "";
	int rc;

	rc = ol_json_get_text(json, key, &text, err);
	if (rc < 0)
		return rc;
	if (strlen(text) >= size)
		return ol_fail(err, OL_ELIMIT, "%s is longer than %zu bytes", key, size - 1);
	(void)snprintf(field, size, "%s", text);
	return OL_OK;
}

int ol_platform_read(const ol_json *json, ol_platform *out, ol_error *err)
{
	ol_platform platform = { 0 };
	int rc;

	rc = parse_word(json, "os", platform.os, sizeof platform.os, err);
	if (rc == OL_OK)
		rc = parse_word(json, "architecture", platform.architecture,
			sizeof platform.architecture, err);
	if (rc == OL_OK)
		rc = parse_word(json, "variant", platform.variant, sizeof platform.variant, err);
	if (rc == OL_OK)
		rc = parse_word(
			json, "os.version", platform.os_version, sizeof platform.os_version, err);
	if (rc < 0)
		return rc;
	ol_platform_normalise(&platform);
	*out = platform;
	return OL_OK;
}

static int parse_urls(const ol_json *json, ol_arena *arena, ol_descriptor *out, ol_error *err)
{
	const ol_json *urls = NULL;
	const char **list;
	size_t count;
	int rc;

	rc = ol_json_get_array(json, "urls", &urls, err);
	count = ol_json_count(urls);
	if (rc < 0 || count == 0)
		return rc;
	list = ol_arena_alloc(arena, (count + 1) * sizeof *list);
	for (size_t i = 0; i < count; i++) {
		const char *url = ol_json_text(ol_json_at(urls, i));

		if (!url)
			return ol_fail(err, OL_EINVAL, "urls[%zu] is not a string", i);
		list[i] = ol_arena_strdup(arena, url);
	}
	out->urls = list;
	return OL_OK;
}

static int parse_size(const ol_json *json, ol_descriptor *out, ol_error *err)
{
	int64_t size = -1;
	int rc;

	if (!ol_json_get(json, "size"))
		return ol_fail(err, OL_EINVAL, "size is missing");
	rc = ol_json_get_int(json, "size", &size, err);
	if (rc < 0)
		return rc;
	if (size < 0)
		return ol_fail(err, OL_EINVAL, "size is negative");
	if ((uint64_t)size > OL_DESCRIPTOR_BYTES_MAX)
		return ol_fail(
			err, OL_ELIMIT, "size is %" PRId64 " bytes, more than any blob has", size);
	out->size = (uint64_t)size;
	return OL_OK;
}

static int parse_digest(const ol_json *json, bool may_be_unset, ol_descriptor *out, ol_error *err)
{
	const char *text = NULL;
	int rc;

	rc = ol_json_get_text(json, "digest", &text, err);
	if (rc < 0)
		return rc;
	if (!text)
		return ol_fail(err, OL_EINVAL, "digest is missing");
	rc = ol_digest_parse(ol_view_of(text), &out->digest, err);
	return rc == OL_EUNSUPPORTED && may_be_unset ? OL_OK : rc;
}

/* Content that came along: used only once it is known to be what the digest and the size say. */
static int parse_data(const ol_json *json, ol_arena *arena, ol_descriptor *out, ol_error *err)
{
	ol_auto_buf ol_buf data = OL_BUF(OL_MANIFEST_BYTES_MAX);
	const char *text = NULL;
	ol_digest digest;
	int rc;

	rc = ol_json_get_text(json, "data", &text, err);
	if (rc < 0)
		return rc;
	if (!text || !ol_digest_is_set(&out->digest))
		return OL_OK;
	rc = ol_base64_parse(ol_view_of(text), &data, err);
	if (rc < 0)
		return ol_wrap(err, rc, "data");
	if (data.size != out->size)
		return ol_fail(
			err, OL_ECORRUPT, "data: %zu bytes, not %" PRIu64, data.size, out->size);
	digest = ol_digest_of(out->digest.algorithm, data.data, data.size);
	rc = ol_digest_check(&out->digest, &digest, err);
	if (rc < 0)
		return ol_wrap(err, rc, "data");
	out->data = ol_view_from(ol_arena_strndup(arena, data.data, data.size), data.size);
	return OL_OK;
}

int ol_descriptor_parse(
	const ol_json *json, bool may_be_unset, ol_arena *arena, ol_descriptor *out, ol_error *err)
{
	static const char *const names[] = { "mediaType", "digest", "size", "urls", "annotations",
		"data", "artifactType", "platform", NULL };
	ol_descriptor descriptor = { .media_type = "" };
	const ol_json *platform = NULL;
	int rc;

	if (!ol_json_is_object(json))
		return ol_fail(err, OL_EINVAL, "not an object");
	rc = ol_members_check(json, names, err);
	if (rc == OL_OK)
		rc = ol_member_text(json, "mediaType", arena, &descriptor.media_type, err);
	if (rc == OL_OK && !descriptor.media_type[0])
		return ol_fail(err, OL_EINVAL, "mediaType is missing");
	if (rc == OL_OK)
		rc = parse_digest(json, may_be_unset, &descriptor, err);
	if (rc == OL_OK)
		rc = parse_size(json, &descriptor, err);
	if (rc == OL_OK)
		rc = parse_urls(json, arena, &descriptor, err);
	if (rc == OL_OK)
		rc = ol_annotations_parse(
			json, arena, &descriptor.annotations, &descriptor.annotation_count, err);
	if (rc == OL_OK)
		rc = ol_member_text(json, "artifactType", arena, &descriptor.artifact_type, err);
	if (rc == OL_OK)
		rc = ol_json_get_object(json, "platform", &platform, err);
	if (rc == OL_OK && platform)
		rc = ol_platform_read(platform, &descriptor.platform, err);
	if (rc < 0 && platform)
		return ol_wrap(err, rc, "platform");
	if (rc == OL_OK)
		rc = parse_data(json, arena, &descriptor, err);
	if (rc < 0)
		return rc;

	descriptor.media = ol_media_of(ol_view_of(descriptor.media_type));
	/* An empty object says no more than none. */
	descriptor.has_platform = descriptor.platform.os[0] || descriptor.platform.architecture[0];
	*out = descriptor;
	return OL_OK;
}

ol_json *ol_descriptor_json(const char *media_type, const ol_digest *digest, uint64_t size)
{
	ol_json *json = ol_json_object();

	ol_json_set_text(json, "mediaType", media_type);
	ol_json_set_text(json, "digest", ol_digest_format(digest).text);
	ol_json_set_int(json, "size", (int64_t)size);
	return json;
}

ol_json *ol_platform_json(const ol_platform *platform)
{
	ol_json *json = ol_json_object();

	ol_json_set_text(json, "architecture", platform->architecture);
	ol_json_set_text(json, "os", platform->os);
	if (*platform->variant)
		ol_json_set_text(json, "variant", platform->variant);
	return json;
}
