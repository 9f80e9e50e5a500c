/*
 * Which images and platforms go out, and where each layer's bytes will come from:
 *
 *	docker-archive   the tar; from the store, or decoded from the blob that was kept
 *	OCI formats      the compressed layers as they came, where the store has all of the
 *	                 manifest's; else the tar, or the blob the layer's tree was made from
 *
 * A platform whose manifest is there but whose layers are not was never pulled to its end, and is
 * passed over unless it was asked for. What is damaged is never passed over.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/incoming_priv.h"
#include "image/lazy_wait_priv.h"
#include "image/save_priv.h"
#include "store/blob.h"

/* ------------------------------------------------------------------------- layers -- */

static int blob_size(ol_store *store, const ol_digest *digest, uint64_t *out, ol_error *err)
{
	ol_blob_info info;
	int rc = ol_blob_stat(store, digest, &info, err);

	if (rc == OL_OK)
		*out = info.size;
	return rc;
}

static void set_type(ol_save_layer *layer, ol_compression compression)
{
	(void)snprintf(layer->is.media_type, sizeof layer->is.media_type, "%s",
		ol_media_oci_layer(compression));
}

/* The tar; decoded from the compressed blob where only that is there and wants_tar. */
static int find_tar(ol_store *store, const ol_digest *diff_id, bool wants_tar, ol_save_layer *out,
	ol_error *err)
{
	ol_layer_info info;
	int rc = blob_size(store, diff_id, &out->is.size, err);

	*out = (ol_save_layer){
		.is = { *diff_id, out->is.size, "" }, .diff_id = *diff_id, .source = *diff_id
	};
	set_type(out, OL_COMPRESSION_NONE);
	if (rc != OL_ENOTFOUND)
		return rc;
	rc = ol_layer_get(store, diff_id, false, &info, err);
	if (rc < 0)
		return rc;
	rc = blob_size(store, &info.blob, &out->is.size, err);
	if (rc == OL_ENOTFOUND)
		return ol_fail(err, OL_ECORRUPT, "neither its tar nor its blob is in the store");
	out->source = info.blob;
	out->decode = wants_tar;
	if (wants_tar) {
		out->is.size = info.tar_bytes;
	} else {
		out->is.digest = info.blob;
		set_type(out, ol_media_of(ol_view_of(info.media_type)).compression);
	}
	return rc;
}

static bool has_all_blobs(ol_store *store, const ol_document *manifest)
{
	for (size_t i = 0; i < manifest->layer_count; i++)
		if (!ol_blob_exists(store, &manifest->layers[i].digest))
			return false;
	return true;
}

static void take_raw(ol_save_image *image)
{
	for (size_t i = 0; i < image->config->diff_id_count; i++) {
		const ol_descriptor *layer = &image->document->layers[i];
		ol_save_layer *out = &image->layers[i];

		*out = (ol_save_layer){
			.is = { layer->digest, layer->size, "" },
			.diff_id = image->config->diff_ids[i],
			.source = layer->digest,
		};
		(void)snprintf(
			out->is.media_type, sizeof out->is.media_type, "%s", layer->media_type);
	}
}

static int find_layers(const ol_save_plan *plan, ol_save_image *image, ol_error *err)
{
	ol_store *store = plan->session->store;
	const ol_config *config = image->config;
	bool wants_tar = plan->options->format == OL_ARCHIVE_DOCKER;
	int rc = OL_OK;

	if (image->document->layer_count != config->diff_id_count)
		return ol_fail(err, OL_ECORRUPT, "the config lists %zu layers, the manifest %zu",
			config->diff_id_count, image->document->layer_count);
	image->layers = ol_alloc_array(config->diff_id_count + 1, sizeof *image->layers);
	image->raw = !wants_tar && has_all_blobs(store, image->document);
	if (image->raw) {
		take_raw(image);
		return OL_OK;
	}
	for (size_t i = 0; rc == OL_OK && i < config->diff_id_count; i++) {
		rc = find_tar(store, &config->diff_ids[i], wants_tar, &image->layers[i], err);
		if (rc < 0)
			(void)ol_wrap(err, rc, "layer %zu of %zu", i + 1, config->diff_id_count);
	}
	return rc;
}

