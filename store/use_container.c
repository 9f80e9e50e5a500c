/* Containers: a row of `containers` each, and a folder containers/<id>/ that others fill. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "store/row_priv.h"
#include "store/use_priv.h"

#define COMMAND_BYTES_MAX ((size_t)64 << 10)
#define STATUS_LOST       255 /* of a container whose process went without a word */
#define COLUMNS                                                                                    \
	"id, name, image, root, config, command, created, started, finished, state, exit_status, " \
	"pid, pid_start,"                                                                          \
	" boot, remove_on_exit"
#define SELECTED COLUMNS ", " OL_SOUND("containers", OL_ROW_CONTAINERS)

void ol_container_info_done(ol_container_info *info)
{
	free(info->id);
	free(info->name);
	free(info->image);
	free(info->command);
	free(info->boot_id);
	*info = (ol_container_info){ 0 };
}

static int read_text(sqlite3_stmt *stmt, ol_container_info *out, ol_error *err)
{
	const struct {
		int column;
		size_t max;
		char **to;
	} texts[] = {
		{ 0, OL_USER_ID_HEX, &out->id },
		{ 1, OL_USE_NAME_BYTES_MAX, &out->name },
		{ 2, OL_USE_IMAGE_BYTES_MAX, &out->image },
		{ 5, COMMAND_BYTES_MAX, &out->command },
		{ 13, OL_BOOT_ID_MAX, &out->boot_id },
	};
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < sizeof texts / sizeof texts[0]; i++)
		rc = ol_column_dup(stmt, texts[i].column, texts[i].max, texts[i].to, err);
	if (rc == OL_OK && !ol_is_user_id(out->id))
		rc = ol_fail(err, OL_ECORRUPT, "database: a container's id is no id");
	return rc;
}

/* A RUNNING row whose process is gone tells how it really is; the row itself is left to whoever
 * cleans up. */
static void look_whether_it_lives(const ol_store *store, ol_container_info *info)
{
	if (info->state != OL_CONTAINER_RUNNING)
		return;
	if (info->boot_id && strcmp(info->boot_id, store->boot) == 0 &&
		ol_process_alive(info->pid, info->pid_start))
		return;
	info->state = OL_CONTAINER_EXITED;
	info->exit_status = STATUS_LOST;
}

static int read_columns(ol_store *store, sqlite3_stmt *stmt, ol_container_info *out, ol_error *err)
{
	int state = sqlite3_column_int(stmt, 9);
	const char *id = (const char *)sqlite3_column_text(stmt, 0);
	int rc = ol_row_check(stmt, 15, "containers", id ? id : "?", err);

	if (rc == OL_OK)
		rc = read_text(stmt, out, err);
	if (rc == OL_OK)
		rc = ol_column_digest(stmt, 3, false, &out->root, err);
	if (rc == OL_OK)
		rc = ol_column_digest(stmt, 4, true, &out->config, err);
	if (rc == OL_OK)
		rc = ol_column_u64(stmt, 12, &out->pid_start, err);
	if (rc == OL_OK && (state < OL_CONTAINER_CREATED || state > OL_CONTAINER_EXITED))
		rc = ol_fail(
			err, OL_ECORRUPT, "database: container %.12s has no known state", out->id);
	if (rc < 0)
		return rc;
	out->created = sqlite3_column_int64(stmt, 6);
	out->started = sqlite3_column_int64(stmt, 7);
	out->finished = sqlite3_column_int64(stmt, 8);
	out->state = (ol_container_state)state;
	out->exit_status = sqlite3_column_int(stmt, 10);
	out->pid = sqlite3_column_int(stmt, 11);
	out->remove_on_exit = sqlite3_column_int(stmt, 14) != 0;
	look_whether_it_lives(store, out);
	return OL_OK;
}

static int check_info(const ol_container_info *info, ol_error *err)
{
	if (!ol_is_user_id(info->id))
		return ol_fail(
			err, OL_EINVAL, "a container's id has %d hex digits", OL_USER_ID_HEX);
	if (!info->name || !info->name[0] || !ol_is_plain(info->name, OL_USE_NAME_BYTES_MAX))
		return ol_fail(
			err, OL_EINVAL, "a container's name is empty, too long or not printable");
	if (!ol_digest_is_set(&info->root))
		return ol_fail(err, OL_EINVAL, "a container needs an image");
	return OL_OK;
}

/* Text from the command line may hold anything; a row holds what a terminal may be shown, cut to
 * its bound. */
static char *safe_text(const char *text, size_t max)
{
	ol_auto_str ol_str out = OL_STR(max);

	(void)ol_str_add_safe(&out, ol_view_of(text ? text : ""));
	return ol_strdup(ol_str_text(&out));
}

