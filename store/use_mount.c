/* Mounts: a row of `mounts` each, for what `orlop mount` and `orlop bundle` made visible. */
#include "base/alloc.h"
#include "base/fault.h"
#include "store/row_priv.h"
#include "store/use_priv.h"

#define COLUMNS OL_ROW_MOUNTS
/* Two maps of OL_IDMAP_RANGES_MAX ranges, three numbers each. */
#define IDMAP_BYTES_MAX ((size_t)8 << 10)
#define SELECTED        COLUMNS ", " OL_SOUND("mounts", OL_ROW_MOUNTS)

void ol_mount_info_done(ol_mount_info *info)
{
	free(info->id);
	free(info->target);
	free(info->image);
	free(info->boot_id);
	free(info->idmap);
	*info = (ol_mount_info){ 0 };
}

static int read_columns(sqlite3_stmt *stmt, ol_mount_info *out, ol_error *err)
{
	const char *id = (const char *)sqlite3_column_text(stmt, 0);
	int rc = ol_row_check(stmt, 12, "mounts", id ? id : "?", err);

	if (rc == OL_OK)
		rc = ol_column_dup(stmt, 0, OL_USER_ID_HEX, &out->id, err);
	if (rc == OL_OK && !ol_is_user_id(out->id))
		rc = ol_fail(err, OL_ECORRUPT, "database: a mount's id is no id");
	if (rc == OL_OK)
		rc = ol_column_dup(stmt, 1, OL_USE_PATH_BYTES_MAX, &out->target, err);
	if (rc == OL_OK)
		rc = ol_column_dup(stmt, 2, OL_USE_IMAGE_BYTES_MAX, &out->image, err);
	if (rc == OL_OK)
		rc = ol_column_digest(stmt, 3, false, &out->root, err);
	if (rc == OL_OK)
		rc = ol_column_digest(stmt, 4, true, &out->config, err);
	if (rc == OL_OK)
		rc = ol_column_dup(stmt, 7, OL_BOOT_ID_MAX, &out->boot_id, err);
	if (rc == OL_OK)
		rc = ol_column_dup(stmt, 10, IDMAP_BYTES_MAX, &out->idmap, err);
	out->writable = sqlite3_column_int(stmt, 5) != 0;
	out->created = sqlite3_column_int64(stmt, 6);
	out->users = sqlite3_column_int64(stmt, 8);
	out->mount_namespace = (uint64_t)sqlite3_column_int64(stmt, 9);
	out->bundle = sqlite3_column_int(stmt, 11) != 0;
	return rc;
}

static int check_state(const ol_mount_info *info, ol_error *err)
{
	if (info->users < 0 || !ol_is_plain(info->idmap ? info->idmap : "", IDMAP_BYTES_MAX))
		return ol_fail(err, OL_EINVAL, "a mount's state makes no sense");
	return OL_OK;
}

/* A target is a path that is unmounted later: it is kept byte for byte or not at all. */
static int check_info(const ol_mount_info *info, ol_error *err)
{
	size_t size = info->target ? strlen(info->target) : 0;

	if (!ol_is_user_id(info->id))
		return ol_fail(err, OL_EINVAL, "a mount's id has %d hex digits", OL_USER_ID_HEX);
	if (size == 0 || size >= OL_USE_PATH_BYTES_MAX || info->target[0] != '/')
		return ol_fail(err, OL_EINVAL, "a mount needs an absolute path");
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)info->target[i] < 0x20 || info->target[i] == 0x7f)
			return ol_fail(err, OL_EINVAL, "the mount's path holds control characters");
	if (!ol_digest_is_set(&info->root) ||
		!ol_is_plain(info->image ? info->image : "", OL_USE_IMAGE_BYTES_MAX))
		return ol_fail(err, OL_EINVAL, "a mount needs an image");
	return check_state(info, err);
}

