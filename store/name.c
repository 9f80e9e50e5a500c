/*
 * Images, as rows of `names`: a name or NULL ("<none>"), and the root it means. A root has either
 * named rows or one nameless one. Changes are one transaction each, then index.json follows
 * (index_json.c).
 */
#include "store/name.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "store/mend.h"
#include "store/row_priv.h"

#define NAME_BYTES_MAX       ((size_t)OL_REFERENCE_NAME_MAX + 1 + OL_TAG_MAX)
#define MEDIA_TYPE_BYTES_MAX ((size_t)255) /* RFC 6838: 127 + "/" + 127 */
#define COLUMNS                                                                                    \
	"name, repo, root, media_type, created, listed, listed_size, listed_media_type, pinned, "  \
	"imported, summary"
#define SELECTED COLUMNS ", " OL_SOUND("names", OL_ROW_NAMES) /* as read_columns wants them */

void ol_name_info_done(ol_name_info *info)
{
	free((char *)info->name);
	free((char *)info->repo);
	free((char *)info->media_type);
	free((char *)info->listed_media_type);
	free((char *)info->summary);
	*info = (ol_name_info){ 0 };
}

/* What it gives is owned by *out, also after a failure half-way. */
static int read_columns(sqlite3_stmt *stmt, ol_name_info *out, ol_error *err)
{
	const char *name = (const char *)sqlite3_column_text(stmt, 0);
	const char *root = (const char *)sqlite3_column_text(stmt, 2);
	int rc = ol_row_check(stmt, 11, "names", name ? name : root ? root : "?", err);

	if (rc < 0)
		return rc;
	rc = ol_column_dup(stmt, 0, NAME_BYTES_MAX, (char **)&out->name, err);
	if (rc == OL_OK)
		rc = ol_column_dup(stmt, 1, NAME_BYTES_MAX, (char **)&out->repo, err);
	if (rc == OL_OK)
		rc = ol_column_digest(stmt, 2, false, &out->root, err);
	if (rc == OL_OK)
		rc = ol_column_dup(stmt, 3, MEDIA_TYPE_BYTES_MAX, (char **)&out->media_type, err);
	if (rc == OL_OK)
		rc = ol_column_digest(stmt, 5, true, &out->listed, err);
	if (rc == OL_OK)
		rc = ol_column_u64(stmt, 6, &out->listed_size, err);
	if (rc == OL_OK)
		rc = ol_column_dup(
			stmt, 7, MEDIA_TYPE_BYTES_MAX, (char **)&out->listed_media_type, err);
	if (rc == OL_OK)
		rc = ol_column_dup(stmt, 10, OL_SUMMARY_BYTES_MAX, (char **)&out->summary, err);
	out->created = sqlite3_column_int64(stmt, 4);
	out->pinned = sqlite3_column_int(stmt, 8) != 0;
	out->imported = sqlite3_column_int(stmt, 9) != 0;
	return rc < 0 ? ol_wrap(err, rc, "image %.80s",
				out->name && out->name[0] ? out->name : "<none>")
		      : OL_OK;
}

static int insert(ol_db *db, const ol_name_info *info, ol_error *err)
{
	const char *name = info->name && info->name[0] ? info->name : NULL;

	return ol_db_run(db, err, NULL,
		"INSERT INTO names(" COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"ttdtiditiit", name, info->repo ? info->repo : "", &info->root, info->media_type,
		info->created, &info->listed, (int64_t)info->listed_size,
		info->listed_media_type ? info->listed_media_type : info->media_type,
		(int64_t)info->pinned, (int64_t)info->imported, info->summary ? info->summary : "");
}

static int read_by_name(ol_db *db, const char *name, ol_name_info *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(
		db, err, &stmt, "SELECT " SELECTED " FROM names WHERE name = ?", "t", name);

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 0)
		return ol_fail(err, OL_ENOTFOUND, "there is no image %.200s", name);
	return rc < 0 ? rc : read_columns(stmt, out, err);
}

