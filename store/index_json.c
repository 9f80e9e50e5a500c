/*
 * index.json: the images as an OCI image index (image-spec image-layout.md, "index.json file"), so
 * that other tools can open the store in place. It is derived: nothing here ever reads it.
 *
 *	{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
 *	{"mediaType":…,"digest":…,"size":…,"annotations":{
 *	 "org.opencontainers.image.ref.name":…,"io.containerd.image.name":…}},
 *	…]}
 *
 * Both annotations are the full reference: tags alone would collide, since the store holds many
 * repositories.
 */
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "store/store_priv.h"

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

static int add_row(ol_str *out, sqlite3_stmt *stmt, bool first, ol_error *err)
{
	const char *name = (const char *)sqlite3_column_text(stmt, 0);
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
	if (name) {
		(void)ol_str_add(out, ",\"annotations\":{\"org.opencontainers.image.ref.name\":");
		add_string(out, name);
		(void)ol_str_add(out, ",\"io.containerd.image.name\":");
		add_string(out, name);
		(void)ol_str_addc(out, '}');
	}
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
		"digest, size"
		" FROM names JOIN blobs ON blobs.digest = coalesce(listed, root) AND blobs.state "
		"!= 2"
		" ORDER BY name IS NULL, name, names.id",
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

int ol_listing_write(ol_store *store, bool durable, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(LISTING_BYTES_MAX);
	ol_autofd int lock = -1;
	/* Invariant 8: the names are read after the lock was taken. */
	int rc = ol_root_lock(store, &lock, err);

	if (rc == OL_OK)
		rc = ol_listing_format(store, &text, err);
	if (rc == OL_OK)
		rc = ol_fault("store.index.publish", err);
	if (rc == OL_OK)
		rc = ol_publish(store->root_fd, "index.json", ol_buf_view(&text), 0644,
			OL_PUBLISH_REPLACE | (durable ? OL_PUBLISH_SYNC : 0), err);
	return rc < 0 ? ol_wrap(err, rc, "index.json") : OL_OK;
}
