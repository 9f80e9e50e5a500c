/*
 * Blobs: blobs/<algorithm>/<hex> and a row each.
 *
 *	          put, adopt: file under its name, then row               sync
 *	(absent) ──────────────────────────────────────▶ written(boot) ─────────▶ durable
 *	    ▲                                             │    ▲    │                │
 *	    │ gc: row, then file          another boot:   │    │    │ found wrong    │ found wrong
 *	    └──────────────────────────   hash once more ─┘ ok ┘    ▼                ▼
 *	                                                          damaged ◀───────────┘
 *	                                                             └─ put, adopt bring it anew
 */
#include "store/blob.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/row_priv.h"

/* Rows read at once by ol_blob_each: bounds its memory, and the callback runs without a lock. */
#define PAGE_ROWS 256

struct row {
	int64_t id;
	uint64_t size;
	ol_row_state state;
	char boot[OL_BOOT_ID_MAX];
};

static int fail_damaged(const ol_digest *digest, const char *why, ol_error *err)
{
	(void)ol_fail(err, OL_ECORRUPT, "blob %s %s", ol_digest_format(digest).text, why);
	return ol_hint(err, OL_ECORRUPT, "run `orlop check --repair` to fetch it again");
}

static int read_row(ol_db *db, const ol_digest *digest, struct row *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT id, size, state, boot, " OL_SOUND(
			"blobs", OL_ROW_BLOBS) " FROM blobs WHERE digest = ?",
		"d", digest);

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 0)
		return ol_fail(err, OL_ENOTFOUND, "blob %s is not in the store",
			ol_digest_format(digest).text);
	if (rc == 1)
		rc = ol_row_check(stmt, 4, "blobs", ol_digest_format(digest).text, err);
	if (rc < 0)
		return rc;
	out->id = sqlite3_column_int64(stmt, 0);
	out->state = (ol_row_state)sqlite3_column_int(stmt, 2);
	rc = ol_column_u64(stmt, 1, &out->size, err);
	return rc == OL_OK ? ol_column_copy(stmt, 3, out->boot, sizeof out->boot, err) : rc;
}

static int find_row(ol_store *store, const ol_digest *digest, struct row *out, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);

	return read_row(db, digest, out, err);
}

/* May the bytes be used without hashing them? Invariants 4 to 6. */
static bool is_proven(const ol_store *store, const struct row *row)
{
	return row->state == OL_ROW_DURABLE ||
	       (row->state == OL_ROW_WRITTEN && strcmp(row->boot, store->boot) == 0);
}

int ol_blob_mark(ol_store *store, int64_t id, ol_row_state state, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, &changes,
			"UPDATE blobs SET state = ?, boot = ? WHERE id = ?", "iti", (int64_t)state,
			store->boot, id);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(err, OL_ENOTFOUND, "the blob was removed meanwhile");
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

/* What was found wrong is remembered, so that nobody takes it for present. If the row is gone, gc
 * was faster: then nothing is wrong. */
static int found_wrong(ol_store *store, const ol_digest *digest, const struct row *row,
	const char *why, ol_error *err)
{
	if (!store->read_only && ol_blob_mark(store, row->id, OL_ROW_DAMAGED, NULL) == OL_ENOTFOUND)
		return ol_fail(err, OL_ENOTFOUND, "blob %s is not in the store",
			ol_digest_format(digest).text);
	return fail_damaged(digest, why, err);
}

static int prove(
	ol_store *store, const ol_digest *digest, const struct row *row, int fd, ol_error *err)
{
	ol_digest got;
	int rc = ol_hash_fd(fd, digest->algorithm, NULL, &got, err);

	if (rc < 0)
		return ol_wrap(err, rc, "blob %s", ol_digest_format(digest).text);
	if (!ol_digest_eq(digest, &got))
		return found_wrong(store, digest, row, "did not survive the last crash", err);
	if (!store->read_only)
		(void)ol_blob_mark(store, row->id, OL_ROW_WRITTEN,
			NULL); /* else it is hashed again: only time */
	return OL_OK;
}

static int open_row(
	ol_store *store, const ol_digest *digest, const struct row *row, int *out, ol_error *err)
{
	ol_autofd int fd = -1;
	struct stat st;
	int rc;

	if (row->state == OL_ROW_DAMAGED)
		return fail_damaged(digest, "is damaged", err);
	fd = openat(store->blobs_fd[digest->algorithm], ol_digest_hex(digest).text,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ELOOP))
		return found_wrong(store, digest, row, "is missing from the disk", err);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ol_fail_sys(err, "blob %s", ol_digest_format(digest).text);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != row->size)
		return found_wrong(store, digest, row, "has the wrong size on disk", err);
	if (!is_proven(store, row)) {
		rc = prove(store, digest, row, fd, err);
		if (rc < 0)
			return rc;
	}
	*out = ol_steal_fd(&fd);
	return OL_OK;
}

