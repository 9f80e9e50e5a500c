#include <assert.h>

#include "snapshot/lazy_held_priv.h"
#include "tests/fuzz/fuzz.h"

/* What is read is written as the same text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto_str ol_str text = OL_STR(2 * OL_HELD_BYTES_MAX);
	ol_auto_str ol_str again = OL_STR(2 * OL_HELD_BYTES_MAX);
	ol_held held, second;

	if (ol_held_parse(ol_view_from(data, size), &held, NULL) < 0)
		return 0;
	ol_held_format(&held, &text);
	assert(ol_held_parse(ol_buf_view(&text), &second, NULL) == OL_OK);
	ol_held_format(&second, &again);
	assert(ol_view_is(ol_buf_view(&text), ol_str_text(&again)));
	ol_held_done(&held);
	ol_held_done(&second);
	return 0;
}
