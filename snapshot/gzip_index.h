#pragma once

/*
 * Inflates a gzip stream (RFC 1952) with zlib and notes on the way where inflating can begin again:
 * a checkpoint at the first block of each member, and at the first block after each span of output.
 * So no span crosses the end of a member, which SOCI's own reader would not survive.
 *
 *	blob  │ header │ span 0 … │ span 1 … trailer │ header │ span 2 … trailer, zeros │
 *
 * Each span's compressed bytes are hashed; two neighbours share a byte where a block ends inside
 * it. A member without output has no span of its own. manifest/ztoc.h says what all this is for.
 */
#include <stdbool.h>

#include "base/digest.h"
#include "snapshot/decode.h"

typedef struct ol_gzip_index ol_gzip_index;

/* fd: lent for the index's life: checkpoints are written to it one after the other from its
 * beginning, as ol_ztoc_checkpoint_pack makes them. NULL: no memory. */
ol_gzip_index *ol_gzip_index_new(uint64_t span_bytes, int fd);
void ol_gzip_index_free(ol_gzip_index *index);
OL_DEFINE_AUTO(ol_gzip_index, ol_gzip_index_free)
/* As ol_decoder_run. OL_ECORRUPT. */
int ol_gzip_index_run(ol_gzip_index *index, ol_decode_step *step, ol_error *err);

/* Nobody has time for it any more: it stops at the first block it comes to, to be gone on with by
 * another decoder. No spans then. */
void ol_gzip_index_leave(ol_gzip_index *index);
/* Where it stopped (snapshot/decode_priv.h); false: it did not yet. */
struct ol_gzip_place;
bool ol_gzip_index_left(ol_gzip_index *index, struct ol_gzip_place *out);

typedef struct ol_gzip_spans {
	const ol_digest *digests; /* lent from the index */
	size_t count;
	uint64_t blob_bytes, tar_bytes;
	/* NULL, or why there are no spans, in one clause: they would take too much room, or there
	 * is nothing in it */
	const char *refusal;
} ol_gzip_spans;
/* After the last byte. OL_ECORRUPT when the stream is not complete. */
int ol_gzip_index_finish(ol_gzip_index *index, ol_gzip_spans *out, ol_error *err);
