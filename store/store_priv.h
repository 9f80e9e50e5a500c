#pragma once

/*
 * What the files of store/ share: the handle, the two database connections, and how rows are read
 * and written.
 *
 *	read    ol_db *db = ol_db_reader(store); query, step*; the statement and the connection
 *	        end by themselves
 *	write   ol_txn_begin … ol_txn_commit; a transaction that goes out of scope before is
 *	        rolled back
 *
 * Lock order: ingest flock → writer → reader; the flock of the root folder (ol_root_lock) before
 * the writer. No callback runs under any of them, and nothing slower than a rename happens inside a
 * transaction.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/types.h>

#include "store/blob.h"
#include "store/layer.h"
#include "store/name.h"
#include "store/store.h"

#define OL_STATEMENTS_MAX                                                                          \
	128                /* distinct statement texts of store/: a bound for the cache, asserted */
#define OL_BOOT_ID_MAX  64 /* a boot id has 36 characters */
#define OL_STORE_ID_HEX 16

/* How much a row of blobs or layers may be trusted; the numbers stand in the database. */
typedef enum ol_row_state {
	OL_ROW_DURABLE = 0, /* verified, and fsynced since */
	OL_ROW_WRITTEN = 1, /* verified during the boot that the row names; may not outlive it */
	OL_ROW_DAMAGED = 2, /* found wrong: never used, waits to be replaced */
} ol_row_state;

/* One connection and its prepared statements. */
typedef struct ol_db {
	pthread_mutex_t lock; /* guards all below */
	sqlite3 *handle;      /* owned; NULL until first used (writer) */
	struct {
		const char *sql; /* a literal: its address is the key */
		sqlite3_stmt *stmt;
	} cache[OL_STATEMENTS_MAX];
	size_t cached;
} ol_db;

struct ol_store {
	char *root, *run_dir; /* owned, absolute */
	char *db_path;        /* owned */
	char id[OL_STORE_ID_HEX + 1];
	char boot[OL_BOOT_ID_MAX];
	int root_fd, run_fd, layers_fd, chains_fd, ingest_fd, containers_fd;
	int lazy_fd;                 /* -1: read-only, and an older orlop made it */
	int blobs_fd[OL_SHA512 + 1]; /* by algorithm; [0] is unused */
	bool read_only;
	_Atomic uint64_t passed_over; /* damaged rows that lists left out */
	/* index.json is behind: when (monotonic) this handle left it so, 0: it did not; and the
	 * mark that was there when it was opened, 0: none. */
	_Atomic uint64_t unlisted_ms;
	int64_t unlisted;
	ol_db reader, writer;
};

/* db.c */

void ol_db_init(ol_db *db);
void ol_db_done(ol_db *db);
int ol_db_open(ol_db *db, const char *path, bool read_only, ol_error *err);
/* What every connection does from the start: wait for other processes. */
void ol_db_wait_when_busy(ol_db *db);
/* The reader's connection, locked until it goes out of scope:  ol_auto_db ol_db *db =
 * ol_db_reader(store); */
ol_db *ol_db_reader(ol_store *store);
void ol_db_release(ol_db **db);
#define ol_auto_db __attribute__((cleanup(ol_db_release)))

/* Prepares (once) and binds: types has a letter for each argument: i int64_t, t const char * (NULL:
 * NULL), d const ol_digest * (none: NULL). The statement is lent; ol_auto_stmt resets it. */
int ol_db_query(
	ol_db *db, ol_error *err, sqlite3_stmt **out, const char *sql, const char *types, ...);
static inline void ol_stmt_reset(sqlite3_stmt **stmt)
{
	(void)sqlite3_reset(*stmt);
}
#define ol_auto_stmt __attribute__((cleanup(ol_stmt_reset)))
/* 1: there is a row; 0: the end; or a failure. */
int ol_db_step(ol_db *db, sqlite3_stmt *stmt, ol_error *err);
/* A statement without rows; *changes (or NULL) says how many rows it changed. */
int ol_db_run(ol_db *db, ol_error *err, int64_t *changes, const char *sql, const char *types, ...);
/* The one number a statement yields; OL_ENOTFOUND without a row. */
int ol_db_number(ol_db *db, ol_error *err, int64_t *out, const char *sql, const char *types, ...);
/* The words for what SQLite answered last. */
int ol_db_fail(ol_db *db, int sqlite_rc, const char *what, ol_error *err);

/* Columns, which are an outside input as well: OL_ECORRUPT names the column's table and row. */
int ol_column_digest(
	sqlite3_stmt *stmt, int column, bool may_be_null, ol_digest *out, ol_error *err);
int ol_column_u64(sqlite3_stmt *stmt, int column, uint64_t *out, ol_error *err);
int ol_column_copy(sqlite3_stmt *stmt, int column, char *out, size_t size, ol_error *err);
/* New memory; NULL in the row gives "". At most max bytes, of printable ASCII and UTF-8. */
int ol_column_dup(sqlite3_stmt *stmt, int column, size_t max, char **out, ol_error *err);

