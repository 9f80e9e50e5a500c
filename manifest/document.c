#include "manifest/document.h"

#include <inttypes.h>

#include "base/limits.h"
#include "manifest/descriptor_priv.h"

#define IN_TOTO "application/vnd.in-toto+json"

/* A type comes from outside and is shown on a terminal. */
static int refuse_type(
	int code, const char *before, const char *type, const char *after, ol_error *err)
{
	ol_auto_str ol_str safe = OL_STR(256);

	(void)ol_str_add_safe(&safe, ol_view_from(type, strnlen(type, 128)));
	return ol_fail(err, code, "%s \"%s\" %s", before, ol_str_text(&safe), after);
}

static int refuse_schema1(ol_error *err)
{
	(void)ol_fail(
		err, OL_EUNSUPPORTED, "the image is in Docker's schema 1 format, given up in 2015");
	return ol_hint(err, OL_EUNSUPPORTED,
		"push it again with a current tool, such as `skopeo copy --format v2s2`, or use a "
		"newer tag");
}

static int check_version(const ol_json *root, ol_error *err)
{
	int64_t version = 0;
	int rc;

	rc = ol_json_get_int(root, "schemaVersion", &version, err);
	if (rc < 0)
		return rc;
	if (version == 1 || ol_json_has(root, "fsLayers"))
		return refuse_schema1(err);
	if (!ol_json_get(root, "schemaVersion"))
		return ol_fail(err, OL_EINVAL, "schemaVersion is missing");
	if (version != 2)
		return ol_fail(
			err, OL_EUNSUPPORTED, "schemaVersion is %" PRId64 ", not 2", version);
	return OL_OK;
}

/* Which of the two it is by its members. */
static int find_kind(const ol_json *root, ol_document_kind *out, ol_error *err)
{
	/* A member that is null is one as well: readers differ on it. */
	bool index = ol_json_has(root, "manifests");
	bool manifest = ol_json_has(root, "config") || ol_json_has(root, "layers");

	if (index && manifest)
		return ol_fail(err, OL_EINVAL, "ambiguous: both a manifest and an index");
	if (!index && !manifest)
		return ol_fail(err, OL_EINVAL, "neither a manifest nor an index");
	*out = index ? OL_DOCUMENT_INDEX : OL_DOCUMENT_MANIFEST;
	return OL_OK;
}

/* What the document says of itself, what it came as ("" where that is not known), and what it is
 * must not contradict each other. */
static int check_type(ol_document *document, const char *expected, ol_error *err)
{
	bool index = document->kind == OL_DOCUMENT_INDEX;
	ol_media_class wanted = index ? OL_MEDIA_INDEX : OL_MEDIA_MANIFEST;
	const char *is = index ? "but is an index" : "but is a manifest";
	const char *says = document->media_type;
	ol_media_class came = ol_media_of(ol_view_of(expected)).kind;

	if (says && ol_media_of(ol_view_of(says)).kind != wanted)
		return refuse_type(OL_EINVAL, "ambiguous: it says it is", says, is, err);
	if (came != OL_MEDIA_UNKNOWN && came != wanted)
		return refuse_type(OL_EINVAL, "ambiguous: it came as", expected, is, err);
	if (says && came != OL_MEDIA_UNKNOWN &&
		!ol_media_same(ol_view_of(says), ol_view_of(expected)))
		return refuse_type(OL_EINVAL, "ambiguous: it came as", expected,
			"but says it is another type", err);
	if (says)
		return OL_OK;
	if (came != OL_MEDIA_UNKNOWN)
		document->media_type = ol_arena_strdup(document->arena, expected);
	else
		document->media_type = index ? OL_MEDIA_OCI_INDEX : OL_MEDIA_OCI_MANIFEST;
	return OL_OK;
}

/* The descriptors of one member, that is there or null. */
struct list {
	const char *key;
	size_t max;
	bool may_be_unset;
};

static int parse_list(const struct list *list, const ol_json *root, ol_arena *arena,
	const ol_descriptor **out, ol_error *err)
{
	const ol_json *array = NULL;
	ol_descriptor *descriptors;
	int rc;

	rc = ol_json_get_array(root, list->key, &array, err);
	if (rc < 0)
		return rc;
	if (ol_json_count(array) > list->max)
		return ol_fail(err, OL_ELIMIT, "%s: there are %zu, more than the %zu allowed",
			list->key, ol_json_count(array), list->max);
	descriptors = ol_arena_alloc(arena, ol_json_count(array) * sizeof *descriptors);
	for (size_t i = 0; i < ol_json_count(array); i++) {
		rc = ol_descriptor_parse(
			ol_json_at(array, i), list->may_be_unset, arena, &descriptors[i], err);
		if (rc < 0)
			return ol_wrap(err, rc, "%s[%zu]", list->key, i);
	}
	*out = descriptors;
	return OL_OK;
}

