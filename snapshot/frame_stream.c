#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "snapshot/frame_stream_priv.h"

/* A table of contents and a tar-split, compressed. */
#define TAIL_BYTES_MAX (2 * OL_TOC_BYTES_MAX + 4096)

static int next_frame(ol_frame_stream *self, ol_error *err)
{
	int rc = ol_frame_pool_next(self->pool, &self->frame, err);

	self->at = 0;
	if (rc < 0)
		return rc;
	if (self->frame) {
		self->offsets[self->count + 1] = self->offsets[self->count] + self->frame->size;
		self->count++;
		return OL_OK;
	}
	self->ended = true;
	return self->make_tail
		       ? self->make_tail(self->ctx, self->offsets[self->count], &self->tail, err)
		       : OL_OK;
}

static int stream_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	ol_frame_stream *self = (ol_frame_stream *)reader;
	const ol_buf *from;
	int rc = OL_OK;

	*got = 0;
	while (rc == OL_OK && !self->ended && (!self->frame || self->at == self->frame->size))
		rc = next_frame(self, err);
	if (rc < 0)
		return rc;
	from = self->ended ? &self->tail : self->frame;
	*got = from->size - self->at < size ? from->size - self->at : size;
	if (*got)
		memcpy(data, from->data + self->at, *got);
	self->at += *got;
	return OL_OK;
}

/* Whoever made it frees it. */
static void stream_close(ol_reader *reader)
{
	(void)reader;
}

int ol_frame_stream_init(ol_frame_stream *self, const ol_frame_plan *plan,
	const ol_frame_pool_options *options,
	int (*make_tail)(void *ctx, uint64_t offset, ol_buf *out, ol_error *err), void *ctx,
	ol_error *err)
{
	static const ol_reader_ops ops = { stream_read, stream_close };
	ol_frame_pool_options planned = *options;

	*self = (ol_frame_stream){ .reader = { &ops },
		.offsets = ol_alloc_array(plan->count + 1, sizeof *self->offsets),
		.make_tail = make_tail,
		.ctx = ctx,
		.tail = OL_BUF(TAIL_BYTES_MAX) };
	planned.plan = plan;
	return ol_frame_pool_new(&planned, &self->pool, err);
}

void ol_frame_stream_done(ol_frame_stream *self)
{
	ol_frame_pool_free(self->pool);
	free(self->offsets);
	ol_buf_done(&self->tail);
	*self = (ol_frame_stream){ 0 };
}
