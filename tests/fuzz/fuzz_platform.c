#include <stdlib.h>

#include "base/alloc.h"
#include "manifest/platform.h"
#include "tests/fuzz/fuzz.h"

/* A platform that parses is normal, is written as what parses to it again, and serves itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_autofree char *text = ol_strndup((const char *)data, size);
	ol_platform platform = { 0 }, again = { 0 };
	ol_error err;

	if (ol_platform_parse(text, &platform, &err) < 0)
		return 0;
	if (ol_platform_parse(ol_platform_format(&platform).text, &again, NULL) < 0 ||
		memcmp(&platform, &again, sizeof again) != 0 ||
		ol_platform_match(&platform, &again) != 0)
		abort();
	return 0;
}
