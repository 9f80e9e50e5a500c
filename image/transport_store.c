/*
 * The store as a source. Documents and configs are there; of a layer perhaps only its tar, and then
 * its blob comes from where the layer, or the image, was pulled from. What else an index lists (an
 * attestation that a pull passed over) comes from there too.
 */
#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "image/incoming_priv.h"
#include "image/lazy_wait_priv.h"
#include "image/transport_priv.h"
#include "store/layer.h"
#include "store/name.h"

/* More places than this an image was not pulled from. */
#define REFS_MAX 8

struct pair {
	ol_digest blob, diff_id;
};

struct store_origin {
	ol_origin origin;
	char *name; /* owned: as typed, or NULL for a root that has none */
	ol_digest root;
	ol_ref refs[REFS_MAX]; /* where the image was pulled from */
	size_t ref_count;
	struct pair *pairs; /* owned: of the manifests that were read; then it does not change */
	size_t pair_count, pair_cap;
};

static void add_ref(ol_ref *refs, size_t *count, const char *text)
{
	ol_ref ref;

	if (!text || !*text || *count == REFS_MAX || ol_ref_parse(text, &ref, NULL) < 0)
		return;
	for (size_t i = 0; i < *count; i++)
		if (strcmp(refs[i].domain, ref.domain) == 0 && strcmp(refs[i].path, ref.path) == 0)
			return;
	refs[(*count)++] = ref;
}

static int add_repo(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct store_origin *self = ctx;

	(void)err;
	if (ol_digest_eq(&info->root, &self->root))
		add_ref(self->refs, &self->ref_count, info->repo);
	return OL_OK;
}

/* --- what of an image is there --- */

/* Manifests of images that an index lists, and how many of them are in the store. */
struct census {
	size_t listed, there;
	ol_digest one; /* of those that are there */
};

static int count_images(const struct store_origin *self, const ol_document *index, unsigned depth,
	struct census *census, ol_error *err)
{
	ol_store *store = self->origin.copy->session->store;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];
		ol_auto(ol_document_free) ol_document *document = NULL;

		if (ol_descriptor_is_attestation(entry) || entry->artifact_type ||
			!ol_digest_is_set(&entry->digest))
			continue;
		if (!ol_blob_exists(store, &entry->digest)) {
			census->listed++;
			continue;
		}
		rc = ol_document_load(store, &entry->digest, entry->media_type, &document, err);
		if (rc == OL_OK && document->kind == OL_DOCUMENT_INDEX) {
			if (depth < OL_INDEX_DEPTH_MAX)
				rc = count_images(self, document, depth + 1, census, err);
			continue;
		}
		census->listed++;
		census->there++;
		census->one = entry->digest;
	}
	return rc;
}

/* As docker does: of an index of which one platform was pulled, that platform; else all of it. */
static int choose_there(struct store_origin *self, ol_digest *root, ol_error *err)
{
	ol_session *session = self->origin.copy->session;
	ol_auto(ol_document_free) ol_document *index = NULL;
	struct census census = { 0 };
	int rc = ol_document_load(session->store, &self->root, NULL, &index, err);

	*root = self->root;
	if (rc == OL_OK && index->kind == OL_DOCUMENT_INDEX)
		rc = count_images(self, index, 0, &census, err);
	if (rc < 0 || census.listed == census.there)
		return rc;
	if (census.there == 1) {
		ol_tell_text(&session->options.listener, OL_EVENT_NOTE,
			"of the %zu platforms of %.100s only one is in the store: it goes alone, "
			"as %s",
			census.listed, self->name ? self->name : "the image",
			ol_digest_format(&census.one).text);
		*root = census.one;
		return OL_OK;
	}
	ol_fail(err, OL_ENOTFOUND, "of the %zu platforms of %.200s %zu are in the store",
		census.listed, self->name ? self->name : "the image", census.there);
	return ol_hint(err, OL_ENOTFOUND,
		"choose one with --platform, or get the others with `orlop pull --all-platforms`");
}

/* An ID may mean one manifest of an index; a name, or the index's own digest, all of it. */
static bool means_all(const char *text, const ol_image *image)
{
	const char *hex = strncmp(text, "sha256:", 7) == 0 ? text + 7 : text;

	return image->has_ref || ol_digest_eq(&image->root, &image->manifest) ||
	       strncmp(ol_digest_hex(&image->root).text, hex, strlen(hex)) == 0;
}

static int find(
	struct store_origin *self, const ol_platform *platform, ol_digest *root, ol_error *err)
{
	ol_session *session = self->origin.copy->session;
	ol_image image = { 0 };
	int rc = self->name ? ol_image_find(session, self->name, platform, &image, err)
			    : ol_image_open(session, &self->root, platform, &image, err);

	if (rc == OL_OK)
		rc = ol_lazy_wait_root(session, &image.root, err);
	if (rc < 0) {
		ol_image_done(&image);
		return rc;
	}
	self->root = image.root;
	*root = image.manifest;
	rc = ol_name_each(session->store, add_repo, self, err);
	if (rc == OL_OK && !platform && (!self->name || means_all(self->name, &image)))
		rc = choose_there(self, root, err);
	ol_image_done(&image);
	return rc;
}

