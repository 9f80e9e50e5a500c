#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/view.h"

uint64_t ol_now_ms(void);      /* monotonic */
int64_t ol_unix_now(void);     /* seconds */
void ol_sleep_ms(uint64_t ms); /* whole, through signals */

/* RFC 3339, "2025-01-02T03:04:05.123456789Z" or with an offset; false if it is not. */
bool ol_time_parse(ol_view text, struct timespec *out);
typedef struct ol_time_text {
	char text[40];
} ol_time_text;
/* RFC 3339 in UTC, with a fraction where there is one; "" outside the years 0 to 9999. */
ol_time_text ol_time_format(const struct timespec *when);
/* "3 weeks ago", in docker's words. */
ol_time_text ol_time_ago(int64_t unix_seconds, int64_t now);
