/*
 * The tail of an ordinary pull, for images that came layer by layer: once all layers of one are
 * whole, what leans is completed anew on them, and index.json lists the image as any other.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/incoming_priv.h"
#include "image/lazy_worker_priv.h"
#include "store/gc.h"
#include "store/lazy.h"
#include "store/name.h"
#include "store/reach.h"

/* That have one layer: more than a machine has, and 5 MiB if it had. */
#define IMAGES_MAX 65536

static int get_config(void *ctx, const ol_descriptor *descriptor, ol_config **out, ol_error *err)
{
	const ol_incoming *incoming = ctx;

	return ol_config_load(incoming->session->store, &descriptor->digest, out, err);
}

static int add_document(ol_incoming *incoming, const ol_digest *digest, const char *media_type,
	unsigned depth, ol_error *err);

/* The platforms that were pulled: those whose manifest is there. */
static int add_entries(
	ol_incoming *incoming, const ol_document *index, unsigned depth, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];

		if (ol_digest_is_set(&entry->digest) &&
			ol_blob_exists(incoming->session->store, &entry->digest))
			rc = add_document(
				incoming, &entry->digest, entry->media_type, depth + 1, err);
		if (rc == OL_EUNSUPPORTED || rc == OL_ENOTFOUND)
			rc = OL_OK; /* an artifact among the images; one that was not pulled */
	}
	return rc;
}

static int add_document(ol_incoming *incoming, const ol_digest *digest, const char *media_type,
	unsigned depth, ol_error *err)
{
	const ol_incoming_source source = { get_config, incoming };
	ol_document *document = NULL;
	int rc = ol_document_load(incoming->session->store, digest, media_type, &document, err);

	if (rc < 0)
		return rc;
	if (document->kind == OL_DOCUMENT_MANIFEST)
		return ol_incoming_add(incoming, digest, document, NULL, &source, err);
	if (depth < OL_INDEX_DEPTH_MAX)
		rc = add_entries(incoming, document, depth, err);
	if (depth == 0)
		incoming->root = document;
	else
		ol_document_free(document);
	return rc;
}

static bool is_whole(const ol_incoming *incoming)
{
	for (size_t i = 0; i < incoming->count; i++) {
		const ol_config *config = incoming->images[i].config;

		for (size_t k = 0; k < config->diff_id_count; k++) {
			ol_layer_info info;

			if (ol_layer_get(incoming->session->store, &config->diff_ids[k], false,
				    &info, NULL) < 0 ||
				strcmp(info.driver, OL_LAZY_DRIVER) == 0)
				return false;
		}
	}
	return incoming->count > 0;
}

static int take_type(void *ctx, const ol_name_info *info, ol_error *err)
{
	ol_resolved *resolved = ctx;

	(void)err;
	(void)snprintf(resolved->media_type, sizeof resolved->media_type, "%s", info->media_type);
	return OL_OK;
}

static int finish(ol_incoming *incoming, ol_error *err)
{
	ol_store *store = incoming->session->store;
	ol_resolved listed = incoming->resolved;
	ol_blob_info info;
	int rc = ol_incoming_chains(incoming, err);

	if (rc < 0)
		return rc;
	rc = ol_blob_stat(store, &incoming->resolved.digest, &info, err);
	if (rc < 0)
		return rc;
	listed.size = info.size;
	rc = ol_incoming_derive(incoming, &listed, err);
	if (rc == OL_OK)
		rc = ol_incoming_link(incoming, &listed.digest, err);
	if (rc == OL_OK)
		rc = ol_name_relist(store, &incoming->resolved.digest,
			&(ol_name_listing){ listed.digest, listed.size, listed.media_type }, err);
	/* Its last name was removed meanwhile. */
	return rc == OL_ENOTFOUND ? OL_OK : rc;
}

static int count_name(void *ctx, const ol_name_info *info, ol_error *err)
{
	size_t *count = ctx;

	(void)info;
	(void)err;
	(*count)++;
	return OL_OK;
}

/* Whoever removed its last name while we had a lease left to us what that kept. */
static int clear_up(ol_session *session, const ol_digest *root, ol_error *err)
{
	ol_gc_result gone;
	size_t names = 0;
	int rc = ol_name_each_of(session->store, root, count_name, &names, err);

	return rc < 0 || names > 0
		       ? rc
		       : ol_gc_image(session->store, root, session->options.cancel, &gone, err);
}

static int whole_image(ol_session *session, const ol_digest *root, ol_error *err)
{
	ol_incoming incoming = { .session = session, .resolved = { .digest = *root } };
	int rc = ol_name_each_of(session->store, root, take_type, &incoming.resolved, err);

	if (rc == OL_OK)
		rc = ol_lease_begin(session->store, "lazy", &incoming.lease, err);
	if (rc == OL_OK)
		rc = ol_lease_add(incoming.lease, root, err);
	if (rc == OL_OK)
		rc = add_document(&incoming, root, incoming.resolved.media_type, 0, err);
	if (rc == OL_OK && is_whole(&incoming))
		rc = finish(&incoming, err);
	ol_incoming_done(&incoming);
	return rc < 0 && rc != OL_ENOTFOUND ? rc : clear_up(session, root, err);
}

int ol_lazy_whole_images(ol_session *session, const ol_digest *diff_id, ol_error *err)
{
	ol_autofree ol_digest *roots = NULL;
	size_t count = 0;
	int failed = OL_OK;
	int rc = ol_reach_roots(session->store, diff_id, IMAGES_MAX, &roots, &count, err);

	for (size_t i = 0; failed != OL_ECANCELED && i < count; i++) {
		ol_error failure = { 0 };

		failed = whole_image(session, &roots[i], &failure);
		if (rc < 0 || failed == OL_OK)
			continue;
		rc = ol_wrap(&failure, failed, "image %s", ol_digest_short(&roots[i]).text);
		if (err)
			*err = failure;
	}
	return rc;
}