/* ------------------------------------------------------------------------- images -- */

static void image_done(ol_save_image *image)
{
	ol_document_free(image->document);
	ol_config_free(image->config);
	free(image->layers);
}

static bool is_asked_for(const ol_save_plan *plan, const ol_platform *platform)
{
	const ol_save_options *o = plan->options;

	for (size_t i = 0; i < o->platform_count; i++)
		if (ol_platform_match(&o->platforms[i], platform) == 0)
			return true;
	return o->platform_count == 0;
}

static bool has_image(const ol_save_root *root, const ol_digest *manifest)
{
	for (size_t i = 0; i < root->count; i++)
		if (ol_digest_eq(&root->images[i].manifest, manifest))
			return true;
	return false;
}

/* Takes document. */
static int add_image(ol_save_plan *plan, ol_save_root *root, const ol_digest *manifest,
	ol_document *document, bool in_index, ol_error *err)
{
	ol_save_image image = { .manifest = *manifest, .document = document };
	bool wanted;
	int rc = OL_OK;

	if (!ol_document_is_image(document) || has_image(root, manifest)) {
		ol_document_free(document);
		return OL_OK;
	}
	rc = ol_config_load(plan->session->store, &document->config.digest, &image.config, err);
	wanted = rc == OL_OK && is_asked_for(plan, &image.config->platform) &&
		 (!ol_digest_is_set(&root->only) || ol_digest_eq(&root->only, manifest));
	if (wanted)
		rc = find_layers(plan, &image, err);
	if (rc == OL_OK && wanted) {
		OL_GROW(root->images, root->count, root->cap);
		root->images[root->count++] = image;
		return OL_OK;
	}
	if (rc < 0 && image.config)
		(void)ol_wrap(err, rc, "%s", ol_platform_format(&image.config->platform).text);
	image_done(&image);
	/* Not whole among others, and nobody asked for it. */
	if (rc == OL_ENOTFOUND && in_index && !plan->options->platform_count)
		return OL_OK;
	return rc;
}

static int walk(ol_save_plan *plan, ol_save_root *root, const ol_digest *digest, unsigned depth,
	ol_error *err)
{
	ol_document *document = NULL;
	int rc;

	if (depth > OL_INDEX_DEPTH_MAX)
		return ol_fail(
			err, OL_ELIMIT, "indexes are nested more than %d deep", OL_INDEX_DEPTH_MAX);
	rc = ol_document_load(plan->session->store, digest, NULL, &document, err);
	if (rc == OL_ENOTFOUND && depth > 0)
		return OL_OK; /* a platform that was not pulled */
	if (rc < 0)
		return rc;
	if (document->kind == OL_DOCUMENT_MANIFEST)
		return add_image(plan, root, digest, document, depth > 0, err);
	for (size_t i = 0; rc == OL_OK && i < document->manifest_count; i++)
		if (ol_digest_is_set(&document->manifests[i].digest))
			rc = walk(plan, root, &document->manifests[i].digest, depth + 1, err);
	ol_document_free(document);
	return rc;
}

/* Each platform that was asked for is there. */
static int check_platforms(const ol_save_plan *plan, const ol_save_root *root, ol_error *err)
{
	const ol_save_options *o = plan->options;

	for (size_t i = 0; i < o->platform_count; i++) {
		bool found = false;

		for (size_t k = 0; k < root->count; k++)
			found = found || ol_platform_match(&o->platforms[i],
						 &root->images[k].config->platform) == 0;
		if (found)
			continue;
		ol_fail(err, OL_ENOTFOUND, "platform %s of this image is not in the store",
			ol_platform_format(&o->platforms[i]).text);
		return ol_hint(err, OL_ENOTFOUND, "pull it with --platform %s",
			ol_platform_format(&o->platforms[i]).text);
	}
	if (root->count == 0) {
		ol_fail(err, OL_ENOTFOUND, "no platform of this image is in the store whole");
		return ol_hint(err, OL_ENOTFOUND, "pull the image again");
	}
	return OL_OK;
}

