/*
 * Attachments: a row (subject, kind) ─▶ blob. It is an edge like those of the table `edges`, for gc
 * and all who follow edges, but not one that a document tells of: so it has a table of its own,
 * that is not made anew from documents, and a row goes with its subject.
 */
#include "store/attached.h"

#include "base/fault.h"
#include "store/gc_priv.h"
#include "store/row_priv.h"

#define KIND_MAX 127

static bool is_kind(const char *kind)
{
	return kind[0] && ol_is_plain(kind, KIND_MAX);
}

static int must_be_there(ol_db *db, const ol_digest *blob, ol_error *err)
{
	int64_t there = 0;
	int rc = ol_db_number(
		db, err, &there, "SELECT EXISTS(SELECT 1 FROM blobs WHERE digest = ?)", "d", blob);

	if (rc == OL_OK && !there)
		rc = ol_fail(err, OL_ENOTFOUND, "blob %s is not in the store",
			ol_digest_format(blob).text);
	return rc;
}

int ol_attach(ol_store *store, const ol_digest *subject, const char *kind, const ol_digest *blob,
	ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc;

	if (!ol_digest_is_set(subject) || !ol_digest_is_set(blob) || !is_kind(kind))
		return ol_fail(err, OL_EINVAL, "this cannot be attached");
	rc = ol_txn_begin(store, false, &txn, err);
	if (rc == OL_OK)
		rc = must_be_there(txn.db, blob, err);
	/* Not an update: that would leave a damaged row's sum as wrong as it is. */
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"DELETE FROM attached WHERE subject = ? AND kind = ?", "dt", subject, kind);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"INSERT INTO attached(subject, kind, blob) VALUES(?, ?, ?)", "dtd", subject,
			kind, blob);
	if (rc == OL_OK)
		rc = ol_fault("store.attach.commit", err);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

int ol_attached(
	ol_store *store, const ol_digest *subject, const char *kind, ol_digest *out, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT blob, " OL_SOUND("attached", OL_ROW_ATTACHED) " FROM attached WHERE "
								      "subject = ? AND kind = ?",
		"dt", subject, kind);

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 0)
		return ol_fail(err, OL_ENOTFOUND, "nothing is attached to %s as %.127s",
			ol_digest_format(subject).text, kind);
	if (rc == 1)
		rc = ol_row_check(stmt, 1, "attached", ol_digest_format(subject).text, err);
	return rc < 0 ? rc : ol_column_digest(stmt, 0, false, out, err);
}

int ol_detach(ol_store *store, const ol_digest *subject, const char *kind, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"DELETE FROM attached WHERE subject = ? AND kind = ?", "dt", subject, kind);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

#define LOST                                                                                       \
	"((subject NOT IN (SELECT digest FROM blobs) AND subject NOT IN (SELECT key FROM layers)"  \
	" AND subject NOT IN (SELECT digest FROM lease_items))"                                    \
	" OR blob NOT IN (SELECT digest FROM blobs))"

int ol_attached_prune(ol_store *store, int64_t *count, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t any = 0;
	int rc;

	/* Looked up first: mostly there is none, and then nobody has to wait for us. */
	{
		ol_auto_db ol_db *db = ol_db_reader(store);

		rc = ol_db_number(
			db, err, &any, "SELECT EXISTS(SELECT 1 FROM attached WHERE " LOST ")", "");
	}
	*count = 0;
	if (rc < 0 || !any)
		return rc;
	rc = ol_txn_begin(store, false, &txn, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, count, "DELETE FROM attached WHERE " LOST, "");
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}
