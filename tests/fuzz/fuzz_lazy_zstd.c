/* zstd:chunked: the JSON, and behind a NUL the lines of a tar-split, if there is one. */
#include "tests/fuzz/lazy_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	const size_t json = end ? (size_t)(end - data) : size;
	const ol_lazy_toc toc = { .format = OL_LAZY_ZSTD_CHUNKED,
		.bytes = ol_view_from(data, json),
		.place = { LAZY_FUZZ_BLOB_BYTES - 2000, 1000 },
		.tar_split = end ? ol_view_from(end + 1, size - json - 1) : (ol_view){ "", 0 } };

	lazy_fuzz(&toc);
	return 0;
}
