/*
 * The tables, as a list of numbered steps: step N brings a database of version N to N + 1 in one
 * transaction, and PRAGMA user_version says where it is. A step that was released never changes; a
 * new wish is a new step. docs/formats.md explains each table and column.
 */
#include "store/store_priv.h"

/* "orlp": so that file(1) and we know our own. */
#define APPLICATION_ID 0x6f726c70

static const char step_1[] =
	/* One row per fact about the whole store. "changes" counts what may make garbage live
	   again: gc looks at it. */
	"CREATE TABLE store(key TEXT PRIMARY KEY NOT NULL, value) WITHOUT ROWID;"
	"INSERT INTO store VALUES('id', lower(hex(randomblob(8)))), ('changes', 0);"
	/* AUTOINCREMENT: an id is never used twice, so a late mark cannot hit the successor of a
	   removed row. */
	"CREATE TABLE blobs(id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL UNIQUE,"
	" size INTEGER NOT NULL CHECK(size >= 0), state INTEGER NOT NULL CHECK(state IN (0, 1, 2)),"
	" boot TEXT NOT NULL, created INTEGER NOT NULL);"
	"CREATE INDEX blobs_unsynced ON blobs(id) WHERE state = 1;"
	"CREATE TABLE edges(parent TEXT NOT NULL, child TEXT NOT NULL, PRIMARY KEY(parent, child)) "
	"WITHOUT ROWID;"
	"CREATE TABLE layers(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, is_chain "
	"INTEGER NOT NULL,"
	" diff_id TEXT NOT NULL, driver TEXT NOT NULL, leans INTEGER NOT NULL, tar_bytes INTEGER "
	"NOT NULL,"
	" disk_bytes INTEGER NOT NULL, entries INTEGER NOT NULL, blob TEXT, blob_size INTEGER NOT "
	"NULL,"
	" media_type TEXT NOT NULL, index_digest TEXT, origin TEXT NOT NULL,"
	" state INTEGER NOT NULL CHECK(state IN (0, 1, 2)), boot TEXT NOT NULL, created INTEGER "
	"NOT NULL,"
	" UNIQUE(key, is_chain));"
	"CREATE INDEX layers_unsynced ON layers(id) WHERE state = 1;"
	/* name NULL: "<none>". listed: what index.json shows in place of root. */
	"CREATE TABLE names(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, repo TEXT NOT "
	"NULL,"
	" root TEXT NOT NULL, media_type TEXT NOT NULL, created INTEGER NOT NULL, listed TEXT,"
	" listed_size INTEGER NOT NULL, listed_media_type TEXT NOT NULL);"
	"CREATE INDEX names_root ON names(root);"
	"CREATE TABLE leases(id INTEGER PRIMARY KEY AUTOINCREMENT, why TEXT NOT NULL, expires "
	"INTEGER NOT NULL,"
	" pid INTEGER NOT NULL, pid_start INTEGER NOT NULL, boot TEXT NOT NULL);"
	"CREATE TABLE lease_items(lease INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY(lease, "
	"digest)) WITHOUT ROWID;"
	"CREATE TRIGGER names_added AFTER INSERT ON names"
	" BEGIN UPDATE store SET value = value + 1 WHERE key = 'changes'; END;"
	"CREATE TRIGGER names_moved AFTER UPDATE ON names"
	" BEGIN UPDATE store SET value = value + 1 WHERE key = 'changes'; END;"
	"CREATE TRIGGER edges_added AFTER INSERT ON edges"
	" BEGIN UPDATE store SET value = value + 1 WHERE key = 'changes'; END;"
	"CREATE TRIGGER lease_items_added AFTER INSERT ON lease_items"
	" BEGIN UPDATE store SET value = value + 1 WHERE key = 'changes'; END;";

static const char step_2[] =
	"CREATE TABLE containers(id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE, image "
	"TEXT NOT NULL,"
	" root TEXT NOT NULL, config TEXT, command TEXT NOT NULL, created INTEGER NOT NULL, "
	"started INTEGER NOT NULL,"
	" finished INTEGER NOT NULL, state INTEGER NOT NULL, exit_status INTEGER NOT NULL, pid "
	"INTEGER NOT NULL,"
	" pid_start INTEGER NOT NULL, boot TEXT NOT NULL, remove_on_exit INTEGER NOT NULL) WITHOUT "
	"ROWID;"
	"CREATE TABLE mounts(id TEXT PRIMARY KEY NOT NULL, target TEXT NOT NULL UNIQUE, image TEXT "
	"NOT NULL,"
	" root TEXT NOT NULL, config TEXT, writable INTEGER NOT NULL, created INTEGER NOT NULL, "
	"boot TEXT NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE uses(user TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY(user, key)) WITHOUT "
	"ROWID;"
	"CREATE INDEX uses_key ON uses(key);"
	"CREATE TRIGGER containers_added AFTER INSERT ON containers"
	" BEGIN UPDATE store SET value = value + 1 WHERE key = 'changes'; END;"
	"CREATE TRIGGER mounts_added AFTER INSERT ON mounts"
	" BEGIN UPDATE store SET value = value + 1 WHERE key = 'changes'; END;"
	"CREATE TRIGGER uses_added AFTER INSERT ON uses"
	" BEGIN UPDATE store SET value = value + 1 WHERE key = 'changes'; END;";

static const char *const steps[] = { step_1, step_2 };
const int ol_schema_newest = (int)(sizeof steps / sizeof steps[0]);

/* A pragma is read fresh each time: a cached statement would do, but the schema may change under it
 * here. */
static int pragma(ol_db *db, const char *sql, int64_t *out, ol_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	(void)sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? OL_OK : ol_db_fail(db, rc, "schema", err);
}

int ol_schema_version(ol_db *db, int64_t *out, ol_error *err)
{
	int64_t application = 0, tables = 0;
	int rc = pragma(db, "PRAGMA user_version", out, err);

	if (rc == OL_OK)
		rc = pragma(db, "PRAGMA application_id", &application, err);
	if (rc == OL_OK && application != APPLICATION_ID) {
		rc = pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
		if (rc == OL_OK && (*out != 0 || tables != 0))
			rc = ol_fail(err, OL_EUNSUPPORTED, "orlop.db was not made by orlop");
	}
	if (rc < 0)
		return rc;
	if (*out < 0 || *out > ol_schema_newest) {
		(void)ol_fail(err, OL_EUNSUPPORTED,
			"the store has schema %lld, and this orlop knows up to %d", (long long)*out,
			ol_schema_newest);
		return ol_hint(err, OL_EUNSUPPORTED,
			"use the newer orlop that made it, or another --root");
	}
	return OL_OK;
}

static int take_step(ol_db *db, int from, ol_error *err)
{
	char settle[128];
	int rc, failed;

	(void)snprintf(settle, sizeof settle,
		"PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", APPLICATION_ID,
		from + 1);
	rc = sqlite3_exec(db->handle, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db->handle, steps[from], NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db->handle, settle, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return OL_OK;
	failed = ol_db_fail(db, rc, "migrate the database", err);
	(void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return failed;
}

int ol_schema_migrate(ol_db *db, ol_error *err)
{
	int64_t version = 0;
	int rc = ol_schema_version(
		db, &version, err); /* first: a stranger's database is left as it is */
	int failed;

	if (rc < 0)
		return rc;
	failed = sqlite3_exec(db->handle, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	if (failed != SQLITE_OK)
		return ol_db_fail(db, failed, "open", err);
	for (int at = (int)version; rc == OL_OK && at < ol_schema_newest; at++)
		rc = take_step(db, at, err);
	return rc;
}
