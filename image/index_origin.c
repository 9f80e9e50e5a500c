/*
 * An image with its SOCI indexes, made of the image as it is and read by a copy as any other
 * origin:
 *
 *	base     index ─▶ manifest ─▶ layers
 *	this     index'─┬▶ manifest' ─▶ the same layers       manifest' names the SOCI index
 *	                └▶ SOCI index ─▶ ztocs, start profile
 *
 * Documents that change are made here; the SOCI index and its blobs are the store's; everything
 * else is the base's. soci-snapshotter docs/soci-index-manifest-v2.md, soci/soci_convert.go.
 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "image/index_origin_priv.h"
#include "image/index_priv.h"
#include "manifest/profile.h"
#include "manifest/soci.h"
#include "store/attached.h"

#define SMALL_BYTES_MAX OL_CONFIG_BYTES_MAX
#define MANIFEST_DIGEST "com.amazon.soci.image-manifest-digest"
#define INDEX_DIGEST    "com.amazon.soci.index-digest"

/* A document of ours. */
struct made {
	ol_digest digest;
	ol_buf bytes; /* owned */
};

struct indexed_origin {
	ol_origin origin;
	ol_origin *base;               /* owned */
	ol_index_published *published; /* lent */
	struct made *made;             /* owned */
	size_t count, cap;
};

static int make(struct indexed_origin *self, const ol_json *json, struct made **out, ol_error *err)
{
	ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	int rc = ol_json_format(json, OL_JSON_COMPACT, &bytes, err);

	if (rc < 0) {
		ol_buf_done(&bytes);
		return rc;
	}
	OL_GROW(self->made, self->count, self->cap);
	self->made[self->count] =
		(struct made){ .digest = ol_digest_of(OL_SHA256, bytes.data, bytes.size),
			.bytes = bytes };
	*out = &self->made[self->count++];
	return OL_OK;
}

/* --- the SOCI index --- */

/* Something of ours to publish: ztocs, or the profile of its start. */
static bool has_index(const struct indexed_origin *self, const ol_digest *manifest)
{
	ol_store *store = self->origin.copy->session->store;
	ol_digest blob;

	return ol_attached(store, manifest, OL_INDEX_KIND, &blob, NULL) == OL_OK ||
	       ol_attached(store, manifest, OL_PROFILE_KIND, &blob, NULL) == OL_OK;
}

static bool is_profile(const ol_json *entry)
{
	const char *type = ol_json_text(ol_json_get(entry, "mediaType"));

	return type && strcmp(type, OL_PROFILE_MEDIA_TYPE) == 0;
}

/* The start profile as a further layer, where one was recorded, in the place of another. */
static int add_profile(ol_store *store, const ol_digest *manifest, ol_json *json, ol_error *err)
{
	const ol_json *old = ol_json_get(json, "layers");
	ol_json *layers;
	ol_blob_info info;
	ol_digest profile;

	if (ol_attached(store, manifest, OL_PROFILE_KIND, &profile, NULL) < 0)
		return OL_OK;
	if (ol_blob_stat(store, &profile, &info, err) < 0)
		return ol_wrap(err, OL_ECORRUPT, "the recorded start profile");
	layers = ol_json_array();
	for (size_t i = 0; i < ol_json_count(old); i++)
		if (!is_profile(ol_json_at(old, i)))
			ol_json_push(layers, ol_json_copy(ol_json_at(old, i)));
	ol_json_push(layers, ol_descriptor_json(OL_PROFILE_MEDIA_TYPE, &profile, info.size));
	ol_json_set(json, "layers", layers);
	return OL_OK;
}

/* The tables of contents of an index that is named must not be lost for a profile. */
static int make_blank(
	struct indexed_origin *self, const struct made *was, ol_json **out, ol_error *err)
{
	ol_copy *copy = self->origin.copy;
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_digest named;
	int rc = ol_document_parse(ol_buf_view(&was->bytes), NULL, &document, err);

	if (rc == OL_OK && ol_soci_binding_of(document, &named, NULL) != OL_ENOTFOUND) {
		ol_fail(err, OL_EUNSUPPORTED, "the SOCI index that it has is not in the store");
		return ol_hint(err, OL_EUNSUPPORTED,
			"remove the image and pull it with --lazy, or use `orlop index create`");
	}
	return rc < 0 ? rc : ol_index_blank(copy->session->store, copy->lease, out, err);
}

