#include "cmd/platforms.h"

#include <string.h>

#include "base/alloc.h"

int ol_platforms_parse(const char *const *lists, ol_platform *out, size_t *count, ol_error *err)
{
	*count = 0;
	for (; *lists; lists++)
		for (const char *at = *lists;; at++) {
			size_t size = strcspn(at, ",");
			ol_autofree char *text = ol_strndup(at, size);
			int rc;

			if (*count == OL_PLATFORMS_MAX)
				return ol_fail(
					err, OL_ELIMIT, "more than %d platforms", OL_PLATFORMS_MAX);
			rc = ol_platform_parse(text, &out[(*count)++], err);
			if (rc < 0)
				return rc;
			at += size;
			if (!*at)
				break;
		}
	return OL_OK;
}
