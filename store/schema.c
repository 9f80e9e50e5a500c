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

/* Row checksums (row.c): a column each, filled in, and kept from then on by two triggers. The sum
 * of a row that was damaged stays as wrong as it is. match: the primary key; row: its columns;
 * fresh, old: the same with new. and old. in front. */
#define SUMMED(table, match, row, fresh, old)                                                      \
	"ALTER TABLE " table " ADD COLUMN sum INTEGER;"                                            \
	"UPDATE " table " SET sum = orlop_row_sum('" table "', " row                               \
	");" SUM_KEPT(table, match, row, fresh, old)
#define SUM_KEPT(table, match, row, fresh, old)                                                    \
	"CREATE TRIGGER " table "_sum_added AFTER INSERT ON " table " BEGIN UPDATE " table         \
	" SET sum = orlop_row_sum('" table "', " fresh ") WHERE " match "; END;"                   \
	"CREATE TRIGGER " table "_sum_moved AFTER UPDATE OF " row " ON " table                     \
	" WHEN old.sum IS orlop_row_sum('" table "', " old ")"                                     \
	" BEGIN UPDATE " table " SET sum = orlop_row_sum('" table "', " fresh ") WHERE " match     \
	"; END;"

static const char step_3[] =
	/* What a change of a sum would set off is narrowed down to changes of what counts. */
	"DROP TRIGGER names_moved;"
	"ALTER TABLE names ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE names ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE names ADD COLUMN summary TEXT NOT NULL DEFAULT '';" SUMMED("store",
		"key = new.key", "key, value", "new.key, new.value",
		"old.key, old.value") SUMMED("blobs", "id = new.id",
		"id, digest, size, state, boot, created",
		"new.id, new.digest, new.size, new.state, new.boot, new.created",
		"old.id, old.digest, old.size, old.state, old.boot, old.created") SUMMED("edges",
		"parent = new.parent AND child = new.child", "parent, child",
		"new.parent, new.child", "old.parent, old.child") SUMMED("layers", "id = new.id",
		"id, key, is_chain, diff_id, driver, leans, tar_bytes, disk_bytes, entries, blob, "
		"blob_size, media_type, index_digest, origin, state, boot, created",
		"new.id, new.key, new.is_chain, new.diff_id, new.driver, new.leans, new.tar_bytes, "
		"new.disk_bytes, new.entries, new.blob, new.blob_size, new.media_type, "
		"new.index_digest, new.origin, new.state, new.boot, new.created",
		"old.id, old.key, old.is_chain, old.diff_id, old.driver, old.leans, old.tar_bytes, "
		"old.disk_bytes, old.entries, old.blob, old.blob_size, old.media_type, "
		"old.index_digest, old.origin, old.state, old.boot, old.created") SUMMED("names",
		"id = new.id",
		"id, name, repo, root, media_type, created, listed, listed_size, "
		"listed_media_type, pinned, imported, summary",
		"new.id, new.name, new.repo, new.root, new.media_type, new.created, new.listed, "
		"new.listed_size, new.listed_media_type, new.pinned, new.imported, new.summary",
		"old.id, old.name, old.repo, old.root, old.media_type, old.created, old.listed, "
		"old.listed_size, old.listed_media_type, old.pinned, old.imported, old.summary")
		SUMMED("leases", "id = new.id", "id, why, expires, pid, pid_start, boot",
			"new.id, new.why, new.expires, new.pid, new.pid_start, new.boot",
			"old.id, old.why, old.expires, old.pid, old.pid_start, old.boot")
			SUMMED("lease_items", "lease = new.lease AND digest = new.digest",
				"lease, digest", "new.lease, new.digest",
				"old.lease, old.digest") SUMMED("containers", "id = new.id",
				"id, name, image, root, config, command, created, started, "
				"finished, state, exit_status, pid, pid_start, boot, "
				"remove_on_exit",
				"new.id, new.name, new.image, new.root, new.config, new.command, "
				"new.created, new.started, new.finished, new.state, "
				"new.exit_status, new.pid, new.pid_start, new.boot, "
				"new.remove_on_exit",
				"old.id, old.name, old.image, old.root, old.config, old.command, "
				"old.created, old.started, old.finished, old.state, "
				"old.exit_status, old.pid, old.pid_start, old.boot, "
				"old.remove_on_exit") SUMMED("mounts", "id = new.id",
				"id, target, image, root, config, writable, created, boot",
				"new.id, new.target, new.image, new.root, new.config, "
				"new.writable, new.created, new.boot",
				"old.id, old.target, old.image, old.root, old.config, "
				"old.writable, old.created, old.boot") SUMMED("uses",
				"user = new.user AND key = new.key", "user, key",
				"new.user, new.key",
				"old.user, old.key") "CREATE TRIGGER names_moved AFTER UPDATE OF "
						     "name, root, listed ON names"
						     " BEGIN UPDATE store SET value = value + 1 "
						     "WHERE key = 'changes'; END;"
						     /* What a check that is under way has found
							sound: it goes on there if it is
							interrupted. */
						     "CREATE TABLE checked(kind INTEGER NOT NULL, "
						     "id INTEGER NOT NULL, PRIMARY KEY(kind, id)) "
						     "WITHOUT ROWID;";

#define MOUNTS_3 "id, target, image, root, config, writable, created, boot"
#define MOUNTS_4 MOUNTS_3 ", users, namespace, idmap, bundle"

static const char step_4[] =
	/* How often it was asked for, in which mount namespace it is, whose ids it shows. A row
	   that was damaged stays so. */
	"DROP TRIGGER mounts_sum_added;"
	"DROP TRIGGER mounts_sum_moved;"
	"ALTER TABLE mounts ADD COLUMN users INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE mounts ADD COLUMN namespace INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE mounts ADD COLUMN idmap TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE mounts ADD COLUMN bundle INTEGER NOT NULL DEFAULT 0;"
	"UPDATE mounts SET sum = orlop_row_sum('mounts', " MOUNTS_4 ")"
	" WHERE sum IS orlop_row_sum('mounts', " MOUNTS_3
	");" SUM_KEPT("mounts", "id = new.id", MOUNTS_4,
		"new.id, new.target, new.image, new.root, new.config, new.writable, new.created, "
		"new.boot, new.users, new.namespace, new.idmap, new.bundle",
		"old.id, old.target, old.image, old.root, old.config, old.writable, old.created, "
		"old.boot, old.users, old.namespace, old.idmap, old.bundle");

static const char step_5[] =
	/* From a digest to who needs it: to remove one image among thousands, and to find one. */
	"CREATE INDEX edges_child ON edges(child);"
	"CREATE INDEX names_listed ON names(listed) WHERE listed IS NOT NULL;"
	"CREATE INDEX lease_items_digest ON lease_items(digest);";

static const char step_6[] =
	/* Edges that no document tells of: a layer's own table of contents, an image's profile. */
	"CREATE TABLE attached(subject TEXT NOT NULL, kind TEXT NOT NULL, blob TEXT NOT NULL,"
	" PRIMARY KEY(subject, kind)) WITHOUT ROWID;"
	"CREATE INDEX attached_blob ON attached(blob);" SUMMED("attached",
		"subject = new.subject AND kind = new.kind", "subject, kind, blob",
		"new.subject, new.kind, new.blob",
		"old.subject, old.kind, old.blob") "CREATE TRIGGER attached_added AFTER INSERT ON "
						   "attached"
						   " BEGIN UPDATE store SET value = value + 1 "
						   "WHERE key = 'changes'; END;";

static const char *const steps[] = { step_1, step_2, step_3, step_4, step_5, step_6 };
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
