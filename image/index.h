#pragma once

/*
 * SOCI indexes of images, made and published by orlop: docs/architecture.md "Lazy layers".
 *
 *	create   layers, streamed ─▶ ztocs ─▶ SOCI index, kept in the store
 *	push     the image's manifest names the SOCI index; an index lists both, and gets the tag
 */
#include "image/push.h"

#define OL_INDEX_SPAN_BYTES ((uint64_t)4 << 20)
/* As many checkpoints of 32 KiB as bytes are too many. */
#define OL_INDEX_SPAN_BYTES_MIN  ((uint64_t)64 << 10)
#define OL_INDEX_MIN_LAYER_BYTES ((uint64_t)10 << 20)

typedef struct ol_index_options {
	const char *ref;             /* of the store, else of a registry */
	const ol_platform *platform; /* NULL: the wanted one */
	/* compressed; smaller layers are pulled whole in less time than their index takes */
	uint64_t min_layer_bytes;
	uint64_t span_bytes; /* of tar, about, between two places to begin at; 0: the default */
} ol_index_options;

typedef struct ol_index_layer {
	ol_digest layer; /* compressed */
	uint64_t layer_size;
	const char *media_type; /* lent from the result */
	ol_digest ztoc;         /* unset: it has none */
	uint64_t ztoc_size;
	bool existed;  /* it was there before */
	char why[128]; /* why it has none, in one clause */
} ol_index_layer;

typedef struct ol_indexed {
	ol_digest manifest; /* of the image */
	ol_digest index;    /* the SOCI index */
	uint64_t index_size;
	ol_platform platform;
	bool in_store; /* the image is; else its index is kept until it is pushed or removed */
	ol_index_layer *layers; /* owned */
	size_t layer_count;
	struct ol_document *document; /* owned: what layers point into */
} ol_indexed;
void ol_indexed_done(ol_indexed *indexed);

/* Reads each layer once, verifying it, and keeps none; layers that have a ztoc here are not read
 * again unless span_bytes is given. OL_EUNSUPPORTED: no layer of the image can have a ztoc. As
 * ol_pull. */
int ol_index_create(
	ol_session *session, const ol_index_options *options, ol_indexed *out, ol_error *err);

/* Publishes the indexes that were made of ref's manifests: under target, NULL: ref itself. options:
 * as of ol_push; platform: NULL for all. The layers stay as they are; the digests of manifests and
 * of the image change. OL_ENOTFOUND: no index was made of it. */
int ol_index_push(ol_session *session, const char *ref, const char *target,
	const ol_copy_options *options, ol_copied *out, ol_error *err);

/* An index of an image that is not in the store, kept here until it is pushed. Lent for the call.
 */
typedef struct ol_index_row {
	ol_digest manifest, index;
	const char *image; /* as it was asked for */
	uint64_t bytes;    /* of it and its ztocs */
	size_t layers;
} ol_index_row;
int ol_index_each(ol_session *session,
	int (*call)(void *ctx, const ol_index_row *row, ol_error *err), void *ctx, ol_error *err);
/* One of those, by what it was asked for as, or by the digest of manifest or index. OL_ENOTFOUND.
 */
int ol_index_remove(ol_session *session, const char *text, ol_error *err);
