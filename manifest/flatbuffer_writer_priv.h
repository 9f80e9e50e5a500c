#pragma once

/*
 * As much of FlatBuffers as a writer of ztocs needs (flatbuffers "internals"). A buffer grows
 * towards its front, since what refers comes before what it refers to: children are made first, and
 * the root last. A position is counted from the end; 0 is the end itself, where a tail may follow
 * that is never in memory.
 *
 *	│ root │ vtable, table │ … │ table │ string │ string │ ─▶ tail
 *	                           ◀── position ─────────────┤
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/view.h"

#define OL_FB_FIELDS_MAX  16
#define OL_FB_VTABLES_MAX 32

typedef struct ol_fb_builder {
	char *data;       /* owned; the last size bytes of cap are in use */
	size_t size, cap; /* size is the position of what was made last */
	size_t max;
	int rc; /* OL_OK, or OL_ELIMIT from then on */

	size_t table_end;
	size_t fields[OL_FB_FIELDS_MAX]; /* positions; 0: not there */
	unsigned field_count;
	size_t vtables[OL_FB_VTABLES_MAX]; /* positions: equal ones are shared */
	unsigned vtable_count;
} ol_fb_builder;

#define OL_FB_BUILDER(max_bytes) ((ol_fb_builder){ .max = (max_bytes) })

void ol_fb_builder_done(ol_fb_builder *builder);
/* Past max bytes all of these do nothing, and ol_fb_builder_error says so. */
int ol_fb_builder_error(const ol_fb_builder *builder, ol_error *err);

size_t ol_fb_put_string(ol_fb_builder *builder, ol_view text);
size_t ol_fb_put_bytes(ol_fb_builder *builder, ol_view bytes); /* a vector of them */
/* A vector of strings or tables. */
size_t ol_fb_put_offsets(ol_fb_builder *builder, const size_t *positions, size_t count);

/* A table: begin, its fields (each at most once), end. Nothing else is made meanwhile. */
void ol_fb_table_begin(ol_fb_builder *builder);
/* A field is left out where it has the schema's default, which is 0. */
void ol_fb_set_u8(ol_fb_builder *builder, unsigned field, uint8_t value);
void ol_fb_set_u32(ol_fb_builder *builder, unsigned field, uint32_t value);
void ol_fb_set_u64(ol_fb_builder *builder, unsigned field, uint64_t value);
void ol_fb_set_offset(ol_fb_builder *builder, unsigned field, size_t position);
size_t ol_fb_table_end(ol_fb_builder *builder);

/* The last call: the buffer is complete, and its size a multiple of 8. */
ol_view ol_fb_finish(ol_fb_builder *builder, size_t root);
