/*
 * An image of the store becomes one that can be pulled lazily:
 *
 *	find      the manifests of the platforms that are wanted
 *	convert   each layer once, whatever images have it       convert_layer.c
 *	describe  configs, manifests, index                      convert_documents.c
 *	keep      chains, then all of it on disk, then the name
 */
#include "image/convert.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/convert_priv.h"
#include "store/blob.h"
#include "store/gc.h"

#define TELL_EVERY_MS 50

void ol_convert_tell(void *ctx, uint64_t bytes)
{
	ol_convert_state *state = ctx;
	const uint64_t now = ol_now_ms();

	state->done += bytes;
	if (now - state->told_ms < TELL_EVERY_MS)
		return;
	state->told_ms = now;
	ol_tell(&state->incoming.session->options.listener,
		&(ol_event){ .kind = OL_EVENT_PROGRESS,
			.text = state->text,
			.done = state->done,
			.total = state->total > state->done ? state->total : state->done });
}

const ol_convert_layer *ol_convert_layer_of(const ol_convert_state *state, const ol_digest *diff_id)
{
	for (size_t i = 0; i < state->layer_count; i++)
		if (ol_digest_eq(&state->layers[i].source, diff_id))
			return &state->layers[i];
	return NULL;
}

/* --- which images --- */

static bool is_wanted(const ol_convert_options *options, const ol_platform *platform)
{
	if (options->all_platforms)
		return true;
	for (size_t i = 0; i < options->platform_count; i++)
		if (ol_platform_match(&options->platforms[i], platform) >= 0)
			return true;
	return false;
}

static int add_source(ol_convert_state *state, const ol_digest *manifest, ol_error *err)
{
	ol_image image = { 0 };
	int rc = ol_image_open(state->incoming.session, manifest, NULL, &image, err);

	if (rc < 0)
		return rc;
	OL_GROW(state->sources, state->source_count, state->source_cap);
	state->sources[state->source_count++] = image;
	return OL_OK;
}

/* The entries of an index that are here, and wanted. */
static int add_entries(
	ol_convert_state *state, const ol_document *index, unsigned depth, ol_error *err)
{
	ol_store *store = state->incoming.session->store;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];
		ol_auto(ol_document_free) ol_document *document = NULL;
		ol_auto(ol_config_free) ol_config *config = NULL;

		if (ol_descriptor_is_attestation(entry) || entry->artifact_type ||
			!ol_digest_is_set(&entry->digest) || !ol_blob_exists(store, &entry->digest))
			continue;
		rc = ol_document_load(store, &entry->digest, entry->media_type, &document, err);
		if (rc < 0)
			return rc;
		if (document->kind == OL_DOCUMENT_INDEX) {
			if (depth < OL_INDEX_DEPTH_MAX)
				rc = add_entries(state, document, depth + 1, err);
			continue;
		}
		if (!ol_document_is_image(document))
			continue;
		rc = ol_config_load(store, &document->config.digest, &config, err);
		if (rc == OL_OK && is_wanted(state->options, &config->platform))
			rc = add_source(state, &entry->digest, err);
	}
	return rc;
}

static int find_sources(ol_convert_state *state, ol_error *err)
{
	const ol_convert_options *options = state->options;
	ol_session *session = state->incoming.session;
	const bool several = options->all_platforms || options->platform_count > 1;
	ol_auto(ol_document_free) ol_document *root = NULL;
	ol_image image = { 0 };
	int rc = ol_image_find(session, options->source,
		options->platform_count == 1 ? options->platforms : NULL, &image, err);

	if (rc < 0)
		return rc;
	if (several)
		rc = ol_document_load(session->store, &image.root, NULL, &root, err);
	if (rc == OL_OK && several && root->kind == OL_DOCUMENT_INDEX) {
		rc = add_entries(state, root, 0, err);
		ol_image_done(&image);
	} else if (rc == OL_OK) {
		OL_GROW(state->sources, state->source_count, state->source_cap);
		state->sources[state->source_count++] = image;
	} else {
		ol_image_done(&image);
	}
	if (rc == OL_OK && state->source_count == 0)
		rc = ol_fail(err, OL_ENOTFOUND, "none of these platforms is in the store");
	return rc;
}

/* --- layers --- */

