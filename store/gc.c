/*
 * Garbage: what cannot be reached from names, leases, containers, mounts and uses over edges.
 * Digests are one space: a digest that is reached keeps the blob, the layer and the chain of that
 * name.
 *
 *	1. leases whose time and whose process are over end
 *	2. mark: one read snapshot gives the victims and the number of changes that could revive one
 *	   ("changes", schema.c)
 *	3. delete: a batch of rows a transaction; if the number has changed since, the victims are
 *	   found anew inside it
 *	4. the commit reaches the disk, then the files go (invariant 2)
 *	5. files that no row knows, from crashes; ingests that nobody resumes
 *
 * Nobody waits for 2; for 3 and 4 writers wait as for any other transaction, and readers never.
 *
 * After one image was removed, only what its root reaches can have become garbage: ol_gc_image
 * marks below that root alone. What something else holds, a digest outside with an edge to it among
 * them, stays with all it reaches. Garbage outside counts as holding, too: a full gc removes it.
 */
#include "store/gc.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "store/gc_priv.h"
#include "store/row_priv.h"
#include "store/use.h"

/* A batch costs one fsync; and a writer waits for at most one batch. */
#define BATCH_ROWS 256

static const char victims_sql[] =
	"WITH RECURSIVE live(digest) AS ("
	" SELECT root FROM names UNION SELECT listed FROM names WHERE listed IS NOT NULL"
	" UNION SELECT digest FROM lease_items"
	" UNION SELECT root FROM containers UNION SELECT config FROM containers WHERE config IS "
	"NOT NULL"
	" UNION SELECT root FROM mounts UNION SELECT config FROM mounts WHERE config IS NOT NULL"
	" UNION SELECT key FROM uses"
	" UNION SELECT child FROM edges JOIN live ON edges.parent = live.digest"
	" UNION SELECT blob FROM attached JOIN live ON attached.subject = live.digest)"
	" SELECT id, digest, size, 0, 0 FROM blobs WHERE digest NOT IN (SELECT digest FROM live)"
	" UNION ALL"
	" SELECT id, key, disk_bytes, 1, is_chain FROM layers WHERE key NOT IN (SELECT digest FROM "
	"live)";

#define HOLDS(table, column) " OR EXISTS(SELECT 1 FROM " table " WHERE " column " = reached.digest)"

static const char victims_below_sql[] =
	"WITH RECURSIVE reached(digest) AS (VALUES(?1)"
	" UNION SELECT child FROM edges JOIN reached ON edges.parent = reached.digest"
	" UNION SELECT blob FROM attached JOIN reached ON attached.subject = reached.digest),"
	" held(digest) AS (SELECT digest FROM reached WHERE"
	" EXISTS(SELECT 1 FROM names WHERE root = reached.digest)" HOLDS("names", "listed") HOLDS(
		"lease_items", "lease_items.digest") HOLDS("containers", "root") HOLDS("containers",
		"config") HOLDS("mounts", "root") HOLDS("mounts", "config") HOLDS("uses",
		"key") " OR EXISTS(SELECT 1 FROM edges WHERE child = reached.digest"
		       " AND parent NOT IN (SELECT digest FROM reached))"
		       " OR EXISTS(SELECT 1 FROM attached WHERE blob = reached.digest"
		       " AND subject NOT IN (SELECT digest FROM reached))"
		       " UNION SELECT child FROM edges JOIN held ON edges.parent = held.digest"
		       " UNION SELECT blob FROM attached JOIN held ON attached.subject = "
		       "held.digest),"
		       " loose(digest) AS MATERIALIZED"
		       " (SELECT digest FROM reached EXCEPT SELECT digest FROM held)"
		       " SELECT id, blobs.digest, size, 0, 0 FROM loose JOIN blobs ON blobs.digest "
		       "= "
		       "loose.digest UNION ALL"
		       " SELECT id, key, disk_bytes, 1, is_chain FROM loose JOIN layers ON key = "
		       "loose.digest";

static void victims_done(ol_victims *victims)
{
	free(victims->list);
}

static int find_victims(ol_db *db, ol_victims *victims, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = victims->below
			 ? ol_db_query(db, err, &stmt, victims_below_sql, "d", victims->below)
			 : ol_db_query(db, err, &stmt, victims_sql, "");

	victims->count = 0;
	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		ol_victim victim = {
			.id = sqlite3_column_int64(stmt, 0),
			.is_layer = sqlite3_column_int(stmt, 3) != 0,
			.is_chain = sqlite3_column_int(stmt, 4) != 0,
		};

		rc = ol_column_digest(stmt, 1, false, &victim.digest, err);
		if (rc == OL_OK)
			rc = ol_column_u64(stmt, 2, &victim.bytes, err);
		OL_GROW(victims->list, victims->count, victims->cap);
		victims->list[victims->count++] = victim;
	}
	return rc;
}

