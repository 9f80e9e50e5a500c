#include <stdlib.h>

#include "base/limits.h"
#include "manifest/ztoc.h"
#include "tests/fuzz/fuzz.h"

struct last {
	const ol_ztoc *ztoc;
	uint64_t end;
};

/* What comes out keeps its promises. */
static int check_entry(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	struct last *last = ctx;

	(void)err;
	if (entry->data_offset < last->end || entry->data_offset % 512 || entry->chunks ||
		entry->size > last->ztoc->tar_size - entry->data_offset)
		abort();
	if (strlen(entry->name.data) != entry->name.size ||
		strlen(entry->target.data) != entry->target.size)
		abort();
	for (size_t i = 0; i < entry->xattr_count; i++)
		if (strlen(entry->xattrs[i].name.data) != entry->xattrs[i].name.size)
			abort();
	last->end = entry->data_offset + entry->size;
	return OL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_ztoc_checkpoint before = { 0 };
	ol_ztoc ztoc;

	if (ol_ztoc_parse(ol_view_from(data, size), &ztoc, NULL) < 0)
		return 0;
	for (size_t i = 0; i < ztoc.span_count; i++) {
		const ol_ztoc_checkpoint here = ol_ztoc_checkpoint_at(&ztoc, i);
		uint64_t begin, end;

		ol_ztoc_span(&ztoc, i, &begin, &end);
		if (begin >= end || end > ztoc.blob_size || here.out >= ztoc.tar_size ||
			(i > 0 && here.out <= before.out) || here.bits > 7 ||
			!ol_digest_is_set(&ztoc.span_digests[i]))
			abort();
		before = here;
	}
	(void)ol_ztoc_entries(
		&ztoc, &(ol_toc_handler){ check_entry, &(struct last){ .ztoc = &ztoc } }, NULL);
	ol_ztoc_done(&ztoc);
	return 0;
}
