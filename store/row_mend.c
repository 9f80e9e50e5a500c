/* Damaged rows, each by itself: one wrong bit is turned back, else the row goes. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "store/row_mend_priv.h"
#include "store/use_priv.h"

void ol_mended_tell(const ol_mender *mender, bool mended, const char *what, const char *fmt, ...)
{
	char how[400];
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 loses sight of va_start */
	(void)vsnprintf(how, sizeof how, fmt, ap);
	va_end(ap);
	if (mender && mender->told)
		mender->told(mender->ctx, &(ol_mended){ what, how, mended });
}

void ol_rows_done(ol_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		ol_row_done(&rows->list[i]);
	free(rows->list);
	*rows = (ol_rows){ 0 };
}

/* The columns of the statement: the row's, sum, and what people know it by. */
static void take_row(sqlite3_stmt *stmt, ol_rows *out)
{
	ol_auto_str ol_str key = OL_STR(300);
	const int count = sqlite3_column_count(stmt) - 2;
	const void *text = sqlite3_column_text(stmt, count + 1);
	ol_row row = { .count = count, .values = ol_alloc_array((size_t)count, sizeof(void *)) };

	(void)ol_str_add_safe(
		&key, ol_view_from(text, text ? (size_t)sqlite3_column_bytes(stmt, count + 1) : 0));
	row.key = ol_strdup(ol_str_text(&key));
	for (int i = 0; i < count; i++)
		row.values[i] = sqlite3_value_dup(sqlite3_column_value(stmt, i));
	row.has_sum = sqlite3_column_type(stmt, count) == SQLITE_INTEGER;
	row.sum = (uint64_t)sqlite3_column_int64(stmt, count);
	OL_GROW(out->list, out->count, out->cap);
	out->list[out->count++] = row;
}

/* Statements made of names are not the cache's, which goes by the address of a literal. */
static int prepare(ol_db *db, const char *sql, sqlite3_stmt **out, ol_error *err)
{
	const int rc = sqlite3_prepare_v2(db->handle, sql, -1, out, NULL);

	return rc == SQLITE_OK ? OL_OK : ol_db_fail(db, rc, "read", err);
}

int ol_rows_read(ol_db *db, const ol_table *table, ol_rows_which which, ol_rows *out, ol_error *err)
{
	/* NOT INDEXED: what the table itself says, not what an index remembers of it. */
	ol_autofree char *all = ol_text(
		"SELECT %s, sum, %s FROM %s NOT INDEXED", table->row, table->key, table->name);
	ol_autofree char *some = ol_text(
		"%s WHERE NOT (sum IS orlop_row_sum('%s', %s))", all, table->name, table->row);
	sqlite3_stmt *stmt = NULL;
	int rc = prepare(db, which == OL_ROWS_ALL ? all : some, &stmt, err);

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1)
		take_row(stmt, out);
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* " WHERE id = ?N AND …", with parameters from first on. */
static char *where(const ol_table *table, int first)
{
	return table->ids[1] ? ol_text(" WHERE %s = ?%d AND %s = ?%d", table->ids[0], first,
				       table->ids[1], first + 1)
			     : ol_text(" WHERE %s = ?%d", table->ids[0], first);
}

static int bind_key(sqlite3_stmt *stmt, const ol_table *table, const ol_row *row, int first)
{
	int rc = sqlite3_bind_value(stmt, first, row->values[0]);

	return rc == SQLITE_OK && table->ids[1]
		       ? sqlite3_bind_value(stmt, first + 1, row->values[1])
		       : rc;
}

/* Runs and finalizes. bound: what binding answered. *changes: rows changed. */
static int finish(ol_db *db, sqlite3_stmt *stmt, int bound, int64_t *changes, ol_error *err)
{
	int rc =
		bound == SQLITE_OK ? ol_db_step(db, stmt, err) : ol_db_fail(db, bound, "bind", err);

	*changes = rc == 0 ? sqlite3_changes64(db->handle) : 0;
	(void)sqlite3_finalize(stmt);
	return rc;
}

static int delete_row(ol_db *db, const ol_table *table, const ol_row *row, ol_error *err)
{
	ol_autofree char *match = where(table, 1);
	ol_autofree char *sql = ol_text("DELETE FROM %s%s", table->name, match);
	sqlite3_stmt *stmt = NULL;
	int64_t changes = 0;
	int rc = prepare(db, sql, &stmt, err);

	if (rc == OL_OK)
		rc = finish(db, stmt, bind_key(stmt, table, row, 1), &changes, err);
	if (rc == OL_OK && changes != 1)
		rc = ol_fail(err, OL_ECORRUPT, "a row of %s cannot be found by its own key",
			table->name);
	return rc;
}

