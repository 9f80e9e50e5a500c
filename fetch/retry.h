#pragma once

/*
 * When to try again, and after how long. A request gets a number of further tries; waits double
 * from the base to the cap and lose up to half of themselves at random, so that many clients do not
 * come back at once. What the server says in Retry-After stands above that.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/view.h"

#define OL_RETRIES_DEFAULT        5
#define OL_BACKOFF_MS_DEFAULT     500
#define OL_BACKOFF_MAX_MS_DEFAULT 30000

/* Milliseconds to wait by a Retry-After header, RFC 9110 section 10.2.3: seconds, or an HTTP date
 * in any of its three forms (a past one is 0). now: unix seconds. OL_EINVAL for anything else. */
int ol_retry_after_parse(ol_view text, int64_t now, uint64_t *ms, ol_error *err);

/* A status worth another try: 408, 429, 499, 500, 502, 503, 504, 520 to 524. */
bool ol_retry_status(long status);

/* One operation's patience. For one thread. */
typedef struct ol_patience {
	unsigned tries; /* further tries there may be */
	unsigned used;
	unsigned backoff_ms, backoff_max_ms;
} ol_patience;

/* Takes one try: false when none is left, else *ms is how long to wait before it. */
bool ol_patience_take(ol_patience *patience, uint64_t *ms);
/* There was progress: all tries are there again. */
void ol_patience_renew(ol_patience *patience);

/* Sleeps until ol_now_ms() reaches until_ms, cancel fires (OL_ECANCELED) or *stop becomes true
 * (looked at a few times a second; may be NULL). */
int ol_retry_wait(
	uint64_t until_ms, const ol_cancel *cancel, const _Atomic(bool) *stop, ol_error *err);