static int count_rows(ol_db *db, const ol_digest *root, int64_t *out, ol_error *err)
{
	return ol_db_number(db, err, out, "SELECT count(*) FROM names WHERE root = ?", "d", root);
}

/* What is true of a root, however many rows it has: a new row takes it over from the others. The
 * summary is *info's own if it has one, else *summary, which the caller frees. */
static int inherit(ol_db *db, ol_name_info *info, char **summary, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT coalesce(max(pinned), 0), coalesce(max(imported), 0), "
		"coalesce(max(summary), "
		"'') FROM names WHERE root = ? AND " OL_SOUND("names", OL_ROW_NAMES),
		"d", &info->root);

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 1)
		rc = ol_column_dup(stmt, 2, OL_SUMMARY_BYTES_MAX, summary, err);
	if (rc < 0)
		return rc;
	info->pinned = info->pinned || sqlite3_column_int(stmt, 0) != 0;
	info->imported = info->imported || sqlite3_column_int(stmt, 1) != 0;
	if (!info->summary || !info->summary[0])
		info->summary = *summary;
	return OL_OK;
}

/* pinned, imported and summary on every row of the root: they belong to it. */
static int spread(ol_db *db, const ol_name_info *info, ol_error *err)
{
	return ol_db_run(db, err, NULL,
		"UPDATE names SET pinned = ?1, imported = ?2, summary = ?3 WHERE root = ?4 AND "
		"(pinned, imported, summary) IS NOT (?1, ?2, ?3)",
		"iitd", (int64_t)info->pinned, (int64_t)info->imported, info->summary, &info->root);
}

/* old has just lost the name it had: if that was its last one, a nameless row keeps it. */
static int keep_nameless(ol_db *db, const ol_name_info *old, ol_error *err)
{
	ol_name_info nameless = *old;
	int64_t rows = 0;
	int rc = count_rows(db, &old->root, &rows, err);

	nameless.name = NULL;
	return rc == OL_OK && rows == 0 ? insert(db, &nameless, err) : rc;
}

static int set_name(ol_db *db, const ol_name_info *info, ol_error *err)
{
	ol_name_info old = { 0 }, fresh = *info;
	bool moves;
	int rc = read_by_name(db, info->name, &old, err);

	/* A row that cannot be read is no reason to keep it. */
	moves = rc == OL_OK && !ol_digest_eq(&old.root, &info->root);
	if (rc == OL_OK && !moves)
		fresh.created = old.created;
	if (rc == OL_OK || rc == OL_ENOTFOUND || rc == OL_ECORRUPT)
		rc = ol_db_run(db, err, NULL, "DELETE FROM names WHERE name = ?", "t", info->name);
	if (rc == OL_OK && moves)
		rc = keep_nameless(db, &old, err);
	if (rc == OL_OK)
		rc = ol_db_run(db, err, NULL, "DELETE FROM names WHERE root = ? AND name IS NULL",
			"d", &info->root);
	if (rc == OL_OK)
		rc = insert(db, &fresh, err);
	ol_name_info_done(&old);
	return rc;
}

static int set_nameless(ol_db *db, const ol_name_info *info, ol_error *err)
{
	int64_t rows = 0;
	int rc = ol_db_run(db, err, NULL, "DELETE FROM names WHERE root = ? AND name IS NULL", "d",
		&info->root);

	if (rc == OL_OK)
		rc = count_rows(db, &info->root, &rows, err);
	return rc == OL_OK && rows == 0 ? insert(db, info, err) : rc;
}

static int check_text(const ol_name_info *info, ol_error *err)
{
	if (!ol_digest_is_set(&info->root) || !info->media_type)
		return ol_fail(err, OL_EINVAL, "an image needs a root and its media type");
	if (!ol_is_plain(info->name ? info->name : "", NAME_BYTES_MAX) ||
		!ol_is_plain(info->repo ? info->repo : "", NAME_BYTES_MAX))
		return ol_fail(err, OL_EINVAL, "an image's name is too long or not printable");
	if (!ol_is_plain(info->media_type, MEDIA_TYPE_BYTES_MAX) ||
		!ol_is_plain(info->listed_media_type ? info->listed_media_type : "",
			MEDIA_TYPE_BYTES_MAX))
		return ol_fail(err, OL_EINVAL, "a media type is too long or not printable");
	if (!ol_is_plain(info->summary ? info->summary : "", OL_SUMMARY_BYTES_MAX))
		return ol_fail(err, OL_EINVAL, "an image's summary is too long or not printable");
	if (info->listed_size > OL_DESCRIPTOR_BYTES_MAX)
		return ol_fail(err, OL_EINVAL, "a manifest cannot be that large");
	return OL_OK;
}

