/*
 * What a check has done so far: the table `checked`, and in `store` the row 'check' with the time
 * it began and the boot. Both are gone once it has come to its end. Ids are never used twice, so
 * they stand for exactly what was looked at. Another boot, and what was read then from the page
 * cache may not be what is on disk now: the check begins anew.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"
#include "store/check_priv.h"

#define RUN_SECONDS ((int64_t)24 * 3600)

static bool is_fresh(ol_store *store)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	char text[128], boot[OL_BOOT_ID_MAX + 1];
	long long began = 0;
	int rc = ol_db_query(db, NULL, &stmt,
		"SELECT value FROM store WHERE key = 'check' AND " OL_SOUND("store", OL_ROW_STORE),
		"");

	if (rc < 0 || ol_db_step(db, stmt, NULL) != 1 ||
		ol_column_copy(stmt, 0, text, sizeof text, NULL) < 0)
		return false;
	return sscanf(text, "%lld %64s", &began, boot) == 2 && strcmp(boot, store->boot) == 0 &&
	       began <= ol_unix_now() && began > ol_unix_now() - RUN_SECONDS;
}

static void forget(ol_store *store, bool begin)
{
	ol_auto_txn ol_txn txn = { 0 };
	char value[128];
	int rc = ol_txn_begin(store, false, &txn, NULL);

	(void)snprintf(value, sizeof value, "%lld %s", (long long)ol_unix_now(), store->boot);
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, NULL, NULL, "DELETE FROM checked", "");
	if (rc == OL_OK)
		rc = ol_db_run(txn.db, NULL, NULL, "DELETE FROM store WHERE key = 'check'", "");
	if (rc == OL_OK && begin)
		rc = ol_db_run(txn.db, NULL, NULL,
			"INSERT INTO store(key, value) VALUES('check', ?)", "t", value);
	if (rc == OL_OK)
		(void)ol_txn_commit(&txn, NULL);
}

static int was_checked(ol_db *db, const ol_check_task *task, bool *out, ol_error *err)
{
	int64_t there = 0;
	int rc = ol_db_number(db, err, &there,
		"SELECT EXISTS(SELECT 1 FROM checked WHERE kind = ? AND id = ?)", "ii",
		(int64_t)task->is_layer, task->id);

	*out = there != 0;
	return rc;
}

int ol_check_begin(ol_checker *checker, ol_check_tasks *tasks, uint64_t *done, ol_error *err)
{
	ol_store *store = checker->store;
	size_t kept = 0;
	int rc = OL_OK;

	*done = 0;
	if (store->read_only || checker->options->quick)
		return OL_OK;
	if (checker->options->restart || !is_fresh(store)) {
		forget(store, true);
		return OL_OK;
	}
	{
		ol_auto_db ol_db *db = ol_db_reader(store);

		for (size_t i = 0; rc == OL_OK && i < tasks->count; i++) {
			bool checked = false;

			rc = was_checked(db, &tasks->list[i], &checked, err);
			if (checked && tasks->list[i].state != OL_ROW_DAMAGED)
				*done += tasks->list[i].size;
			else
				tasks->list[kept++] = tasks->list[i];
		}
	}
	if (rc == OL_OK)
		tasks->count = kept;
	return rc;
}

void ol_check_remember(ol_checker *checker, const ol_check_task *const *tasks, size_t count)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc;

	if (checker->store->read_only || checker->options->quick || count == 0)
		return;
	rc = ol_txn_begin(checker->store, false, &txn, NULL);
	for (size_t i = 0; rc == OL_OK && i < count; i++)
		rc = ol_db_run(txn.db, NULL, NULL,
			"INSERT OR IGNORE INTO checked(kind, id) VALUES(?, ?)", "ii",
			(int64_t)tasks[i]->is_layer, tasks[i]->id);
	if (rc == OL_OK)
		rc = ol_txn_commit(&txn, NULL);
	if (rc == OL_OK)
		(void)ol_fault("store.check.remembered", NULL);
}

void ol_check_end(ol_checker *checker)
{
	if (!checker->store->read_only && !checker->options->quick)
		forget(checker->store, false);
}
