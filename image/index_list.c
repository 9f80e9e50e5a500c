/* What `orlop index ls` shows and `rm` removes: kept leases (index_keep.c). */
#include <string.h>

#include "base/alloc.h"
#include "image/index_priv.h"
#include "manifest/soci.h"
#include "store/attached.h"
#include "store/gc.h"

struct each {
	ol_session *session;
	int (*call)(void *ctx, const ol_index_row *row, ol_error *err);
	void *ctx;
};

/* A row whose documents cannot be read is shown without its numbers. */
static void measure(ol_session *session, ol_index_row *row)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_soci_index index = { 0 };

	if (ol_attached(session->store, &row->manifest, OL_INDEX_KIND, &row->index, NULL) < 0 ||
		ol_blob_read(session->store, &row->index, OL_MANIFEST_BYTES_MAX, &bytes, NULL) <
			0 ||
		ol_soci_index_parse(ol_buf_view(&bytes), &index, NULL) < 0)
		return;
	row->bytes = bytes.size;
	row->layers = index.layer_count;
	for (size_t i = 0; i < index.layer_count; i++)
		row->bytes += index.layers[i].ztoc->size;
	ol_soci_index_done(&index);
}

static int on_kept(void *ctx, const char *why, ol_error *err)
{
	const struct each *each = ctx;
	ol_index_row row = { 0 };

	if (!ol_index_why_parse(why, &row.manifest, &row.image))
		return OL_OK;
	measure(each->session, &row);
	return each->call(each->ctx, &row, err);
}

int ol_index_each(ol_session *session,
	int (*call)(void *ctx, const ol_index_row *row, ol_error *err), void *ctx, ol_error *err)
{
	struct each each = { session, call, ctx };

	return ol_lease_each_kept(session->store, on_kept, &each, err);
}

struct removal {
	ol_session *session;
	const char *text;
	bool found;
};

static int remove_if_meant(void *ctx, const ol_index_row *row, ol_error *err)
{
	struct removal *removal = ctx;
	const char *text = removal->text;

	if (strcmp(text, row->image) != 0 &&
		strcmp(text, ol_digest_format(&row->manifest).text) != 0 &&
		strcmp(text, ol_digest_format(&row->index).text) != 0)
		return OL_OK;
	removal->found = true;
	return ol_index_unkeep(removal->session, &row->manifest, err);
}

int ol_index_remove(ol_session *session, const char *text, ol_error *err)
{
	struct removal removal = { .session = session, .text = text };
	ol_gc_result collected;
	int rc = ol_index_each(session, remove_if_meant, &removal, err);

	if (rc < 0)
		return rc;
	if (!removal.found) {
		ol_fail(err, OL_ENOTFOUND, "no index is kept of %.255s", text);
		return ol_hint(err, OL_ENOTFOUND,
			"the index of an image in the store goes with the image");
	}
	return ol_gc(session->store, session->options.cancel, &collected, err);
}