static void root_done(ol_save_root *root)
{
	for (size_t i = 0; i < root->count; i++)
		image_done(&root->images[i]);
	free(root->images);
	free(root->name);
	free(root->familiar);
}

/* An ID may mean one manifest of an index; a name, or the index's own digest, all of it. */
static bool means_all(const char *text, const ol_image *image)
{
	const char *hex = strncmp(text, "sha256:", 7) == 0 ? text + 7 : text;

	return image->has_ref || ol_digest_eq(&image->root, &image->manifest) ||
	       strncmp(ol_digest_hex(&image->root).text, hex, strlen(hex)) == 0;
}

static int find_root(ol_save_plan *plan, const char *text, ol_save_root *out, ol_error *err)
{
	ol_image image = { 0 };
	int rc = ol_image_find(plan->session, text, NULL, &image, err);

	if (rc == OL_OK)
		rc = ol_lazy_wait_root(plan->session, &image.root, err);
	if (rc < 0) {
		ol_image_done(&image);
		return rc;
	}
	out->root = image.root;
	if (!means_all(text, &image))
		out->only = image.manifest;
	if (plan->options->name && *plan->options->name) {
		image.has_ref = ol_ref_parse(plan->options->name, &image.ref, NULL) == OL_OK;
		image.ref.digest = (ol_digest){ 0 };
	}
	if (image.has_ref && *image.ref.tag && !ol_digest_is_set(&image.ref.digest)) {
		out->name = ol_strdup(ol_ref_format(&image.ref).text);
		out->familiar = ol_strdup(ol_ref_format_familiar(&image.ref).text);
	} else {
		out->name = ol_strdup("");
		out->familiar = ol_strdup(text);
	}
	ol_image_done(&image);
	return OL_OK;
}

static bool is_planned(const ol_save_plan *plan, const ol_save_root *root)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->roots[i].name, root->name) == 0 &&
			ol_digest_eq(&plan->roots[i].root, &root->root) &&
			ol_digest_eq(&plan->roots[i].only, &root->only))
			return true;
	return false;
}

static int plan_root(ol_save_plan *plan, const char *text, ol_error *err)
{
	ol_save_root root = { 0 };
	int rc = find_root(plan, text, &root, err);

	if (rc < 0)
		return rc; /* which names it */
	if (is_planned(plan, &root)) {
		root_done(&root);
		return OL_OK;
	}
	rc = walk(plan, &root, &root.root, 0, err);
	if (rc == OL_OK)
		rc = check_platforms(plan, &root, err);
	if (rc < 0) {
		root_done(&root);
		return ol_wrap(err, rc, "image %.255s", text);
	}
	OL_GROW(plan->roots, plan->count, plan->cap);
	plan->roots[plan->count++] = root;
	return OL_OK;
}

/* --------------------------------------------------------------------- the archive -- */

static void add_since(ol_save_plan *plan, const ol_digest *digest)
{
	OL_GROW(plan->since, plan->since_count, plan->since_cap);
	plan->since[plan->since_count++] = *digest;
}

/* The receiver has these layers, under whichever digest. */
static int plan_since(ol_save_plan *plan, const char *text, ol_error *err)
{
	const ol_save_options options = { .format = plan->options->format };
	ol_save_plan base = { .session = plan->session, .options = &options };
	int rc = plan_root(&base, text, err);

	for (size_t r = 0; r < base.count; r++)
		for (size_t i = 0; i < base.roots[r].count; i++) {
			const ol_save_image *image = &base.roots[r].images[i];

			for (size_t k = 0; k < image->config->diff_id_count; k++) {
				add_since(plan, &image->layers[k].diff_id);
				add_since(plan, &image->layers[k].is.digest);
			}
		}
	ol_save_plan_done(&base);
	return rc < 0 ? ol_wrap(err, rc, "--since") : OL_OK;
}

