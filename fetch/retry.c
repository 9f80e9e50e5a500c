#include "fetch/retry.h"

#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/random.h>
#include <time.h>

#include "base/ckd.h"
#include "base/clock.h"

/* How often a wait looks whether it is still wanted. */
#define STOP_LOOK_MS 100

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

struct date {
	int day, month, year, hour, minute, second;
};

static int *date_field(struct date *date, char which)
{
	switch (which) {
	case 'd':
		return &date->day;
	case 'y':
	case 'Y':
		return &date->year;
	case 'h':
		return &date->hour;
	case 'm':
		return &date->minute;
	default:
		return &date->second;
	}
}

static bool read_month(ol_view text, size_t *at, struct date *date)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	if (text.size - *at < 3)
		return false;
	for (int i = 0; i < 12; i++)
		if (memcmp(text.data + *at, names + (size_t)i * 3, 3) == 0) {
			date->month = i;
			*at += 3;
			return true;
		}
	return false;
}

static bool read_digits(ol_view text, size_t *at, size_t count, int *out)
{
	int value = 0;

	if (text.size - *at < count)
		return false;
	for (size_t i = 0; i < count; i++, (*at)++) {
		if (!digit(text.data[*at]))
			return false;
		value = value * 10 + (text.data[*at] - '0');
	}
	*out = value;
	return true;
}

/* d h m s y take two digits, Y four, M a month, D a day padded with a space; the rest
 * is literal. */
static bool read_date(ol_view text, const char *pattern, struct date *date)
{
	size_t at = 0;

	for (const char *p = pattern; *p; p++) {
		bool good;

		if (*p == 'n') {
			good = read_month(text, &at, date);
		} else if (*p == 'D' && at < text.size && text.data[at] == ' ') {
			at++;
			good = read_digits(text, &at, 1, &date->day);
		} else if (*p == 'D') {
			good = read_digits(text, &at, 2, &date->day);
		} else if (strchr("dhmsyY", *p)) {
			good = read_digits(text, &at, *p == 'Y' ? 4 : 2, date_field(date, *p));
		} else {
			good = at < text.size && text.data[at] == *p;
			at++;
		}
		if (!good)
			return false;
	}
	return at == text.size;
}

/* The day of the week in front is not needed to know the moment; it must only be a word. */
static ol_view skip_weekday(ol_view text)
{
	size_t at = 0;

	while (at < text.size && text.data[at] != ' ' && text.data[at] != ',')
		at++;
	if (at < text.size && text.data[at] == ',')
		at++;
	if (at < text.size && text.data[at] == ' ')
		at++;
	return ol_view_from(text.data + at, text.size - at);
}

static int parse_date(ol_view text, int64_t *out)
{
	struct date date = { 0 };
	struct tm tm = { 0 };
	ol_view rest = skip_weekday(text);

	if (read_date(rest, "d-n-y h:m:s GMT",
		    &date)) /* RFC 850: two digits, of the nearest century */
		date.year += date.year < 70 ? 2000 : 1900;
	else if (!read_date(rest, "d n Y h:m:s GMT", &date) &&
		 !read_date(rest, "n D h:m:s Y", &date))
		return OL_EINVAL;
	if (date.day < 1 || date.day > 31 || date.hour > 23 || date.minute > 59 ||
		date.second > 60 || date.year < 1970)
		return OL_EINVAL;
	tm.tm_mday = date.day;
	tm.tm_mon = date.month;
	tm.tm_year = date.year - 1900;
	tm.tm_hour = date.hour;
	tm.tm_min = date.minute;
	tm.tm_sec = date.second;
	*out = (int64_t)timegm(&tm);
	return OL_OK;
}

int ol_retry_after_parse(ol_view text, int64_t now, uint64_t *ms, ol_error *err)
{
	uint64_t seconds = 0;
	int64_t when;

	if (text.size == 0)
		return ol_fail(err, OL_EINVAL, "empty Retry-After");
	if (!digit(text.data[0])) {
		if (parse_date(text, &when) < 0)
			return ol_fail(err, OL_EINVAL, "Retry-After is neither seconds nor a date");
		*ms = when > now ? (uint64_t)(when - now) * 1000 : 0;
		return OL_OK;
	}
	for (size_t i = 0; i < text.size; i++) {
		if (!digit(text.data[i]))
			return ol_fail(err, OL_EINVAL, "Retry-After is neither seconds nor a date");
		/* Longer than anybody waits, and then it says so. */
		if (ckd_mul(&seconds, seconds, (uint64_t)10) ||
			ckd_add(&seconds, seconds, (uint64_t)(text.data[i] - '0'))) {
			*ms = UINT64_MAX;
			return OL_OK;
		}
	}
	if (ckd_mul(ms, seconds, (uint64_t)1000))
		*ms = UINT64_MAX;
	return OL_OK;
}

bool ol_retry_status(long status)
{
	static const short statuses[] = { 408, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523,
		524 };

	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
		if (statuses[i] == status)
			return true;
	return false;
}

static uint64_t random_below(uint64_t bound)
{
	uint32_t bits = 0;

	if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
		bits = (uint32_t)ol_now_ms(); /* jitter needs no secrecy */
	return bound ? bits % bound : 0;
}

bool ol_patience_take(ol_patience *patience, uint64_t *ms)
{
	uint64_t wait = patience->backoff_ms;

	if (patience->used >= patience->tries)
		return false;
	for (unsigned i = 0; i < patience->used && wait < patience->backoff_max_ms; i++)
		wait *= 2;
	if (wait > patience->backoff_max_ms)
		wait = patience->backoff_max_ms;
	patience->used++;
	*ms = wait - random_below(wait / 2 + 1);
	return true;
}

void ol_patience_renew(ol_patience *patience)
{
	patience->used = 0;
}

int ol_retry_wait(
	uint64_t until_ms, const ol_cancel *cancel, const _Atomic(bool) *stop, ol_error *err)
{
	struct pollfd wake = { .fd = ol_cancel_fd(cancel), .events = POLLIN };

	for (;;) {
		uint64_t now = ol_now_ms();
		uint64_t left = until_ms > now ? until_ms - now : 0;

		if (ol_cancel_fired(cancel))
			return ol_cancel_check(cancel, err);
		if (left == 0 || (stop && atomic_load(stop)))
			return OL_OK;
		if (left > INT_MAX)
			left = INT_MAX;
		if (stop && left > STOP_LOOK_MS)
			left = STOP_LOOK_MS;
		(void)poll(&wake, 1, (int)left);
	}
}
