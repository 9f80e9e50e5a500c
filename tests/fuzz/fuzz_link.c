#include <stdlib.h>

#include "fetch/upload.h"
#include "tests/fuzz/fuzz.h"

/* What is found lies within the header, without the angle brackets around it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *start = (const char *)data;
	ol_view next = { NULL, 0 };

	if (ol_link_next(ol_view_from(data, size), &next, NULL) < 0)
		return 0;
	if (next.data <= start || next.data + next.size >= start + size)
		abort();
	if (memchr(next.data, '>', next.size))
		abort();
	return 0;
}
