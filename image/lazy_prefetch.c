#include <stdlib.h>

#include "base/alloc.h"
#include "image/lazy_worker_priv.h"
#include "manifest/profile.h"
#include "store/attached.h"

static int by_start(const void *a, const void *b)
{
	const ol_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int read_profile(ol_lazy_job *job, ol_profile *out, ol_error *err)
{
	ol_store *store = job->worker->session->store;
	ol_auto_buf ol_buf json = OL_BUF(OL_PROFILE_BYTES_MAX);
	ol_digest blob;
	int rc = ol_attached(store, &job->source.manifest, OL_PROFILE_KIND, &blob, err);

	if (rc == OL_OK)
		rc = ol_blob_read(store, &blob, OL_PROFILE_BYTES_MAX, &json, err);
	return rc < 0 ? rc : ol_profile_parse(ol_buf_view(&json), out, err);
}

/* Sorted and apart. */
static size_t tidy(ol_range *ranges, size_t count)
{
	size_t kept = 0;

	if (count)
		qsort(ranges, count, sizeof *ranges, by_start);
	for (size_t i = 0; i < count; i++) {
		if (kept && ranges[i].start <= ranges[kept - 1].end) {
			if (ranges[i].end > ranges[kept - 1].end)
				ranges[kept - 1].end = ranges[i].end;
			continue;
		}
		ranges[kept++] = ranges[i];
	}
	return kept;
}

/* Within the blob, for a profile may come from a registry; in its order. */
static size_t clip(ol_range *ranges, size_t count, uint64_t size)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		ranges[kept] = ranges[i];
		if (ranges[kept].end > size)
			ranges[kept].end = size;
		kept += ranges[kept].start < ranges[kept].end;
	}
	return kept;
}

size_t ol_lazy_prefetch_next(
	const ol_lazy_job *job, uint64_t size, ol_range *out, size_t cap, size_t *used)
{
	uint64_t bytes = 0;
	size_t count = 0;

	while (count < cap && job->wanted_at + count < job->wanted_count && bytes < size) {
		out[count] = job->wanted[job->wanted_at + count];
		bytes += out[count].end - out[count].start;
		count++;
	}
	*used = count;
	return tidy(out, count);
}

size_t ol_lazy_prefetch_ranges(ol_lazy_job *job, ol_range **out)
{
	ol_profile profile = { 0 };
	ol_range *ranges;
	ol_error error = { 0 };
	size_t count = 0;
	const int rc = read_profile(job, &profile, &error);

	if (rc < 0 && rc != OL_ENOTFOUND)
		ol_lazy_log(job->worker, job, "the profile of its image's start: %s", error.text);
	ranges = ol_alloc_array(profile.count + 1, sizeof *ranges);
	if (job->table.about.prefetch_end > 0)
		ranges[count++] = (ol_range){ 0, job->table.about.prefetch_end };
	for (size_t i = 0; i < profile.count; i++)
		if (ol_digest_eq(&profile.ranges[i].blob, &job->source.blob))
			ranges[count++] =
				(ol_range){ profile.ranges[i].start, profile.ranges[i].end };
	ol_profile_done(&profile);
	count = clip(ranges, count, job->source.blob_size);
	*out = ranges;
	return count;
}
