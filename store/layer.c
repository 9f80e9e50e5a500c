/*
 * Layers: layers/<hex>/ or chains/<hex>/ with index.erofs or fs/, and a row each. The states are
 * those of blobs (blob.c), with one difference: an extracted tree has no digest, so what a crash
 * may have touched cannot be proved and is made anew.
 */
#include "store/layer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/lazy.h"
#include "store/row_priv.h"

#define PAGE_ROWS 64
#define COLUMNS                                                                                    \
	"id, state, boot, key, is_chain, diff_id, driver, leans, tar_bytes, disk_bytes, entries, " \
	"blob, blob_size,"                                                                         \
	" media_type, index_digest, origin, " OL_SOUND("layers", OL_ROW_LAYERS)

struct row {
	int64_t id;
	ol_row_state state;
	char boot[OL_BOOT_ID_MAX];
	ol_layer_info info;
};

static int read_text(sqlite3_stmt *stmt, struct row *out, ol_error *err)
{
	ol_layer_info *info = &out->info;
	int rc = ol_column_copy(stmt, 2, out->boot, sizeof out->boot, err);

	if (rc == OL_OK)
		rc = ol_column_copy(stmt, 6, info->driver, sizeof info->driver, err);
	if (rc == OL_OK)
		rc = ol_column_copy(stmt, 13, info->media_type, sizeof info->media_type, err);
	return rc == OL_OK ? ol_column_copy(stmt, 15, info->origin, sizeof info->origin, err) : rc;
}

static int read_columns(sqlite3_stmt *stmt, struct row *out, ol_error *err)
{
	ol_layer_info *info = &out->info;
	const struct {
		int column;
		uint64_t *to;
	} numbers[] = { { 8, &info->tar_bytes }, { 9, &info->disk_bytes }, { 10, &info->entries },
		{ 12, &info->blob_size } };
	const struct {
		int column;
		bool may_be_null;
		ol_digest *to;
	} digests[] = { { 3, false, &info->key }, { 5, false, &info->diff_id },
		{ 11, true, &info->blob }, { 14, true, &info->index_digest } };
	int rc;

	out->id = sqlite3_column_int64(stmt, 0);
	out->state = (ol_row_state)sqlite3_column_int(stmt, 1);
	info->durable = out->state == OL_ROW_DURABLE;
	info->is_chain = sqlite3_column_int(stmt, 4) != 0;
	info->leans = sqlite3_column_int(stmt, 7) != 0;
	rc = read_text(stmt, out, err);
	for (size_t i = 0; rc == OL_OK && i < sizeof numbers / sizeof numbers[0]; i++)
		rc = ol_column_u64(stmt, numbers[i].column, numbers[i].to, err);
	for (size_t i = 0; rc == OL_OK && i < sizeof digests / sizeof digests[0]; i++)
		rc = ol_column_digest(
			stmt, digests[i].column, digests[i].may_be_null, digests[i].to, err);
	return rc < 0 ? ol_wrap(err, rc, "row %lld of layers", (long long)out->id) : OL_OK;
}

static int read_row(ol_db *db, const ol_digest *key, bool is_chain, struct row *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT " COLUMNS " FROM layers WHERE key = ? AND is_chain = ?", "di", key,
		(int64_t)is_chain);

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 0)
		return ol_fail(err, OL_ENOTFOUND, "layer %s is not in the store",
			ol_digest_format(key).text);
	if (rc == 1)
		rc = ol_row_check(stmt, 16, "layers", ol_digest_format(key).text, err);
	return rc < 0 ? rc : read_columns(stmt, out, err);
}

static int find_row(
	ol_store *store, const ol_digest *key, bool is_chain, struct row *out, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);

	return read_row(db, key, is_chain, out, err);
}

