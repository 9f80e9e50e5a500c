/*
 * SQLite behind a handful of functions. Two connections a handle: a reader, which never waits for a
 * writer (WAL), and a writer, opened when first needed. Each is guarded by its mutex, so SQLite's
 * own are off.
 *
 * A process that finds the database locked waits: the holder is inside a transaction of a few
 * milliseconds, or dead, in which case the kernel has dropped its lock.
 */
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "store/row_priv.h"

/* Five minutes: longer means that the holder was stopped (SIGSTOP, a debugger), and silence would
 * be worse. */
#define BUSY_MAX_MS 300000
/* A checkpoint fsyncs, and in the middle of a pull that may take seconds: ol_store_sync makes it
 * behind the pull, and the log seldom grows so far (8 MiB, which the next open reads in some
 * milliseconds). */
#define CHECKPOINT_PAGES "2000"

void ol_db_init(ol_db *db)
{
	*db = (ol_db){ 0 };
	(void)pthread_mutex_init(&db->lock, NULL);
}

void ol_db_done(ol_db *db)
{
	for (size_t i = 0; i < db->cached; i++)
		(void)sqlite3_finalize(db->cache[i].stmt);
	(void)sqlite3_close(db->handle);
	db->handle = NULL;
	db->cached = 0;
	(void)pthread_mutex_destroy(&db->lock);
}

int ol_db_fail(ol_db *db, int sqlite_rc, const char *what, ol_error *err)
{
	const char *words = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(sqlite_rc);

	switch (sqlite_rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		(void)ol_fail(
			err, OL_ECORRUPT, "%s: the database orlop.db is damaged: %s", what, words);
		return ol_hint(err, OL_ECORRUPT,
			"run `orlop check --repair`: it makes the database again from what it "
			"tells of");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		(void)ol_fail(
			err, OL_EBUSY, "%s: another process has kept the database locked", what);
		return ol_hint(err, OL_EBUSY, "look for a stopped orlop process");
	case SQLITE_CONSTRAINT:
		return ol_fail(err, OL_EEXISTS, "%s: %s", what, words);
	case SQLITE_FULL:
		errno = ENOSPC;
		return ol_fail_sys(err, "%s", what);
	case SQLITE_READONLY:
		errno = EROFS;
		return ol_fail_sys(err, "%s: the database cannot be written", what);
	default:
		return ol_fail(err, OL_ESYSTEM, "%s: database: %s", what, words);
	}
}

static int wait_while_busy(void *ctx, int tries)
{
	static const uint64_t steps_ms[] = { 1, 1, 2, 2, 5, 5, 10, 10, 20 };
	const int count = (int)(sizeof steps_ms / sizeof steps_ms[0]);

	(void)ctx;
	if (tries > BUSY_MAX_MS / 20)
		return 0;
	ol_sleep_ms(steps_ms[tries < count ? tries : count - 1]);
	return 1;
}

void ol_db_wait_when_busy(ol_db *db)
{
	(void)sqlite3_busy_handler(db->handle, wait_while_busy, NULL);
}

/* Settings of a connection. synchronous = NORMAL: see invariant 3 in store.c. Views, triggers and
 * functions of the schema are ours, but the file may come from elsewhere: nothing in it may call
 * what touches the system. */
