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

/* What lies between two ranges is fetched with them where that costs less than another request. */
#define GAP_BYTES ((uint64_t)32 << 10)

/* Sorted and apart. */
static size_t tidy(ol_range *ranges, size_t count)
{
	size_t kept = 0;

	if (count)
		qsort(ranges, count, sizeof *ranges, by_start);
	for (size_t i = 0; i < count; i++) {
		if (kept && ranges[i].start <= ranges[kept - 1].end + GAP_BYTES) {
			if (ranges[i].end > ranges[kept - 1].end)
				ranges[kept - 1].end = ranges[i].end;
			continue;
		}
		ranges[kept++] = ranges[i];
	}
	return kept;
}

bool ol_lazy_prefetch_knows(const ol_lazy_job *job, uint64_t offset)
{
	const ol_lazy_table *table = &job->table;
	const size_t extent = ol_lazy_table_find(table, offset);
	uint64_t begin;

	if (extent == table->extent_count)
		return false;
	begin = table->pieces[table->extents[extent].piece].begin;
	for (size_t i = 0; i < job->wanted_count; i++)
		if (job->wanted[i].range.start <= begin && begin < job->wanted[i].range.end)
			return true;
	return false;
}

size_t ol_lazy_prefetch_next(
	const ol_lazy_job *job, uint64_t size, ol_range *out, size_t cap, size_t *used)
{
	uint64_t bytes = 0;
	size_t count = 0;

	while (count < cap && job->wanted_at + count < job->wanted_count && bytes < size) {
		out[count] = job->wanted[job->wanted_at + count].range;
		bytes += out[count].end - out[count].start;
		count++;
	}
	*used = count;
	return tidy(out, count);
}

/* A profile may come from a registry: what lies beyond the blob is left out. */
static void add(
	const ol_lazy_job *job, ol_lazy_wish *wishes, size_t *count, const ol_lazy_wish *wish)
{
	ol_lazy_wish kept = *wish;

	if (kept.range.end > job->source.blob_size)
		kept.range.end = job->source.blob_size;
	if (kept.range.start < kept.range.end)
		wishes[(*count)++] = kept;
}

size_t ol_lazy_prefetch_wishes(ol_lazy_job *job, ol_lazy_wish **out)
{
	ol_profile profile = { 0 };
	ol_error error = { 0 };
	size_t count = 0;
	const int rc = read_profile(job, &profile, &error);

	if (rc < 0 && rc != OL_ENOTFOUND)
		ol_lazy_log(job->worker, job, "the profile of its image's start: %s", error.text);
	*out = ol_alloc_array(profile.count + 1, sizeof **out);
	add(job, *out, &count, &(ol_lazy_wish){ { 0, job->table.about.prefetch_end }, 0 });
	for (size_t i = 0; i < profile.count; i++)
		if (ol_digest_eq(&profile.ranges[i].blob, &job->source.blob))
			add(job, *out, &count,
				&(ol_lazy_wish){
					{ profile.ranges[i].start, profile.ranges[i].end }, i });
	ol_profile_done(&profile);
	return count;
}
