#include <stdlib.h>

#include "fetch/range.h"
#include "tests/fuzz/fuzz.h"

/* What is accepted keeps its promises. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_content_range range;

	if (ol_content_range_parse(ol_view_from(data, size), &range, NULL) < 0)
		return 0;
	if (!range.unsatisfied &&
		(range.start >= range.end || (range.has_total && range.end > range.total)))
		abort();
	return 0;
}
