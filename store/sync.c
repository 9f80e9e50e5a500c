/*
 * ol_store_sync: from `written` to `durable`, behind the pull's back (docs/architecture.md
 * "Durable without waiting"). Files
 * first, then their folders, then one FULL commit, which brings the whole log to disk and so
 * everything that was committed before it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "store/lazy.h"
#include "store/row_priv.h"

struct item {
	int64_t id;
	ol_digest digest;
	ol_digest lazy; /* DiffID, of a layer that has a folder in lazy/; or unset */
	bool is_layer, is_chain, is_tree, failed;
};

struct work {
	struct item *items; /* owned */
	size_t count, cap;
};

static void work_done(struct work *work)
{
	free(work->items);
}

#define WRITTEN " AND state = 1 AND boot = ?1"
#define BLOBS   OL_SOUND_ROWS("blobs", OL_ROW_BLOBS, "id, digest, 0, 0, 0, NULL") WRITTEN
#define LAYERS                                                                                     \
	OL_SOUND_ROWS("layers", OL_ROW_LAYERS,                                                     \
		"id, key, 1, is_chain, index_digest IS NULL, CASE WHEN driver = '" OL_LAZY_DRIVER  \
		"' THEN diff_id END")                                                              \
	WRITTEN

/* Rows of another boot are not ours to bless: their bytes must be proved first (invariant 4). */
static int list_work(ol_store *store, struct work *work, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt, BLOBS " UNION ALL " LAYERS, "t", store->boot);

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		struct item item = {
			.id = sqlite3_column_int64(stmt, 0),
			.is_layer = sqlite3_column_int(stmt, 2) != 0,
			.is_chain = sqlite3_column_int(stmt, 3) != 0,
			.is_tree = sqlite3_column_int(stmt, 4) != 0,
		};

		rc = ol_column_digest(stmt, 1, false, &item.digest, err);
		if (rc == OL_OK)
			rc = ol_column_digest(stmt, 5, true, &item.lazy, err);
		OL_GROW(work->items, work->count, work->cap);
		work->items[work->count++] = item;
	}
	return rc;
}

static int sync_layer(ol_store *store, const struct item *item, ol_error *err)
{
	ol_autofd int fd = -1;
	int rc = ol_dir_open(
		ol_layers_dir(store, item->is_chain), ol_digest_hex(&item->digest).text, &fd, err);

	/* A tree's many files were written by syncfs; its folder is cheap to say again. */
	if (rc == OL_OK && !item->is_tree)
		rc = ol_fsync_at(fd, OL_LAYER_INDEX, err);
	if (rc == OL_OK && fsync(fd) < 0)
		rc = ol_fail_sys(err, "fsync");
	if (rc == OL_OK && ol_digest_is_set(&item->lazy))
		rc = ol_lazy_fsync(store, &item->lazy, err);
	return rc;
}

static int sync_item(ol_store *store, const struct item *item, ol_error *err)
{
	if (item->is_layer)
		return sync_layer(store, item, err);
	return ol_fsync_at(
		store->blobs_fd[item->digest.algorithm], ol_digest_hex(&item->digest).text, err);
}

static int sync_files(ol_store *store, struct work *work, const ol_cancel *cancel, ol_error *err)
{
	bool trees = false;

	for (size_t i = 0; i < work->count; i++)
		trees = trees || work->items[i].is_tree;
	if (trees && syncfs(store->root_fd) < 0)
		return ol_fail_sys(err, "syncfs %s", store->root);
	for (size_t i = 0; i < work->count; i++) {
		struct item *item = &work->items[i];
		int rc = ol_cancel_check(cancel, err);

		if (rc == OL_OK)
			rc = sync_item(store, item, err);
		/* gc was faster, or it is damaged: whatever it is, it is not durable. */
		item->failed = rc == OL_ENOTFOUND;
		if (rc < 0 && !item->failed)
			return ol_wrap(err, rc, "sync %s", ol_digest_format(&item->digest).text);
	}
	return OL_OK;
}

static int sync_folders(ol_store *store, ol_error *err)
{
	const int fds[] = { store->blobs_fd[OL_SHA256], store->blobs_fd[OL_SHA512],
		store->layers_fd, store->chains_fd };

	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (fsync(fds[i]) < 0)
			return ol_fail_sys(err, "fsync %s", store->root);
	return OL_OK;
}

/* By id: a row that was removed and made anew since is another one (schema.c). */
static int mark(ol_store *store, const struct work *work, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc = ol_txn_begin(store, true, &txn, err);

	for (size_t i = 0; rc == OL_OK && i < work->count; i++) {
		const struct item *item = &work->items[i];

		if (item->failed)
			continue;
		if (item->is_layer)
			rc = ol_db_run(txn.db, err, NULL,
				"UPDATE layers SET state = 0 WHERE id = ? AND state = 1", "i",
				item->id);
		else
			rc = ol_db_run(txn.db, err, NULL,
				"UPDATE blobs SET state = 0 WHERE id = ? AND state = 1", "i",
				item->id);
	}
	/* A commit without a change would not touch the log, and what others committed before might
	 * not be on disk yet. */
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"INSERT INTO store(key, value) VALUES('synced', 1) ON CONFLICT(key) DO "
			"UPDATE SET "
			"value = value + 1",
			"");
	if (rc == OL_OK)
		rc = ol_fault("store.sync.commit", err);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

/* Brings the log into the database and empties it, so that the next open has nothing to read
 * through. Others may be reading: then as far as it goes, without waiting. */
static void checkpoint(ol_store *store)
{
	ol_db *db = &store->writer;

	(void)pthread_mutex_lock(&db->lock);
	(void)sqlite3_busy_handler(db->handle, NULL, NULL);
	(void)sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	ol_db_wait_when_busy(db);
	(void)pthread_mutex_unlock(&db->lock);
}

int ol_store_sync(ol_store *store, const ol_cancel *cancel, ol_error *err)
{
	__attribute__((cleanup(work_done))) struct work work = { 0 };
	int rc = list_work(store, &work, err);

	if (rc == OL_OK)
		rc = ol_fault("store.sync.begin", err);
	if (rc == OL_OK)
		rc = sync_files(store, &work, cancel, err);
	if (rc == OL_OK)
		rc = ol_fault("store.sync.files", err);
	if (rc == OL_OK)
		rc = sync_folders(store, err);
	if (rc == OL_OK)
		rc = mark(store, &work, err);
	if (rc == OL_OK)
		rc = ol_listing_write(store, true, err);
	if (rc == OL_OK)
		checkpoint(store);
	return rc;
}
