#include "image/until.h"

#include <stdio.h>
#include <string.h>

#include "base/ckd.h"
#include "base/clock.h"

#define DIGITS "0123456789"
/* 10^12 seconds: thirty thousand years. */
#define DIGITS_MAX 12

/* Few digits: it fits. */
static bool read_count(const char **at, int64_t *out)
{
	const size_t size = strspn(*at, DIGITS);

	if (size == 0 || size > DIGITS_MAX)
		return false;
	*out = 0;
	for (size_t i = 0; i < size; i++)
		*out = *out * 10 + ((*at)[i] - '0');
	*at += size;
	return true;
}

/* One unit, in microseconds: "h", "m", "s", "ms", "us", "µs", "ns" (nothing). */
static bool read_unit(const char **at, int64_t *microseconds)
{
	static const struct {
		const char *name;
		int64_t microseconds;
	} units[] = { { "ms", 1000 }, { "us", 1 }, { "\xc2\xb5s", 1 }, { "ns", 0 },
		{ "h", INT64_C(3600000000) }, { "m", 60000000 }, { "s", 1000000 } };

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		const size_t size = strlen(units[i].name);

		if (strncmp(*at, units[i].name, size) == 0) {
			*at += size;
			*microseconds = units[i].microseconds;
			return true;
		}
	}
	return false;
}

/* Go's time.ParseDuration without a sign: numbers with a unit each. Whole seconds of it. */
static bool read_duration(const char *text, int64_t *seconds)
{
	int64_t sum = 0;

	do {
		int64_t whole = 0, tenths = 0, unit = 0;

		if (!read_count(&text, &whole))
			return false;
		if (*text == '.') {
			text++;
			if (*text < '0' || *text > '9')
				return false;
			tenths = *text - '0';
			text += strspn(text, DIGITS); /* finer than anybody asks for */
		}
		if (!read_unit(&text, &unit) || ckd_mul(&whole, whole * 10 + tenths, unit) ||
			ckd_add(&sum, sum, whole / 10))
			return false;
	} while (*text);
	*seconds = sum / 1000000;
	return true;
}

/* A date or time without a zone: in UTC. */
static bool read_plain_time(const char *text, struct timespec *out)
{
	static const char *const ends[] = { "Z", ":00Z", "T00:00:00Z" };
	char whole[64];

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		if (strlen(text) + strlen(ends[i]) >= sizeof whole)
			return false;
		(void)snprintf(whole, sizeof whole, "%s%s", text, ends[i]);
		if (ol_time_parse(ol_view_of(whole), out))
			return true;
	}
	return false;
}

bool ol_until_parse(const char *text, int64_t now, int64_t *out)
{
	const char *at = text;
	struct timespec when;
	int64_t seconds = 0;

	if (ol_time_parse(ol_view_of(text), &when) || read_plain_time(text, &when)) {
		*out = when.tv_sec;
		return true;
	}
	if (read_count(&at, &seconds) &&
		(!*at || (*at == '.' && !at[1 + strspn(at + 1, DIGITS)]))) {
		*out = seconds;
		return true;
	}
	if (!read_duration(text, &seconds))
		return false;
	*out = now - seconds;
	return true;
}
