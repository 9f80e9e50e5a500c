/*
 * Who is alive, and who holds which layers mounted.
 *
 * uses(user, key): a row for each layer that a container or mount stands on. The layer's mount
 * under the run root lives as long as it has a row; gc keeps the layer itself as long.
 */
#include "store/use.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "store/row_priv.h"
#include "store/use_priv.h"

/* proc(5), /proc/PID/stat: the name in field 2 may hold anything, so fields are counted from its
 * last ')'. */
uint64_t ol_process_start(pid_t pid)
{
	ol_auto_buf ol_buf text = OL_BUF(4096);
	char path[40];
	const char *at;

	if (pid <= 0)
		return 0;
	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (ol_file_read(AT_FDCWD, path, false, &text, NULL) < 0)
		return 0;
	at = strrchr(text.data, ')');
	for (int field = 2; at && field < 22; field++) {
		at = strchr(at + 1, ' ');
		if (field == 2 && at && (at[1] == 'Z' || at[1] == 'X'))
			return 0; /* dead, only not yet waited for */
	}
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

bool ol_process_alive(pid_t pid, uint64_t start)
{
	return start != 0 && ol_process_start(pid) == start;
}

bool ol_is_user_id(const char *id)
{
	uint8_t bytes[OL_USER_ID_HEX / 2];

	return id && ol_hex_parse(ol_view_of(id), bytes, sizeof bytes) == OL_OK;
}

int ol_use_add(
	ol_store *store, const char *user_id, const ol_digest *keys, size_t count, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc;

	if (!user_id[0] || !ol_is_plain(user_id, OL_USER_ID_HEX))
		return ol_fail(err, OL_EINVAL,
			"a user of layers has an id of at most %d characters", OL_USER_ID_HEX);
	rc = ol_txn_begin(store, false, &txn, err);
	for (size_t i = 0; rc == OL_OK && i < count; i++)
		rc = ol_db_run(txn.db, err, NULL,
			"INSERT OR IGNORE INTO uses(user, key) VALUES(?, ?)", "td", user_id,
			&keys[i]);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

static int list_users(
	ol_store *store, const ol_digest *key, char ***list, size_t *count, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	size_t cap = 0;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT user, " OL_SOUND("uses", OL_ROW_USES) " FROM uses WHERE key = ?", "d", key);

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		char user[OL_USER_ID_HEX + 1];

		if (ol_row_check(stmt, 1, "uses", ol_digest_format(key).text, NULL) < 0 ||
			ol_column_copy(stmt, 0, user, sizeof user, NULL) < 0)
			continue; /* nobody that could be named */
		OL_GROW(*list, *count, cap);
		(*list)[(*count)++] = ol_strdup(user);
	}
	return rc;
}

int ol_use_each(ol_store *store, const ol_digest *key,
	int (*call)(void *ctx, const char *user_id, ol_error *err), void *ctx, ol_error *err)
{
	ol_autofree char **users = NULL;
	size_t count = 0;
	int rc = list_users(store, key, &users, &count, err);

	for (size_t i = 0; i < count; i++) {
		if (rc == OL_OK)
			rc = call(ctx, users[i], err);
		free(users[i]);
	}
	return rc;
}

/* The user's keys that nobody else uses. */
static int list_unused(
	ol_db *db, const char *user_id, ol_digest **list, size_t *count, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	size_t cap = 0;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT key, " OL_SOUND(
			"uses", OL_ROW_USES) " FROM uses WHERE user = ?1 AND NOT EXISTS"
					     " (SELECT 1 FROM uses AS other WHERE other.key = "
					     "uses.key AND other.user != ?1)",
		"t", user_id);

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		OL_GROW(*list, *count, cap);
		/* What it says cannot be believed: a mount that stays is gc's. */
		if (ol_row_check(stmt, 1, "uses", user_id, NULL) < 0)
			continue;
		rc = ol_column_digest(stmt, 0, false, &(*list)[*count], err);
		if (rc == OL_OK)
			(*count)++;
	}
	return rc;
}

int ol_use_end(
	ol_store *store, const char *user_id, ol_digest **unused, size_t *count, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	ol_autofree ol_digest *list = NULL;
	size_t found = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = list_unused(txn.db, user_id, &list, &found, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL, "DELETE FROM uses WHERE user = ?", "t", user_id);
	if (rc == OL_OK)
		rc = ol_txn_commit(&txn, err);
	if (rc < 0)
		return rc;
	*unused = ol_steal(&list);
	*count = found;
	return OL_OK;
}
