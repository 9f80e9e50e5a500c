/* What pull, load and import have in common once documents and layers are in the store. */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "image/incoming_priv.h"
#include "image/rootless_priv.h"
#include "image/summary.h"
#include "store/lazy.h"
#include "store/name.h"

static void image_done(ol_incoming_image *image)
{
	ol_document_free(image->document);
	ol_config_free(image->config);
}

void ol_incoming_done(ol_incoming *incoming)
{
	for (size_t i = 0; i < incoming->count; i++)
		image_done(&incoming->images[i]);
	free(incoming->images);
	ol_document_free(incoming->root);
	ol_lease_end(incoming->lease);
	*incoming = (ol_incoming){ 0 };
}

/* What cannot be unpacked is refused before any layer is fetched. */
static int check_image(const ol_document *manifest, const ol_config *config, ol_error *err)
{
	if (config->diff_id_count != manifest->layer_count)
		return ol_fail(err, OL_ECORRUPT, "the config lists %zu layers, the manifest %zu",
			config->diff_id_count, manifest->layer_count);
	for (size_t i = 0; i < manifest->layer_count; i++) {
		const ol_descriptor *layer = &manifest->layers[i];

		if (layer->media.encrypted)
			return ol_fail(err, OL_EUNSUPPORTED, "layer %zu of %zu is encrypted (%s)",
				i + 1, manifest->layer_count, layer->media_type);
		if (layer->media.kind != OL_MEDIA_LAYER)
			return ol_fail(err, OL_EUNSUPPORTED,
				"layer %zu of %zu has the type \"%.80s\", which is no layer's",
				i + 1, manifest->layer_count, layer->media_type);
		if (config->diff_ids[i].algorithm != OL_SHA256)
			return ol_fail(err, OL_EUNSUPPORTED, "DiffID %zu is not sha256", i + 1);
	}
	return OL_OK;
}

/* Not an image: with all platforms it is passed over, as attestations are; asked for, it is
 * refused. */
static int refuse_artifact(const ol_document *document, ol_error *err)
{
	return ol_fail(err, OL_EUNSUPPORTED, "is an artifact (%s), not an image",
		document->artifact_type ? document->artifact_type : document->config.media_type);
}

int ol_incoming_add(ol_incoming *incoming, const ol_digest *digest, ol_document *document,
	const ol_platform *want, const ol_incoming_source *source, ol_error *err)
{
	ol_incoming_image image = { .manifest = *digest, .document = document };
	int rc;

	for (size_t i = 0; i < incoming->count; i++)
		if (ol_digest_eq(&incoming->images[i].manifest, digest)) {
			ol_document_free(document);
			return OL_OK;
		}
	rc = ol_document_is_image(document)
		     ? source->get_config(source->ctx, &document->config, &image.config, err)
		     : refuse_artifact(document, err);
	assert(rc < 0 || image.config);
	if (rc == OL_OK && want && ol_platform_match(want, &image.config->platform) < 0)
		rc = ol_fail(err, OL_ENOTFOUND, "is for %s",
			ol_platform_format(&image.config->platform).text);
	if (rc == OL_OK)
		rc = check_image(document, image.config, err);
	if (rc < 0) {
		image_done(&image);
		return rc;
	}
	image.platform = image.config->platform;
	OL_GROW(incoming->images, incoming->count, incoming->cap);
	incoming->images[incoming->count++] = image;
	return OL_OK;
}

bool ol_layer_is_usable(ol_store *store, const ol_digest *diff_id, const ol_digest *blob)
{
	ol_layer_info info;

	if (ol_layer_get(store, diff_id, false, &info, NULL) < 0)
		return false;
	if (blob && !ol_blob_exists(store, blob))
		return false;
	/* Lazy layers are for those who said so: ol_layer_is_lazy. */
	if (strcmp(info.driver, OL_LAZY_DRIVER) == 0)
		return false;
	/* An index without its tar is of no use, whatever else there is to make it of. */
	return ol_blob_exists(store, diff_id) ||
	       (strcmp(info.driver, "erofs") != 0 && ol_blob_exists(store, &info.blob));
}