int ol_mount_add(ol_store *store, const ol_mount_info *info, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc = check_info(info, err);

	if (rc == OL_OK)
		rc = ol_txn_begin(store, false, &txn, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"INSERT INTO mounts(" COLUMNS
			") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			"tttddiitiiti", info->id, info->target, info->image ? info->image : "",
			&info->root, &info->config, (int64_t)info->writable, info->created,
			info->boot_id ? info->boot_id : store->boot, info->users,
			(int64_t)info->mount_namespace, info->idmap ? info->idmap : "",
			(int64_t)info->bundle);
	if (rc == OL_EEXISTS)
		return ol_fail(err, rc, "%.300s is in use by another mount", info->target);
	if (rc == OL_OK)
		rc = ol_fault("store.mount.commit", err);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

int ol_mount_update(ol_store *store, const ol_mount_info *info, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc = check_state(info, err);

	if (rc == OL_OK)
		rc = ol_txn_begin(store, false, &txn, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, &changes,
			"UPDATE mounts SET users = ?, boot = ?, namespace = ?, idmap = ? WHERE id "
			"= ?",
			"ititt", info->users, info->boot_id ? info->boot_id : "",
			(int64_t)info->mount_namespace, info->idmap ? info->idmap : "", info->id);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(err, OL_ENOTFOUND, "there is no mount %.64s", info->id);
	if (rc == OL_OK)
		rc = ol_fault("store.mount.update", err);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

/* By target or id, which are unique, before image, which need not be. */
static int find(ol_db *db, const char *text, ol_mount_info *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	bool unique;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT " SELECTED " FROM mounts WHERE target = ?1 OR id = ?1 OR image = ?1"
		" ORDER BY target = ?1 OR id = ?1 DESC LIMIT 2",
		"t", text);

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 0)
		return ol_fail(err, OL_ENOTFOUND, "nothing is mounted as %.300s", text);
	if (rc == 1)
		rc = read_columns(stmt, out, err);
	if (rc < 0)
		return rc;
	unique = (out->target && strcmp(out->target, text) == 0) ||
		 (out->id && strcmp(out->id, text) == 0);
	rc = unique ? OL_OK : ol_db_step(db, stmt, err);
	if (rc == 1) {
		(void)ol_fail(err, OL_EINVAL, "%.300s is mounted more than once", text);
		return ol_hint(err, OL_EINVAL, "name the folder; `orlop mount` lists them");
	}
	return rc;
}

int ol_mount_get(ol_store *store, const char *target_or_image, ol_mount_info *out, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_mount_info info = { 0 };
	int rc = find(db, target_or_image, &info, err);

	if (rc < 0)
		ol_mount_info_done(&info);
	else
		*out = info;
	return rc;
}

int ol_mount_remove(ol_store *store, const char *id, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, &changes, "DELETE FROM mounts WHERE id = ?", "t", id);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(err, OL_ENOTFOUND, "there is no mount %.64s", id);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL, "DELETE FROM uses WHERE user = ?", "t", id);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

struct list {
	ol_mount_info *rows; /* owned, and what they point to */
	size_t count, cap;
};

static void list_done(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		ol_mount_info_done(&list->rows[i]);
	free(list->rows);
}

static int read_all(ol_store *store, struct list *list, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(
		db, err, &stmt, "SELECT " SELECTED " FROM mounts ORDER BY created DESC, id", "");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		ol_mount_info *row;

		OL_GROW(list->rows, list->count, list->cap);
		row = &list->rows[list->count];
		*row = (ol_mount_info){ 0 };
		rc = read_columns(stmt, row, err);
		if (rc != OL_ECORRUPT) {
			list->count++;
			continue;
		}
		/* It must not hide the others. */
		ol_mount_info_done(row);
		ol_passed_over(store);
		rc = OL_OK;
	}
	return rc;
}

int ol_mount_each(ol_store *store, int (*call)(void *ctx, const ol_mount_info *info, ol_error *err),
	void *ctx, ol_error *err)
{
	__attribute__((cleanup(list_done))) struct list list = { 0 };
	int rc = read_all(store, &list, err);

	for (size_t i = 0; rc == OL_OK && i < list.count; i++)
		rc = call(ctx, &list.rows[i], err);
	return rc;
}
