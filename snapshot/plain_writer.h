#pragma once

/* A layer's tar compressed on all processors, without a table of contents: frames of 4 MiB, which
 * every reader takes for one stream. */
#include "base/stream.h"
#include "snapshot/frame_pool.h"

typedef struct ol_plain_writer ol_plain_writer;

/* options: its plan is not looked at; what it points to is lent for the writer's life. */
int ol_plain_writer_new(uint64_t tar_bytes, const ol_frame_pool_options *options,
	ol_plain_writer **out, ol_error *err);
void ol_plain_writer_free(ol_plain_writer *self);
OL_DEFINE_AUTO(ol_plain_writer, ol_plain_writer_free)
/* The blob, from its first byte on; read once. Closing it frees nothing else. */
ol_reader *ol_plain_writer_reader(ol_plain_writer *self);