int ol_blob_open(ol_store *store, const ol_digest *digest, int *fd, ol_error *err)
{
	struct row row = { 0 };
	int rc = find_row(store, digest, &row, err);

	return rc == OL_OK ? open_row(store, digest, &row, fd, err) : rc;
}

int ol_blob_stat(ol_store *store, const ol_digest *digest, ol_blob_info *out, ol_error *err)
{
	struct row row = { 0 };
	int rc = find_row(store, digest, &row, err);

	if (rc < 0)
		return rc;
	if (row.state == OL_ROW_DAMAGED)
		return fail_damaged(digest, "is damaged", err);
	*out = (ol_blob_info){ *digest, row.size, row.state == OL_ROW_DURABLE };
	return OL_OK;
}

bool ol_blob_exists(ol_store *store, const ol_digest *digest)
{
	ol_autofd int fd = -1;

	return ol_blob_open(store, digest, &fd, NULL) == OL_OK;
}

int ol_blob_read(ol_store *store, const ol_digest *digest, size_t max, ol_buf *out, ol_error *err)
{
	ol_autofd int fd = -1;
	struct row row = { 0 };
	ol_digest got;
	char *room;
	int rc = find_row(store, digest, &row, err);

	if (rc == OL_OK)
		rc = open_row(store, digest, &row, &fd, err);
	if (rc < 0)
		return rc;
	if (row.size > max)
		return ol_fail(err, OL_ELIMIT, "blob %s has %llu bytes, more than the %zu allowed",
			ol_digest_format(digest).text, (unsigned long long)row.size, max);
	room = ol_buf_room(out, (size_t)row.size);
	if (!room)
		return ol_str_error(out, err);
	rc = ol_pread_all(fd, room, (size_t)row.size, 0, err);
	if (rc < 0)
		return ol_wrap(err, rc, "blob %s", ol_digest_format(digest).text);
	got = ol_digest_of(digest->algorithm, room, (size_t)row.size);
	if (!ol_digest_eq(digest, &got))
		return found_wrong(store, digest, &row, "has changed on disk", err);
	out->size += (size_t)row.size;
	out->data[out->size] = '\0';
	return OL_OK;
}

/* Invariant 5: file and folder first, then the row, and the row's commit with FULL. */
static int make_durable(ol_store *store, const ol_digest *digest, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int dir_fd = store->blobs_fd[digest->algorithm];
	struct row row = { 0 };
	int rc = find_row(store, digest, &row, err);

	if (rc < 0 || row.state == OL_ROW_DURABLE)
		return rc;
	rc = ol_fsync_at(dir_fd, ol_digest_hex(digest).text, err);
	if (rc == OL_OK && fsync(dir_fd) < 0)
		rc = ol_fail_sys(err, "fsync blobs");
	if (rc == OL_OK)
		rc = ol_fault("store.blob.synced", err);
	if (rc == OL_OK)
		rc = ol_txn_begin(store, true, &txn, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"UPDATE blobs SET state = 0 WHERE id = ? AND state = 1", "i", row.id);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

/* The transaction in which a verified file becomes a blob. *used is false when there was one
 * already. */
static int settle(ol_store *store, const ol_digest *digest, uint64_t size, int dir_fd,
	const char *name, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	struct row row = { 0 };
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc < 0)
		return rc;
	rc = read_row(txn.db, digest, &row, err);
	if (rc == OL_OK && is_proven(store, &row) && row.size == size &&
		faccessat(store->blobs_fd[digest->algorithm], ol_digest_hex(digest).text, F_OK,
			0) == 0)
		return ol_fail(err, OL_EEXISTS, "blob %s is there", ol_digest_format(digest).text);
	if (rc < 0 && rc != OL_ENOTFOUND && rc != OL_ECORRUPT)
		return rc;
	/* Invariant 1: what lies there without a row, or with one that proves nothing,
	 * is replaced. */
	rc = ol_publish_move(dir_fd, name, store->blobs_fd[digest->algorithm],
		ol_digest_hex(digest).text, OL_PUBLISH_REPLACE, err);
	if (rc == OL_OK)
		rc = ol_fault("store.blob.named", err);
	if (rc == OL_OK)
		rc = ol_db_run(
			txn.db, err, NULL, "DELETE FROM blobs WHERE digest = ?", "d", digest);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"INSERT INTO blobs(digest, size, state, boot, created) VALUES(?, ?, 1, ?, "
			"?)",
			"diti", digest, (int64_t)size, store->boot, ol_unix_now());
	if (rc == OL_OK)
		rc = ol_fault("store.blob.commit", err);
	if (rc == OL_OK)
		rc = ol_txn_commit(&txn, err);
	return rc == OL_OK ? ol_fault("store.blob.committed", err) : rc;
}

