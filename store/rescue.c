/*
 * The database made readable again: first in place, row by row; where SQLite itself cannot read it,
 * a new one beside it:
 *
 *	orlop.db ──▶ rows that prove themselves, or miss one bit ──▶ .tmp-…
 *	   │                                                            ▼
 *	   └────────▶ orlop.db.damaged-<time>                    orlop.db.mended ──▶ orlop.db
 *
 * The new one is born with the row ('rebuild', 1) of `store`, which keeps everybody else out.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "store/gc_priv.h"
#include "store/row_mend_priv.h"

#define DATABASE "database orlop.db"
#define MENDED   "orlop.db.mended"

static int exec(ol_db *db, const char *sql, ol_error *err)
{
	const int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? OL_OK : ol_db_fail(db, rc, "mend the database", err);
}

/* OL_ECORRUPT when SQLite finds anything wrong. */
static int look(ol_db *db, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	const char *text;
	int rc = ol_db_query(db, err, &stmt, "PRAGMA integrity_check(1)", "");

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc < 0)
		return rc;
	text = rc == 1 ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
	return text && strcmp(text, "ok") == 0
		       ? OL_OK
		       : ol_fail(err, OL_ECORRUPT, "%.200s", text ? text : "it cannot be read");
}

static int set_flag(ol_db *db, ol_error *err)
{
	return ol_db_run(
		db, err, NULL, "INSERT OR REPLACE INTO store(key, value) VALUES('rebuild', 1)", "");
}