static int read_soci(
	struct indexed_origin *self, const ol_digest *index, ol_json **out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	int rc = ol_lease_add(self->origin.copy->lease, index, err);

	if (rc == OL_OK)
		rc = ol_blob_read(self->origin.copy->session->store, index, OL_MANIFEST_BYTES_MAX,
			&bytes, err);
	return rc < 0 ? rc : ol_json_parse(ol_buf_view(&bytes), out, err);
}

/* The manifest's SOCI index as it is to be published. OL_ENOTFOUND: none was made. */
static int make_soci(
	struct indexed_origin *self, const struct made *was, struct made **out, ol_error *err)
{
	ol_store *store = self->origin.copy->session->store;
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_digest index;
	int rc = ol_attached(store, &was->digest, OL_INDEX_KIND, &index, err);

	if (rc == OL_OK)
		rc = read_soci(self, &index, &json, err);
	else if (rc == OL_ENOTFOUND && has_index(self, &was->digest))
		rc = make_blank(self, was, &json, err);
	if (rc == OL_OK)
		rc = add_profile(store, &was->digest, json, err);
	return rc < 0 ? rc : make(self, json, out, err);
}

/* --- the manifest --- */

/* Types of the same meaning; some registries refuse Docker's beside artifacts. */
static const char *oci_type(const ol_descriptor *blob)
{
	if (!blob->media.docker || blob->media.nondistributable || blob->media.encrypted)
		return blob->media_type;
	if (blob->media.kind == OL_MEDIA_CONFIG)
		return OL_MEDIA_OCI_CONFIG;
	return blob->media.kind == OL_MEDIA_LAYER &&
			       blob->media.compression != OL_COMPRESSION_UNKNOWN
		       ? ol_media_oci_layer(blob->media.compression)
		       : blob->media_type;
}

static ol_json *with_oci_type(const ol_json *entry, const ol_descriptor *blob)
{
	ol_json *copy = ol_json_copy(entry);

	ol_json_set_text(copy, "mediaType", oci_type(blob));
	return copy;
}

static void annotate(ol_json *json, const char *key, const ol_digest *digest)
{
	const ol_json *old = ol_json_get(json, "annotations");
	ol_json *annotations = ol_json_is_object(old) ? ol_json_copy(old) : ol_json_object();

	ol_json_set_text(annotations, key, ol_digest_format(digest).text);
	ol_json_set(json, "annotations", annotations);
}

static int make_manifest(struct indexed_origin *self, ol_view bytes, const ol_digest *soci,
	struct made **out, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_json *layers = ol_json_array();
	int rc = ol_document_parse(bytes, NULL, &document, err);

	if (rc == OL_OK)
		rc = ol_json_parse(bytes, &json, err);
	if (rc < 0) {
		ol_json_free(layers);
		return rc;
	}
	for (size_t i = 0; i < document->layer_count; i++)
		ol_json_push(layers, with_oci_type(ol_json_at(ol_json_get(json, "layers"), i),
					     &document->layers[i]));
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_MANIFEST);
	ol_json_set(json, "config", with_oci_type(ol_json_get(json, "config"), &document->config));
	ol_json_set(json, "layers", layers);
	annotate(json, INDEX_DIGEST, soci);
	return make(self, json, out, err);
}

/* --- the index over both --- */

static int read_small(ol_origin *base, const ol_descriptor *blob, ol_buf *out, ol_error *err)
{
	ol_auto(ol_reader_close) ol_reader *reader = NULL;
	ol_cargo cargo = { 0 };
	size_t got = 1;
	char *room;
	int rc;

	if (blob->size > SMALL_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "the config is larger than %zu bytes",
			(size_t)SMALL_BYTES_MAX);
	rc = base->ops->blob(base, blob, &cargo, err);
	if (rc < 0)
		return rc;
	reader = ol_cargo_reader(&cargo, blob->size);
	room = ol_buf_room(out, (size_t)blob->size);
	while (rc == OL_OK && room && got > 0) {
		rc = ol_reader_read(
			reader, room + out->size, (size_t)blob->size - out->size, &got, err);
		out->size += rc == OL_OK ? got : 0;
	}
	ol_cargo_end(&cargo, rc == OL_OK);
	return rc < 0 ? rc : ol_str_error(out, err);
}

/* A manifest that stands alone does not say its platform; its config does. */
static int find_platform(ol_origin *base, ol_view manifest, ol_json **out, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_auto(ol_config_free) ol_config *config = NULL;
	ol_auto_buf ol_buf bytes = OL_BUF(SMALL_BYTES_MAX);
	int rc = ol_document_parse(manifest, NULL, &document, err);

	if (rc == OL_OK && !ol_document_is_image(document))
		rc = ol_fail(err, OL_EUNSUPPORTED, "it is an artifact and no image");
	if (rc == OL_OK)
		rc = read_small(base, &document->config, &bytes, err);
	if (rc == OL_OK)
		rc = ol_config_parse(ol_buf_view(&bytes), &config, err);
	if (rc == OL_OK)
		*out = ol_platform_json(&config->platform);
	return rc;
}

