#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "image/transport_priv.h"
#include "tests/fuzz/fuzz.h"

/* What is taken apart has a place or a name, and says what it was made of. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_autofree char *text = ol_strndup((const char *)data, size);
	ol_place place = { 0 };

	if (ol_place_parse(text, &place, NULL) < 0)
		return 0;
	if (place.transport->has_path ? !*place.path : *place.path || !*place.name)
		abort();
	if (!strstr(text, place.path) || !strstr(text, place.name))
		abort();
	ol_place_done(&place);
	return 0;
}
