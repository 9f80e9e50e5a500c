#include <stdlib.h>

#include "base/alloc.h"
#include "image/summary.h"
#include "image/until.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_autofree char *text = ol_strndup((const char *)data, size);
	ol_summary summary = { 0 };
	int64_t at = 0;

	if (ol_summary_parse(text, &summary, NULL) == OL_OK) {
		const ol_platform host = ol_platform_host();

		if (summary.count == 0)
			abort();
		(void)ol_summary_choose(&summary, &host);
	}
	ol_summary_done(&summary);
	(void)ol_until_parse(text, 0, &at);
	return 0;
}
