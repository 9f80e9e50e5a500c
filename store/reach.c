#include "store/reach.h"

#include <string.h>

#include "base/alloc.h"
#include "store/store_priv.h"

#define HEX_MAX 128 /* sha512 */

struct digests {
	ol_digest *list; /* owned */
	size_t count, cap;
};

static int collect(ol_db *db, sqlite3_stmt *stmt, struct digests *to, ol_error *err)
{
	int rc;

	while ((rc = ol_db_step(db, stmt, err)) == 1) {
		OL_GROW(to->list, to->count, to->cap);
		/* What is no digest is nobody's: check tells of it. */
		if (ol_column_digest(stmt, 0, false, &to->list[to->count], NULL) == OL_OK)
			to->count++;
	}
	return rc;
}

static int give(struct digests *from, int rc, ol_digest **out, size_t *count)
{
	if (rc < 0) {
		free(from->list);
		return rc;
	}
	*out = from->list;
	*count = from->count;
	return OL_OK;
}

int ol_reach_roots(ol_store *store, const ol_digest *digest, size_t max, ol_digest **out,
	size_t *count, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	struct digests found = { 0 };
	int rc = ol_db_query(db, err, &stmt,
		"WITH RECURSIVE up(digest) AS (VALUES(?1) UNION"
		" SELECT parent FROM edges JOIN up ON edges.child = up.digest UNION"
		" SELECT subject FROM attached JOIN up ON attached.blob = up.digest)"
		" SELECT DISTINCT root FROM up JOIN names ON names.root = up.digest LIMIT ?2",
		"di", digest, (int64_t)max);

	if (rc == OL_OK)
		rc = collect(db, stmt, &found, err);
	return give(&found, rc, out, count);
}

int ol_reach_prefix(
	ol_store *store, const char *hex, size_t max, ol_digest **out, size_t *count, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	struct digests found = { 0 };
	int rc = OL_OK;

	if (strlen(hex) > HEX_MAX || strspn(hex, "0123456789abcdef") != strlen(hex))
		return ol_fail(err, OL_EINVAL, "not the beginning of a digest");
	for (ol_algorithm a = OL_SHA256; rc == OL_OK && a <= OL_SHA512; a++) {
		ol_auto_stmt sqlite3_stmt *stmt = NULL;
		ol_autofree char *from = ol_text("%s:%s", ol_algorithm_name(a), hex);
		/* "g" comes after every digit. */
		ol_autofree char *to = ol_text("%sg", from);

		if (found.count >= max)
			break;
		rc = ol_db_query(db, err, &stmt,
			"SELECT digest FROM blobs WHERE digest >= ? AND digest < ? AND NOT EXISTS"
			" (SELECT 1 FROM layers WHERE layers.key = blobs.digest) ORDER BY digest "
			"LIMIT ?",
			"tti", from, to, (int64_t)(max - found.count));
		if (rc == OL_OK)
			rc = collect(db, stmt, &found, err);
	}
	return give(&found, rc, out, count);
}
