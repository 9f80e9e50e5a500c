#include <stdlib.h>

#include "fetch/range.h"
#include "tests/fuzz/fuzz.h"

/* No single byte is ever there, and nothing wraps around. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t offset = 0, length = 0;

	if (ol_upload_range_parse(ol_view_from(data, size), &offset, NULL) == OL_OK && offset == 1)
		abort();
	if (ol_length_parse(ol_view_from(data, size), &length, NULL) == OL_OK && size == 0)
		abort();
	return 0;
}
