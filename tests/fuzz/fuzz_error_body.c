#include <stdlib.h>

#include "fetch/error_body.h"
#include "tests/fuzz/fuzz.h"

/* Whatever it says, a terminal can take it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto_str ol_str out = OL_STR(1024);

	ol_error_body_words(ol_view_from(data, size), &out);
	for (size_t i = 0; i < out.size; i++)
		if ((unsigned char)out.data[i] < 0x20 || out.data[i] == 0x7f)
			abort();
	return 0;
}
