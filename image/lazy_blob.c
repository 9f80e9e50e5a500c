#include "base/alloc.h"
#include "image/lazy_blob_priv.h"

/* Of one blob that was filled here and there; what lies behind them counts as missing. */
#define RANGES_MAX 4096

int ol_lazy_blob_open(ol_lazy_blob *blob, ol_pull_state *pull, const ol_descriptor *descriptor,
	const ol_lazy_blob_wait *wait, ol_error *err)
{
	ol_session *session = pull->incoming.session;
	const ol_ingest_options options = {
		.digest = descriptor->digest,
		.size = descriptor->size,
		.cancel = session->options.cancel,
		.listener = &session->options.listener,
		.layer = wait->index,
		.any_boot = true, /* what is used is verified */
		.no_wait = wait->never,
		.done = wait->done,
		.ctx = wait->ctx,
	};
	int rc;

	*blob = (ol_lazy_blob){ .pull = pull, .blob = descriptor };
	rc = ol_ingest_open(session->store, &options, &blob->ingest, err);
	if (rc < 0)
		return rc;
	blob->stale = ol_ingest_present(blob->ingest) > 0;
	blob->source = ol_ingest_source(blob->ingest);
	return OL_OK;
}

void ol_lazy_blob_close(ol_lazy_blob *blob)
{
	ol_source_close(blob->source);
	ol_ingest_close(blob->ingest);
	blob->source = NULL;
	blob->ingest = NULL;
}

/* From the transfer thread. */
static int receive(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	ol_lazy_blob *blob = ctx;

	if (ol_cancel_fired(blob->pull->incoming.session->options.cancel))
		return ol_fail(err, OL_ECANCELED, "interrupted");
	blob->pull->fetched_bytes += size;
	return ol_ingest_write(blob->ingest, offset, data, size, err);
}

/* What of start..end-1 is missing: at most count ranges of it. */
static size_t missing(
	ol_lazy_blob *blob, uint64_t start, uint64_t end, ol_fetch_range *ranges, size_t count)
{
	ol_autofree ol_range *all = ol_alloc_array(RANGES_MAX, sizeof *all);
	const size_t all_count = ol_ingest_missing(blob->ingest, all, RANGES_MAX);
	size_t found = 0;

	/* Cut off: how far the last one goes is not known. */
	if (all_count == RANGES_MAX)
		all[all_count - 1].end = blob->blob->size;
	for (size_t i = 0; i < all_count && found < count; i++) {
		const uint64_t from = all[i].start > start ? all[i].start : start,
			       to = all[i].end < end ? all[i].end : end;

		if (from < to)
			ranges[found++] = (ol_fetch_range){ from, to };
	}
	return found;
}

int ol_lazy_blob_need(ol_lazy_blob *blob, uint64_t offset, uint64_t size, ol_error *err)
{
	ol_pull_state *pull = blob->pull;
	const ol_blob_target target = { .write = receive, .ctx = blob };
	ol_autofree ol_fetch_range *ranges = ol_alloc_array(RANGES_MAX, sizeof *ranges);
	int rc = OL_OK;

	for (size_t count; rc == OL_OK &&
			   (count = missing(blob, offset, offset + size, ranges, RANGES_MAX)) > 0;)
		rc = ol_registry_get_blob(
			pull->registry, &pull->ref, blob->blob, ranges, count, &target, err);
	return rc;
}

bool ol_lazy_blob_blame(ol_lazy_blob *blob)
{
	/* Bytes of an earlier time may have been lost by a crash since: they are asked for anew. */
	const bool again = blob->stale || ol_registry_blame(blob->pull->registry, &blob->pull->ref,
						  &blob->blob->digest);

	blob->stale = false;
	return again && ol_ingest_reset(blob->ingest, NULL) == OL_OK;
}