int ol_name_set(ol_store *store, const ol_name_info *info, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	ol_autofree char *summary = NULL;
	ol_name_info fresh = *info;
	int rc = check_text(info, err);

	if (rc == OL_OK)
		rc = ol_txn_begin(store, false, &txn, err);
	if (rc < 0)
		return rc;
	if (!fresh.created)
		fresh.created = ol_unix_now();
	rc = inherit(txn.db, &fresh, &summary, err);
	if (rc == OL_OK)
		rc = info->name && info->name[0] ? set_name(txn.db, &fresh, err)
						 : set_nameless(txn.db, &fresh, err);
	if (rc == OL_OK)
		rc = spread(txn.db, &fresh, err);
	return rc == OL_OK ? ol_listing_commit(store, &txn, err) : rc;
}

int ol_name_pin(ol_store *store, const ol_digest *root, bool pinned, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, &changes, "UPDATE names SET pinned = ? WHERE root = ?",
			"id", (int64_t)pinned, root);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(
			err, OL_ENOTFOUND, "there is no image %s", ol_digest_format(root).text);
	return rc == OL_OK ? ol_listing_commit(store, &txn, err) : rc;
}

int ol_name_relist(
	ol_store *store, const ol_digest *root, const ol_name_listing *listed, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc;

	if (!ol_digest_is_set(&listed->digest) || listed->size > OL_DESCRIPTOR_BYTES_MAX ||
		!ol_is_plain(listed->media_type, MEDIA_TYPE_BYTES_MAX))
		return ol_fail(err, OL_EINVAL, "that cannot be listed");
	rc = ol_txn_begin(store, false, &txn, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, &changes,
			"UPDATE names SET listed = ?, listed_size = ?, listed_media_type = ? "
			"WHERE root = ?",
			"ditd", &listed->digest, (int64_t)listed->size, listed->media_type, root);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(
			err, OL_ENOTFOUND, "there is no image %s", ol_digest_format(root).text);
	return rc == OL_OK ? ol_listing_commit(store, &txn, err) : rc;
}

int ol_name_get(ol_store *store, const char *name, ol_name_info *out, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_name_info info = { 0 };
	int rc = read_by_name(db, name, &info, err);

	if (rc == OL_OK)
		*out = info;
	else
		ol_name_info_done(&info);
	return rc;
}

int ol_name_remove(ol_store *store, const char *name, bool keep, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	ol_name_info old = { 0 };
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc < 0)
		return rc;
	rc = read_by_name(txn.db, name, &old, err);
	if (rc == OL_ECORRUPT)
		keep = false; /* nothing readable to keep */
	if (rc == OL_OK || rc == OL_ECORRUPT)
		rc = ol_db_run(txn.db, err, NULL, "DELETE FROM names WHERE name = ?", "t", name);
	if (rc == OL_OK && keep)
		rc = keep_nameless(txn.db, &old, err);
	ol_name_info_done(&old);
	return rc == OL_OK ? ol_listing_commit(store, &txn, err) : rc;
}

int ol_name_remove_root(ol_store *store, const ol_digest *root, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_run(
			txn.db, err, &changes, "DELETE FROM names WHERE root = ?", "d", root);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(
			err, OL_ENOTFOUND, "there is no image %s", ol_digest_format(root).text);
	return rc == OL_OK ? ol_listing_commit(store, &txn, err) : rc;
}

