#include <stdlib.h>

#include "manifest/json.h"
#include "manifest/json_scan.h"
#include "tests/fuzz/fuzz.h"

/* What the tree takes the scanner takes, too: the tree refuses more (duplicate keys, large
 * numbers). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto(ol_json_free) ol_json *tree = NULL;
	ol_json_scan scan;
	ol_json_token token = { 0 };
	size_t tokens = 0;
	int rc = OL_OK;

	ol_json_scan_init(&scan, ol_view_from(data, size), 1 << 20);
	do {
		rc = ol_json_scan_next(&scan, &token, NULL);
		if (++tokens > 2 * size + 2)
			abort();
	} while (rc == OL_OK && token.type != OL_JSON_TOKEN_END);
	ol_json_scan_done(&scan);
	if (rc < 0 && ol_json_parse(ol_view_from(data, size), &tree, NULL) == OL_OK)
		abort();
	return 0;
}
