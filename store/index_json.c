/*
 * index.json: the images as an OCI image index (image-spec image-layout.md, "index.json file"), so
 * that other tools can open the store in place. It is derived; only the repair of a lost row of
 * names reads it (image/relist.c), and finds what the row held in the annotations.
 *
 *	{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
 *	{"mediaType":…,"digest":…,"size":…,"annotations":{
 *	 "org.opencontainers.image.ref.name":…,"io.containerd.image.name":…,
 *	 "dev.orlop.root":…,"dev.orlop.media-type":…,"dev.orlop.repo":…,"dev.orlop.created":…,
 *	 "dev.orlop.pinned":"true","dev.orlop.imported":"true"}},
 *	…]}
 *
 * The first two are the full reference: tags alone would collide, since the store holds many
 * repositories. What does not apply is left out.
 *
 * Every change of names counts up a mark in the database, in its own transaction, and who publishes
 * the file takes the mark away. So who dies between the two leaves it, and whoever then closes a
 * handle that found it, and finds that it has not moved, publishes.
 *
 * With thousands of images the file has megabytes, and to write it anew at each of many changes
 * would take longer than all else. So where it is long it follows later: within a second while
 * changes come, else when the handle is closed.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/mend.h"
#include "store/row_priv.h"

/* Up to this size (some 200 images: a millisecond) it follows each change at once. */
#define LISTING_BYTES_SHORT ((size_t)64 << 10)
/* A long one is behind by this at most while changes come. */
#define LISTING_BEHIND_MS 1000

static void add_string(ol_str *out, const char *text)
{
	(void)ol_str_addc(out, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		/* Rows hold printable ASCII; what a strange database holds instead is made
		 * harmless. */
		if (c == '"' || c == '\\')
			(void)ol_str_addf(out, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			(void)ol_str_addf(out, "\\u%04x", c);
		else
			(void)ol_str_addc(out, (char)c);
	}
	(void)ol_str_addc(out, '"');
}

static void add_annotation(ol_str *out, const char *key, const char *value, bool *first)
{
	if (!value || !*value)
		return;
	(void)ol_str_add(out, *first ? ",\"annotations\":{" : ",");
	*first = false;
	add_string(out, key);
	(void)ol_str_addc(out, ':');
	add_string(out, value);
}

static void add_annotations(ol_str *out, sqlite3_stmt *stmt)
{
	const char *name = (const char *)sqlite3_column_text(stmt, 0);
	bool first = true;

	add_annotation(out, OL_ANNOTATION_NAME, name, &first);
	add_annotation(out, "io.containerd.image.name", name, &first);
	add_annotation(out, OL_ANNOTATION_ROOT, (const char *)sqlite3_column_text(stmt, 4), &first);
	add_annotation(
		out, OL_ANNOTATION_MEDIA_TYPE, (const char *)sqlite3_column_text(stmt, 5), &first);
	add_annotation(out, OL_ANNOTATION_REPO, (const char *)sqlite3_column_text(stmt, 6), &first);
	add_annotation(
		out, OL_ANNOTATION_CREATED, (const char *)sqlite3_column_text(stmt, 7), &first);
	add_annotation(
		out, OL_ANNOTATION_PINNED, sqlite3_column_int(stmt, 8) ? "true" : NULL, &first);
	add_annotation(
		out, OL_ANNOTATION_IMPORTED, sqlite3_column_int(stmt, 9) ? "true" : NULL, &first);
	if (!first)
		(void)ol_str_addc(out, '}');
}

static int add_row(ol_str *out, sqlite3_stmt *stmt, bool first, ol_error *err)
{
	const char *media_type = (const char *)sqlite3_column_text(stmt, 1);
	ol_digest digest;
	uint64_t size = 0;
	int rc = ol_column_digest(stmt, 2, false, &digest, err);

	if (rc == OL_OK)
		rc = ol_column_u64(stmt, 3, &size, err);
	if (rc < 0)
		return rc;
	(void)ol_str_add(out, first ? "\n{\"mediaType\":" : ",\n{\"mediaType\":");
	add_string(out, media_type ? media_type : "");
	(void)ol_str_addf(out, ",\"digest\":\"%s\",\"size\":%llu", ol_digest_format(&digest).text,
		(unsigned long long)size);
	add_annotations(out, stmt);
	(void)ol_str_addc(out, '}');
	return OL_OK;
}

/* The mark; 0: index.json is not behind. */
static int read_mark(ol_db *db, int64_t *out, ol_error *err)
{
	return ol_db_number(db, err, out,
		"SELECT coalesce((SELECT value FROM store WHERE key = 'unlisted'), 0)", "");
}

static int format(ol_db *db, ol_str *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	bool first = true;
	/* An image whose listed document is not (or no longer) in the store is left out: nobody
	 * could open it. */
	int rc = ol_db_query(db, err, &stmt,
		"SELECT name, CASE WHEN listed IS NULL THEN media_type ELSE listed_media_type END, "
		"digest, size, root, media_type, repo, created, pinned, imported"
		" FROM (SELECT * FROM names WHERE " OL_SOUND("names",
			OL_ROW_NAMES) ") AS n JOIN (SELECT digest, size, state FROM blobs) AS b"
				      " ON b.digest = coalesce(listed, root) AND b.state != 2"
				      " ORDER BY name IS NULL, name, n.id",
		"");

	(void)ol_str_add(out, "{\"schemaVersion\":2,\"mediaType\":\"application/"
			      "vnd.oci.image.index.v1+json\",\"manifests\":[");
	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		rc = add_row(out, stmt, first, err);
		first = false;
	}
	(void)ol_str_add(out, "]}\n");
	return rc == OL_OK ? ol_str_error(out, err) : rc;
}