static int read_changes(ol_db *db, int64_t *out, ol_error *err)
{
	return ol_db_number(db, err, out, "SELECT value FROM store WHERE key = 'changes'", "");
}

static int refuse_rebuild(ol_db *db, ol_error *err)
{
	int64_t is = 0;
	int rc = ol_db_number(
		db, err, &is, "SELECT EXISTS(SELECT 1 FROM store WHERE key = 'rebuild')", "");

	if (rc < 0 || !is)
		return rc;
	(void)ol_fail(err, OL_EBUSY, "the store is being repaired");
	return ol_hint(err, OL_EBUSY, "if no `orlop check --repair` runs, start one");
}

/* Every row was found sound in this boot, when an image was removed before. */
static bool rows_are_proved(ol_store *store, ol_db *db)
{
	int64_t is = 0;

	return ol_db_number(db, NULL, &is,
		       "SELECT EXISTS(SELECT 1 FROM store WHERE key = 'proved' AND value = ? "
		       "AND " OL_SOUND("store", OL_ROW_STORE) ")",
		       "t", store->boot) == OL_OK &&
	       is;
}

static int keep_proof(ol_store *store, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int rc = ol_txn_begin(store, false, &txn, err);

	if (rc == OL_OK)
		rc = ol_db_run(txn.db, err, NULL,
			"INSERT OR REPLACE INTO store(key, value) VALUES('proved', ?)", "t",
			store->boot);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

/* What a damaged or lost row keeps alive cannot be told: then nothing is garbage. All rows of a
 * large store take a while, so what follows one removed image asks once a boot; a full gc always.
 */
static int prove_rows(ol_store *store, const ol_victims *victims, ol_error *err)
{
	int rc = OL_OK;
	{
		ol_auto_db ol_db *db = ol_db_reader(store);

		if (victims->below && rows_are_proved(store, db))
			return OL_OK;
		rc = ol_rows_check_all(db, err);
	}
	return rc < 0 || !victims->below ? rc : keep_proof(store, err);
}

static int mark(ol_store *store, ol_victims *victims, int64_t *changes, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	int rc = ol_db_run(db, err, NULL, "BEGIN", "");

	if (rc < 0)
		return rc;
	rc = refuse_rebuild(db, err);
	if (rc == OL_OK)
		rc = read_changes(db, changes, err);
	if (rc == OL_OK)
		rc = find_victims(db, victims, err);
	(void)ol_db_run(db, NULL, NULL, "COMMIT", "");
	return rc;
}

static int delete_edges(ol_db *db, const ol_digest *parent, ol_error *err)
{
	int rc = ol_db_run(db, err, NULL,
		"DELETE FROM edges WHERE parent = ?1 AND NOT EXISTS (SELECT 1 FROM blobs WHERE "
		"digest = ?1)"
		" AND NOT EXISTS (SELECT 1 FROM layers WHERE key = ?1)",
		"d", parent);

	if (rc < 0)
		return rc;
	return ol_db_run(db, err, NULL,
		"DELETE FROM attached WHERE subject = ?1 AND NOT EXISTS (SELECT 1 FROM blobs WHERE "
		"digest = ?1)"
		" AND NOT EXISTS (SELECT 1 FROM layers WHERE key = ?1)",
		"d", parent);
}

int ol_gc_delete_row(ol_db *db, const ol_victim *victim, ol_error *err)
{
	int rc = victim->is_layer ? ol_db_run(db, err, NULL, "DELETE FROM layers WHERE id = ?", "i",
					    victim->id)
				  : ol_db_run(db, err, NULL, "DELETE FROM blobs WHERE id = ?", "i",
					    victim->id);

	return rc == OL_OK ? delete_edges(db, &victim->digest, err) : rc;
}

/* Deletes up to a batch of victims from *next on. *next moves; victims and *changes may be replaced
 * by newer ones. */
static int delete_batch(
	ol_store *store, ol_victims *victims, int64_t *changes, size_t *next, ol_error *err)
{
	ol_auto_txn ol_txn txn = { 0 };
	int64_t now = 0;
	size_t end;
	int rc = ol_txn_begin(store, true, &txn, err);

	if (rc == OL_OK)
		rc = read_changes(txn.db, &now, err);
	if (rc == OL_OK && now != *changes) {
		/* Inside the transaction nothing moves any more: what is found now is garbage until
		 * we commit. */
		rc = find_victims(txn.db, victims, err);
		*changes = now;
		*next = 0;
	}
	end = victims->count - *next > BATCH_ROWS ? *next + BATCH_ROWS : victims->count;
	for (; rc == OL_OK && *next < end; ++*next)
		rc = ol_gc_delete_row(txn.db, &victims->list[*next], err);
	if (rc == OL_OK)
		rc = ol_fault("store.gc.commit", err);
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

static int collect(ol_store *store, const ol_digest *below, const ol_cancel *cancel,
	ol_gc_result *out, ol_error *err)
{
	__attribute__((cleanup(victims_done))) ol_victims victims = { .below = below };
	int64_t changes = 0;
	size_t next = 0;
	int rc = prove_rows(store, &victims, err);

	if (rc == OL_OK)
		rc = mark(store, &victims, &changes, err);
	while (rc == OL_OK && next < victims.count) {
		size_t first;

		rc = ol_cancel_check(cancel, err);
		if (rc == OL_OK)
			rc = delete_batch(store, &victims, &changes, &next, err);
		if (rc == OL_OK)
			rc = ol_fault("store.gc.committed", err);
		if (rc < 0)
			break;
		first = next == 0 ? 0 : (next - 1) / BATCH_ROWS * BATCH_ROWS;
		rc = ol_gc_unlink(store, victims.list + first, next - first, out, err);
	}
	return rc;
}

/* Honoured while its process works on, however long, and after that for the time it has. */
static int list_dead_leases(
	ol_store *store, ol_db *db, int64_t *ids, size_t max, size_t *count, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT id, pid, pid_start, boot FROM leases WHERE expires < ? AND " OL_SOUND(
			"leases", OL_ROW_LEASES),
		"i", ol_unix_now());

	while (*count < max && rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		const char *boot = (const char *)sqlite3_column_text(stmt, 3);

		if (boot && strcmp(boot, store->boot) == 0 &&
			ol_process_alive((pid_t)sqlite3_column_int(stmt, 1),
				(uint64_t)sqlite3_column_int64(stmt, 2)))
			continue;
		ids[(*count)++] = sqlite3_column_int64(stmt, 0);
	}
	return rc < 0 ? rc : OL_OK;
}

