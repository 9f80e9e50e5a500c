/* A line of index.json, as a repair reads it back: what it takes, the store's own writer could have
 * meant. */
#include <assert.h>

#include "base/limits.h"
#include "image/mend_priv.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_json *json = NULL;
	ol_name_info info = { 0 };

	if (ol_relist_line(ol_view_from(data, size), &json, &info, NULL) == OL_OK) {
		assert(json && info.name && info.repo && info.media_type && info.media_type[0]);
		assert(ol_digest_is_set(&info.root) && ol_digest_is_set(&info.listed));
		assert(info.listed_size <= OL_DESCRIPTOR_BYTES_MAX && info.created >= 0);
	}
	ol_json_free(json);
	return 0;
}
