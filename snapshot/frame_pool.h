#pragma once

/*
 * A layer compressed in frames that each stand alone (gzip members, zstd frames), on all
 * processors, given out in order.
 *
 *	tar   │ part │ part │ part │ …     slices of a file, or bytes in memory, in any order
 *	       └───────┬────┘ └───┬──
 *	frame          0          1        compressed by whoever is free, a few ahead
 */
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/own.h"
#include "base/str.h"

typedef struct ol_frame_part {
	const void *bytes; /* lent; NULL: they are in the file, at offset */
	uint64_t offset, size;
} ol_frame_part;

/* Which parts, in their order, make which frame. */
typedef struct ol_frame_plan {
	ol_frame_part *parts; /* owned */
	size_t part_count, part_cap;
	size_t *ends; /* owned: of each frame, behind its last part */
	size_t count, cap;
	uint64_t frame_bytes; /* of the frame that is being planned */
} ol_frame_plan;
/* Adds to the frame being planned; one that would hold more than OL_FRAME_BYTES_MAX of a file's
 * slices is ended first. */
#define OL_FRAME_BYTES_MAX ((uint64_t)4 << 20)
void ol_frame_plan_add(ol_frame_plan *plan, uint64_t offset, uint64_t size);
/* The same, in one frame however many they are: a hole, or a chunk of a size that was asked for. */
void ol_frame_plan_add_whole(ol_frame_plan *plan, uint64_t offset, uint64_t size);
void ol_frame_plan_add_bytes(ol_frame_plan *plan, const void *bytes, size_t size);
/* Ends the frame, if there is anything in it. Gives the number of the next. */
size_t ol_frame_plan_cut(ol_frame_plan *plan);
void ol_frame_plan_done(ol_frame_plan *plan);

typedef enum ol_frame_codec {
	OL_FRAME_GZIP,
	OL_FRAME_ZSTD,
} ol_frame_codec;

typedef struct ol_frame_pool_options {
	const ol_frame_plan *plan; /* lent; its last frame cut */
	int fd;                    /* lent: read by offset */
	ol_frame_codec codec;
	int level; /* 0: 6 for gzip, 3 for zstd */
	const ol_cancel *cancel;
	void (*progress)(void *ctx, uint64_t bytes); /* taken in since it was last told; from any
							thread, one at a time; or NULL */
	void *ctx;
} ol_frame_pool_options;

typedef struct ol_frame_pool ol_frame_pool;
int ol_frame_pool_new(const ol_frame_pool_options *options, ol_frame_pool **out, ol_error *err);
void ol_frame_pool_free(ol_frame_pool *pool); /* ends its threads, whatever they are at */
OL_DEFINE_AUTO(ol_frame_pool, ol_frame_pool_free)
/* The next frame's bytes, lent until the next call; *out NULL behind the last. The same whatever
 * the number of processors. */
int ol_frame_pool_next(ol_frame_pool *pool, const ol_buf **out, ol_error *err);

/* One frame of bytes in memory. */
int ol_frame_of_bytes(
	ol_frame_codec codec, int level, const void *data, size_t size, ol_buf *out, ol_error *err);
