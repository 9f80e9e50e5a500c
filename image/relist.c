/*
 * index.json read back (docs/formats.md, "index.json"): only here, and only for rows of names that
 * are lost. It is an outside input: what damages the database can damage it as well. It has a line
 * for each image, and they are read one by one: a damaged line loses itself alone.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "image/mend_priv.h"
#include "image/session_priv.h"
#include "manifest/json.h"

/* Names, repositories and types are under 1 KiB in all. */
#define LINE_BYTES_MAX ((size_t)16 << 10)

static const char *annotation(const ol_json *annotations, const char *key)
{
	const char *text = ol_json_text(ol_json_get(annotations, key));

	return text ? text : "";
}

static bool is_true(const ol_json *annotations, const char *key)
{
	return strcmp(annotation(annotations, key), "true") == 0;
}

static int read_entry(const ol_json *entry, ol_name_info *out, ol_error *err)
{
	const ol_json *annotations = ol_json_get(entry, "annotations");
	const char *listed = ol_json_text(ol_json_get(entry, "digest"));
	const char *created = annotation(annotations, "dev.orlop.created");
	const int64_t size = ol_json_int(ol_json_get(entry, "size"), -1);
	char *end = NULL;
	ol_name_info info = {
		.name = annotation(annotations, "org.opencontainers.image.ref.name"),
		.repo = annotation(annotations, "dev.orlop.repo"),
		.media_type = annotation(annotations, "dev.orlop.media-type"),
		.listed_media_type = ol_json_text(ol_json_get(entry, "mediaType")),
		.pinned = is_true(annotations, "dev.orlop.pinned"),
		.imported = is_true(annotations, "dev.orlop.imported"),
		.summary = "",
	};
	int rc;

	if (!listed || !info.listed_media_type || !*info.media_type || size < 0 ||
		(uint64_t)size > OL_DESCRIPTOR_BYTES_MAX)
		return ol_fail(err, OL_EINVAL, "index.json: no descriptor of an image");
	rc = ol_digest_parse(ol_view_of(listed), &info.listed, err);
	if (rc == OL_OK)
		rc = ol_digest_parse(
			ol_view_of(annotation(annotations, "dev.orlop.root")), &info.root, err);
	if (rc < 0)
		return ol_wrap(err, OL_EINVAL, "index.json");
	info.listed_size = (uint64_t)size;
	info.created = strtoll(created, &end, 10);
	if (end == created || *end || info.created < 0 || info.created > OL_TIME_MAX)
		info.created = 0;
	*out = info;
	return OL_OK;
}

int ol_relist_line(ol_view line, ol_json **json, ol_name_info *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *entry = NULL;
	int rc;

	if (line.size > LINE_BYTES_MAX)
		return ol_fail(err, OL_EINVAL, "index.json: a line is too long");
	/* What ties the lines together: "," or, behind the last, "]}". */
	if (ol_view_ends(line, ","))
		line.size--;
	else if (ol_view_ends(line, "]}"))
		line.size -= 2;
	rc = ol_json_parse(line, &entry, err);
	if (rc < 0)
		return ol_wrap(err, OL_EINVAL, "index.json");
	rc = read_entry(entry, out, err);
	if (rc == OL_OK)
		*json = ol_steal(&entry);
	return rc;
}

static int restore_line(ol_session *session, ol_view line, size_t *all, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_name_info info = { 0 };
	size_t added = 0;
	int rc;

	if (ol_relist_line(line, &json, &info, NULL) < 0)
		return OL_OK;
	rc = ol_name_restore(session->store, &info, 1, &added, err);
	*all += added;
	/* A name that the store itself would refuse is no reason to lose the others. */
	return rc == OL_EINVAL ? OL_OK : rc;
}

int ol_names_relist(ol_session *session, const ol_mender *mender, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_LISTING_BYTES_MAX);
	ol_error why = { 0 };
	size_t all = 0;
	int rc = ol_file_read(ol_store_root_fd(session->store), "index.json", true, &text, &why);

	if (rc < 0) {
		/* The database has what there is: without index.json it stays at that. */
		ol_tell_text(&session->options.listener, OL_EVENT_WARNING,
			"lost names cannot be found again: %s", why.text);
		return OL_OK;
	}
	for (const char *at = text.data, *end = text.data + text.size; rc == OL_OK && at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		const size_t size = (size_t)((stop ? stop : end) - at);

		rc = restore_line(session, ol_view_from(at, size), &all, err);
		at += size + 1;
	}
	if (rc == OL_OK && all && mender->told)
		mender->told(mender->ctx,
			&(ol_mended){ "rows of names", "made again from index.json", true });
	return rc;
}
