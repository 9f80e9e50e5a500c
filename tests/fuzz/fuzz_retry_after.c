#include "fetch/retry.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t ms;

	(void)ol_retry_after_parse(ol_view_from(data, size), 784111777, &ms, NULL);
	return 0;
}
