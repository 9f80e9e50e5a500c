/*
 * One wrong bit in a row, found by its checksum.
 *
 * FNV-1a takes a byte at a time, state' = (state ^ byte) * prime, and can be run backwards, because
 * the prime has an inverse modulo 2^64. So the states before each byte are computed from the front,
 * those wanted after each byte from the back, and a bit is the wrong one where turning it back
 * makes the two meet: one pass each way, whatever the length.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "store/row_mend_priv.h"

#define FNV_PRIME   UINT64_C(0x100000001b3)
#define FNV_INVERSE UINT64_C(0xce965057aff6957b)
_Static_assert(FNV_PRIME *FNV_INVERSE == 1, "backwards");
#define ROW_BYTES_MAX ((size_t)1 << 20) /* a container's command has 64 KiB */

/* The bytes that the sum covers, and where the values' own bytes lie among them. */
struct flat {
	ol_buf bytes;         /* owned */
	size_t *start, *size; /* owned; of the bytes that may be wrong, by column */
};

static void flat_done(struct flat *flat)
{
	ol_buf_done(&flat->bytes);
	free(flat->start);
	free(flat->size);
}

static void add_number(ol_buf *out, uint64_t number)
{
	for (int i = 0; i < 8; i++, number >>= 8)
		(void)ol_str_addc(out, (char)(number & 0xff));
}

/* As row.c says, "The checksum of a row". */
static void flatten_value(struct flat *flat, int column, sqlite3_value *value)
{
	const int type = sqlite3_value_type(value);
	const void *bytes = NULL;

	if (type == SQLITE_NULL || type == SQLITE_FLOAT) {
		(void)ol_str_addc(&flat->bytes, type == SQLITE_NULL ? 'n' : 'r');
		if (type == SQLITE_FLOAT) {
			const double real = sqlite3_value_double(value);
			uint64_t bits;

			memcpy(&bits, &real, sizeof bits);
			add_number(&flat->bytes, bits);
		}
		flat->start[column] = flat->bytes.size;
		return;
	}
	if (type == SQLITE_INTEGER) {
		(void)ol_str_addc(&flat->bytes, 'i');
		flat->start[column] = flat->bytes.size;
		flat->size[column] = 8;
		add_number(&flat->bytes, (uint64_t)sqlite3_value_int64(value));
		return;
	}
	bytes = type == SQLITE_TEXT ? (const void *)sqlite3_value_text(value)
				    : sqlite3_value_blob(value);
	flat->size[column] = bytes ? (size_t)sqlite3_value_bytes(value) : 0;
	(void)ol_str_addc(&flat->bytes, type == SQLITE_TEXT ? 't' : 'b');
	add_number(&flat->bytes, flat->size[column]);
	flat->start[column] = flat->bytes.size;
	(void)ol_buf_add(&flat->bytes, bytes ? bytes : "", flat->size[column]);
}

static int flatten(const ol_table *table, const ol_row *row, struct flat *out)
{
	out->bytes = OL_BUF(ROW_BYTES_MAX);
	out->start = ol_alloc_array((size_t)row->count + 1, sizeof *out->start);
	out->size = ol_alloc_array((size_t)row->count + 1, sizeof *out->size);
	(void)ol_buf_add(&out->bytes, table->name, strlen(table->name) + 1);
	for (int i = 0; i < row->count; i++)
		flatten_value(out, i, row->values[i]);
	return ol_str_error(&out->bytes, NULL);
}

uint64_t ol_row_sum_of(const ol_table *table, const ol_row *row)
{
	uint64_t sum = ol_row_sum_add(OL_ROW_SUM_BEGIN, table->name, strlen(table->name) + 1);

	for (int i = 0; i < row->count; i++)
		sum = ol_row_sum_value(sum, row->values[i]);
	return sum;
}

/* front[i]: the state before byte i; back[i]: the one wanted after it. */
static void run_both_ways(
	const unsigned char *bytes, size_t size, uint64_t sum, uint64_t *front, uint64_t *back)
{
	uint64_t state = OL_ROW_SUM_BEGIN;

	for (size_t i = 0; i < size; i++) {
		front[i] = state;
		state = (state ^ bytes[i]) * FNV_PRIME;
	}
	state = sum;
	for (size_t i = size; i-- > 0;) {
		back[i] = state;
		state = (state * FNV_INVERSE) ^ bytes[i];
	}
}

static size_t search(const struct flat *flat, const ol_row *row, ol_flip *out)
{
	const unsigned char *bytes = (const unsigned char *)flat->bytes.data;
	const size_t size = flat->bytes.size;
	ol_autofree uint64_t *front = ol_alloc_array(size, sizeof *front);
	ol_autofree uint64_t *back = ol_alloc_array(size, sizeof *back);
	size_t found = 0;

	run_both_ways(bytes, size, row->sum, front, back);
	for (int column = 0; column < row->count; column++)
		for (size_t i = 0; i < flat->size[column]; i++) {
			const size_t at = flat->start[column] + i;
			const uint64_t byte = (back[at] * FNV_INVERSE) ^ front[at] ^ bytes[at];

			/* What the byte would have to be changed by: one bit, and nothing above. */
			if (byte == 0 || byte > 0x80 || (byte & (byte - 1)) != 0)
				continue;
			*out = (ol_flip){ column, i, (unsigned char)byte };
			found++;
		}
	return found;
}

bool ol_row_find_flip(const ol_table *table, const ol_row *row, ol_flip *out)
{
	__attribute__((cleanup(flat_done))) struct flat flat = { 0 };
	const uint64_t off = row->sum ^ ol_row_sum_of(table, row);

	if (!row->has_sum || off == 0)
		return false;
	if ((off & (off - 1)) == 0) {
		*out = (ol_flip){ .column = -1 };
		return true;
	}
	return flatten(table, row, &flat) == OL_OK && search(&flat, row, out) == 1;
}

static int bind_flipped(sqlite3_stmt *stmt, int at, sqlite3_value *value, const ol_flip *flip)
{
	ol_autofree unsigned char *copy = NULL;
	const int type = sqlite3_value_type(value);
	int size;

	if (type == SQLITE_INTEGER)
		return sqlite3_bind_int64(stmt, at,
			sqlite3_value_int64(value) ^
				(sqlite3_int64)((uint64_t)flip->mask << (8 * flip->byte)));
	size = sqlite3_value_bytes(value);
	copy = ol_memdup(sqlite3_value_blob(value), (size_t)size);
	copy[flip->byte] ^= flip->mask;
	return type == SQLITE_TEXT
		       ? sqlite3_bind_text(stmt, at, (const char *)copy, size, SQLITE_TRANSIENT)
		       : sqlite3_bind_blob(stmt, at, copy, size, SQLITE_TRANSIENT);
}

int ol_row_bind(sqlite3_stmt *stmt, const ol_row *row, const ol_flip *flip)
{
	int rc = SQLITE_OK;

	for (int i = 0; rc == SQLITE_OK && i < row->count; i++)
		rc = flip && flip->column == i ? bind_flipped(stmt, i + 1, row->values[i], flip)
					       : sqlite3_bind_value(stmt, i + 1, row->values[i]);
	return rc;
}

void ol_row_done(ol_row *row)
{
	for (int i = 0; row->values && i < row->count; i++)
		sqlite3_value_free(row->values[i]);
	free(row->values);
	free(row->key);
	*row = (ol_row){ 0 };
}
