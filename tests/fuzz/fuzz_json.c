#include <stdlib.h>

#include "base/limits.h"
#include "manifest/json.h"
#include "tests/fuzz/fuzz.h"

/* What parses is written, and what was written parses to the same: the second writing equals the
 * first. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto(ol_json_free) ol_json *first = NULL, *second = NULL;
	ol_auto_str ol_str once = OL_STR((size_t)64 << 20), twice = OL_STR((size_t)64 << 20);

	if (ol_json_parse(ol_view_from(data, size), &first, NULL) < 0)
		return 0;
	if (ol_json_format(first, OL_JSON_SORTED, &once, NULL) < 0 ||
		ol_json_parse(ol_buf_view(&once), &second, NULL) < 0 ||
		ol_json_format(second, OL_JSON_SORTED, &twice, NULL) < 0 ||
		strcmp(ol_str_text(&once), ol_str_text(&twice)) != 0)
		abort();
	return 0;
}