static int parse_manifest(const ol_json *root, ol_document *document, ol_error *err)
{
	static const struct list layers = { "layers", OL_LAYERS_MAX, false };
	int rc;

	if (!ol_json_get(root, "config"))
		return ol_fail(err, OL_EINVAL, "config is missing");
	if (!ol_json_has(root, "layers"))
		return ol_fail(err, OL_EINVAL, "layers is missing");
	rc = ol_descriptor_parse(
		ol_json_get(root, "config"), false, document->arena, &document->config, err);
	if (rc < 0)
		return ol_wrap(err, rc, "config");
	rc = parse_list(&layers, root, document->arena, &document->layers, err);
	if (rc == OL_OK)
		document->layer_count = ol_json_count(ol_json_get(root, "layers"));
	return rc;
}

static int parse_index(const ol_json *root, ol_document *document, ol_error *err)
{
	static const struct list manifests = { "manifests", OL_INDEX_ENTRIES_MAX, true };
	int rc;

	rc = parse_list(&manifests, root, document->arena, &document->manifests, err);
	if (rc == OL_OK)
		document->manifest_count = ol_json_count(ol_json_get(root, "manifests"));
	return rc;
}

static int parse_root(
	const ol_json *root, const char *expected, ol_document *document, ol_error *err)
{
	static const char *const names[] = { "schemaVersion", "mediaType", "artifactType", "config",
		"layers", "manifests", "subject", "annotations", "fsLayers", NULL };
	ol_arena *arena = document->arena;
	int rc;

	if (!ol_json_is_object(root))
		return ol_fail(err, OL_EINVAL, "not an object");
	rc = ol_members_check(root, names, err);
	if (rc < 0)
		return ol_wrap(err, rc, "ambiguous");
	rc = ol_member_text(root, "mediaType", arena, &document->media_type, err);
	if (rc < 0)
		return rc;
	if (document->media_type &&
		ol_media_of(ol_view_of(document->media_type)).kind == OL_MEDIA_SCHEMA1)
		return refuse_schema1(err);
	rc = check_version(root, err);
	if (rc < 0)
		return rc;
	if (document->media_type &&
		ol_media_of(ol_view_of(document->media_type)).kind == OL_MEDIA_UNKNOWN)
		return refuse_type(OL_EUNSUPPORTED, "type", document->media_type,
			"is neither a manifest nor an index", err);
	rc = find_kind(root, &document->kind, err);
	if (rc == OL_OK)
		rc = check_type(document, expected, err);
	if (rc == OL_OK)
		rc = document->kind == OL_DOCUMENT_INDEX ? parse_index(root, document, err)
							 : parse_manifest(root, document, err);
	if (rc == OL_OK)
		rc = ol_member_text(root, "artifactType", arena, &document->artifact_type, err);
	if (rc == OL_OK)
		rc = ol_annotations_parse(
			root, arena, &document->annotations, &document->annotation_count, err);
	if (rc < 0 || !ol_json_get(root, "subject"))
		return rc;
	document->has_subject = true;
	rc = ol_descriptor_parse(
		ol_json_get(root, "subject"), true, arena, &document->subject, err);
	return rc < 0 ? ol_wrap(err, rc, "subject") : OL_OK;
}

static ol_document *document_new(void)
{
	ol_arena *arena = ol_arena_new();
	ol_document *document = ol_arena_alloc(arena, sizeof *document);

	document->arena = arena;
	return document;
}

void ol_document_free(ol_document *document)
{
	if (document)
		ol_arena_free(document->arena);
}

int ol_document_parse(ol_view bytes, const char *expected_type, ol_document **out, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = document_new();
	ol_auto(ol_json_free) ol_json *root = NULL;
	const char *expected = expected_type ? expected_type : "";
	int rc;

	if (bytes.size > OL_MANIFEST_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "%zu bytes, more than the %zu allowed", bytes.size,
			OL_MANIFEST_BYTES_MAX);
	if (ol_media_of(ol_view_of(expected)).kind == OL_MEDIA_SCHEMA1)
		return refuse_schema1(err);
	rc = ol_json_parse(bytes, &root, err);
	if (rc == OL_OK)
		rc = parse_root(root, expected, document, err);
	if (rc < 0)
		return ol_corrupt(rc, err);
	*out = ol_steal(&document);
	return OL_OK;
}

bool ol_document_is_image(const ol_document *manifest)
{
	if (manifest->kind != OL_DOCUMENT_MANIFEST ||
		manifest->config.media.kind != OL_MEDIA_CONFIG)
		return false;
	/* BuildKit gives its attestations an image config as well. */
	for (size_t i = 0; i < manifest->layer_count; i++)
		if (ol_media_same(ol_view_of(manifest->layers[i].media_type), ol_view_of(IN_TOTO)))
			return false;
	return true;
}

bool ol_descriptor_is_attestation(const ol_descriptor *entry)
{
	const char *type = ol_descriptor_annotation(entry, "vnd.docker.reference.type");

	if (type && strcmp(type, "attestation-manifest") == 0)
		return true;
	return entry->has_platform && ol_platform_is_unknown(&entry->platform);
}