/* The new index's entries, those of SOCI apart. */
struct entries {
	ol_json *images, *indexes;
};

/* A manifest with its SOCI index. entry: of the index that was, or NULL. */
static int add_entry(struct indexed_origin *self, const ol_json *entry, const struct made *was,
	struct entries *entries, ol_error *err)
{
	const ol_json *platform = ol_json_get(entry, "platform");
	ol_json *own_platform = NULL, *renewed, *index;
	struct made *manifest = NULL, *soci = NULL;
	ol_digest soci_digest;
	uint64_t soci_size;
	int rc = make_soci(self, was, &soci, err);

	if (rc < 0)
		return rc;
	soci_digest = soci->digest;
	soci_size = soci->bytes.size;
	rc = make_manifest(self, ol_buf_view(&was->bytes), &soci_digest, &manifest, err);
	if (rc == OL_OK && !platform)
		rc = find_platform(self->base, ol_buf_view(&was->bytes), &own_platform, err);
	if (rc < 0)
		return rc;
	renewed = entry ? ol_json_copy(entry) : ol_json_object();
	ol_json_set_text(renewed, "mediaType", OL_MEDIA_OCI_MANIFEST);
	ol_json_set_text(renewed, "digest", ol_digest_format(&manifest->digest).text);
	ol_json_set_int(renewed, "size", (int64_t)manifest->bytes.size);
	if (own_platform)
		ol_json_set(renewed, "platform", own_platform);
	index = ol_descriptor_json(OL_MEDIA_OCI_MANIFEST, &soci_digest, soci_size);
	ol_json_set_text(index, "artifactType", OL_SOCI_V2);
	ol_json_set(index, "platform", ol_json_copy(ol_json_get(renewed, "platform")));
	annotate(index, MANIFEST_DIGEST, &manifest->digest);
	ol_json_push(entries->images, renewed);
	ol_json_push(entries->indexes, index);
	OL_GROW(self->published->list, self->published->count, self->published->cap);
	self->published->list[self->published->count++] = was->digest;
	return OL_OK;
}

/* A SOCI index of a manifest that gets another now. */
static bool is_replaced(const struct indexed_origin *self, const ol_descriptor *entry)
{
	const char *text = ol_descriptor_annotation(entry, MANIFEST_DIGEST);
	ol_digest manifest;

	return entry->artifact_type && strcmp(entry->artifact_type, OL_SOCI_V2) == 0 && text &&
	       ol_digest_parse(ol_view_of(text), &manifest, NULL) == OL_OK &&
	       has_index(self, &manifest);
}

static int add_entries(struct indexed_origin *self, ol_view bytes, const ol_document *document,
	struct entries *entries, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = NULL;
	int rc = ol_json_parse(bytes, &json, err);

	for (size_t i = 0; rc == OL_OK && i < document->manifest_count; i++) {
		const ol_json *entry = ol_json_at(ol_json_get(json, "manifests"), i);
		const ol_descriptor *descriptor = &document->manifests[i];
		struct made was = { descriptor->digest, OL_BUF(OL_MANIFEST_BYTES_MAX) };

		if (is_replaced(self, descriptor))
			continue;
		if (!has_index(self, &descriptor->digest)) {
			ol_json_push(entries->images, ol_json_copy(entry));
			continue;
		}
		rc = self->base->ops->document(self->base, &descriptor->digest, &was.bytes, err);
		if (rc == OL_OK)
			rc = add_entry(self, entry, &was, entries, err);
		ol_buf_done(&was.bytes);
	}
	return rc;
}

/* Images come first: who looks for a platform takes the first. */
static int make_entries(struct indexed_origin *self, const ol_resolved *root,
	const struct made *was, struct entries *entries, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	const ol_view bytes = ol_buf_view(&was->bytes);
	int rc = ol_document_parse(
		bytes, *root->media_type ? root->media_type : NULL, &document, err);

	if (rc < 0)
		return rc;
	assert(document);
	rc = document->kind == OL_DOCUMENT_INDEX ? add_entries(self, bytes, document, entries, err)
						 : add_entry(self, NULL, was, entries, err);
	if (rc == OL_ENOTFOUND || (rc == OL_OK && ol_json_count(entries->indexes) == 0)) {
		ol_fail(err, OL_ENOTFOUND, "no index was made of it");
		return ol_hint(err, OL_ENOTFOUND, "make one with `orlop index create`");
	}
	for (size_t i = 0; rc == OL_OK && i < ol_json_count(entries->indexes); i++)
		ol_json_push(entries->images, ol_json_copy(ol_json_at(entries->indexes, i)));
	return rc;
}

