#include <stdlib.h>

#include "base/limits.h"
#include "manifest/profile.h"
#include "tests/fuzz/fuzz.h"

/* What comes out keeps its promises, and is the same once it was written and read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto_buf ol_buf json = OL_BUF(2 * OL_PROFILE_BYTES_MAX);
	ol_profile profile = { 0 }, again = { 0 };

	if (ol_profile_parse(ol_view_from(data, size), &profile, NULL) < 0)
		return 0;
	for (size_t i = 0; i < profile.count; i++)
		if (profile.ranges[i].start >= profile.ranges[i].end ||
			profile.ranges[i].end > OL_DESCRIPTOR_BYTES_MAX)
			abort();
	if (ol_profile_format(&profile, &json, NULL) < 0)
		abort();
	if (json.size <= OL_PROFILE_BYTES_MAX &&
		(ol_profile_parse(ol_buf_view(&json), &again, NULL) < 0 ||
			again.count != profile.count))
		abort();
	ol_profile_done(&profile);
	ol_profile_done(&again);
	return 0;
}
