/* Which entry of an index serves a platform: image-spec image-index.md, with the fallbacks of
 * platform.h. */
#include <limits.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "manifest/document.h"

/* As many platforms as fit into the words of an error. */
#define SHOWN_MAX 16

static bool may_be_image(const ol_descriptor *entry)
{
	if (entry->media.kind != OL_MEDIA_MANIFEST && entry->media.kind != OL_MEDIA_INDEX)
		return false;
	if (!ol_digest_is_set(&entry->digest) || ol_descriptor_is_attestation(entry))
		return false;
	/* Some tools give an image its config's type here. */
	return !entry->artifact_type || !entry->artifact_type[0] ||
	       ol_media_of(ol_view_of(entry->artifact_type)).kind == OL_MEDIA_CONFIG;
}

/* The platform's rank, or -1 for what cannot serve it. */
static int rank_of(const ol_descriptor *entry, const ol_platform *want)
{
	if (!may_be_image(entry))
		return -1;
	return entry->has_platform ? ol_platform_match(want, &entry->platform) : INT_MAX;
}

struct candidate {
	int rank;
	const ol_descriptor *entry; /* lent; in the order of the index */
};

static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

size_t ol_index_candidates(
	const ol_document *index, const ol_platform *want, const ol_descriptor **out)
{
	ol_autofree struct candidate *list = ol_alloc_array(index->manifest_count, sizeof *list);
	size_t count = 0;

	for (size_t i = 0; i < index->manifest_count; i++) {
		int rank = rank_of(&index->manifests[i], want);

		if (rank >= 0)
			list[count++] = (struct candidate){ rank, &index->manifests[i] };
	}
	qsort(list, count, sizeof *list, compare);
	for (size_t i = 0; i < count; i++)
		out[i] = list[i].entry;
	return count;
}

static bool is_shown(const ol_platform *const *shown, size_t count, const ol_platform *platform)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(shown[i], platform, sizeof *platform) == 0)
			return true;
	return false;
}

static int refuse(const ol_document *index, const ol_platform *want, ol_error *err)
{
	ol_auto_str ol_str names = OL_STR(4096);
	const ol_platform *shown[SHOWN_MAX];
	size_t count = 0;

	for (size_t i = 0; i < index->manifest_count && count < SHOWN_MAX; i++) {
		const ol_platform *platform = &index->manifests[i].platform;

		if (!may_be_image(&index->manifests[i]) || is_shown(shown, count, platform))
			continue;
		(void)ol_str_add(&names, count ? ", " : "");
		(void)ol_str_add_safe(&names, ol_view_of(ol_platform_format(platform).text));
		shown[count++] = platform;
	}
	if (count == 0)
		return ol_fail(err, OL_ENOTFOUND, "no image for %s: the index lists none at all",
			ol_platform_format(want).text);
	(void)ol_fail(err, OL_ENOTFOUND, "no image for %s, only for %s",
		ol_platform_format(want).text, ol_str_text(&names));
	return ol_hint(err, OL_ENOTFOUND, "choose one of them with --platform");
}

int ol_index_choose(
	const ol_document *index, const ol_platform *want, const ol_descriptor **out, ol_error *err)
{
	const ol_descriptor *best = NULL;
	int best_rank = 0;

	for (size_t i = 0; i < index->manifest_count; i++) {
		int rank = rank_of(&index->manifests[i], want);

		if (rank < 0 || (best && rank >= best_rank))
			continue;
		best = &index->manifests[i];
		best_rank = rank;
	}
	if (!best)
		return refuse(index, want, err);
	*out = best;
	return OL_OK;
}