int ol_incoming_put(ol_incoming *incoming, ol_json *json, const char *media_type, bool durable,
	ol_resolved *out, ol_error *err)
{
	const bool config = strcmp(media_type, OL_MEDIA_OCI_CONFIG) == 0;
	ol_auto(ol_json_free) ol_json *owned = json;
	ol_auto_str ol_str text = OL_STR(config ? OL_CONFIG_BYTES_MAX : OL_MANIFEST_BYTES_MAX);
	ol_resolved is = { 0 };
	int rc = ol_json_format(owned, OL_JSON_SORTED, &text, err);

	if (rc < 0)
		return rc;
	is.digest = ol_digest_of(OL_SHA256, text.data, text.size);
	is.size = text.size;
	(void)snprintf(is.media_type, sizeof is.media_type, "%s", media_type);
	rc = ol_lease_add(incoming->lease, &is.digest, err);
	if (rc == OL_OK)
		rc = ol_blob_put(
			incoming->session->store, &is.digest, ol_buf_view(&text), durable, err);
	if (rc == OL_OK)
		*out = is;
	return rc;
}

/* What the manifest needs to be kept, named as edges. */
static int keep_image(ol_incoming *incoming, const ol_incoming_image *image,
	const ol_digest *derived, ol_error *err)
{
	const ol_config *config = image->config;
	size_t count = 0, n = config->diff_id_count;
	ol_autofree ol_digest *children = ol_alloc_array(2 + 3 * n, sizeof *children);

	children[count++] = image->document->config.digest;
	for (size_t i = 0; i < n; i++) {
		children[count++] = config->diff_ids[i];
		children[count++] = ol_chain_id(config->diff_ids, i + 1);
		children[count++] = image->document->layers[i].digest;
	}
	if (ol_digest_is_set(derived) && !ol_digest_eq(derived, &image->manifest))
		children[count++] = *derived;
	return ol_blob_set_edges(incoming->session->store, &image->manifest, children, count, err);
}

/* An index needs all it lists, there or not: a platform that comes later finds its edge. */
static int keep_root(ol_incoming *incoming, const ol_digest *listed, ol_error *err)
{
	const ol_document *root = incoming->root;
	ol_autofree ol_digest *children =
		ol_alloc_array(root->manifest_count + 1, sizeof *children);
	size_t count = 0;

	for (size_t i = 0; i < root->manifest_count; i++)
		if (ol_digest_is_set(&root->manifests[i].digest))
			children[count++] = root->manifests[i].digest;
	children[count++] = *listed;
	return ol_blob_set_edges(
		incoming->session->store, &incoming->resolved.digest, children, count, err);
}

int ol_incoming_link(ol_incoming *incoming, const ol_digest *listed, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < incoming->count; i++)
		rc = keep_image(incoming, &incoming->images[i], listed, err);
	return rc == OL_OK && incoming->root ? keep_root(incoming, listed, err) : rc;
}

int ol_incoming_keep(ol_incoming *incoming, const ol_keep_as *as, ol_error *err)
{
	ol_auto_str ol_str summary = OL_STR(OL_SUMMARY_BYTES_MAX);
	ol_resolved listed = incoming->resolved;
	ol_name_info info;
	int rc = ol_incoming_derive(incoming, &listed, err);

	if (rc == OL_OK)
		rc = ol_incoming_link(incoming, &listed.digest, err);
	if (rc < 0)
		return rc;
	ol_summary_make(incoming->session->store, &incoming->resolved.digest, &summary);
	info = (ol_name_info){
		.name = as->name,
		.repo = as->repo,
		.root = incoming->resolved.digest,
		.media_type = incoming->resolved.media_type,
		.created = ol_unix_now(),
		.pinned = as->pinned,
		.imported = as->imported,
		.summary = ol_str_text(&summary),
		.listed = listed.digest,
		.listed_size = listed.size,
		.listed_media_type = listed.media_type,
	};
	rc = ol_name_set(incoming->session->store, &info, err);
	if (rc == OL_OK)
		ol_rootless_tell_lacks(incoming->session);
	return rc;
}