static int configure(ol_db *db, bool read_only, ol_error *err)
{
	static const char settings[] = "PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;"
				       "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
				       "PRAGMA wal_autocheckpoint = " CHECKPOINT_PAGES;
	int rc;

	(void)sqlite3_extended_result_codes(db->handle, 1);
	ol_db_wait_when_busy(db);
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* The last one out would fsync: that is for ol_store_sync, behind the pull. */
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, (int)OL_MANIFEST_BYTES_MAX);
	rc = sqlite3_exec(db->handle, settings, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = ol_row_sum_register(db->handle);
	if (rc == SQLITE_OK && read_only)
		rc = sqlite3_exec(db->handle, "PRAGMA query_only = ON", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return ol_db_fail(db, rc, "open", err);
	return OL_OK;
}

int ol_db_open(ol_db *db, const char *path, bool read_only, ol_error *err)
{
	ol_autofree char *uri = NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc;

	if (!read_only)
		flags |= SQLITE_OPEN_CREATE;
	rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
	if (rc == SQLITE_OK && read_only && sqlite3_db_readonly(db->handle, "main") == 1) {
		/* A read-only file system has no place for the -shm file; and nobody can change
		 * what is there. Such a path must not hold what a URI understands. */
		if (strpbrk(path, "?#%"))
			return ol_fail(
				err, OL_EUNSUPPORTED, "%s: cannot be opened read-only", path);
		(void)sqlite3_close(db->handle);
		uri = ol_text("file:%s?immutable=1", path);
		flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI |
			SQLITE_OPEN_EXRESCODE;
		rc = sqlite3_open_v2(uri, &db->handle, flags, NULL);
	}
	if (rc == SQLITE_OK)
		return configure(db, read_only, err);
	rc = ol_db_fail(db, rc, path, err);
	(void)sqlite3_close(db->handle);
	db->handle = NULL;
	return rc;
}

ol_db *ol_db_reader(ol_store *store)
{
	(void)pthread_mutex_lock(&store->reader.lock);
	return &store->reader;
}

void ol_db_release(ol_db **db)
{
	if (*db)
		(void)pthread_mutex_unlock(&(*db)->lock);
}

static int prepare(ol_db *db, const char *sql, sqlite3_stmt **out, ol_error *err)
{
	size_t i = 0;
	int rc;

	while (i < db->cached && db->cache[i].sql != sql)
		i++;
	if (i == db->cached) {
		assert(i < OL_STATEMENTS_MAX);
		rc = sqlite3_prepare_v3(
			db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &db->cache[i].stmt, NULL);
		if (rc != SQLITE_OK)
			return ol_db_fail(db, rc, "read", err);
		db->cache[i].sql = sql;
		db->cached++;
	}
	*out = db->cache[i].stmt;
	return OL_OK;
}

/* The callers begin ap; clang 14 loses sight of that.
 * NOLINTBEGIN(clang-analyzer-valist.Uninitialized) */
static int bind(sqlite3_stmt *stmt, const char *types, va_list ap)
{
	int rc = SQLITE_OK;

	for (int i = 1; *types && rc == SQLITE_OK; i++, types++) {
		if (*types == 'i') {
			rc = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
		} else if (*types == 't') {
			/* Copied: the text may die before the statement is reset. */
			rc = sqlite3_bind_text(
				stmt, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
		} else {
			const ol_digest *digest = va_arg(ap, const ol_digest *);

			assert(*types == 'd');
			if (digest && ol_digest_is_set(digest))
				rc = sqlite3_bind_text(stmt, i, ol_digest_format(digest).text, -1,
					SQLITE_TRANSIENT);
			else
				rc = sqlite3_bind_null(stmt, i);
		}
	}
	return rc;
}
/* NOLINTEND(clang-analyzer-valist.Uninitialized) */

static int query(ol_db *db, ol_error *err, sqlite3_stmt **out, const char *sql, const char *types,
	va_list ap)
{
	sqlite3_stmt *stmt = NULL;
	int rc = prepare(db, sql, &stmt, err);

	if (rc < 0)
		return rc;
	rc = bind(stmt, types, ap);
	if (rc != SQLITE_OK)
		return ol_db_fail(db, rc, "bind", err);
	*out = stmt;
	return OL_OK;
}

int ol_db_query(
	ol_db *db, ol_error *err, sqlite3_stmt **out, const char *sql, const char *types, ...)
{
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = query(db, err, out, sql, types, ap);
	va_end(ap);
	return rc;
}

int ol_db_step(ol_db *db, sqlite3_stmt *stmt, ol_error *err)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return ol_db_fail(db, rc, "store", err);
}

int ol_db_run(ol_db *db, ol_error *err, int64_t *changes, const char *sql, const char *types, ...)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = query(db, err, &stmt, sql, types, ap);
	va_end(ap);
	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc < 0)
		return rc;
	if (changes)
		*changes = sqlite3_changes64(db->handle);
	return OL_OK;
}

int ol_db_number(ol_db *db, ol_error *err, int64_t *out, const char *sql, const char *types, ...)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = query(db, err, &stmt, sql, types, ap);
	va_end(ap);
	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return ol_fail(err, OL_ENOTFOUND, "no such row");
	*out = sqlite3_column_int64(stmt, 0);
	return OL_OK;
}

