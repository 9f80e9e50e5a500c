#pragma once

/*
 * As much of FlatBuffers as a reader of ztocs needs (flatbuffers "internals": little-endian, tables
 * behind vtables, offsets that point forward). Nothing is trusted: every step is checked against
 * the buffer, and what lies outside of it is OL_ECORRUPT. A field that is not there gives its
 * default.
 */
#include <stdint.h>

#include "base/error.h"
#include "base/view.h"

typedef struct ol_fb_table {
	ol_view buffer; /* all of it, lent */
	size_t at;      /* of the table */
	size_t vtable, vtable_size, size;
} ol_fb_table;

int ol_fb_root(ol_view buffer, ol_fb_table *out, ol_error *err);
/* field: its number, by the order of the schema. */
int ol_fb_u8(
	const ol_fb_table *table, unsigned field, uint8_t otherwise, uint8_t *out, ol_error *err);
int ol_fb_u32(
	const ol_fb_table *table, unsigned field, uint32_t otherwise, uint32_t *out, ol_error *err);
int ol_fb_i64(
	const ol_fb_table *table, unsigned field, int64_t otherwise, int64_t *out, ol_error *err);
/* A string without its NUL, lent; "" when it is not there. */
int ol_fb_string(const ol_fb_table *table, unsigned field, ol_view *out, ol_error *err);
/* OL_ENOTFOUND when it is not there. */
int ol_fb_child(const ol_fb_table *table, unsigned field, ol_fb_table *out, ol_error *err);

typedef struct ol_fb_vector {
	ol_view buffer;
	size_t at, count; /* of the first element */
} ol_fb_vector;

/* element_size: 1 for bytes, 4 for offsets to strings and tables. Empty when it is not there. */
int ol_fb_vector_of(const ol_fb_table *table, unsigned field, size_t element_size,
	ol_fb_vector *out, ol_error *err);
/* index < count */
int ol_fb_vector_string(const ol_fb_vector *vector, size_t index, ol_view *out, ol_error *err);
int ol_fb_vector_table(const ol_fb_vector *vector, size_t index, ol_fb_table *out, ol_error *err);
