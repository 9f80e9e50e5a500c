#include <stdlib.h>
#include <string.h>

#include "fetch/token.h"
#include "tests/fuzz/fuzz.h"

/* A token that is accepted cannot split a header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_token token = { 0 };

	if (ol_token_parse(ol_view_from(data, size), 1735787045, &token, NULL) < 0)
		return 0;
	if (strpbrk(token.text, "\r\n \t"))
		abort();
	ol_token_done(&token);
	return 0;
}
