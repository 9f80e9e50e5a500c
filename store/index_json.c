/*
 * index.json: the images as an OCI image index (image-spec image-layout.md, "index.json file"), so
 * that other tools can open the store in place. It is derived; only the repair of a lost row of
 * names reads it (rebuild_names.c), and finds what the row held in the annotations.
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
 */
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "store/row_priv.h"

/* A row takes about 500 bytes at most, so this is more than 100,000 images. */
#define LISTING_BYTES_MAX ((size_t)64 << 20)

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

int ol_listing_format(ol_store *store, ol_str *out, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
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

int ol_listing_write(ol_store *store, bool durable, ol_error *err)
{
	bool may = false;
	ol_auto_str ol_str text = OL_STR(LISTING_BYTES_MAX);
	ol_autofd int lock = -1;
	/* Invariant 8: the names are read after the lock was taken. */
	int rc = ol_root_lock(store, &lock, err);

	if (rc == OL_OK)
		rc = may_publish(store, &may, err);
	if (rc == OL_OK && !may)
		return OL_OK;
	if (rc == OL_OK)
		rc = ol_listing_format(store, &text, err);
	if (rc == OL_OK)
		rc = ol_fault("store.index.publish", err);
	if (rc == OL_OK)
		rc = ol_publish(store->root_fd, "index.json", ol_buf_view(&text), 0644,
			OL_PUBLISH_REPLACE | (durable ? OL_PUBLISH_SYNC : 0), err);
	return rc < 0 ? ol_wrap(err, rc, "index.json") : OL_OK;
}
