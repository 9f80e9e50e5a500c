#include <stdlib.h>
#include <string.h>

#include "snapshot/lazy_table_priv.h"
#include "tests/fuzz/fuzz.h"

/* What was read can be found, and lies where it should. */
static void hold_promises(const ol_lazy_table *table)
{
	uint64_t at = 0;

	for (size_t i = 0; i < table->extent_count; i++) {
		const ol_lazy_extent *extent = &table->extents[i];

		if (extent->offset < at || extent->piece >= table->piece_count ||
			extent->inner + extent->size > table->pieces[extent->piece].size ||
			table->pieces[extent->piece].end > table->about.blob_size ||
			ol_lazy_table_find(table, extent->offset) != i)
			abort();
		at = extent->offset + extent->size;
	}
	if (at > table->about.payload_bytes)
		abort();
}

static void parse(const unsigned char *bytes, size_t size)
{
	ol_lazy_table table = { 0 };

	if (ol_lazy_table_parse(ol_view_from(bytes, size), &table, NULL) == OL_OK)
		hold_promises(&table);
	ol_lazy_table_done(&table);
}

/* As it is, and under the right seal, which a fuzzer does not find by itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse(data, size);
	if (size >= OL_SEEK_SEAL_BYTES) {
		unsigned char *copy = malloc(size);
		ol_digest digest;

		if (!copy)
			return 0;
		memcpy(copy, data, size);
		size -= OL_SEEK_SEAL_BYTES;
		digest = ol_digest_of(OL_SHA256, copy, size);
		memcpy(copy + size, digest.bytes, OL_SEEK_SEAL_BYTES);
		parse(copy, size + OL_SEEK_SEAL_BYTES);
		free(copy);
	}
	return 0;
}