static int convert_layers(ol_convert_state *state, ol_error *err)
{
	size_t count = 0, at = 0;
	int rc = OL_OK;

	for (size_t i = 0; i < state->source_count; i++)
		for (size_t k = 0; k < state->sources[i].config->diff_id_count; k++) {
			ol_layer_info layer;

			count++;
			if (ol_layer_get(state->incoming.session->store,
				    &state->sources[i].config->diff_ids[k], false, &layer,
				    NULL) == OL_OK)
				state->total += layer.tar_bytes;
		}
	for (size_t i = 0; rc == OL_OK && i < state->source_count; i++) {
		const ol_config *config = state->sources[i].config;

		for (size_t k = 0; rc == OL_OK && k < config->diff_id_count; k++) {
			(void)snprintf(state->text, sizeof state->text,
				"Converting layer %zu of %zu", ++at, count);
			if (ol_convert_layer_of(state, &config->diff_ids[k]))
				continue;
			rc = ol_convert_layer_run(state, &config->diff_ids[k], err);
			if (rc < 0)
				return ol_wrap(err, rc, "layer %s",
					ol_digest_short(&config->diff_ids[k]).text);
		}
	}
	ol_tell(&state->incoming.session->options.listener,
		&(ol_event){
			.kind = OL_EVENT_PROGRESS, .text = state->text, .done = 1, .total = 1 });
	return rc;
}

static void tell_missing(const ol_convert_state *state)
{
	for (size_t i = 0; state->options->first && state->options->first[i]; i++)
		if (!state->found[i])
			ol_tell_text(&state->incoming.session->options.listener, OL_EVENT_WARNING,
				"no layer has %.200s, which was to come first",
				state->options->first[i]);
}

/* --- the story --- */

static int run(ol_convert_state *state, ol_error *err)
{
	const ol_session *session = state->incoming.session;
	ol_ref ref;
	ol_ref_string name;
	int rc = ol_ref_parse(state->options->target, &ref, err);

	if (rc == OL_OK && ol_digest_is_set(&ref.digest))
		rc = ol_fail(err, OL_EINVAL, "%.200s: the new image's name has a tag, no digest",
			state->options->target);
	if (rc == OL_OK)
		rc = find_sources(state, err);
	if (rc == OL_OK)
		rc = convert_layers(state, err);
	if (rc == OL_OK)
		rc = ol_convert_describe(state, err);
	if (rc == OL_OK)
		rc = ol_incoming_chains(&state->incoming, err);
	/* On disk before it has a name, and the name too before success is told. */
	if (rc == OL_OK)
		rc = ol_store_sync(session->store, session->options.cancel, err);
	if (rc < 0)
		return rc;
	tell_missing(state);
	name = ol_ref_format(&ref);
	rc = ol_incoming_keep(&state->incoming,
		&(ol_keep_as){ .name = name.text, .repo = "", .imported = true }, err);
	return rc < 0 ? rc : ol_store_sync(session->store, session->options.cancel, err);
}

static size_t count_first(const ol_convert_options *options)
{
	size_t count = 0;

	while (options->first && options->first[count])
		count++;
	return count;
}

int ol_convert(
	ol_session *session, const ol_convert_options *options, ol_converted *out, ol_error *err)
{
	ol_convert_state state = { .incoming = { .session = session }, .options = options };
	int rc = ol_lease_begin(session->store, "convert", &state.incoming.lease, err);

	state.found = ol_alloc_array(count_first(options) + 1, sizeof *state.found);
	if (rc == OL_OK)
		rc = run(&state, err);
	if (rc == OL_OK) {
		*out = (ol_converted){ .root = state.incoming.resolved.digest,
			.layers = state.layer_count,
			.plain = state.plain };
		for (size_t i = 0; i < state.layer_count; i++)
			out->bytes += state.layers[i].blob_size;
	}
	ol_incoming_done(&state.incoming);
	for (size_t i = 0; i < state.source_count; i++)
		ol_image_done(&state.sources[i]);
	/* What was made and is part of no image is not left to take up the disk. */
	if (rc < 0 && state.layer_count > 0)
		(void)ol_gc(session->store, NULL, &(ol_gc_result){ 0 }, NULL);
	free(state.sources);
	free(state.layers);
	free(state.found);
	return rc < 0 ? ol_wrap(err, rc, "cannot convert %.200s", options->source) : OL_OK;
}
