#include <stdlib.h>

#include "manifest/toc_footer.h"
#include "tests/fuzz/fuzz.h"

#define BLOB_BYTES 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_toc_place place;

	if (ol_toc_footer_parse(ol_view_from(data, size), BLOB_BYTES, &place, NULL) < 0)
		return 0;
	if (place.format == OL_TOC_NONE || place.toc.offset > BLOB_BYTES ||
		place.toc.size > BLOB_BYTES - place.toc.offset ||
		place.tar_split.offset > BLOB_BYTES ||
		place.tar_split.size > BLOB_BYTES - place.tar_split.offset)
		abort();
	return 0;
}
