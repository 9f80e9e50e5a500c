/* What is damaged and of no use to anybody goes at once, by gc's rules: row, then files. */
#include "store/gc_priv.h"
#include "store/row_mend_priv.h"

static int forget(ol_store *store, ol_victim *victim, ol_error *err)
{
	ol_gc_result result = { 0 };
	ol_auto_txn ol_txn txn = { 0 };
	int64_t state = 0;
	int rc = ol_txn_begin(store, true, &txn, err);

	if (rc < 0)
		return rc;
	rc = victim->is_layer
		     ? ol_db_number(txn.db, err, &victim->id,
			       "SELECT id FROM layers WHERE key = ? AND is_chain = ?", "di",
			       &victim->digest, (int64_t)victim->is_chain)
		     : ol_db_number(txn.db, err, &victim->id,
			       "SELECT id FROM blobs WHERE digest = ?", "d", &victim->digest);
	if (rc == OL_OK)
		rc = victim->is_layer
			     ? ol_db_number(txn.db, err, &state,
				       "SELECT state FROM layers WHERE id = ?", "i", victim->id)
			     : ol_db_number(txn.db, err, &state,
				       "SELECT state FROM blobs WHERE id = ?", "i", victim->id);
	if (rc == OL_OK && state != OL_ROW_DAMAGED)
		return ol_fail(
			err, OL_EBUSY, "%s is not damaged", ol_digest_format(&victim->digest).text);
	if (rc == OL_OK)
		rc = ol_gc_delete_row(txn.db, victim, err);
	if (rc == OL_OK)
		rc = ol_txn_commit(&txn, err);
	return rc == OL_OK ? ol_gc_unlink(store, victim, 1, &result, err) : rc;
}

int ol_blob_forget(ol_store *store, const ol_digest *digest, ol_error *err)
{
	ol_victim victim = { .digest = *digest };

	return forget(store, &victim, err);
}

int ol_layer_forget(ol_store *store, const ol_digest *key, bool is_chain, ol_error *err)
{
	ol_victim victim = { .digest = *key, .is_layer = true, .is_chain = is_chain };

	return forget(store, &victim, err);
}

int ol_edges_prune(ol_store *store, int64_t *count, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t changes = 0, attached = 0;
	int rc = ol_attached_prune(store, &attached, err);

	if (rc == OL_OK)
		rc = ol_txn_begin(store, false, &txn, err);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, &changes,
			"DELETE FROM edges WHERE parent NOT IN (SELECT digest FROM blobs) AND "
			"parent NOT IN (SELECT key FROM layers)",
			"");
	if (rc == OL_OK)
		rc = ol_txn_commit(&txn, err);
	if (rc == OL_OK && count)
		*count = changes + attached;
	return rc;
}
