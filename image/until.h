#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What `--filter until=` takes, as docker: RFC 3339, "2025-01-02T03:04:05", "2025-01-02T03:04",
 * "2025-01-02" (both in UTC), Unix seconds ("1735787045"), or how long ago, in Go's words ("10m",
 * "1h30m", "1.5h", "24h"). now and *out are Unix seconds. False if it is none of these. */
bool ol_until_parse(const char *text, int64_t now, int64_t *out);
