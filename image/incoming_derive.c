/*
 * What the store lists for an image in index.json, so that it reads as an OCI image layout. Where
 * the compressed layers are there, that is the image as pulled; where they are not, a derived
 * manifest: the same config, hence the same image ID, over what the store has of each layer, its
 * tar or the blob it was unpacked from, which may be compressed otherwise than this image says. An
 * image with lazy layers is listed as pulled: its names can be found again there, and what is not
 * whole is missed by whoever copies it and by nobody else.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/incoming_priv.h"
#include "store/lazy.h"

static bool has_all_blobs(ol_store *store, const ol_document *manifest)
{
	for (size_t i = 0; i < manifest->layer_count; i++)
		if (!ol_blob_exists(store, &manifest->layers[i].digest))
			return false;
	return true;
}

static bool is_whole(ol_store *store, const ol_config *config)
{
	ol_layer_info layer;

	for (size_t i = 0; i < config->diff_id_count; i++)
		if (ol_layer_get(store, &config->diff_ids[i], false, &layer, NULL) == OL_OK &&
			strcmp(layer.driver, OL_LAZY_DRIVER) == 0)
			return false;
	return true;
}

static const char *oci_layer_type(const char *media_type)
{
	return ol_media_oci_layer(ol_media_of(ol_view_of(media_type)).compression);
}

/* The tar, or the blob that the layer's tree was made from. */
static int find_layer(
	ol_store *store, const ol_digest *diff_id, ol_json **out, ol_digest *digest, ol_error *err)
{
	ol_blob_info blob = { 0 };
	ol_layer_info layer;
	int rc = ol_blob_stat(store, diff_id, &blob, NULL);

	if (rc == OL_OK) {
		*digest = *diff_id;
		*out = ol_descriptor_json(OL_MEDIA_OCI_LAYER, diff_id, blob.size);
		return OL_OK;
	}
	rc = ol_layer_get(store, diff_id, false, &layer, err);
	if (rc == OL_OK)
		rc = ol_blob_stat(store, &layer.blob, &blob, err);
	if (rc < 0)
		return rc;
	*digest = layer.blob;
	*out = ol_descriptor_json(oci_layer_type(layer.media_type), digest, blob.size);
	return OL_OK;
}

static int derive_manifest(
	ol_incoming *incoming, const ol_incoming_image *image, ol_resolved *out, ol_error *err)
{
	ol_store *store = incoming->session->store;
	const ol_config *config = image->config;
	ol_autofree ol_digest *children =
		ol_alloc_array(config->diff_id_count + 1, sizeof *children);
	ol_json *json = ol_json_object(), *layers = ol_json_array();
	int rc;

	children[0] = image->document->config.digest;
	ol_json_set_int(json, "schemaVersion", 2);
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_MANIFEST);
	ol_json_set(json, "config",
		ol_descriptor_json(OL_MEDIA_OCI_CONFIG, &image->document->config.digest,
			image->document->config.size));
	for (size_t i = 0; i < config->diff_id_count; i++) {
		ol_json *layer = NULL;

		rc = find_layer(store, &config->diff_ids[i], &layer, &children[i + 1], err);
		if (rc < 0) {
			ol_json_free(layers);
			ol_json_free(json);
			return ol_wrap(err, rc, "layer %zu of %zu", i + 1, config->diff_id_count);
		}
		ol_json_push(layers, layer);
	}
	ol_json_set(json, "layers", layers);
	rc = ol_incoming_put(incoming, json, OL_MEDIA_OCI_MANIFEST, false, out, err);
	if (rc == OL_OK)
		rc = ol_blob_set_edges(
			store, &out->digest, children, config->diff_id_count + 1, err);
	return rc;
}

static int list_image(
	ol_incoming *incoming, const ol_incoming_image *image, ol_resolved *out, ol_error *err)
{
	ol_blob_info info;
	int rc;

	if (!has_all_blobs(incoming->session->store, image->document) &&
		is_whole(incoming->session->store, image->config))
		return derive_manifest(incoming, image, out, err);
	rc = ol_blob_stat(incoming->session->store, &image->manifest, &info, err);
	*out = (ol_resolved){ .digest = image->manifest, .size = info.size };
	(void)snprintf(out->media_type, sizeof out->media_type, "%s", image->document->media_type);
	return rc;
}

static int list_platforms(ol_incoming *incoming, ol_resolved *out, ol_error *err)
{
	ol_autofree ol_digest *children = ol_alloc_array(incoming->count, sizeof *children);
	ol_json *index = ol_json_object(), *manifests = ol_json_array();
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < incoming->count; i++) {
		ol_resolved one = { 0 };
		ol_json *entry;

		rc = list_image(incoming, &incoming->images[i], &one, err);
		children[i] = one.digest;
		entry = ol_descriptor_json(one.media_type, &one.digest, one.size);
		ol_json_set(entry, "platform", ol_platform_json(&incoming->images[i].platform));
		ol_json_push(manifests, entry);
	}
	ol_json_set_int(index, "schemaVersion", 2);
	ol_json_set_text(index, "mediaType", OL_MEDIA_OCI_INDEX);
	ol_json_set(index, "manifests", manifests);
	if (rc < 0) {
		ol_json_free(index);
		return rc;
	}
	rc = ol_incoming_put(incoming, index, OL_MEDIA_OCI_INDEX, false, out, err);
	if (rc == OL_OK)
		rc = ol_blob_set_edges(
			incoming->session->store, &out->digest, children, incoming->count, err);
	return rc;
}

int ol_incoming_derive(ol_incoming *incoming, ol_resolved *listed, ol_error *err)
{
	if (incoming->count == 1)
		return list_image(incoming, &incoming->images[0], listed, err);
	return list_platforms(incoming, listed, err);
}