/* "table.column", for words about a row that cannot be believed. */
static int bad_column(sqlite3_stmt *stmt, int column, const char *why, ol_error *err)
{
	const char *name = sqlite3_column_name(stmt, column);

	(void)ol_fail(err, OL_ECORRUPT, "database: column %s %s", name ? name : "?", why);
	return ol_hint(err, OL_ECORRUPT, "run `orlop check --repair`");
}

int ol_column_digest(
	sqlite3_stmt *stmt, int column, bool may_be_null, ol_digest *out, ol_error *err)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);
	size_t size = (size_t)sqlite3_column_bytes(stmt, column);
	ol_error inner = { 0 };

	if (!text && may_be_null) {
		*out = (ol_digest){ 0 };
		return OL_OK;
	}
	if (!text || ol_digest_parse(ol_view_from(text, size), out, &inner) < 0) {
		char why[256];

		(void)snprintf(why, sizeof why, "holds what is no digest: %.160s",
			text ? inner.text : "NULL");
		return bad_column(stmt, column, why, err);
	}
	return OL_OK;
}

int ol_column_u64(sqlite3_stmt *stmt, int column, uint64_t *out, ol_error *err)
{
	int64_t value = sqlite3_column_int64(stmt, column);

	if (sqlite3_column_type(stmt, column) != SQLITE_INTEGER || value < 0)
		return bad_column(stmt, column, "holds what is no count", err);
	*out = (uint64_t)value;
	return OL_OK;
}

static bool is_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

int ol_column_dup(sqlite3_stmt *stmt, int column, size_t max, char **out, ol_error *err)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);
	size_t size = (size_t)sqlite3_column_bytes(stmt, column);

	if (size > max)
		return bad_column(stmt, column, "is longer than it can be", err);
	if (size && !is_text(text, size))
		return bad_column(stmt, column, "holds control characters", err);
	*out = ol_strndup(text, text ? size : 0);
	return OL_OK;
}

int ol_column_copy(sqlite3_stmt *stmt, int column, char *out, size_t size, ol_error *err)
{
	ol_autofree char *text = NULL;
	int rc = ol_column_dup(stmt, column, size - 1, &text, err);

	if (rc < 0)
		return rc;
	(void)snprintf(out, size, "%s", text);
	return OL_OK;
}

static int control(ol_db *db, const char *sql, const char *what, ol_error *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? OL_OK : ol_db_fail(db, rc, what, err);
}

int ol_txn_begin(ol_store *store, bool durable, ol_txn *txn, ol_error *err)
{
	ol_db *db = &store->writer;
	int rc = OL_OK;

	if (store->read_only)
		return ol_fail(err, OL_EINVAL, "the store was opened read-only");
	(void)pthread_mutex_lock(&db->lock);
	if (!db->handle)
		rc = ol_db_open(db, store->db_path, false, err);
	if (rc == OL_OK && durable)
		rc = control(db, "PRAGMA synchronous = FULL", "begin", err);
	/* Writers queue here and nowhere later: a transaction that reads first and then wants to
	 * write could be refused. */
	if (rc == OL_OK)
		rc = control(db, "BEGIN IMMEDIATE", "begin", err);
	if (rc < 0) {
		(void)pthread_mutex_unlock(&db->lock);
		return rc;
	}
	txn->db = db;
	txn->durable = durable;
	return OL_OK;
}

static void finish(ol_txn *txn)
{
	if (txn->durable)
		(void)sqlite3_exec(
			txn->db->handle, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
	(void)pthread_mutex_unlock(&txn->db->lock);
	txn->db = NULL;
}

int ol_txn_commit(ol_txn *txn, ol_error *err)
{
	int rc = control(txn->db, "COMMIT", "commit", err);

	if (rc < 0)
		ol_txn_abort(txn);
	else
		finish(txn);
	return rc;
}

void ol_txn_abort(ol_txn *txn)
{
	if (!txn->db)
		return;
	if (!sqlite3_get_autocommit(txn->db->handle))
		(void)sqlite3_exec(txn->db->handle, "ROLLBACK", NULL, NULL, NULL);
	finish(txn);
}