static int write_row(ol_store *store, const char *sql, const ol_container_info *info,
	int64_t *changes, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	ol_autofree char *image = safe_text(info->image, OL_USE_IMAGE_BYTES_MAX);
	ol_autofree char *command = safe_text(info->command, COMMAND_BYTES_MAX);
	int rc = check_info(info, err);

	if (rc == OL_OK)
		rc = ol_txn_begin(store, false, &txn, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, changes, sql, "tttddtiiiiiiiti", info->id, info->name,
			image, &info->root, &info->config, command, info->created, info->started,
			info->finished, (int64_t)info->state, (int64_t)info->exit_status,
			(int64_t)info->pid, (int64_t)info->pid_start,
			info->boot_id ? info->boot_id : store->boot, (int64_t)info->remove_on_exit);
	if (rc == OL_OK)
		rc = ol_fault("store.container.commit", err);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

int ol_container_add(ol_store *store, const ol_container_info *info, ol_error *err)
{
	int rc = write_row(store,
		"INSERT INTO containers(" COLUMNS
		") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		info, NULL, err);

	if (rc == OL_EEXISTS) {
		(void)ol_fail(
			err, rc, "the name %.255s is in use by another container", info->name);
		return ol_hint(err, rc,
			"remove that one with `orlop rm %.100s`, or choose another name",
			info->name);
	}
	return rc;
}

int ol_container_update(ol_store *store, const ol_container_info *info, ol_error *err)
{
	int64_t changes = 0;
	int rc = write_row(store,
		"UPDATE containers SET name = ?2, image = ?3, root = ?4, config = ?5, command = "
		"?6, created = ?7,"
		" started = ?8, finished = ?9, state = ?10, exit_status = ?11, pid = ?12, "
		"pid_start = ?13, boot = ?14,"
		" remove_on_exit = ?15 WHERE id = ?1",
		info, &changes, err);

	if (rc == OL_EEXISTS)
		return ol_fail(
			err, rc, "the name %.255s is in use by another container", info->name);
	if (rc == OL_OK && changes == 0)
		return ol_fail(err, OL_ENOTFOUND, "No such container: %.12s", info->id);
	return rc;
}

static bool is_hex_prefix(const char *text)
{
	size_t size = strlen(text);

	return size > 0 && size <= OL_USER_ID_HEX && strspn(text, "0123456789abcdef") == size;
}

/* Rows whose id begins with text: two are enough to know that there are several. */
static int find_by_prefix(
	ol_store *store, ol_db *db, const char *text, ol_container_info *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT " SELECTED " FROM containers WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2",
		"t", text);

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 0)
		return ol_fail(err, OL_ENOTFOUND, "No such container: %.255s", text);
	if (rc == 1)
		rc = read_columns(store, stmt, out, err);
	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 1)
		return ol_fail(
			err, OL_EINVAL, "%s is the beginning of several containers' ids", text);
	return rc;
}

static int find_by_name(
	ol_store *store, ol_db *db, const char *text, ol_container_info *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT " SELECTED
		" FROM containers WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1",
		"t", text);

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 0)
		return ol_fail(err, OL_ENOTFOUND, "No such container: %.255s", text);
	return rc < 0 ? rc : read_columns(store, stmt, out, err);
}

int ol_container_get(ol_store *store, const char *name, ol_container_info *out, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_container_info info = { 0 };
	int rc = find_by_name(store, db, name, &info, err);

	if (rc == OL_ENOTFOUND && is_hex_prefix(name))
		rc = find_by_prefix(store, db, name, &info, err);
	if (rc < 0)
		ol_container_info_done(&info);
	else
		*out = info;
	return rc;
}

int ol_container_remove(ol_store *store, const char *id, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_run(
			txn.db, err, &changes, "DELETE FROM containers WHERE id = ?", "t", id);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(err, OL_ENOTFOUND, "No such container: %.64s", id);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL, "DELETE FROM uses WHERE user = ?", "t", id);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

struct list {
	ol_container_info *rows; /* owned, and what they point to */
	size_t count, cap;
};

static void list_done(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		ol_container_info_done(&list->rows[i]);
	free(list->rows);
}

static int read_all(ol_store *store, struct list *list, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT " SELECTED " FROM containers ORDER BY created DESC, id", "");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		ol_container_info *row;

		OL_GROW(list->rows, list->count, list->cap);
		row = &list->rows[list->count];
		*row = (ol_container_info){ 0 };
		rc = read_columns(store, stmt, row, err);
		if (rc != OL_ECORRUPT) {
			list->count++;
			continue;
		}
		/* It must not hide the others. */
		ol_container_info_done(row);
		ol_passed_over(store);
		rc = OL_OK;
	}
	return rc;
}

int ol_container_each(ol_store *store,
	int (*call)(void *ctx, const ol_container_info *info, ol_error *err), void *ctx,
	ol_error *err)
{
	__attribute__((cleanup(list_done))) struct list list = { 0 };
	int rc = read_all(store, &list, err);

	for (size_t i = 0; rc == OL_OK && i < list.count; i++)
		rc = call(ctx, &list.rows[i], err);
	return rc;
}

int ol_container_dir(ol_store *store, const char *id, int *dir_fd, ol_error *err)
{
	if (!ol_is_user_id(id))
		return ol_fail(
			err, OL_EINVAL, "a container's id has %d hex digits", OL_USER_ID_HEX);
	if (!store->read_only && mkdirat(store->containers_fd, id, 0700) < 0 && errno != EEXIST)
		return ol_fail_sys(err, "mkdir containers/%s", id);
	return ol_dir_open(store->containers_fd, id, dir_fd, err);
}