static int end_leases(ol_store *store, ol_error *err)
{
	int64_t ids[64]; /* what is over stays over: the rest is the next gc's */
	size_t count = 0;
	ol_auto_txn ol_txn txn = { 0 };
	int rc;

	/* Looked up first: mostly there is none, and then nobody has to wait for us. */
	{
		ol_auto_db ol_db *db = ol_db_reader(store);

		rc = list_dead_leases(store, db, ids, sizeof ids / sizeof ids[0], &count, err);
	}
	if (rc < 0 || count == 0)
		return rc;
	rc = ol_txn_begin(store, false, &txn, err);
	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		rc = ol_db_run(
			txn.db, err, NULL, "DELETE FROM lease_items WHERE lease = ?", "i", ids[i]);
		if (rc == OL_OK)
			rc = ol_db_run(
				txn.db, err, NULL, "DELETE FROM leases WHERE id = ?", "i", ids[i]);
	}
	return rc == OL_OK ? ol_txn_commit(&txn, err) : rc;
}

int ol_gc(ol_store *store, const ol_cancel *cancel, ol_gc_result *out, ol_error *err)
{
	ol_gc_result result = { 0 };
	int64_t pruned = 0;
	int rc = end_leases(store, err);

	if (rc == OL_OK)
		rc = collect(store, NULL, cancel, &result, err);
	if (rc == OL_OK)
		rc = ol_attached_prune(store, &pruned, err);
	if (rc == OL_OK)
		rc = ol_gc_orphans(store, cancel, &result, err);
	if (rc == OL_OK)
		rc = ol_gc_lazy(store, &result.bytes, err);
	if (rc == OL_OK)
		rc = ol_gc_ingests(store, cancel, &result, err);
	if (rc == OL_OK)
		rc = ol_gc_containers(store, err);
	/* A crash between a change of names and its listing left an old one. */
	if (rc == OL_OK)
		rc = ol_listing_write(store, false, err);
	if (rc < 0)
		return ol_wrap(err, rc, "gc");
	*out = result;
	return OL_OK;
}

int ol_gc_image(ol_store *store, const ol_digest *root, const ol_cancel *cancel, ol_gc_result *out,
	ol_error *err)
{
	ol_gc_result result = { 0 };
	int rc = end_leases(store, err);

	if (rc == OL_OK)
		rc = collect(store, root, cancel, &result, err);
	if (rc < 0)
		return ol_wrap(err, rc, "gc");
	*out = result;
	return OL_OK;
}

int ol_gc_preview(ol_store *store, ol_gc_result *out, ol_error *err)
{
	__attribute__((cleanup(victims_done))) ol_victims victims = { 0 };
	ol_gc_result result = { 0 };
	int64_t changes = 0;
	int rc = prove_rows(store, &victims, err);

	if (rc == OL_OK)
		rc = mark(store, &victims, &changes, err);
	for (size_t i = 0; rc == OL_OK && i < victims.count; i++) {
		result.blobs += !victims.list[i].is_layer;
		result.layers += victims.list[i].is_layer;
		result.bytes += victims.list[i].bytes;
	}
	if (rc < 0)
		return ol_wrap(err, rc, "gc");
	*out = result;
	return OL_OK;
}
