/*
 * The checksum of a row:
 *
 *	FNV-1a, 64 bits, over the table's name and a NUL, then for each column
 *	'n'                                  NULL
 *	'i', 8 bytes                         INTEGER, two's complement, little-endian
 *	'r', 8 bytes                         REAL, IEEE 754, little-endian (nothing writes one)
 *	't' or 'b', 8 bytes of length, bytes TEXT or BLOB
 *
 * and kept as a signed INTEGER. Each step of FNV-1a is a bijection, so one changed byte always
 * changes the sum. It is against damage, not against anybody: who can write the database can
 * compute it.
 */
#include <string.h>

#include "base/str.h"
#include "store/row_priv.h"

#define FNV_PRIME UINT64_C(0x100000001b3)

const ol_table ol_tables[OL_TABLE_COUNT] = {
	{ "store", OL_ROW_STORE, "key", { "key" } },
	{ "blobs", OL_ROW_BLOBS, "digest", { "id" } },
	{ "edges", OL_ROW_EDGES, "parent || ' to ' || child", { "parent", "child" } },
	{ "layers", OL_ROW_LAYERS, "key", { "id" } },
	{ "names", OL_ROW_NAMES, "coalesce(name, root)", { "id" } },
	{ "leases", OL_ROW_LEASES, "id", { "id" } },
	{ "lease_items", OL_ROW_LEASE_ITEMS, "lease || ' of ' || digest", { "lease", "digest" } },
	{ "containers", OL_ROW_CONTAINERS, "id", { "id" } },
	{ "mounts", OL_ROW_MOUNTS, "id", { "id" } },
	{ "uses", OL_ROW_USES, "user || ' of ' || key", { "user", "key" } },
	{ "attached", OL_ROW_ATTACHED, "subject || ' as ' || kind", { "subject", "kind" } },
};

uint64_t ol_row_sum_add(uint64_t sum, const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ p[i]) * FNV_PRIME;
	return sum;
}

static uint64_t add_number(uint64_t sum, uint64_t number)
{
	unsigned char bytes[8];

	for (size_t i = 0; i < sizeof bytes; i++, number >>= 8)
		bytes[i] = (unsigned char)(number & 0xff);
	return ol_row_sum_add(sum, bytes, sizeof bytes);
}

uint64_t ol_row_sum_value(uint64_t sum, sqlite3_value *value)
{
	const int type = sqlite3_value_type(value);
	double real;
	uint64_t bits;
	const void *bytes;
	size_t size;

	switch (type) {
	case SQLITE_INTEGER:
		return add_number(
			ol_row_sum_add(sum, "i", 1), (uint64_t)sqlite3_value_int64(value));
	case SQLITE_FLOAT:
		real = sqlite3_value_double(value);
		memcpy(&bits, &real, sizeof bits);
		return add_number(ol_row_sum_add(sum, "r", 1), bits);
	case SQLITE_TEXT:
	case SQLITE_BLOB:
		/* Pointer first: it may convert, and the size is then that of the result. */
		bytes = type == SQLITE_TEXT ? (const void *)sqlite3_value_text(value)
					    : sqlite3_value_blob(value);
		size = (size_t)sqlite3_value_bytes(value);
		sum = ol_row_sum_add(sum, type == SQLITE_TEXT ? "t" : "b", 1);
		return ol_row_sum_add(add_number(sum, size), bytes, bytes ? size : 0);
	default:
		return ol_row_sum_add(sum, "n", 1);
	}
}

static void row_sum(sqlite3_context *context, int count, sqlite3_value **values)
{
	const void *table = sqlite3_value_text(values[0]);
	uint64_t sum = ol_row_sum_add(
		OL_ROW_SUM_BEGIN, table ? table : "", (size_t)sqlite3_value_bytes(values[0]));

	sum = ol_row_sum_add(sum, "", 1);
	for (int i = 1; i < count; i++)
		sum = ol_row_sum_value(sum, values[i]);
	sqlite3_result_int64(context, (sqlite3_int64)sum);
}

/* Innocuous: the schema may call it although it is not trusted (db.c, configure). */
int ol_row_sum_register(sqlite3 *handle)
{
	return sqlite3_create_function_v2(handle, "orlop_row_sum", -1,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL, row_sum, NULL, NULL,
		NULL);
}

int ol_row_fail(const char *table, const char *key, ol_error *err)
{
	ol_auto_str ol_str safe = OL_STR(256);

	(void)ol_str_add_safe(&safe, ol_view_of(key));
	(void)ol_fail(err, OL_ECORRUPT, "the row of %s for %s is damaged: its checksum is wrong",
		table, ol_str_text(&safe));
	return ol_hint(err, OL_ECORRUPT, "run `orlop check --repair`");
}

int ol_row_check(sqlite3_stmt *stmt, int column, const char *table, const char *key, ol_error *err)
{
	return sqlite3_column_int(stmt, column) == 1 ? OL_OK : ol_row_fail(table, key, err);
}

#define UNSOUND(table, row, key)                                                                   \
	"SELECT '" table "', " key " FROM " table " NOT INDEXED WHERE NOT " OL_SOUND(table, row)

int ol_rows_check_all(ol_db *db, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	const char *table, *key;
	int rc = ol_db_query(db, err, &stmt,
		UNSOUND("names", OL_ROW_NAMES, "coalesce(name, root)") " UNION ALL " UNSOUND(
			"edges", OL_ROW_EDGES, "parent") " UNION ALL " UNSOUND("layers",
			OL_ROW_LAYERS, "key") " UNION ALL " UNSOUND("blobs", OL_ROW_BLOBS,
			"digest") " UNION ALL " UNSOUND("leases", OL_ROW_LEASES,
			"id") " UNION ALL " UNSOUND("lease_items", OL_ROW_LEASE_ITEMS,
			"digest") " UNION ALL " UNSOUND("containers", OL_ROW_CONTAINERS,
			"id") " UNION ALL " UNSOUND("mounts", OL_ROW_MOUNTS,
			"id") " UNION ALL " UNSOUND("uses", OL_ROW_USES,
			"user") " UNION ALL " UNSOUND("attached", OL_ROW_ATTACHED,
			"subject") " LIMIT 1",
		"");

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc <= 0)
		return rc;
	table = (const char *)sqlite3_column_text(stmt, 0);
	key = (const char *)sqlite3_column_text(stmt, 1);
	return ol_row_fail(table ? table : "?", key ? key : "NULL", err);
}
