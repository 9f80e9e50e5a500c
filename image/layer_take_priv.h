#pragma once

/*
 * Layers into the store, from bytes of any origin:
 *
 *	reader ─▶ (blob file, when it is compressed) ─▶ unpack ─▶ tar, index or tree ─▶ rows
 *
 * Nothing need be known beforehand: digests that are not told are found out.
 */
#include "base/stream.h"
#include "image/incoming_priv.h"
#include "snapshot/unpack.h"

/* What the row of a layer says of where it came from. */
typedef struct ol_layer_facts {
	const char *media_type; /* of the blob */
	const char *origin;     /* canonical repository it was pulled from, or "" */
} ol_layer_facts;
/* Gives what was unpacked in dir_fd (tar, index.erofs or fs) to the store. The blob it was made of
 * is the caller's to keep. */
int ol_layer_keep(ol_store *store, int dir_fd, const ol_unpacked *unpacked,
	const ol_layer_facts *facts, ol_error *err);

/* Removes what an earlier try to unpack left in a staging folder. */
int ol_layer_clear(int dir_fd, ol_error *err);

typedef struct ol_layer_take_options {
	/* Verified where they are set (size: with blob). */
	ol_digest blob, diff_id;
	uint64_t blob_size;
	const char *media_type;                           /* NULL: OCI's, by what the bytes are */
	ol_unpack_gate *gate;                             /* lent; NULL: one layer at a time */
	void (*progress)(void *ctx, uint64_t blob_bytes); /* from another thread; or NULL */
	void *ctx;
} ol_layer_take_options;

typedef struct ol_layer_taken {
	ol_digest blob, diff_id;
	uint64_t blob_size, tar_bytes;
	ol_compression compression; /* of the blob */
} ol_layer_taken;

/* Reads a layer to its end and keeps it, its compressed bytes too, under the incoming's lease; no
 * temporary copy: what is written is what is kept. reader is lent, and read by another thread that
 * has ended when this returns. A layer that is there already is verified and not kept twice. Errors
 * as of ol_unpack. Threads: several at once for one incoming. */
int ol_layer_take(ol_incoming *incoming, ol_reader *reader, const ol_layer_take_options *options,
	ol_layer_taken *out, ol_error *err);
