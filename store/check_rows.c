/* Check, without bytes: what rows say of each other, what SQLite says of the database, what lies
 * about without a row. */
#include "base/alloc.h"
#include "base/file.h"
#include "store/check_priv.h"

#define DAMAGED_DATABASE                                                                           \
	"move orlop.db, orlop.db-wal and orlop.db-shm out of the store and pull the images again"

/* Findings are collected first: they are told without a lock. */
struct found {
	char **what, **why; /* owned, and what they point to */
	size_t count, cap, why_cap;
};

static void found_done(struct found *found)
{
	for (size_t i = 0; i < found->count; i++) {
		free(found->what[i]);
		free(found->why[i]);
	}
	free(found->what);
	free(found->why);
}
#define auto_found __attribute__((cleanup(found_done))) struct found

static void add(struct found *found, char *what, char *why)
{
	size_t count = found->count;

	OL_GROW(found->what, found->count, found->cap);
	OL_GROW(found->why, count, found->why_cap);
	found->what[found->count] = what;
	found->why[found->count++] = why;
}

static void tell(ol_checker *checker, const struct found *found, const char *hint)
{
	for (size_t i = 0; i < found->count; i++)
		ol_checker_found(checker, found->what[i], found->why[i], hint);
}

static char *column(sqlite3_stmt *stmt, int i)
{
	ol_auto_str ol_str text = OL_STR(400);
	const void *data = sqlite3_column_text(stmt, i);

	if (data)
		(void)ol_str_add_safe(
			&text, ol_view_from(data, (size_t)sqlite3_column_bytes(stmt, i)));
	return ol_strdup(ol_str_text(&text));
}

static int list_integrity(ol_store *store, struct found *found, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt, "PRAGMA integrity_check(20)", "");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		char *line = column(stmt, 0);

		if (strcmp(line, "ok") == 0)
			free(line);
		else
			add(found, ol_strdup("the database orlop.db"), line);
	}
	return rc;
}

static int check_integrity(ol_checker *checker, ol_error *err)
{
	auto_found found = { 0 };
	int rc = list_integrity(checker->store, &found, err);

	tell(checker, &found, DAMAGED_DATABASE);
	return rc;
}

/* Rows that every other function would refuse. */
static int list_unreadable(ol_store *store, struct found *found, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT 'row ' || id || ' of blobs', digest, size FROM blobs"
		" UNION ALL SELECT 'row ' || id || ' of layers', key, disk_bytes FROM layers"
		" UNION ALL SELECT 'row ' || id || ' of layers', diff_id, tar_bytes FROM layers"
		" UNION ALL SELECT 'row ' || id || ' of layers', index_digest, entries FROM layers"
		" WHERE index_digest IS NOT NULL"
		" UNION ALL SELECT 'row ' || id || ' of names', root, listed_size FROM names"
		" UNION ALL SELECT 'row ' || id || ' of names', listed, 0 FROM names WHERE listed "
		"IS NOT NULL"
		" UNION ALL SELECT 'row ' || parent || ' of edges', parent, 0 FROM edges"
		" UNION ALL SELECT 'row ' || parent || ' of edges', child, 0 FROM edges"
		" UNION ALL SELECT 'row ' || id || ' of containers', root, 0 FROM containers"
		" UNION ALL SELECT 'row ' || id || ' of mounts', root, 0 FROM mounts"
		" UNION ALL SELECT 'row ' || user || ' of uses', key, 0 FROM uses",
		"");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		ol_error inner = { 0 };
		ol_digest digest;
		uint64_t number;

		if (ol_column_digest(stmt, 1, false, &digest, &inner) < 0 ||
			ol_column_u64(stmt, 2, &number, &inner) < 0)
			add(found, column(stmt, 0), ol_strdup(inner.text));
	}
	return rc;
}

static int list_broken_ties(ol_store *store, struct found *found, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT DISTINCT 'edges of ' || parent, 'their parent is not in the store' FROM "
		"edges"
		" WHERE parent NOT IN (SELECT digest FROM blobs) AND parent NOT IN (SELECT key "
		"FROM layers)"
		" UNION ALL SELECT 'image ' || coalesce(name, '<none>'), 'its manifest ' || root "
		"|| ' is not in the store'"
		" FROM names WHERE root NOT IN (SELECT digest FROM blobs)"
		" UNION ALL SELECT 'image ' || coalesce(name, '<none>'),"
		" 'the manifest that index.json lists, ' || listed || ', is not in the store'"
		" FROM names WHERE listed NOT IN (SELECT digest FROM blobs)",
		"");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1)
		add(found, column(stmt, 0), column(stmt, 1));
	return rc;
}

int ol_check_rows(ol_checker *checker, ol_error *err)
{
	auto_found unreadable = { 0 };
	auto_found ties = { 0 };
	int rc = checker->options->quick ? OL_OK : check_integrity(checker, err);

	if (rc == OL_OK)
		rc = list_unreadable(checker->store, &unreadable, err);
	tell(checker, &unreadable, DAMAGED_DATABASE);
	if (rc == OL_OK)
		rc = list_broken_ties(checker->store, &ties, err);
	tell(checker, &ties, NULL);
	return rc;
}

struct orphans {
	ol_store *store; /* lent */
	int fd;
	ol_algorithm algorithm; /* NONE: a layer's, of either */
	bool is_chain;
	uint64_t count;
};

static int see_name(void *ctx, const char *name, ol_error *err)
{
	struct orphans *orphans = ctx;
	ol_auto_db ol_db *db = ol_db_reader(orphans->store);
	ol_digest digest;
	int64_t row = 0;
	int rc;

	if (!ol_name_is_key(name, orphans->algorithm ? orphans->algorithm : OL_SHA256, &digest) &&
		(orphans->algorithm || !ol_name_is_key(name, OL_SHA512, &digest)))
		return OL_OK;
	rc = orphans->algorithm
		     ? ol_db_number(db, err, &row,
			       "SELECT EXISTS(SELECT 1 FROM blobs WHERE digest = ?)", "d", &digest)
		     : ol_db_number(db, err, &row,
			       "SELECT EXISTS(SELECT 1 FROM layers WHERE key = ? AND is_chain = ?)",
			       "di", &digest, (int64_t)orphans->is_chain);
	orphans->count += rc == OL_OK && !row;
	return rc;
}

int ol_check_orphans(ol_checker *checker, ol_error *err)
{
	ol_store *store = checker->store;
	struct orphans folders[] = {
		{ .fd = store->blobs_fd[OL_SHA256], .algorithm = OL_SHA256 },
		{ .fd = store->blobs_fd[OL_SHA512], .algorithm = OL_SHA512 },
		{ .fd = store->layers_fd },
		{ .fd = store->chains_fd, .is_chain = true },
	};
	uint64_t count = 0;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < sizeof folders / sizeof folders[0]; i++) {
		folders[i].store = store;
		rc = ol_each_name(folders[i].fd, see_name, &folders[i], err);
		count += folders[i].count;
	}
	if (rc == OL_OK && count)
		ol_tell_text(checker->options->listener, OL_EVENT_NOTE,
			"%llu files or folders belong to nothing; `orlop gc` removes them",
			(unsigned long long)count);
	return rc;
}