int ol_blob_adopt(ol_store *store, const ol_digest *digest, uint64_t size, int dir_fd,
	const char *name, ol_error *err)
{
	struct stat st;
	int rc;

	if (size > OL_DESCRIPTOR_BYTES_MAX)
		return ol_fail(
			err, OL_ELIMIT, "blob %s is too large", ol_digest_format(digest).text);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ol_fail_sys(err, "blob %s: %s", ol_digest_format(digest).text, name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return ol_fail(err, OL_ECORRUPT, "blob %s: %s has not the promised size",
			ol_digest_format(digest).text, name);
	rc = ol_fault("store.blob.adopt", err);
	if (rc == OL_OK)
		rc = settle(store, digest, size, dir_fd, name, err);
	if (rc == OL_EEXISTS) {
		(void)unlinkat(dir_fd, name, 0);
		return OL_OK;
	}
	return rc;
}

static int stage(
	ol_store *store, const ol_digest *digest, ol_view bytes, const char *name, ol_error *err)
{
	ol_autofd int fd = openat(store->blobs_fd[digest->algorithm], name,
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	int rc;

	if (fd < 0)
		return ol_fail_sys(err, "blob %s", ol_digest_format(digest).text);
	rc = ol_write_all(fd, bytes.data, bytes.size, err);
	return rc < 0 ? ol_wrap(err, rc, "blob %s", ol_digest_format(digest).text) : OL_OK;
}

int ol_blob_put(
	ol_store *store, const ol_digest *digest, ol_view bytes, bool durable, ol_error *err)
{
	ol_scratch_name name = ol_scratch(OL_TMP_PREFIX);
	ol_digest got = ol_digest_of(digest->algorithm, bytes.data, bytes.size);
	int rc = ol_digest_check(digest, &got, err);

	if (rc < 0)
		return rc;
	if (!ol_blob_exists(store, digest)) {
		rc = stage(store, digest, bytes, name.text, err);
		if (rc == OL_OK)
			rc = ol_blob_adopt(store, digest, bytes.size,
				store->blobs_fd[digest->algorithm], name.text, err);
		if (rc < 0) {
			(void)unlinkat(store->blobs_fd[digest->algorithm], name.text, 0);
			return rc;
		}
	}
	return durable ? make_durable(store, digest, err) : OL_OK;
}

int ol_blob_set_edges(ol_store *store, const ol_digest *parent, const ol_digest *children,
	size_t count, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t there = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_number(txn.db, err, &there,
			"SELECT EXISTS(SELECT 1 FROM blobs WHERE digest = ?1) OR EXISTS(SELECT 1 "
			"FROM layers WHERE key = ?1)",
			"d", parent);
	if (rc == OL_OK && !there)
		rc = ol_fail(
			err, OL_ENOTFOUND, "%s is not in the store", ol_digest_format(parent).text);
	if (rc == OL_OK)
		rc = ol_db_run(
			txn.db, err, NULL, "DELETE FROM edges WHERE parent = ?", "d", parent);
	for (size_t i = 0; rc == OL_OK && i < count; i++)
		rc = ol_db_run(txn.db, err, NULL,
			"INSERT OR IGNORE INTO edges(parent, child) VALUES(?, ?)", "dd", parent,
			&children[i]);
	if (rc == OL_OK)
		rc = ol_fault("store.edges.commit", err);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

/* The next rows after the digest text in after. */
static int read_page(
	ol_store *store, const char *after, ol_blob_info *page, size_t *count, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT digest, size, state FROM blobs WHERE digest > ? AND state != 2 "
		"AND " OL_SOUND("blobs", OL_ROW_BLOBS) " ORDER BY digest LIMIT ?",
		"ti", after, (int64_t)PAGE_ROWS);

	*count = 0;
	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		ol_blob_info *info = &page[(*count)++];

		rc = ol_column_digest(stmt, 0, false, &info->digest, err);
		if (rc == OL_OK)
			rc = ol_column_u64(stmt, 1, &info->size, err);
		info->durable = sqlite3_column_int(stmt, 2) == OL_ROW_DURABLE;
	}
	return rc;
}

int ol_blob_each(ol_store *store, int (*call)(void *ctx, const ol_blob_info *info, ol_error *err),
	void *ctx, ol_error *err)
{
	ol_autofree ol_blob_info *page = ol_alloc_array(PAGE_ROWS, sizeof *page);
	ol_digest_text after = { "" };
	size_t count;

	do {
		int rc = read_page(store, after.text, page, &count, err);

		for (size_t i = 0; rc == OL_OK && i < count; i++)
			rc = call(ctx, &page[i], err);
		if (rc < 0)
			return rc;
		if (count)
			after = ol_digest_format(&page[count - 1].digest);
	} while (count == PAGE_ROWS);
	return OL_OK;
}
