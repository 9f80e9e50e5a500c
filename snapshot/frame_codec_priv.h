#pragma once

/* One thread's compressor: frames one after another, each by itself. */
#include "snapshot/frame_pool.h"

typedef struct ol_compressor ol_compressor;

int ol_compressor_new(ol_frame_codec codec, int level, ol_compressor **out, ol_error *err);
void ol_compressor_free(ol_compressor *self);
OL_DEFINE_AUTO(ol_compressor, ol_compressor_free)
/* Adds to out what data give; last: the frame ends. OL_ELIMIT when out is full. */
int ol_compressor_run(
	ol_compressor *self, const void *data, size_t size, bool last, ol_buf *out, ol_error *err);
