#include <stdlib.h>

#include "base/digest.h"
#include "tests/fuzz/fuzz.h"

/* A digest has one spelling. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_view text = ol_view_from(data, size);
	ol_digest digest = { 0 };
	ol_error err;

	if (ol_digest_parse(text, &digest, &err) < 0)
		return 0;
	if (!ol_view_is(text, ol_digest_format(&digest).text))
		abort();
	return 0;
}
