#pragma once

/* What a pool of frames gives, and then a tail made once it is known where they are, read as one.
 */
#include "base/stream.h"
#include "snapshot/frame_pool.h"

typedef struct ol_frame_stream {
	ol_reader reader;
	ol_frame_pool *pool; /* owned */
	uint64_t *offsets;   /* owned: of the frames that came, and behind the last of them */
	size_t count;        /* that came */
	const ol_buf *frame; /* lent by the pool */
	size_t at;           /* of it, or of the tail */
	/* offset: where the tail begins */
	int (*make_tail)(void *ctx, uint64_t offset, ol_buf *out, ol_error *err);
	void *ctx;
	ol_buf tail; /* owned */
	bool ended;  /* the tail is what is read */
} ol_frame_stream;

/* plan: what the options go without; lent, as they are. make_tail NULL: there is none; ctx is its.
 */
int ol_frame_stream_init(ol_frame_stream *self, const ol_frame_plan *plan,
	const ol_frame_pool_options *options,
	int (*make_tail)(void *ctx, uint64_t offset, ol_buf *out, ol_error *err), void *ctx,
	ol_error *err);
void ol_frame_stream_done(ol_frame_stream *self);
