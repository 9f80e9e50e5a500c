#include <stdlib.h>

#include "base/alloc.h"
#include "manifest/ref.h"
#include "tests/fuzz/fuzz.h"

static void must_be(const char *text, const ol_ref *want)
{
	ol_ref ref = { 0 };

	if (ol_ref_parse(text, &ref, NULL) < 0 ||
		strcmp(ol_ref_format(&ref).text, ol_ref_format(want).text) != 0)
		abort();
}

/* Both ways to write a reference lead back to it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_autofree char *text = ol_strndup((const char *)data, size);
	ol_error err;
	ol_ref ref = { 0 };

	if (ol_ref_parse(text, &ref, &err) < 0)
		return 0;
	must_be(ol_ref_format(&ref).text, &ref);
	must_be(ol_ref_format_familiar(&ref).text, &ref);
	return 0;
}