static int resolve(ol_origin *origin, const ol_platform *platform, ol_resolved *out, ol_error *err)
{
	struct store_origin *self = (struct store_origin *)origin;
	ol_store *store = origin->copy->session->store;
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_blob_info info;
	ol_digest root;
	int rc = find(self, platform, &root, err);

	if (rc == OL_OK)
		rc = ol_blob_stat(store, &root, &info, err);
	if (rc == OL_OK)
		rc = ol_document_load(store, &root, NULL, &document, err);
	if (rc < 0)
		return rc;
	assert(document);
	*out = (ol_resolved){ .digest = root, .size = info.size };
	(void)snprintf(out->media_type, sizeof out->media_type, "%s", document->media_type);
	return OL_OK;
}

/* --- documents --- */

/* Which tar a blob is: what its layer's row says where it came from. */
static void learn_layers(struct store_origin *self, const ol_buf *bytes)
{
	ol_auto(ol_document_free) ol_document *manifest = NULL;
	ol_auto(ol_config_free) ol_config *config = NULL;

	if (ol_document_parse(ol_buf_view(bytes), NULL, &manifest, NULL) < 0 ||
		manifest->kind != OL_DOCUMENT_MANIFEST || !ol_document_is_image(manifest) ||
		ol_config_load(self->origin.copy->session->store, &manifest->config.digest, &config,
			NULL) < 0 ||
		config->diff_id_count != manifest->layer_count)
		return;
	for (size_t i = 0; i < manifest->layer_count; i++) {
		OL_GROW(self->pairs, self->pair_count, self->pair_cap);
		self->pairs[self->pair_count++] =
			(struct pair){ manifest->layers[i].digest, config->diff_ids[i] };
	}
}

static int fetch_document(
	struct store_origin *self, const ol_digest *digest, ol_buf *out, ol_error *err)
{
	ol_registry *registry = NULL;
	int rc =
		ol_fail(err, OL_ENOTFOUND, "it is not in the store, and it came from nowhere else");

	for (size_t i = 0; rc < 0 && i < self->ref_count; i++) {
		ol_error ignored = { 0 };

		if (ol_copy_registry(self->origin.copy, false, &registry, &ignored) == OL_OK)
			rc = ol_registry_get_manifest(registry, &self->refs[i], digest, out, NULL,
				i == 0 ? err : &ignored);
	}
	return rc < 0 ? ol_hint(err, rc,
				"--platform sends one platform alone, without what else "
				"its index lists")
		      : OL_OK;
}

static int get_document(ol_origin *origin, const ol_digest *digest, ol_buf *out, ol_error *err)
{
	struct store_origin *self = (struct store_origin *)origin;
	int rc =
		ol_blob_read(origin->copy->session->store, digest, OL_MANIFEST_BYTES_MAX, out, err);

	if (rc == OL_ENOTFOUND)
		rc = fetch_document(self, digest, out, err);
	if (rc == OL_OK)
		learn_layers(self, out);
	return rc;
}

/* --- blobs --- */

static const ol_digest *diff_id_of(const struct store_origin *self, const ol_digest *blob)
{
	for (size_t i = 0; i < self->pair_count; i++)
		if (ol_digest_eq(&self->pairs[i].blob, blob))
			return &self->pairs[i].diff_id;
	return NULL;
}

/* Where the blob may be: where its own layer was pulled from, then where the image was. */
static size_t homes_of(
	const struct store_origin *self, const ol_descriptor *blob, ol_ref refs[REFS_MAX])
{
	const ol_digest *diff_id = diff_id_of(self, &blob->digest);
	ol_layer_info layer;
	size_t count = 0;

	if (diff_id &&
		ol_layer_get(self->origin.copy->session->store, diff_id, false, &layer, NULL) ==
			OL_OK &&
		ol_digest_eq(&layer.blob, &blob->digest))
		add_ref(refs, &count, layer.origin);
	for (size_t i = 0; i < self->ref_count; i++)
		add_ref(refs, &count, ol_ref_name(&self->refs[i]).text);
	return count;
}

static int open_stored(int fd, const ol_descriptor *blob, ol_cargo *out, ol_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != blob->size) {
		(void)close(fd);
		return ol_fail(err, OL_ECORRUPT,
			"blob %s has another size than its descriptor says",
			ol_digest_format(&blob->digest).text);
	}
	/* What the store gives is proved. */
	*out = (ol_cargo){ .source = ol_source_of_fd(fd, blob->size) };
	return OL_OK;
}

static int get_blob(ol_origin *origin, const ol_descriptor *blob, ol_cargo *out, ol_error *err)
{
	const struct store_origin *self = (const struct store_origin *)origin;
	ol_ref refs[REFS_MAX];
	size_t count;
	int fd, rc = ol_blob_open(origin->copy->session->store, &blob->digest, &fd, err);

	if (rc == OL_OK)
		return open_stored(fd, blob, out, err);
	if (rc != OL_ENOTFOUND)
		return rc;
	count = homes_of(self, blob, refs);
	if (count == 0)
		return ol_fail(err, OL_ENOTFOUND,
			"its compressed bytes are not in the store, and it was pulled from "
			"nowhere");
	return ol_cargo_fetch(origin->copy, refs, count, blob, out, err);
}