int ol_layer_mark(ol_store *store, int64_t id, ol_row_state state, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, &changes,
			"UPDATE layers SET state = ?, boot = ? WHERE id = ?", "iti", (int64_t)state,
			store->boot, id);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(err, OL_ENOTFOUND, "the layer was removed meanwhile");
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

static int fail_damaged(const struct row *row, const char *why, ol_error *err)
{
	(void)ol_fail(err, OL_ECORRUPT, "layer %s %s", ol_digest_format(&row->info.key).text, why);
	return ol_hint(err, OL_ECORRUPT, "run `orlop check --repair` to make it anew");
}

static int found_wrong(ol_store *store, const struct row *row, const char *why, ol_error *err)
{
	if (!store->read_only &&
		ol_layer_mark(store, row->id, OL_ROW_DAMAGED, NULL) == OL_ENOTFOUND)
		return ol_fail(err, OL_ENOTFOUND, "layer %s is not in the store",
			ol_digest_format(&row->info.key).text);
	return fail_damaged(row, why, err);
}

/* Invariant 4, for an index: the row's index_digest; for a tree: there is no proof. */
static int prove(ol_store *store, const struct row *row, int dir_fd, ol_error *err)
{
	ol_autofd int fd = -1;
	ol_digest got;
	int rc;

	if (!ol_digest_is_set(&row->info.index_digest))
		return found_wrong(store, row, "may not have survived the last crash", err);
	fd = openat(dir_fd, OL_LAYER_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return ol_fail_sys(err, "layer %s", ol_digest_format(&row->info.key).text);
	rc = ol_hash_fd(fd, row->info.index_digest.algorithm, NULL, &got, err);
	if (rc < 0)
		return ol_wrap(err, rc, "layer %s", ol_digest_format(&row->info.key).text);
	if (!ol_digest_eq(&row->info.index_digest, &got))
		return found_wrong(
			store, row, "has an index that did not survive the last crash", err);
	if (!store->read_only)
		(void)ol_layer_mark(store, row->id, OL_ROW_WRITTEN, NULL);
	return OL_OK;
}

static bool is_proven(const ol_store *store, const struct row *row)
{
	return row->state == OL_ROW_DURABLE ||
	       (row->state == OL_ROW_WRITTEN && strcmp(row->boot, store->boot) == 0);
}

static bool is_lazy(const ol_layer_info *info)
{
	return strcmp(info->driver, OL_LAZY_DRIVER) == 0;
}

static bool has_content(int dir_fd)
{
	return faccessat(dir_fd, OL_LAYER_INDEX, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	       faccessat(dir_fd, OL_LAYER_TREE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_row(ol_store *store, const struct row *row, int *out, ol_error *err)
{
	ol_autofd int fd = -1;
	int rc = OL_OK;

	if (row->state == OL_ROW_DAMAGED)
		return fail_damaged(row, "is damaged", err);
	fd = openat(ol_layers_dir(store, row->info.is_chain), ol_digest_hex(&row->info.key).text,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return ol_fail_sys(err, "layer %s", ol_digest_format(&row->info.key).text);
	if (fd < 0 || !has_content(fd))
		return found_wrong(store, row, "is missing from the disk", err);
	if (is_lazy(&row->info) && !ol_lazy_is_there(store, &row->info.diff_id))
		return found_wrong(store, row, "misses the table that says how to fill it", err);
	if (!is_proven(store, row))
		rc = prove(store, row, fd, err);
	if (rc == OL_OK)
		*out = ol_steal_fd(&fd);
	return rc;
}

static int get(ol_store *store, const ol_digest *key, bool is_chain, struct row *row, int *fd,
	ol_error *err)
{
	int rc = find_row(store, key, is_chain, row, err);

	return rc == OL_OK ? open_row(store, row, fd, err) : rc;
}

int ol_layer_get(
	ol_store *store, const ol_digest *key, bool is_chain, ol_layer_info *out, ol_error *err)
{
	ol_autofd int fd = -1;
	struct row row = { 0 };
	int rc = get(store, key, is_chain, &row, &fd, err);

	if (rc == OL_OK)
		*out = row.info;
	return rc;
}

int ol_layer_recorded(
	ol_store *store, const ol_digest *key, bool is_chain, ol_layer_info *out, ol_error *err)
{
	struct row row = { 0 };
	int rc = find_row(store, key, is_chain, &row, err);

	if (rc == OL_OK)
		*out = row.info;
	return rc;
}

bool ol_layer_exists(ol_store *store, const ol_digest *key, bool is_chain)
{
	ol_autofd int fd = -1;
	struct row row = { 0 };

	return get(store, key, is_chain, &row, &fd, NULL) == OL_OK;
}

int ol_layer_open(ol_store *store, const ol_digest *key, bool is_chain, int *dir_fd, ol_error *err)
{
	struct row row = { 0 };

	return get(store, key, is_chain, &row, dir_fd, err);
}

/* Puts what the driver made into a folder of its own, beside where it will stand. */
static int stage(int layers_fd, const char *folder, int from_fd, const char *from, ol_error *err)
{
	ol_autofd int fd = -1;
	struct stat st;
	int rc;

	if (fstatat(from_fd, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ol_fail_sys(err, "%s", from);
	if (mkdirat(layers_fd, folder, 0700) < 0)
		return ol_fail_sys(err, "mkdir %s", folder);
	rc = ol_dir_open(layers_fd, folder, &fd, err);
	if (rc == OL_OK)
		rc = ol_publish_move(from_fd, from, fd,
			S_ISDIR(st.st_mode) ? OL_LAYER_TREE : OL_LAYER_INDEX, 0, err);
	return rc;
}

static int insert_row(ol_store *store, ol_db *db, const ol_layer_info *info, ol_error *err)
{
	int rc = ol_db_run(db, err, NULL, "DELETE FROM layers WHERE key = ? AND is_chain = ?", "di",
		&info->key, (int64_t)info->is_chain);

	if (rc < 0)
		return rc;
	return ol_db_run(db, err, NULL,
		"INSERT INTO layers(key, is_chain, diff_id, driver, leans, tar_bytes, disk_bytes, "
		"entries, blob, blob_size,"
		" media_type, index_digest, origin, state, boot, created) VALUES(?, ?, ?, ?, ?, ?, "
		"?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
		"didtiiiiditdtti", &info->key, (int64_t)info->is_chain, &info->diff_id,
		info->driver, (int64_t)info->leans, (int64_t)info->tar_bytes,
		(int64_t)info->disk_bytes, (int64_t)info->entries, &info->blob,
		(int64_t)info->blob_size, info->media_type, &info->index_digest, info->origin,
		store->boot, ol_unix_now());
}

/* The transaction in which a staged folder becomes the layer. What stood there is moved
 * to trash. */
static int settle(ol_store *store, const ol_layer_info *info, const char *folder, const char *trash,
	ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int layers_fd = ol_layers_dir(store, info->is_chain);
	struct row row = { 0 };
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc < 0)
		return rc;
	rc = read_row(txn.db, &info->key, info->is_chain, &row, err);
	/* A layer that was lazy has become whole: what we bring is better. */
	if (rc == OL_OK && is_proven(store, &row) && (!is_lazy(&row.info) || is_lazy(info)) &&
		faccessat(layers_fd, ol_digest_hex(&info->key).text, F_OK, AT_SYMLINK_NOFOLLOW) ==
			0)
		return ol_fail(
			err, OL_EEXISTS, "layer %s is there", ol_digest_format(&info->key).text);
	if (rc < 0 && rc != OL_ENOTFOUND && rc != OL_ECORRUPT)
		return rc;
	rc = ol_publish_move(layers_fd, ol_digest_hex(&info->key).text, layers_fd, trash, 0, err);
	if (rc < 0 && rc != OL_ENOTFOUND)
		return rc;
	rc = ol_fault("store.layer.cleared", err);
	if (rc == OL_OK)
		rc = ol_publish_move(
			layers_fd, folder, layers_fd, ol_digest_hex(&info->key).text, 0, err);
	if (rc == OL_OK)
		rc = ol_fault("store.layer.named", err);
	if (rc == OL_OK)
		rc = insert_row(store, txn.db, info, err);
	if (rc == OL_OK)
		rc = ol_fault("store.layer.commit", err);
	if (rc == OL_OK)
		rc = ol_txn_commit(&txn, err);
	return rc == OL_OK ? ol_fault("store.layer.committed", err) : rc;
}

static bool is_sound(const ol_layer_info *info)
{
	return ol_digest_is_set(&info->key) && ol_digest_is_set(&info->diff_id) &&
	       ol_is_plain(info->driver, sizeof info->driver - 1) &&
	       ol_is_plain(info->media_type, sizeof info->media_type - 1) &&
	       ol_is_plain(info->origin, sizeof info->origin - 1) &&
	       info->tar_bytes <= OL_LAYER_TAR_BYTES_MAX &&
	       info->blob_size <= OL_DESCRIPTOR_BYTES_MAX &&
	       info->disk_bytes <= OL_DESCRIPTOR_BYTES_MAX &&
	       info->entries <= OL_DESCRIPTOR_BYTES_MAX;
}

int ol_layer_put(
	ol_store *store, const ol_layer_info *info, int dir_fd, const char *name, ol_error *err)
{
	ol_scratch_name folder = ol_scratch(OL_TMP_PREFIX), trash = ol_scratch(OL_TRASH_PREFIX);
	int layers_fd = ol_layers_dir(store, info->is_chain);
	int rc;

	if (!is_sound(info))
		return ol_fail(err, OL_EINVAL, "layer %s cannot be recorded",
			ol_digest_format(&info->key).text);
	rc = ol_fault("store.layer.put", err);
	if (rc == OL_OK)
		rc = stage(layers_fd, folder.text, dir_fd, name, err);
	if (rc == OL_OK)
		rc = ol_fault("store.layer.staged", err);
	if (rc == OL_OK)
		rc = settle(store, info, folder.text, trash.text, err);
	/* Leftovers that cannot be removed now are gc's. */
	(void)ol_remove_tree(layers_fd, trash.text, NULL);
	if (rc < 0)
		(void)ol_remove_tree(layers_fd, folder.text, NULL);
	if (rc < 0 && rc != OL_EEXISTS)
		return ol_wrap(err, rc, "layer %s", ol_digest_format(&info->key).text);
	return OL_OK;
}

static int read_page(
	ol_store *store, const struct row *after, struct row *page, size_t *count, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT " COLUMNS
		" FROM layers WHERE (key, is_chain) > (?, ?) AND state != 2 AND " OL_SOUND(
			"layers", OL_ROW_LAYERS) " ORDER BY key, is_chain LIMIT ?",
		"tii", ol_digest_format(&after->info.key).text, (int64_t)after->info.is_chain,
		(int64_t)PAGE_ROWS);

	*count = 0;
	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		rc = read_columns(stmt, &page[(*count)++], err);
	}
	return rc;
}

int ol_layer_each(ol_store *store, int (*call)(void *ctx, const ol_layer_info *info, ol_error *err),
	void *ctx, ol_error *err)
{
	ol_autofree struct row *page = ol_alloc_array(PAGE_ROWS, sizeof *page);
	struct row after = { 0 };
	size_t count;

	do {
		int rc = read_page(store, &after, page, &count, err);

		for (size_t i = 0; rc == OL_OK && i < count; i++)
			rc = call(ctx, &page[i].info, err);
		if (rc < 0)
			return rc;
		if (count)
			after = page[count - 1];
	} while (count == PAGE_ROWS);
	return OL_OK;
}
