/*
 * Manifests, configs and indexes of an archive: as they came where all they name goes out as it
 * came, else derived, over what does. A derived manifest has the same config, hence the same image
 * ID; its bytes depend on config and layers alone.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/save_priv.h"
#include "store/blob.h"

ol_json *ol_save_descriptor_json(const ol_save_descriptor *descriptor)
{
	return ol_descriptor_json(descriptor->media_type, &descriptor->digest, descriptor->size);
}

static ol_save_descriptor descriptor_of(
	const ol_digest *digest, uint64_t size, const char *media_type)
{
	ol_save_descriptor out = { .digest = *digest, .size = size };

	(void)snprintf(out.media_type, sizeof out.media_type, "%s", media_type);
	return out;
}

/* A document of the store as a blob of the plan. */
static int add_document(ol_save_plan *plan, const ol_digest *digest, size_t bytes_max,
	uint64_t *size, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(bytes_max);
	int rc = ol_blob_read(plan->session->store, digest, bytes_max, &bytes, err);

	if (rc < 0)
		return rc;
	*size = bytes.size;
	ol_save_plan_add(plan, (ol_save_blob){ .digest = *digest,
				       .size = bytes.size,
				       .bytes = ol_buf_steal(&bytes),
				       .what = ol_strdup("document") });
	return OL_OK;
}

/* What was derived. Takes json. */
static int add_derived(ol_save_plan *plan, ol_json *json, const char *media_type,
	ol_save_descriptor *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *owned = json;
	ol_auto_str ol_str text = OL_STR(OL_MANIFEST_BYTES_MAX);
	ol_digest digest;
	int rc = ol_json_format(owned, OL_JSON_SORTED, &text, err);

	if (rc < 0)
		return rc;
	digest = ol_digest_of(OL_SHA256, text.data, text.size);
	*out = descriptor_of(&digest, text.size, media_type);
	ol_save_plan_add(plan, (ol_save_blob){ .digest = digest,
				       .size = out->size,
				       .bytes = ol_buf_steal(&text),
				       .what = ol_strdup("document") });
	return OL_OK;
}

static int derive_manifest(ol_save_plan *plan, ol_save_image *image, ol_error *err)
{
	const ol_descriptor *config = &image->document->config;
	ol_json *json = ol_json_object(), *layers = ol_json_array();
	ol_save_descriptor described =
		descriptor_of(&config->digest, config->size, OL_MEDIA_OCI_CONFIG);

	ol_json_set_int(json, "schemaVersion", 2);
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_MANIFEST);
	ol_json_set(json, "config", ol_save_descriptor_json(&described));
	for (size_t i = 0; i < image->config->diff_id_count; i++)
		ol_json_push(layers, ol_save_descriptor_json(&image->layers[i].is));
	ol_json_set(json, "layers", layers);
	return add_derived(plan, json, OL_MEDIA_OCI_MANIFEST, &image->listed, err);
}

static int add_image(ol_save_plan *plan, ol_save_image *image, ol_error *err)
{
	uint64_t size = 0;
	int rc = add_document(
		plan, &image->document->config.digest, OL_CONFIG_BYTES_MAX, &size, err);

	if (rc < 0 || !image->raw)
		return rc < 0 ? rc : derive_manifest(plan, image, err);
	rc = add_document(plan, &image->manifest, OL_MANIFEST_BYTES_MAX, &size, err);
	image->listed = descriptor_of(&image->manifest, size, image->document->media_type);
	return rc;
}

static int derive_index(ol_save_plan *plan, ol_save_root *root, ol_error *err)
{
	ol_json *json = ol_json_object(), *manifests = ol_json_array();

	for (size_t i = 0; i < root->count; i++) {
		ol_json *entry = ol_save_descriptor_json(&root->images[i].listed);

		ol_json_set(entry, "platform", ol_platform_json(&root->images[i].config->platform));
		ol_json_push(manifests, entry);
	}
	ol_json_set_int(json, "schemaVersion", 2);
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_INDEX);
	ol_json_set(json, "manifests", manifests);
	return add_derived(plan, json, OL_MEDIA_OCI_INDEX, &root->listed, err);
}

/* ------------------------------------------------- an index as it came, and what it has -- */

/* An attestation or other artifact goes with its image where the store has all of it. */
static int add_artifact(
	ol_save_plan *plan, const ol_digest *digest, const ol_document *document, ol_error *err)
{
	ol_store *store = plan->session->store;
	uint64_t size;
	int rc = OL_OK;

	if (!ol_blob_exists(store, &document->config.digest))
		return OL_OK;
	for (size_t i = 0; i < document->layer_count; i++)
		if (!ol_blob_exists(store, &document->layers[i].digest))
			return OL_OK;
	rc = add_document(plan, digest, OL_MANIFEST_BYTES_MAX, &size, err);
	for (size_t i = 0; rc == OL_OK && i <= document->layer_count; i++) {
		const ol_descriptor *part =
			i < document->layer_count ? &document->layers[i] : &document->config;

		ol_save_plan_add(plan, (ol_save_blob){ .digest = part->digest,
					       .size = part->size,
					       .source = part->digest,
					       .what = ol_text("blob of an attestation") });
	}
	return rc;
}

static int add_raw(ol_save_plan *plan, const ol_digest *digest, unsigned depth,
	ol_save_descriptor *out, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_save_descriptor inner;
	uint64_t size = 0;
	int rc;

	if (depth > OL_INDEX_DEPTH_MAX ||
		(depth > 0 && !ol_blob_exists(plan->session->store, digest)))
		return OL_OK; /* foreign: what reads the archive does without */
	rc = ol_document_load(plan->session->store, digest, NULL, &document, err);
	if (rc < 0)
		return rc;
	if (document->kind == OL_DOCUMENT_MANIFEST)
		return ol_document_is_image(document) ? OL_OK
						      : add_artifact(plan, digest, document, err);
	rc = add_document(plan, digest, OL_MANIFEST_BYTES_MAX, &size, err);
	if (rc == OL_OK)
		*out = descriptor_of(digest, size, document->media_type);
	for (size_t i = 0; rc == OL_OK && i < document->manifest_count; i++)
		if (ol_digest_is_set(&document->manifests[i].digest))
			rc = add_raw(plan, &document->manifests[i].digest, depth + 1, &inner, err);
	return rc;
}

/* The index goes out as it came when every platform of it that goes out does so; one platform
 * alone, that was chosen, goes out without it. */
static bool keeps_index(const ol_save_plan *plan, const ol_save_root *root)
{
	if (root->count == 1 && (plan->options->platform_count || ol_digest_is_set(&root->only) ||
					ol_digest_eq(&root->images[0].manifest, &root->root)))
		return false;
	for (size_t i = 0; i < root->count; i++)
		if (!root->images[i].raw)
			return false;
	return true;
}

int ol_save_documents(ol_save_plan *plan, ol_save_root *root, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < root->count; i++)
		rc = add_image(plan, &root->images[i], err);
	if (rc < 0)
		return ol_wrap(err, rc, "image %s", root->familiar);
	if (keeps_index(plan, root))
		return add_raw(plan, &root->root, 0, &root->listed, err);
	if (root->count > 1)
		return derive_index(plan, root, err);
	root->listed = root->images[0].listed;
	return OL_OK;
}