static bool get_home(ol_origin *origin, const ol_descriptor *blob, const char *domain,
	char path[OL_REFERENCE_NAME_MAX + 1])
{
	ol_ref refs[REFS_MAX];
	size_t count = homes_of((const struct store_origin *)origin, blob, refs);

	for (size_t i = 0; i < count; i++)
		if (strcmp(refs[i].domain, domain) == 0) {
			(void)snprintf(path, OL_REFERENCE_NAME_MAX + 1, "%s", refs[i].path);
			return true;
		}
	return false;
}

static int remake(ol_origin *origin, const ol_descriptor *blob, ol_remade *out, ol_error *err)
{
	const ol_digest *diff_id = diff_id_of((const struct store_origin *)origin, &blob->digest);

	if (!diff_id)
		return ol_fail(err, OL_ENOTFOUND, "no config says which layer it is");
	return ol_remake_layer(origin->copy, diff_id, blob, out, err);
}

static void close_origin(ol_origin *origin)
{
	struct store_origin *self = (struct store_origin *)origin;

	free(self->name);
	free(self->pairs);
	free(self);
}

static int open_origin(ol_copy *copy, const char *name, const ol_digest *root, ol_origin **out)
{
	static const ol_origin_ops ops = { .resolve = resolve,
		.document = get_document,
		.blob = get_blob,
		.home = get_home,
		.remake = remake,
		.close = close_origin };
	struct store_origin *self = ol_alloc(sizeof *self);

	self->origin = (ol_origin){ &ops, copy };
	self->name = ol_strdup(name);
	if (root)
		self->root = *root;
	*out = &self->origin;
	return OL_OK;
}

int ol_store_origin(ol_copy *copy, const ol_place *place, ol_origin **out, ol_error *err)
{
	(void)err;
	return open_origin(copy, place->name, NULL, out);
}

int ol_store_origin_at(ol_copy *copy, const ol_digest *root, ol_origin **out, ol_error *err)
{
	(void)err;
	return open_origin(copy, NULL, root, out);
}

/* --- as a target --- */

static int load_config(void *ctx, const ol_descriptor *descriptor, ol_config **out, ol_error *err)
{
	return ol_config_load(((ol_copy *)ctx)->session->store, &descriptor->digest, out, err);
}

/* Every image of the document that is there. Takes document. */
static int gather(ol_incoming *incoming, const ol_digest *digest, ol_document *document,
	unsigned depth, const ol_incoming_source *source, ol_error *err)
{
	ol_store *store = incoming->session->store;
	int rc = OL_OK;

	if (document->kind == OL_DOCUMENT_MANIFEST)
		return ol_incoming_add(incoming, digest, document, NULL, source, err);
	for (size_t i = 0; rc == OL_OK && i < document->manifest_count; i++) {
		const ol_descriptor *entry = &document->manifests[i];
		ol_document *child = NULL;

		if (ol_descriptor_is_attestation(entry) || entry->artifact_type ||
			!ol_digest_is_set(&entry->digest) ||
			!ol_blob_exists(store, &entry->digest) || depth > OL_INDEX_DEPTH_MAX)
			continue;
		rc = ol_document_load(store, &entry->digest, entry->media_type, &child, err);
		if (rc == OL_OK)
			rc = gather(incoming, &entry->digest, child, depth + 1, source, err);
		if (rc == OL_EUNSUPPORTED || rc == OL_ENOTFOUND)
			rc = OL_OK; /* an artifact; a platform that did not come whole */
	}
	if (depth == 0)
		incoming->root = document;
	else
		ol_document_free(document);
	return rc;
}

int ol_store_adopt(ol_copy *copy, const ol_digest *root, const char *name, ol_error *err)
{
	ol_session *session = copy->session;
	const ol_incoming_source source = { load_config, copy };
	ol_incoming incoming = { .session = session, .lease = copy->lease };
	ol_document *document = NULL;
	ol_blob_info info;
	int rc = ol_blob_stat(session->store, root, &info, err);

	if (rc == OL_OK)
		rc = ol_document_load(session->store, root, NULL, &document, err);
	if (rc == OL_OK) {
		incoming.resolved = (ol_resolved){ .digest = *root, .size = info.size };
		(void)snprintf(incoming.resolved.media_type, sizeof incoming.resolved.media_type,
			"%s", document->media_type);
		rc = gather(&incoming, root, document, 0, &source, err);
	}
	if (rc == OL_OK && incoming.count == 0)
		rc = ol_fail(err, OL_ENOTFOUND, "there is no image in it");
	if (rc == OL_OK)
		rc = ol_incoming_keep(&incoming,
			&(ol_keep_as){ .name = name, .repo = "", .imported = true }, err);
	incoming.lease = NULL;
	ol_incoming_done(&incoming);
	return rc;
}