/* While a row of names is damaged or lost the file stays as it is: the row may have to be made from
 * it. */
static int may_publish(ol_store *store, bool *out, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	int64_t damaged = 0;
	int rc = ol_db_number(db, err, &damaged,
		"SELECT EXISTS(SELECT 1 FROM names WHERE NOT " OL_SOUND("names",
			OL_ROW_NAMES) ") OR EXISTS(SELECT 1 FROM store WHERE key = 'rebuild')",
		"");

	*out = !damaged;
	return rc;
}

/* mark: as it was when the names were read. */
static int format_marked(ol_store *store, ol_str *out, int64_t *mark, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	int rc = ol_db_run(db, err, NULL, "BEGIN", "");

	if (rc < 0)
		return rc;
	rc = read_mark(db, mark, err);
	if (rc == OL_OK)
		rc = format(db, out, err);
	(void)ol_db_run(db, NULL, NULL, "COMMIT", "");
	return rc;
}

/* Unless it has moved since. If this fails, the file is published once more than it need be. */
static void take_mark_away(ol_store *store, int64_t mark)
{
	ol_auto_txn ol_txn txn = { 0 };

	if (mark && ol_txn_begin(store, false, &txn, NULL) == OL_OK &&
		ol_db_run(txn.db, NULL, NULL,
			"DELETE FROM store WHERE key = 'unlisted' AND value = ?", "i",
			mark) == OL_OK)
		(void)ol_txn_commit(&txn, NULL);
}

int ol_listing_format(ol_store *store, ol_str *out, ol_error *err)
{
	int64_t mark = 0;

	return format_marked(store, out, &mark, err);
}

int ol_listing_write(ol_store *store, bool durable, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(OL_LISTING_BYTES_MAX);
	ol_autofd int lock = -1;
	bool may = false;
	int64_t mark = 0;
	/* Invariant 8: the names are read after the lock was taken. */
	int rc = ol_root_lock(store, &lock, err);

	if (rc == OL_OK)
		rc = may_publish(store, &may, err);
	if (rc == OL_OK && !may)
		return OL_OK;
	if (rc == OL_OK)
		rc = format_marked(store, &text, &mark, err);
	if (rc == OL_OK)
		rc = ol_fault("store.index.publish", err);
	if (rc == OL_OK)
		rc = ol_publish(store->root_fd, "index.json", ol_buf_view(&text), 0644,
			OL_PUBLISH_REPLACE | (durable ? OL_PUBLISH_SYNC : 0), err);
	if (rc < 0)
		return ol_wrap(err, rc, "index.json");
	store->unlisted_ms = 0;
	take_mark_away(store, mark);
	return OL_OK;
}

static bool is_long(const ol_store *store)
{
	struct stat st;

	return fstatat(store->root_fd, "index.json", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_size > (off_t)LISTING_BYTES_SHORT;
}

int ol_listing_commit(ol_store *store, ol_txn *txn, ol_error *err)
{
	const bool later = is_long(store);
	const uint64_t now = ol_now_ms() | 1;
	uint64_t since;
	int rc = ol_fault("store.name.commit", err);

	if (rc == OL_OK)
		rc = ol_db_run(txn->db, err, NULL,
			"INSERT INTO store(key, value) VALUES('unlisted', 1) ON CONFLICT(key) DO "
			"UPDATE SET value = value + 1",
			"");
	if (rc == OL_OK)
		rc = ol_txn_commit(txn, err);
	if (rc == OL_OK)
		rc = ol_fault("store.name.committed", err);
	if (rc < 0)
		return rc;
	since = store->unlisted_ms;
	if (!later || (since && now - since > LISTING_BEHIND_MS))
		return ol_listing_write(store, false, err);
	if (!since)
		store->unlisted_ms = now;
	return OL_OK;
}

void ol_listing_recall(ol_store *store)
{
	ol_auto_db ol_db *db = ol_db_reader(store);

	/* What cannot be read is not behind: it is told elsewhere. */
	(void)read_mark(db, &store->unlisted, NULL);
}

/* Ours, or one that was there before and that nobody works on. */
static bool must_publish(ol_store *store)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	int64_t mark = 0;

	if (!db->handle || store->read_only || (!store->unlisted_ms && !store->unlisted))
		return false;
	return read_mark(db, &mark, NULL) == OL_OK && mark &&
	       (store->unlisted_ms || mark == store->unlisted);
}

void ol_listing_settle(ol_store *store)
{
	/* If this fails, the mark stays. */
	if (must_publish(store))
		(void)ol_listing_write(store, false, NULL);
}

int ol_store_relist(ol_store *store, bool *changed, ol_error *err)
{
	ol_auto_str ol_str want = OL_STR(OL_LISTING_BYTES_MAX);
	ol_auto_buf ol_buf have = OL_BUF(OL_LISTING_BYTES_MAX);
	int rc = ol_listing_format(store, &want, err);

	if (rc < 0)
		return ol_wrap(err, rc, "index.json");
	*changed = ol_file_read(store->root_fd, "index.json", true, &have, NULL) < 0 ||
		   have.size != want.size || memcmp(have.data, want.data, want.size) != 0;
	return *changed ? ol_listing_write(store, true, err) : OL_OK;
}
