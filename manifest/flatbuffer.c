#include <assert.h>
#include <string.h>

#include "manifest/flatbuffer_priv.h"

static int outside(ol_error *err)
{
	return ol_fail(err, OL_ECORRUPT, "an offset that leads out of it");
}

static bool fits(ol_view buffer, size_t at, size_t size)
{
	return at <= buffer.size && size <= buffer.size - at;
}

/* size bytes at at, which fit: little-endian. */
static uint64_t number(ol_view buffer, size_t at, size_t size)
{
	uint64_t value = 0;

	for (size_t i = size; i-- > 0;)
		value = value << 8 | (unsigned char)buffer.data[at + i];
	return value;
}

/* Follows the 32-bit offset at at. */
static int follow(ol_view buffer, size_t at, size_t *out, ol_error *err)
{
	uint64_t step;

	if (!fits(buffer, at, 4))
		return outside(err);
	step = number(buffer, at, 4);
	if (step == 0 || step > buffer.size - at)
		return outside(err);
	*out = at + (size_t)step;
	return OL_OK;
}

static int table_at(ol_view buffer, size_t at, ol_fb_table *out, ol_error *err)
{
	ol_fb_table table = { .buffer = buffer, .at = at };
	int64_t vtable;

	if (!fits(buffer, at, 4))
		return outside(err);
	vtable = (int64_t)at - (int32_t)(uint32_t)number(buffer, at, 4);
	if (vtable < 0 || !fits(buffer, (size_t)vtable, 4))
		return outside(err);
	table.vtable = (size_t)vtable;
	table.vtable_size = number(buffer, table.vtable, 2);
	table.size = number(buffer, table.vtable + 2, 2);
	if (table.vtable_size < 4 || table.vtable_size % 2 || table.size < 4 ||
		!fits(buffer, table.vtable, table.vtable_size) || !fits(buffer, at, table.size))
		return outside(err);
	*out = table;
	return OL_OK;
}

int ol_fb_root(ol_view buffer, ol_fb_table *out, ol_error *err)
{
	size_t at = 0;
	int rc = follow(buffer, 0, &at, err);

	return rc < 0 ? rc : table_at(buffer, at, out, err);
}

/* Where a field of size bytes is; 0 when it is not there. */
static int field_at(
	const ol_fb_table *table, unsigned field, size_t size, size_t *out, ol_error *err)
{
	const size_t slot = 4 + 2 * (size_t)field;
	size_t inside;

	*out = 0;
	if (slot + 2 > table->vtable_size)
		return OL_OK;
	inside = number(table->buffer, table->vtable + slot, 2);
	if (inside == 0)
		return OL_OK;
	if (inside < 4 || inside > table->size || size > table->size - inside)
		return outside(err);
	*out = table->at + inside;
	return OL_OK;
}

/* A number of size bytes; false in *there leaves *out alone. */
static int field_number(
	const ol_fb_table *table, unsigned field, size_t size, uint64_t *out, ol_error *err)
{
	size_t at = 0;
	int rc = field_at(table, field, size, &at, err);

	if (rc == OL_OK && at)
		*out = number(table->buffer, at, size);
	return rc;
}

int ol_fb_u8(
	const ol_fb_table *table, unsigned field, uint8_t otherwise, uint8_t *out, ol_error *err)
{
	uint64_t value = otherwise;
	int rc = field_number(table, field, 1, &value, err);

	*out = (uint8_t)value;
	return rc;
}

int ol_fb_u32(
	const ol_fb_table *table, unsigned field, uint32_t otherwise, uint32_t *out, ol_error *err)
{
	uint64_t value = otherwise;
	int rc = field_number(table, field, 4, &value, err);

	*out = (uint32_t)value;
	return rc;
}

int ol_fb_i64(
	const ol_fb_table *table, unsigned field, int64_t otherwise, int64_t *out, ol_error *err)
{
	uint64_t value = (uint64_t)otherwise;
	int rc = field_number(table, field, 8, &value, err);

	*out = (int64_t)value;
	return rc;
}

static int string_at(ol_view buffer, size_t at, ol_view *out, ol_error *err)
{
	uint64_t size;

	if (!fits(buffer, at, 4))
		return outside(err);
	size = number(buffer, at, 4);
	if (size > buffer.size || !fits(buffer, at + 4, (size_t)size))
		return outside(err);
	*out = (ol_view){ buffer.data + at + 4, (size_t)size };
	return OL_OK;
}

int ol_fb_string(const ol_fb_table *table, unsigned field, ol_view *out, ol_error *err)
{
	size_t at = 0, target = 0;
	int rc = field_at(table, field, 4, &at, err);

	*out = (ol_view){ "", 0 };
	if (rc < 0 || !at)
		return rc;
	rc = follow(table->buffer, at, &target, err);
	return rc < 0 ? rc : string_at(table->buffer, target, out, err);
}

int ol_fb_child(const ol_fb_table *table, unsigned field, ol_fb_table *out, ol_error *err)
{
	size_t at = 0, target = 0;
	int rc = field_at(table, field, 4, &at, err);

	if (rc == OL_OK && !at)
		return ol_fail(err, OL_ENOTFOUND, "field %u is not there", field);
	if (rc == OL_OK)
		rc = follow(table->buffer, at, &target, err);
	return rc < 0 ? rc : table_at(table->buffer, target, out, err);
}

int ol_fb_vector_of(const ol_fb_table *table, unsigned field, size_t element_size,
	ol_fb_vector *out, ol_error *err)
{
	size_t at = 0, target = 0;
	uint64_t count;
	int rc = field_at(table, field, 4, &at, err);

	*out = (ol_fb_vector){ .buffer = table->buffer };
	if (rc < 0 || !at)
		return rc;
	rc = follow(table->buffer, at, &target, err);
	if (rc < 0)
		return rc;
	if (!fits(table->buffer, target, 4))
		return outside(err);
	count = number(table->buffer, target, 4);
	if (count > (table->buffer.size - target - 4) / element_size)
		return outside(err);
	out->at = target + 4;
	out->count = (size_t)count;
	return OL_OK;
}

int ol_fb_vector_string(const ol_fb_vector *vector, size_t index, ol_view *out, ol_error *err)
{
	size_t target = 0;
	int rc;

	assert(index < vector->count);
	rc = follow(vector->buffer, vector->at + 4 * index, &target, err);
	return rc < 0 ? rc : string_at(vector->buffer, target, out, err);
}

int ol_fb_vector_table(const ol_fb_vector *vector, size_t index, ol_fb_table *out, ol_error *err)
{
	size_t target = 0;
	int rc;

	assert(index < vector->count);
	rc = follow(vector->buffer, vector->at + 4 * index, &target, err);
	return rc < 0 ? rc : table_at(vector->buffer, target, out, err);
}