static int restore(ol_db *db, const ol_name_info *info, size_t *added, ol_error *err)
{
	ol_autofree char *summary = NULL;
	ol_name_info fresh = *info;
	int64_t rows = 0;
	int rc = check_text(info, err);

	if (rc == OL_OK)
		rc = info->name && info->name[0]
			     ? ol_db_number(db, err, &rows,
				       "SELECT count(*) FROM names WHERE name = ?", "t", info->name)
			     : count_rows(db, &info->root, &rows, err);
	if (rc < 0 || rows)
		return rc;
	rc = inherit(db, &fresh, &summary, err);
	if (rc == OL_OK)
		rc = insert(db, &fresh, err);
	*added += rc == OL_OK;
	return rc;
}

int ol_name_restore(
	ol_store *store, const ol_name_info *infos, size_t count, size_t *added, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	size_t done = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	for (size_t i = 0; rc == OL_OK && i < count; i++)
		rc = restore(txn.db, &infos[i], &done, err);
	if (rc == OL_OK)
		rc = ol_txn_commit(&txn, err);
	if (rc == OL_OK && added)
		*added = done;
	return rc;
}

struct list {
	ol_name_info *rows; /* owned, and what they point to */
	size_t count, cap;
};

static void list_done(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		ol_name_info_done(&list->rows[i]);
	free(list->rows);
}

static int read_rows(
	ol_store *store, ol_db *db, sqlite3_stmt *stmt, struct list *list, ol_error *err)
{
	int rc;

	while ((rc = ol_db_step(db, stmt, err)) == 1) {
		ol_name_info *row;

		OL_GROW(list->rows, list->count, list->cap);
		row = &list->rows[list->count];
		*row = (ol_name_info){ 0 };
		rc = read_columns(stmt, row, err);
		if (rc == OL_OK) {
			list->count++;
			continue;
		}
		ol_name_info_done(row);
		if (rc != OL_ECORRUPT)
			return rc;
		ol_passed_over(store); /* it must not hide the others */
	}
	return rc;
}

static int read_some(ol_store *store, ol_db *db, const char *sql, struct list *list, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt, sql, "");

	return rc < 0 ? rc : read_rows(store, db, stmt, list, err);
}

/* Two statements, each in the order of an index: one would sort whole rows. */
static int read_all(ol_store *store, struct list *list, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	int rc = ol_db_run(db, err, NULL, "BEGIN", "");

	if (rc < 0)
		return rc;
	rc = read_some(store, db,
		"SELECT " SELECTED " FROM names WHERE name IS NOT NULL ORDER BY name", list, err);
	if (rc == OL_OK)
		rc = read_some(store, db,
			"SELECT " SELECTED " FROM names WHERE name IS NULL ORDER BY id", list, err);
	(void)ol_db_run(db, NULL, NULL, "COMMIT", "");
	return rc;
}

static int tell(const struct list *list,
	int (*call)(void *ctx, const ol_name_info *info, ol_error *err), void *ctx, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < list->count; i++)
		rc = call(ctx, &list->rows[i], err);
	return rc;
}

static int read_of(ol_store *store, const ol_digest *root, struct list *list, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT " SELECTED " FROM names WHERE root = ? ORDER BY name", "d", root);

	return rc < 0 ? rc : read_rows(store, db, stmt, list, err);
}

int ol_name_each_of(ol_store *store, const ol_digest *root,
	int (*call)(void *ctx, const ol_name_info *info, ol_error *err), void *ctx, ol_error *err)
{
	__attribute__((cleanup(list_done))) struct list list = { 0 };
	int rc = read_of(store, root, &list, err);

	return rc < 0 ? rc : tell(&list, call, ctx, err);
}

/* All rows are read before the first call: one state of the store, and no lock is held while
 * others' code runs. */
int ol_name_each(ol_store *store, int (*call)(void *ctx, const ol_name_info *info, ol_error *err),
	void *ctx, ol_error *err)
{
	__attribute__((cleanup(list_done))) struct list list = { 0 };
	int rc = read_all(store, &list, err);

	return rc < 0 ? rc : tell(&list, call, ctx, err);
}
