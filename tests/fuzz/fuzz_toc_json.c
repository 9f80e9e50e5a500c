#include <stdlib.h>

#include "base/limits.h"
#include "manifest/toc.h"
#include "tests/fuzz/fuzz.h"

#define BLOB_END 1000

/* What comes out keeps its promises. */
static int check_entry(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	uint64_t at = 0;

	(void)ctx;
	(void)err;
	for (size_t i = 0; i < entry->chunk_count; i++) {
		const ol_toc_chunk *chunk = &entry->chunks[i];

		if (chunk->offset != at || chunk->size == 0)
			abort();
		if (!chunk->zeros &&
			(chunk->blob_offset >= BLOB_END || chunk->blob_end > BLOB_END ||
				!ol_digest_is_set(&chunk->digest)))
			abort();
		at += chunk->size;
	}
	if (entry->type == OL_TAR_FILE && (at != entry->size || entry->size > OL_FILE_BYTES_MAX))
		abort();
	for (size_t i = 0; i < entry->xattr_count; i++)
		if (entry->xattrs[i].name.data[entry->xattrs[i].name.size] != '\0')
			abort();
	return OL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)ol_toc_json_parse(
		ol_view_from(data, size), BLOB_END, &(ol_toc_handler){ check_entry, NULL }, NULL);
	return 0;
}