static bool receiver_has(const ol_save_plan *plan, const ol_save_layer *layer)
{
	for (size_t i = 0; i < plan->since_count; i++)
		if (ol_digest_eq(&plan->since[i], &layer->is.digest) ||
			ol_digest_eq(&plan->since[i], &layer->diff_id))
			return true;
	return false;
}

bool ol_save_plan_has(const ol_save_plan *plan, const ol_digest *digest)
{
	for (size_t i = 0; i < plan->blob_count; i++)
		if (ol_digest_eq(&plan->blobs[i].digest, digest))
			return true;
	return false;
}

void ol_save_plan_add(ol_save_plan *plan, ol_save_blob blob)
{
	if (ol_save_plan_has(plan, &blob.digest)) {
		free(blob.bytes);
		free(blob.what);
		return;
	}
	OL_GROW(plan->blobs, plan->blob_count, plan->blob_cap);
	plan->blobs[plan->blob_count++] = blob;
}

static void add_layers(ol_save_plan *plan, const ol_save_root *root)
{
	for (size_t i = 0; i < root->count; i++) {
		const ol_save_image *image = &root->images[i];

		for (size_t k = 0; k < image->config->diff_id_count; k++) {
			const ol_save_layer *layer = &image->layers[k];

			if (!receiver_has(plan, layer))
				ol_save_plan_add(
					plan, (ol_save_blob){
						      .digest = layer->is.digest,
						      .size = layer->is.size,
						      .source = layer->source,
						      .decode = layer->decode,
						      .what = ol_text("layer %zu of %zu of %s",
							      k + 1, image->config->diff_id_count,
							      root->familiar),
					      });
		}
	}
}

static int by_name(const void *a, const void *b)
{
	const ol_save_root *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : memcmp(x->root.bytes, y->root.bytes, sizeof x->root.bytes);
}

/* Documents first, so that who reads a stream knows what is coming; then layers; by digest. */
static int by_kind(const void *a, const void *b)
{
	const ol_save_blob *x = a, *y = b;

	if (!x->bytes != !y->bytes)
		return x->bytes ? -1 : 1;
	return memcmp(x->digest.bytes, y->digest.bytes, sizeof x->digest.bytes);
}

int ol_save_plan_make(
	ol_session *session, const ol_save_options *options, ol_save_plan *out, ol_error *err)
{
	ol_save_plan plan = { .session = session, .options = options };
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < options->image_count; i++)
		rc = plan_root(&plan, options->images[i], err);
	for (const char *const *since = options->since; rc == OL_OK && since && *since; since++)
		rc = plan_since(&plan, *since, err);
	if (rc == OL_OK && plan.count)
		qsort(plan.roots, plan.count, sizeof *plan.roots, by_name);
	for (size_t i = 0; rc == OL_OK && i < plan.count; i++) {
		rc = ol_save_documents(&plan, &plan.roots[i], err);
		add_layers(&plan, &plan.roots[i]);
	}
	if (rc < 0) {
		ol_save_plan_done(&plan);
		return rc;
	}
	if (plan.blob_count)
		qsort(plan.blobs, plan.blob_count, sizeof *plan.blobs, by_kind);
	*out = plan;
	return OL_OK;
}

void ol_save_plan_done(ol_save_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		root_done(&plan->roots[i]);
	for (size_t i = 0; i < plan->blob_count; i++) {
		free(plan->blobs[i].bytes);
		free(plan->blobs[i].what);
	}
	free(plan->roots);
	free(plan->since);
	free(plan->blobs);
	*plan = (ol_save_plan){ 0 };
}
