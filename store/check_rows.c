/* Check, without bytes: what rows say of each other, what SQLite says of the database, what lies
 * about without a row. */
#include "base/alloc.h"
#include "base/file.h"
#include "store/check_priv.h"
#include "store/row_mend_priv.h"

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

static void tell(ol_checker *checker, const struct found *found, const char *kind)
{
	for (size_t i = 0; i < found->count; i++)
		ol_checker_found(checker,
			&(ol_finding){ .kind = kind,
				.what = found->what[i],
				.why = found->why[i],
				.path = strcmp(kind, "database") == 0 || strcmp(kind, "row") == 0
						? "orlop.db"
						: "" });
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

	tell(checker, &found, "database");
	return rc;
}

static int list_unsound(ol_store *store, struct found *found, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	int rc = OL_OK;

	for (size_t t = 0; rc == OL_OK && t < OL_TABLE_COUNT; t++) {
		__attribute__((cleanup(ol_rows_done))) ol_rows rows = { 0 };

		rc = ol_rows_read(db, &ol_tables[t], OL_ROWS_UNSOUND, &rows, err);
		for (size_t i = 0; rc == OL_OK && i < rows.count; i++)
			add(found, ol_text("row of %s for %s", ol_tables[t].name, rows.list[i].key),
				ol_strdup("its checksum is wrong"));
	}
	return rc;
}

/* Digests and numbers of sound rows: what, a digest, a number. */
#define WORDS(table, row, key, digest, number)                                                     \
	"SELECT 'row of " table " for ' || " key ", " digest ", " number " FROM " table            \
	" WHERE " digest " IS NOT NULL AND " OL_SOUND(table, row)
#define NAME "coalesce(name, root)"

static const char *const words_sql[] = {
	WORDS("blobs", OL_ROW_BLOBS, "digest", "digest", "size"),
	WORDS("layers", OL_ROW_LAYERS, "key", "key", "disk_bytes"),
	WORDS("layers", OL_ROW_LAYERS, "key", "diff_id", "tar_bytes"),
	WORDS("layers", OL_ROW_LAYERS, "key", "index_digest", "entries"),
	WORDS("names", OL_ROW_NAMES, NAME, "root", "listed_size"),
	WORDS("names", OL_ROW_NAMES, NAME, "listed", "0"),
	WORDS("edges", OL_ROW_EDGES, "parent", "parent", "0"),
	WORDS("edges", OL_ROW_EDGES, "parent", "child", "0"),
	WORDS("containers", OL_ROW_CONTAINERS, "id", "root", "0"),
	WORDS("mounts", OL_ROW_MOUNTS, "id", "root", "0"),
	WORDS("uses", OL_ROW_USES, "user", "key", "0"),
	WORDS("attached", OL_ROW_ATTACHED, "subject", "subject", "0"),
	WORDS("attached", OL_ROW_ATTACHED, "subject", "blob", "0"),
};

/* Rows that are as they were written, and make no sense all the same. */
static int list_unreadable(ol_store *store, struct found *found, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < sizeof words_sql / sizeof words_sql[0]; i++) {
		ol_auto_stmt sqlite3_stmt *stmt = NULL;

		rc = ol_db_query(db, err, &stmt, words_sql[i], "");
		while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
			ol_error inner = { 0 };
			ol_digest digest;
			uint64_t number;

			if (ol_column_digest(stmt, 1, false, &digest, &inner) < 0 ||
				ol_column_u64(stmt, 2, &number, &inner) < 0)
				add(found, column(stmt, 0), ol_strdup(inner.text));
		}
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
		" FROM names WHERE listed NOT IN (SELECT digest FROM blobs)"
		" UNION ALL SELECT 'attachment of ' || subject, 'what its ' || kind || ' belongs "
		"to is not in the store' FROM attached"
		" WHERE subject NOT IN (SELECT digest FROM blobs) AND subject NOT IN (SELECT key "
		"FROM layers)"
		" UNION ALL SELECT 'attachment of ' || subject, 'its ' || kind || ', ' || blob || "
		"', is not in the store' FROM attached"
		" WHERE blob NOT IN (SELECT digest FROM blobs)",
		"");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1)
		add(found, column(stmt, 0), column(stmt, 1));
	return rc;
}

int ol_check_rows(ol_checker *checker, ol_error *err)
{
	auto_found unsound = { 0 };
	auto_found unreadable = { 0 };
	auto_found ties = { 0 };
	int rc = checker->options->quick ? OL_OK : check_integrity(checker, err);

	if (rc == OL_OK)
		rc = list_unsound(checker->store, &unsound, err);
	tell(checker, &unsound, "row");
	checker->rows_damaged = unsound.count > 0;
	if (rc == OL_OK)
		rc = list_unreadable(checker->store, &unreadable, err);
	tell(checker, &unreadable, "row");
	/* What damaged rows are tied to says nothing. */
	if (rc == OL_OK && unsound.count == 0)
		rc = list_broken_ties(checker->store, &ties, err);
	tell(checker, &ties, "image");
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