/* OL_EEXISTS: another row says the same by now. */
static int restore_row(
	ol_db *db, const ol_table *table, const ol_row *row, const ol_flip *flip, ol_error *err)
{
	ol_auto_str ol_str sql = OL_STR(4096);
	ol_autofree char *match = where(table, row->count + 2);
	sqlite3_stmt *stmt = NULL;
	int64_t changes = 0;
	int rc, bound;

	(void)ol_str_addf(&sql, "UPDATE %s SET (%s) = (", table->name, table->row);
	for (int i = 1; i <= row->count; i++)
		(void)ol_str_addf(&sql, "%s?%d", i > 1 ? ", " : "", i);
	(void)ol_str_addf(&sql, "), sum = ?%d%s", row->count + 1, match);
	rc = prepare(db, ol_str_text(&sql), &stmt, err);
	if (rc < 0)
		return rc;
	bound = ol_row_bind(stmt, row, flip);
	if (bound == SQLITE_OK)
		bound = sqlite3_bind_int64(stmt, row->count + 1,
			(sqlite3_int64)(flip->column < 0 ? ol_row_sum_of(table, row) : row->sum));
	if (bound == SQLITE_OK)
		bound = bind_key(stmt, table, row, row->count + 2);
	rc = finish(db, stmt, bound, &changes, err);
	if (rc == OL_OK && changes != 1)
		rc = ol_fail(err, OL_ECORRUPT, "a row of %s cannot be found by its own key",
			table->name);
	return rc;
}

/* gc leaves a folder alone whose name is no id. It may have been moved by an attempt that went
 * another way afterwards. */
static bool put_away(ol_store *store, const char *id, char kept[80])
{
	(void)snprintf(kept, 80, "lost-%.64s", id);
	if (!ol_is_user_id(id))
		return false;
	(void)ol_publish_move(store->containers_fd, id, store->containers_fd, kept, 0, NULL);
	return faccessat(store->containers_fd, kept, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool ol_row_give_up(
	ol_store *store, const ol_mender *mender, const ol_table *table, const ol_row *row)
{
	ol_autofree char *what = ol_text("row of %s for %s", table->name, row->key);
	char kept[80];

	if (strcmp(table->name, "containers") == 0 || strcmp(table->name, "mounts") == 0) {
		if (put_away(store, row->key, kept))
			ol_mended_tell(mender, false, what,
				"cannot be mended and was removed; its files are in containers/%s",
				kept);
		else
			ol_mended_tell(mender, false, what,
				"cannot be mended and was removed; it had no folder that could be "
				"found");
		return false;
	}
	if (strcmp(table->name, "blobs") == 0 || strcmp(table->name, "layers") == 0 ||
		strcmp(table->name, "edges") == 0 || strcmp(table->name, "names") == 0) {
		ol_mended_tell(mender, true, what,
			"removed, to be made again from blobs, manifests and index.json");
		return true;
	}
	ol_mended_tell(mender, true, what, "removed: nothing depends on it");
	return false;
}

/* The rows without which there is no store. */
static int renew_facts(ol_db *db, ol_error *err)
{
	int rc = ol_db_run(db, err, NULL,
		"INSERT OR IGNORE INTO store(key, value) VALUES('id', lower(hex(randomblob(8))))",
		"");

	/* Any number that nobody remembers will do. */
	return rc < 0 ? rc
		      : ol_db_run(db, err, NULL,
				"INSERT OR IGNORE INTO store(key, value) VALUES('changes', "
				"abs(random() % 1000000000000))",
				"");
}

struct mending {
	ol_store *store; /* lent, as is all else */
	ol_db *db;
	const ol_mender *mender;
	bool *lost;
};

static int mend_row(
	const struct mending *self, const ol_table *table, const ol_row *row, ol_error *err)
{
	ol_autofree char *what = ol_text("row of %s for %s", table->name, row->key);
	ol_flip flip = { 0 };
	int rc;

	if (ol_row_find_flip(table, row, &flip)) {
		rc = restore_row(self->db, table, row, &flip, err);
		if (rc == OL_OK)
			ol_mended_tell(
				self->mender, true, what, "one bit was wrong and is right again");
		if (rc != OL_EEXISTS)
			return rc;
		ol_mended_tell(self->mender, true, what, "removed: it was written anew since");
		return delete_row(self->db, table, row, err);
	}
	rc = delete_row(self->db, table, row, err);
	if (rc == OL_OK && ol_row_give_up(self->store, self->mender, table, row))
		*self->lost = true;
	return rc;
}

int ol_rows_mend(ol_store *store, ol_txn *txn, const ol_mender *mender, bool *lost, ol_error *err)
{
	const struct mending self = { store, txn->db, mender, lost };
	int rc = OL_OK;

	for (size_t t = 0; rc == OL_OK && t < OL_TABLE_COUNT; t++) {
		__attribute__((cleanup(ol_rows_done))) ol_rows rows = { 0 };

		rc = ol_rows_read(txn->db, &ol_tables[t], OL_ROWS_UNSOUND, &rows, err);
		for (size_t i = 0; rc == OL_OK && i < rows.count; i++)
			rc = mend_row(&self, &ol_tables[t], &rows.list[i], err);
	}
	if (rc == OL_OK)
		rc = renew_facts(txn->db, err);
	return rc == OL_OK ? ol_fault("store.mend.rows", err) : rc;
}
