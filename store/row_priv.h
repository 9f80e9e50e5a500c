#pragma once

/*
 * Rows that prove themselves: a column of every table, `sum`, is a checksum of the others.
 *
 * It is kept by triggers, so no statement can forget it, and computed by the SQL function
 * orlop_row_sum(table, column, …), which every connection has. An UPDATE renews the sum only of a
 * row that was sound before: damage is never sealed in. Whoever reads a row for use asks for
 * OL_SOUND(…) as well and believes nothing of one that is not. docs/formats.md, "Row checksums".
 */
#include "store/store_priv.h"

/* All columns but sum, in the order of declaration, as the checksum takes them. */
#define OL_ROW_STORE       "key, value"
#define OL_ROW_BLOBS       "id, digest, size, state, boot, created"
#define OL_ROW_EDGES       "parent, child"
#define OL_ROW_LEASES      "id, why, expires, pid, pid_start, boot"
#define OL_ROW_LEASE_ITEMS "lease, digest"
#define OL_ROW_LAYERS                                                                              \
	"id, key, is_chain, diff_id, driver, leans, tar_bytes, disk_bytes, entries, blob, "        \
	"blob_size, media_type, index_digest, origin, state, boot, created"
#define OL_ROW_NAMES                                                                               \
	"id, name, repo, root, media_type, created, listed, listed_size, listed_media_type, "      \
	"pinned, imported, summary"
#define OL_ROW_CONTAINERS                                                                          \
	"id, name, image, root, config, command, created, started, finished, state, exit_status, " \
	"pid, pid_start, boot, remove_on_exit"
#define OL_ROW_MOUNTS                                                                              \
	"id, target, image, root, config, writable, created, boot, users, namespace, idmap, "      \
	"bundle"
#define OL_ROW_USES     "user, key"
#define OL_ROW_ATTACHED "subject, kind, blob"

/* An SQL expression: 1 when the row is what was written. table: a literal, as is row. */
#define OL_SOUND(table, row) "(sum IS orlop_row_sum('" table "', " row "))"

/* The sound rows of a table; " AND …" may follow. */
#define OL_SOUND_ROWS(table, row, columns)                                                         \
	"SELECT " columns " FROM " table " WHERE " OL_SOUND(table, row)

/* One table, for those who treat all alike (check, repair). */
typedef struct ol_table {
	const char *name;
	const char *row;    /* OL_ROW_… */
	const char *key;    /* SQL: what a person knows the row by, as text */
	const char *ids[2]; /* the columns of its primary key, which the row begins with; or NULL */
} ol_table;
#define OL_TABLE_COUNT 11
extern const ol_table ol_tables[OL_TABLE_COUNT];

/* Gives a connection orlop_row_sum. */
int ol_row_sum_register(sqlite3 *handle);
/* The checksum itself, over bytes in the form that row.c describes. */
uint64_t ol_row_sum_add(uint64_t sum, const void *data, size_t size);
#define OL_ROW_SUM_BEGIN UINT64_C(0xcbf29ce484222325)
/* Adds one value: what sqlite3_value_* says of it. */
uint64_t ol_row_sum_value(uint64_t sum, sqlite3_value *value);

/* OL_ECORRUPT, unless the column (an OL_SOUND) says 1. key: for people. */
int ol_row_check(sqlite3_stmt *stmt, int column, const char *table, const char *key, ol_error *err);
/* The same words without a statement. */
int ol_row_fail(const char *table, const char *key, ol_error *err);
/* OL_ECORRUPT when any row of the store is damaged: what it keeps alive cannot be told. For gc. */
int ol_rows_check_all(ol_db *db, ol_error *err);
