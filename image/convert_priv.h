#pragma once

/*
 *	convert.c            the story: which images, layer by layer, their documents, the name
 *	convert_layer.c      one layer: tar ─▶ scan ─▶ writer ─▶ blob, and into the store
 *	convert_documents.c  config, manifest and index of what became of them
 */
#include "image/convert.h"
#include "image/incoming_priv.h"

#define OL_CONVERT_ANNOTATIONS_MAX 4
#define OL_CONVERT_VALUE_BYTES     160 /* a digest, or a few numbers */

/* What became of a layer. */
typedef struct ol_convert_layer {
	ol_digest source; /* its DiffID */
	ol_digest blob, diff_id;
	uint64_t blob_size;
	const char *media_type;
	struct {
		const char *key;
		char value[OL_CONVERT_VALUE_BYTES];
	} annotations[OL_CONVERT_ANNOTATIONS_MAX];
	size_t annotation_count;
} ol_convert_layer;

typedef struct ol_convert_state {
	ol_incoming incoming;
	const ol_convert_options *options; /* lent */
	ol_image *sources;                 /* owned: one a platform */
	size_t source_count, source_cap;
	bool from_index;
	ol_convert_layer *layers; /* owned: each of the sources' once */
	size_t layer_count, layer_cap;
	bool *found; /* owned: of options->first */
	size_t plain;
	/* progress */
	uint64_t done, total, told_ms;
	char text[64];
} ol_convert_state;

/* Adds to state->layers what becomes of a layer. */
int ol_convert_layer_run(ol_convert_state *state, const ol_digest *diff_id, ol_error *err);
const ol_convert_layer *ol_convert_layer_of(
	const ol_convert_state *state, const ol_digest *diff_id);
/* Progress of the state that ctx is. */
void ol_convert_tell(void *ctx, uint64_t bytes);

/* The documents, put into the store; the incoming has all of them. */
int ol_convert_describe(ol_convert_state *state, ol_error *err);
