#pragma once

/* Sizes as people write and read them: docker's units (go-units). */
#include <stdint.h>

#include "base/error.h"

typedef struct ol_size_text {
	char text[16];
} ol_size_text;

/* Decimal, three significant digits: "133MB", "1.05kB", "0B". */
ol_size_text ol_size_format(uint64_t bytes);
/* Binary: "64m", "1.5g", "512KiB", "1024"; k is 1024. OL_EINVAL with docker's words. */
int ol_size_parse(const char *text, uint64_t *out, ol_error *err);
/* Seconds as a person counts them: "5s", "1m05s", "2h10m". */
ol_size_text ol_seconds_format(uint64_t seconds);