/* An index keeps what else it says; of a manifest a new one is made. */
static int write_root(struct indexed_origin *self, ol_view bytes, const ol_json *entries,
	ol_resolved *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = NULL;
	struct made *made = NULL;
	int rc = ol_json_parse(bytes, &json, err);

	if (rc < 0)
		return rc;
	if (!ol_json_get(json, "manifests")) {
		ol_json_free(json);
		json = ol_json_object();
		ol_json_set_int(json, "schemaVersion", 2);
	}
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_INDEX);
	ol_json_set(json, "manifests", ol_json_copy(entries));
	rc = make(self, json, &made, err);
	if (rc < 0)
		return rc;
	*out = (ol_resolved){ .digest = made->digest, .size = made->bytes.size };
	(void)snprintf(out->media_type, sizeof out->media_type, "%s", OL_MEDIA_OCI_INDEX);
	return OL_OK;
}

static int make_root(
	struct indexed_origin *self, const ol_resolved *root, ol_resolved *out, ol_error *err)
{
	struct made was = { root->digest, OL_BUF(OL_MANIFEST_BYTES_MAX) };
	struct entries entries = { ol_json_array(), ol_json_array() };
	int rc = self->base->ops->document(self->base, &root->digest, &was.bytes, err);

	if (rc == OL_OK)
		rc = make_entries(self, root, &was, &entries, err);
	if (rc == OL_OK)
		rc = write_root(self, ol_buf_view(&was.bytes), entries.images, out, err);
	ol_json_free(entries.images);
	ol_json_free(entries.indexes);
	ol_buf_done(&was.bytes);
	return rc;
}

/* --- as an origin --- */

static int resolve(ol_origin *origin, const ol_platform *platform, ol_resolved *out, ol_error *err)
{
	struct indexed_origin *self = (struct indexed_origin *)origin;
	ol_resolved root = { 0 };
	int rc = self->base->ops->resolve(self->base, platform, &root, err);

	return rc < 0 ? rc : make_root(self, &root, out, err);
}

static int get_document(ol_origin *origin, const ol_digest *digest, ol_buf *out, ol_error *err)
{
	const struct indexed_origin *self = (const struct indexed_origin *)origin;

	for (size_t i = 0; i < self->count; i++)
		if (ol_digest_eq(&self->made[i].digest, digest)) {
			(void)ol_buf_add(out, self->made[i].bytes.data, self->made[i].bytes.size);
			return ol_str_error(out, err);
		}
	return self->base->ops->document(self->base, digest, out, err);
}

/* A ztoc, a profile and the empty config are in the store; perhaps a layer is, too. */
static int get_blob(ol_origin *origin, const ol_descriptor *blob, ol_cargo *out, ol_error *err)
{
	const struct indexed_origin *self = (const struct indexed_origin *)origin;
	int fd;

	if (ol_blob_open(origin->copy->session->store, &blob->digest, &fd, NULL) == OL_OK)
		return ol_cargo_of_file(fd, blob, out, err);
	return self->base->ops->blob(self->base, blob, out, err);
}

static bool get_home(ol_origin *origin, const ol_descriptor *blob, const char *domain,
	char path[OL_REFERENCE_NAME_MAX + 1])
{
	const struct indexed_origin *self = (const struct indexed_origin *)origin;

	return self->base->ops->home(self->base, blob, domain, path);
}

static void close_origin(ol_origin *origin)
{
	struct indexed_origin *self = (struct indexed_origin *)origin;

	for (size_t i = 0; i < self->count; i++)
		ol_buf_done(&self->made[i].bytes);
	free(self->made);
	self->base->ops->close(self->base);
	free(self);
}

/* Nothing is made anew: ztocs are of the layers as they are compressed. */
int ol_index_origin(void *ctx, ol_copy *copy, ol_origin *base, ol_origin **out, ol_error *err)
{
	static const ol_origin_ops ops = { .resolve = resolve,
		.document = get_document,
		.blob = get_blob,
		.home = get_home,
		.close = close_origin };
	struct indexed_origin *self = ol_alloc(sizeof *self);

	(void)err;
	self->origin = (ol_origin){ &ops, copy };
	self->base = base;
	self->published = ctx;
	*out = &self->origin;
	return OL_OK;
}
