/*
 * A lease is a row with its process, and its items are roots for gc. It is honoured while that
 * process lives, however long, and after it until `expires`, which every addition puts off: not at
 * all, or, where somebody may come back for what was done, an hour (ol_lease_begin_resumable). What
 * is to stay until somebody says otherwise never expires (ol_lease_keep).
 */
#include "store/lease.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "store/row_priv.h"
#include "store/store_priv.h"
#include "store/use.h"

/* Who starts a killed pull again does it within the hour; the bytes in ingest/ stay for longer. */
#define RESUME_SECONDS ((int64_t)3600)
#define WHY_BYTES_MAX  ((size_t)512)
#define NEVER          INT64_MAX /* expires */

struct ol_lease {
	ol_store *store; /* lent */
	int64_t id;
	int64_t seconds; /* that it outlives its process */
	bool kept;       /* it is nobody's but the store's */
};

static int64_t end_of(const ol_lease *lease)
{
	return lease->seconds ? ol_unix_now() + lease->seconds : 0;
}

static int begin(ol_store *store, const char *why, int64_t seconds, ol_lease **out, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	ol_autofree ol_lease *lease = ol_alloc(sizeof *lease);
	int rc;

	if (!ol_is_plain(why, WHY_BYTES_MAX))
		why = "(unprintable)";
	rc = ol_txn_begin(store, false, &txn, err);
	if (rc < 0)
		return rc;
	lease->seconds = seconds;
	rc = ol_db_run(txn.db, err, NULL,
		"INSERT INTO leases(why, expires, pid, pid_start, boot) VALUES(?, ?, ?, ?, ?)",
		"tiiit", why, end_of(lease), (int64_t)getpid(), (int64_t)ol_process_start(getpid()),
		store->boot);
	if (rc < 0)
		return rc;
	lease->store = store;
	lease->id = sqlite3_last_insert_rowid(txn.db->handle);
	rc = ol_txn_commit(&txn, err);
	if (rc == OL_OK)
		*out = ol_steal(&lease);
	return rc;
}

int ol_lease_begin(ol_store *store, const char *why, ol_lease **out, ol_error *err)
{
	return begin(store, why, 0, out, err);
}

int ol_lease_begin_resumable(ol_store *store, const char *why, ol_lease **out, ol_error *err)
{
	return begin(store, why, RESUME_SECONDS, out, err);
}

int ol_lease_add(ol_lease *lease, const ol_digest *digest, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc = ol_txn_begin(lease->store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, &changes, "UPDATE leases SET expires = ? WHERE id = ?",
			"ii", end_of(lease), lease->id);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(err, OL_ENOTFOUND, "the lease has ended");
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"INSERT OR IGNORE INTO lease_items(lease, digest) VALUES(?, ?)", "id",
			lease->id, digest);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

void ol_lease_end(ol_lease *lease)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc;

	if (!lease || lease->kept) {
		free(lease);
		return;
	}
	/* If this fails (a full disk), the lease ends with the process. */
	rc = ol_txn_begin(lease->store, false, &txn, NULL);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, NULL, NULL, "DELETE FROM lease_items WHERE lease = ?", "i",
			lease->id);
	if (rc == OL_OK)
		rc = ol_db_run(
			txn.db, NULL, NULL, "DELETE FROM leases WHERE id = ?", "i", lease->id);
	if (rc == OL_OK)
		(void)ol_txn_commit(&txn, NULL);
	free(lease);
}

/* Kept leases of this why, but for one. */
static int forget(ol_db *db, const char *why, int64_t but, int64_t *changes, ol_error *err)
{
	int rc = ol_db_run(db, err, NULL,
		"DELETE FROM lease_items WHERE lease IN (SELECT id FROM leases WHERE why = ? AND "
		"expires = ? AND id != ?)",
		"tii", why, NEVER, but);

	return rc < 0 ? rc
		      : ol_db_run(db, err, changes,
				"DELETE FROM leases WHERE why = ? AND expires = ? AND id != ?",
				"tii", why, NEVER, but);
}

int ol_lease_keep(ol_lease *lease, const char *why, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc;

	if (!ol_is_plain(why, WHY_BYTES_MAX))
		return ol_fail(err, OL_EINVAL, "a lease needs a reason in plain text");
	rc = ol_txn_begin(lease->store, false, &txn, err);
	if (rc == OL_OK)
		rc = forget(txn.db, why, lease->id, &changes, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, &changes,
			"UPDATE leases SET why = ?, expires = ? WHERE id = ?", "tii", why, NEVER,
			lease->id);
	if (rc == OL_OK && changes == 0)
		rc = ol_fail(err, OL_ENOTFOUND, "the lease has ended");
	if (rc == OL_OK)
		rc = ol_txn_commit(&txn, err);
	lease->kept = rc == OL_OK;
	return rc;
}

int ol_lease_forget(ol_store *store, const char *why, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0;
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = forget(txn.db, why, 0, &changes, err);
	if (rc == OL_OK && changes == 0)
		return ol_fail(err, OL_ENOTFOUND, "nothing is kept so");
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

/* The reasons, gathered, so that no connection is held while somebody works with them. */
static int gather_kept(ol_store *store, char ***out, size_t *count, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	size_t cap = 0;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT why FROM leases WHERE expires = ? AND " OL_SOUND(
			"leases", OL_ROW_LEASES) " ORDER BY id",
		"i", NEVER);

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		OL_GROW(*out, *count, cap);
		(*out)[(*count)++] = ol_strdup((const char *)sqlite3_column_text(stmt, 0));
	}
	return rc < 0 ? rc : OL_OK;
}

int ol_lease_each_kept(ol_store *store, int (*call)(void *ctx, const char *why, ol_error *err),
	void *ctx, ol_error *err)
{
	char **list = NULL;
	size_t count = 0;
	int rc = gather_kept(store, &list, &count, err);

	for (size_t i = 0; i < count; i++) {
		if (rc == OL_OK)
			rc = call(ctx, list[i], err);
		free(list[i]);
	}
	free(list);
	return rc;
}
