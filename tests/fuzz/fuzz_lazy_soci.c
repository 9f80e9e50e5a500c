#include "tests/fuzz/lazy_fuzz.h"

/* A ztoc of a blob of LAZY_FUZZ_BLOB_BYTES. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	lazy_fuzz(&(ol_lazy_toc){ .format = OL_LAZY_SOCI, .bytes = ol_view_from(data, size) });
	return 0;
}
