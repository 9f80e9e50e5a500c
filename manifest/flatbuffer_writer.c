#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "manifest/flatbuffer_writer_priv.h"

#define FIRST_BYTES ((size_t)4 << 10)

void ol_fb_builder_done(ol_fb_builder *builder)
{
	free(builder->data);
	*builder = (ol_fb_builder){ 0 };
}

int ol_fb_builder_error(const ol_fb_builder *builder, ol_error *err)
{
	return builder->rc < 0 ? ol_fail(err, builder->rc, "more than %zu bytes", builder->max)
			       : OL_OK;
}

/* size bytes more at the front. */
static char *room(ol_fb_builder *builder, size_t size)
{
	if (builder->rc < 0 || size > builder->max - builder->size) {
		builder->rc = OL_ELIMIT;
		return NULL;
	}
	if (size > builder->cap - builder->size) {
		size_t cap = builder->cap ? builder->cap : FIRST_BYTES;
		char *data;

		while (cap - builder->size < size)
			cap *= 2;
		data = ol_alloc(cap);
		if (builder->size > 0)
			memcpy(data + cap - builder->size,
				builder->data + builder->cap - builder->size, builder->size);
		free(builder->data);
		builder->data = data;
		builder->cap = cap;
	}
	builder->size += size;
	return builder->data + builder->cap - builder->size;
}

static char *at(const ol_fb_builder *builder, size_t position)
{
	return builder->data + builder->cap - position;
}

static void write_le(char *to, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (char)(value >> 8 * i & 0xff);
}

static void put(ol_fb_builder *builder, uint64_t value, size_t size)
{
	char *to = room(builder, size);

	if (to)
		write_le(to, value, size);
}

/* Zeros, so that what is made next, after size more bytes, begins at a multiple of align. */
static void pad(ol_fb_builder *builder, size_t align, size_t size)
{
	const size_t gap = -(builder->size + size) & (align - 1);
	char *to = room(builder, gap);

	if (to)
		memset(to, 0, gap);
}

/* From where the next 4 bytes will stand to a position. */
static void put_offset(ol_fb_builder *builder, size_t position)
{
	put(builder, builder->size + 4 - position, 4);
}

static size_t put_vector(ol_fb_builder *builder, ol_view bytes, bool terminated)
{
	char *to;

	pad(builder, 4, bytes.size + terminated);
	if (terminated)
		put(builder, 0, 1);
	to = room(builder, bytes.size);
	if (to && bytes.size > 0)
		memcpy(to, bytes.data, bytes.size);
	put(builder, bytes.size, 4);
	return builder->size;
}

size_t ol_fb_put_string(ol_fb_builder *builder, ol_view text)
{
	return put_vector(builder, text, true);
}

size_t ol_fb_put_bytes(ol_fb_builder *builder, ol_view bytes)
{
	return put_vector(builder, bytes, false);
}

size_t ol_fb_put_offsets(ol_fb_builder *builder, const size_t *positions, size_t count)
{
	pad(builder, 4, 0);
	for (size_t i = count; i-- > 0;)
		put_offset(builder, positions[i]);
	put(builder, count, 4);
	return builder->size;
}

void ol_fb_table_begin(ol_fb_builder *builder)
{
	builder->table_end = builder->size;
	builder->field_count = 0;
	memset(builder->fields, 0, sizeof builder->fields);
}

static void set(ol_fb_builder *builder, unsigned field, uint64_t value, size_t size)
{
	assert(field < OL_FB_FIELDS_MAX);
	if (value == 0)
		return;
	pad(builder, size, 0);
	put(builder, value, size);
	builder->fields[field] = builder->size;
	if (field >= builder->field_count)
		builder->field_count = field + 1;
}

void ol_fb_set_u8(ol_fb_builder *builder, unsigned field, uint8_t value)
{
	set(builder, field, value, 1);
}

void ol_fb_set_u32(ol_fb_builder *builder, unsigned field, uint32_t value)
{
	set(builder, field, value, 4);
}

void ol_fb_set_u64(ol_fb_builder *builder, unsigned field, uint64_t value)
{
	set(builder, field, value, 8);
}

void ol_fb_set_offset(ol_fb_builder *builder, unsigned field, size_t position)
{
	pad(builder, 4, 0);
	set(builder, field, builder->size + 4 - position, 4);
}

/* The position of a vtable with these bytes, a new one if there is none. */
static size_t vtable_of(ol_fb_builder *builder, const char *bytes, size_t size)
{
	char *to;

	for (unsigned i = 0; i < builder->vtable_count; i++) {
		const char *there = at(builder, builder->vtables[i]);

		if (memcmp(there, bytes, 2) == 0 && memcmp(there, bytes, size) == 0)
			return builder->vtables[i];
	}
	to = room(builder, size);
	if (to)
		memcpy(to, bytes, size);
	if (to && builder->vtable_count < OL_FB_VTABLES_MAX)
		builder->vtables[builder->vtable_count++] = builder->size;
	return builder->size;
}

size_t ol_fb_table_end(ol_fb_builder *builder)
{
	char bytes[4 + 2 * OL_FB_FIELDS_MAX];
	const size_t size = 4 + (size_t)2 * builder->field_count;
	size_t table, vtable;

	pad(builder, 4, 0);
	put(builder, 0, 4);
	table = builder->size;
	write_le(bytes, size, 2);
	write_le(bytes + 2, table - builder->table_end, 2);
	for (unsigned i = 0; i < builder->field_count; i++)
		write_le(bytes + 4 + (size_t)2 * i,
			builder->fields[i] ? table - builder->fields[i] : 0, 2);
	vtable = vtable_of(builder, bytes, size);
	/* The way back to it; a shared one stands behind, and the number is negative. */
	if (builder->rc == OL_OK)
		write_le(at(builder, table), (uint64_t)vtable - table, 4);
	return table;
}

ol_view ol_fb_finish(ol_fb_builder *builder, size_t root)
{
	pad(builder, 8, 4);
	put_offset(builder, root);
	if (builder->rc < 0)
		return (ol_view){ NULL, 0 };
	return (ol_view){ at(builder, builder->size), builder->size };
}