static int mend_rows(ol_store *store, const ol_mender *mender, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	bool lost = false;
	int rc = ol_txn_begin(store, true, &txn, err);

	if (rc == OL_OK)
		rc = ol_rows_mend(store, &txn, mender, &lost, err);
	if (rc == OL_OK && lost)
		rc = set_flag(txn.db, err);
	if (rc == OL_OK)
		rc = look(txn.db, err);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

/* What was done is told when it is certain that it was. */
struct told {
	ol_mended *list; /* owned, and the strings */
	size_t count, cap;
};

static void remember(void *ctx, const ol_mended *mended)
{
	struct told *told = ctx;

	OL_GROW(told->list, told->count, told->cap);
	told->list[told->count++] =
		(ol_mended){ ol_strdup(mended->what), ol_strdup(mended->how), mended->mended };
}

static void tell_all(const struct told *told, const ol_mender *mender)
{
	for (size_t i = 0; i < told->count; i++)
		mender->told(mender->ctx, &told->list[i]);
}

static void told_done(struct told *told)
{
	for (size_t i = 0; i < told->count; i++) {
		free((char *)told->list[i].what);
		free((char *)told->list[i].how);
	}
	free(told->list);
}

/* An index that forgot a row, or remembers another, is made anew from its table. */
static int mend_in_place(ol_store *store, const ol_mender *mender, ol_error *err)
{
	__attribute__((cleanup(told_done))) struct told told = { 0 };
	const ol_mender inner = { remember, &told };
	ol_error why = { 0 };
	int64_t version = 0;
	int rc = ol_db_open(&store->writer, store->db_path, false, err);

	if (rc == OL_OK)
		rc = ol_schema_version(&store->writer, &version, err);
	if (rc == OL_OK)
		rc = ol_schema_migrate(&store->writer, err);
	if (rc == OL_OK && look(&store->writer, &why) == OL_ECORRUPT && strstr(why.text, "index")) {
		rc = exec(&store->writer, "REINDEX", err);
		if (rc == OL_OK)
			remember(&told,
				&(ol_mended){ DATABASE, "its indexes were made anew", true });
	}
	if (rc == OL_OK)
		rc = mend_rows(store, &inner, err);
	if (rc == OL_OK && mender->told)
		tell_all(&told, mender);
	/* Two rows that say the same (an index refuses them) are sorted out by copying. */
	return rc == OL_EEXISTS ? OL_ECORRUPT : rc;
}

struct copy {
	ol_store *store;
	const ol_mender *mender;
	ol_db *from, *to;
};

/* Which of two rows that say the same came first is no matter: one is enough. */
static int insert_row(const struct copy *copy, const ol_table *table, const ol_row *row,
	const ol_flip *flip, ol_error *err)
{
	ol_auto_str ol_str sql = OL_STR(4096);
	sqlite3_stmt *stmt = NULL;
	int rc;

	(void)ol_str_addf(&sql, "INSERT OR IGNORE INTO %s(%s) VALUES(", table->name, table->row);
	for (int i = 1; i <= row->count; i++)
		(void)ol_str_addf(&sql, "%s?%d", i > 1 ? ", " : "", i);
	(void)ol_str_addc(&sql, ')');
	rc = sqlite3_prepare_v2(copy->to->handle, ol_str_text(&sql), -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = ol_row_bind(stmt, row, flip);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	(void)sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? OL_OK : ol_db_fail(copy->to, rc, "copy a row", err);
}

static int copy_table(const struct copy *copy, const ol_table *table, ol_error *err)
{
	__attribute__((cleanup(ol_rows_done))) ol_rows rows = { 0 };
	ol_flip flip;
	int rc = OL_OK;

	/* What can be read is taken, however it ends. */
	if (copy->from->handle)
		(void)ol_rows_read(copy->from, table, OL_ROWS_ALL, &rows, NULL);
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; rc == OL_OK && i < rows.count; i++) {
			const ol_row *row = &rows.list[i];
			const bool sound = row->has_sum && row->sum == ol_row_sum_of(table, row);

			if (sound != (pass == 0))
				continue;
			if (sound)
				rc = insert_row(copy, table, row, NULL, err);
			else if (ol_row_find_flip(table, row, &flip))
				rc = insert_row(copy, table, row, &flip, err);
			else
				(void)ol_row_give_up(copy->store, copy->mender, table, row);
		}
	return rc;
}

/* Rows of a folder that say what is not there any more are what check finds. */
static int copy_rows(const struct copy *copy, ol_error *err)
{
	int rc = exec(copy->to, "BEGIN IMMEDIATE", err);

	if (rc == OL_OK)
		rc = exec(copy->to, "DELETE FROM store", err);
	for (size_t t = 0; rc == OL_OK && t < OL_TABLE_COUNT; t++)
		rc = copy_table(copy, &ol_tables[t], err);
	if (rc == OL_OK)
		rc = ol_db_run(copy->to, err, NULL,
			"INSERT OR IGNORE INTO store(key, value) VALUES('id', "
			"lower(hex(randomblob(8)))), ('changes', abs(random() % 1000000000000))",
			"");
	if (rc == OL_OK)
		rc = set_flag(copy->to, err);
	return rc == OL_OK ? exec(copy->to, "COMMIT", err) : rc;
}

/* journal_mode = DELETE: the new file is whole by itself when it takes its name. */
static int make_new(ol_store *store, const ol_mender *mender, const char *name, ol_error *err)
{
	ol_autofree char *path = ol_text("%s/%s", store->root, name);
	ol_db from, to;
	struct copy copy = { store, mender, &from, &to };
	int rc;

	ol_db_init(&from);
	ol_db_init(&to);
	rc = ol_db_open(&to, path, false, err);
	if (rc == OL_OK)
		rc = ol_schema_migrate(&to, err);
	if (rc == OL_OK && faccessat(store->root_fd, "orlop.db", F_OK, 0) == 0 &&
		ol_db_open(&from, store->db_path, false, NULL) < 0) {
		ol_db_done(&from);
		ol_db_init(&from);
	}
	if (rc == OL_OK)
		rc = copy_rows(&copy, err);
	if (rc == OL_OK)
		rc = exec(&to, "PRAGMA journal_mode = DELETE", err);
	ol_db_done(&from);
	ol_db_done(&to);
	return rc == OL_OK ? ol_fsync_at(store->root_fd, name, err) : rc;
}

static bool is_there(const ol_store *store, const char *name)
{
	return faccessat(store->root_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int forget_file(ol_store *store, const char *name, ol_error *err)
{
	if (unlinkat(store->root_fd, name, 0) < 0 && errno != ENOENT)
		return ol_fail_sys(err, "%s", name);
	return OL_OK;
}

/* A second name for the damaged database and its log. */
static int keep_aside(ol_store *store, char aside[64], ol_error *err)
{
	char log[72];

	for (int64_t when = ol_unix_now();; when++) {
		(void)snprintf(aside, 64, "orlop.db.damaged-%lld", (long long)when);
		if (linkat(store->root_fd, "orlop.db", store->root_fd, aside, 0) == 0)
			break;
		if (errno != EEXIST) /* of one who was killed here */
			return ol_fail_sys(err, "%s", aside);
	}
	(void)snprintf(log, sizeof log, "%s-wal", aside);
	if (linkat(store->root_fd, "orlop.db-wal", store->root_fd, log, 0) < 0 && errno != ENOENT)
		return ol_fail_sys(err, "%s", log);
	return OL_OK;
}

/* From the moment that the new database has the name MENDED it is the one that counts, whoever
 * dies: the old one is then taken apart, which its log, a second file, does not let happen at once.
 * The log goes first: it must never be taken for that of the new file. */
static int take_place(ol_store *store, const ol_mender *mender, ol_error *err)
{
	const bool there = is_there(store, "orlop.db");
	char aside[64] = "";
	int rc = there ? keep_aside(store, aside, err) : OL_OK;

	if (rc == OL_OK)
		rc = forget_file(store, "orlop.db-wal", err);
	if (rc == OL_OK)
		rc = forget_file(store, "orlop.db-shm", err);
	if (rc == OL_OK)
		rc = ol_fault("store.rescue.aside", err);
	if (rc == OL_OK)
		rc = ol_publish_move(store->root_fd, MENDED, store->root_fd, "orlop.db",
			OL_PUBLISH_SYNC | OL_PUBLISH_REPLACE, err);
	if (rc < 0)
		return rc;
	if (there)
		ol_mended_tell(mender, true, DATABASE,
			"moved aside as %s and made again from what it and the store's files say",
			aside);
	else
		ol_mended_tell(mender, true, DATABASE,
			"it was missing and is made again from the store's files");
	return OL_OK;
}

static int replace(ol_store *store, const ol_mender *mender, ol_error *err)
{
	const ol_scratch_name name = ol_scratch(OL_TMP_PREFIX);
	int rc = make_new(store, mender, name.text, err);

	if (rc == OL_OK)
		rc = ol_fault("store.rescue.made", err);
	if (rc == OL_OK)
		rc = ol_publish_move(
			store->root_fd, name.text, store->root_fd, MENDED, OL_PUBLISH_SYNC, err);
	if (rc < 0) {
		(void)unlinkat(store->root_fd, name.text, 0);
		return rc;
	}
	return take_place(store, mender, err);
}

/* It is opened anew when it is needed. */
static void close_writer(ol_store *store)
{
	ol_db_done(&store->writer);
	ol_db_init(&store->writer);
}

static int see_any(void *ctx, const char *name, ol_error *err)
{
	ol_digest digest;

	(void)err;
	if (ol_name_is_key(name, OL_SHA256, &digest) || ol_name_is_key(name, OL_SHA512, &digest))
		*(bool *)ctx = true;
	return OL_OK;
}

bool ol_has_orphaned_files(ol_store *store)
{
	bool any = false;

	if (is_there(store, "orlop.db"))
		return false;
	for (size_t i = OL_SHA256; i <= OL_SHA512; i++)
		(void)ol_each_name(store->blobs_fd[i], see_any, &any, NULL);
	(void)ol_each_name(store->layers_fd, see_any, &any, NULL);
	return any;
}

bool ol_is_half_replaced(const ol_store *store)
{
	return is_there(store, MENDED);
}

int ol_rescue(ol_store *store, const ol_mender *mender, ol_error *err)
{
	ol_autofd int lock = -1;
	int rc = ol_root_lock(store, &lock, err);

	if (rc == OL_OK && ol_is_half_replaced(store))
		rc = take_place(store, mender, err);
	if (rc == OL_OK && is_there(store, "orlop.db"))
		rc = mend_in_place(store, mender, err);
	else if (rc == OL_OK && ol_has_orphaned_files(store))
		rc = OL_ECORRUPT;
	close_writer(store);
	if (rc == OL_ECORRUPT)
		rc = replace(store, mender, err);
	return rc < 0 ? ol_wrap(err, rc, "repair") : OL_OK;
}

bool ol_store_is_rebuilding(ol_store *store)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	int64_t is = 0;

	return ol_db_number(db, NULL, &is,
		       "SELECT EXISTS(SELECT 1 FROM store WHERE key = 'rebuild')", "") == OL_OK &&
	       is;
}

int ol_store_rebuilt(ol_store *store, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc = ol_fault("store.rebuilt", err);

	if (rc == OL_OK)
		rc = ol_txn_begin(store, true, &txn, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL, "DELETE FROM store WHERE key = 'rebuild'", "");
	if (rc == OL_OK)
		rc = ol_txn_commit(&txn, err);
	return rc == OL_OK ? ol_listing_write(store, true, err) : rc;
}