/* A write transaction: holds the writer's lock and the database's write lock. durable: its commit
 * is on disk before it returns, and with it every commit before (they are one log). */
typedef struct ol_txn {
	ol_db *db; /* NULL when there is none */
	bool durable;
} ol_txn;

int ol_txn_begin(ol_store *store, bool durable, ol_txn *txn, ol_error *err);
int ol_txn_commit(ol_txn *txn, ol_error *err);
void ol_txn_abort(ol_txn *txn); /* nothing is fine */
#define ol_auto_txn __attribute__((cleanup(ol_txn_abort)))

/* schema.c */

/* Brings the database to this program's version. OL_EUNSUPPORTED: it is newer. */
int ol_schema_migrate(ol_db *db, ol_error *err);
int ol_schema_version(ol_db *db, int64_t *out, ol_error *err);
extern const int ol_schema_newest;

/* store.c */

/* The flock of the root folder: who creates, migrates, or publishes index.json. *fd is closed to
 * end it. */
int ol_root_lock(ol_store *store, int *fd, ol_error *err);

/* rescue.c: there is no database, but there are files that it told of. */
bool ol_has_orphaned_files(ol_store *store);
/* A repair was killed between making a new database and putting it in place. */
bool ol_is_half_replaced(const ol_store *store);

/* A list left a damaged row out. */
void ol_passed_over(ol_store *store);

/* files.c */

/* A name for something that is being made (".tmp-…") or thrown away (".trash-…") inside a folder of
 * the store. */
typedef struct ol_scratch_name {
	char text[48];
} ol_scratch_name;
ol_scratch_name ol_scratch(const char *prefix);
#define OL_TMP_PREFIX   ".tmp-"
#define OL_TRASH_PREFIX ".trash-"
#define OL_DRAFT_PREFIX "draft-" /* in ingest/ */
/* Who hashes for long can be stopped and followed: bytes is counted up with each chunk. */
typedef struct ol_hash_watch {
	const ol_cancel *cancel; /* lent; NULL: never */
	_Atomic uint64_t *bytes; /* lent */
} ol_hash_watch;
/* Hashes a file from its start. watch NULL: to the end, unseen. OL_ECANCELED. */
int ol_hash_fd(
	int fd, ol_algorithm algorithm, const ol_hash_watch *watch, ol_digest *out, ol_error *err);
/* fsync of a file or folder beneath dir_fd. */
int ol_fsync_at(int dir_fd, const char *path, ol_error *err);
/* Text that may stand in a row and in index.json: printable ASCII, at most max bytes. */
bool ol_is_plain(const char *text, size_t max);

/* blob.c, layer.c */

static inline int ol_layers_dir(const ol_store *store, bool is_chain)
{
	return is_chain ? store->chains_fd : store->layers_fd;
}
int ol_blob_mark(ol_store *store, int64_t id, ol_row_state state, ol_error *err);
int ol_layer_mark(ol_store *store, int64_t id, ol_row_state state, ol_error *err);
#define OL_LAYER_INDEX "index.erofs"
#define OL_LAYER_TREE  "fs"

/* lazy.c */

/* Whether lazy/<hex>/seek is there. */
bool ol_lazy_is_there(const ol_store *store, const ol_digest *diff_id);
/* What its payload takes on the disk. */
uint64_t ol_lazy_disk_bytes(const ol_store *store, const ol_digest *diff_id);
int ol_lazy_fsync(ol_store *store, const ol_digest *diff_id, ol_error *err);
/* Removes it unless a row needs it or it is leased. *freed_bytes grows. */
int ol_lazy_release(
	ol_store *store, const ol_digest *diff_id, uint64_t *freed_bytes, ol_error *err);

/* index_json.c */

#define OL_ANNOTATION_NAME       "org.opencontainers.image.ref.name"
#define OL_ANNOTATION_ROOT       "dev.orlop.root"
#define OL_ANNOTATION_MEDIA_TYPE "dev.orlop.media-type"
#define OL_ANNOTATION_REPO       "dev.orlop.repo"
#define OL_ANNOTATION_CREATED    "dev.orlop.created"
#define OL_ANNOTATION_PINNED     "dev.orlop.pinned"
#define OL_ANNOTATION_IMPORTED   "dev.orlop.imported"

/* Publishes index.json from the names as they are now. */
int ol_listing_write(ol_store *store, bool durable, ol_error *err);
/* Commits a change of names, after which index.json follows: at once where it is short, else when
 * the handle is closed, a second has passed, or the next one who closes a handle finds that nobody
 * did (a mark in the database says so). */
int ol_listing_commit(ol_store *store, ol_txn *txn, ol_error *err);
/* When a handle is opened and closed. */
void ol_listing_recall(ol_store *store);
void ol_listing_settle(ol_store *store);
/* The text it would have. */
int ol_listing_format(ol_store *store, ol_str *out, ol_error *err);
