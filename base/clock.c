#include "base/clock.h"

#include <errno.h>
#include <stdio.h>

uint64_t ol_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t ol_unix_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

void ol_sleep_ms(uint64_t ms)
{
	struct timespec left = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

/* Exactly count digits at *at; -1 if they are not. */
static int digits(ol_view text, size_t *at, size_t count)
{
	int value = 0;

	if (text.size - *at < count)
		return -1;
	for (size_t i = 0; i < count; i++) {
		char c = text.data[*at + i];

		if (c < '0' || c > '9')
			return -1;
		value = value * 10 + (c - '0');
	}
	*at += count;
	return value;
}

static bool one_of(ol_view text, size_t *at, const char *set)
{
	if (*at >= text.size || !strchr(set, text.data[*at]))
		return false;
	++*at;
	return true;
}

static bool date_and_time(ol_view text, size_t *at, struct tm *tm)
{
	tm->tm_year = digits(text, at, 4) - 1900;
	if (tm->tm_year < -1900 || !one_of(text, at, "-"))
		return false;
	tm->tm_mon = digits(text, at, 2) - 1;
	if (tm->tm_mon < 0 || tm->tm_mon > 11 || !one_of(text, at, "-"))
		return false;
	tm->tm_mday = digits(text, at, 2);
	if (tm->tm_mday < 1 || tm->tm_mday > 31 || !one_of(text, at, "Tt "))
		return false;
	tm->tm_hour = digits(text, at, 2);
	if (tm->tm_hour < 0 || tm->tm_hour > 23 || !one_of(text, at, ":"))
		return false;
	tm->tm_min = digits(text, at, 2);
	if (tm->tm_min < 0 || tm->tm_min > 59 || !one_of(text, at, ":"))
		return false;
	tm->tm_sec = digits(text, at, 2);
	return tm->tm_sec >= 0 && tm->tm_sec <= 60;
}

static bool fraction(ol_view text, size_t *at, long *nsec)
{
	long scale = 100000000;

	*nsec = 0;
	if (!one_of(text, at, "."))
		return true;
	if (*at >= text.size || text.data[*at] < '0' || text.data[*at] > '9')
		return false;
	for (; *at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9';
		++*at, scale /= 10)
		*nsec += (text.data[*at] - '0') * scale;
	return true;
}

bool ol_time_parse(ol_view text, struct timespec *out)
{
	struct tm tm = { 0 };
	size_t at = 0;
	long nsec;
	int hours, minutes, sign;

	if (!date_and_time(text, &at, &tm) || !fraction(text, &at, &nsec))
		return false;
	if (one_of(text, &at, "Zz")) {
		hours = minutes = 0;
		sign = 1;
	} else {
		if (at >= text.size || (text.data[at] != '+' && text.data[at] != '-'))
			return false;
		sign = text.data[at++] == '-' ? -1 : 1;
		hours = digits(text, &at, 2);
		if (hours < 0 || hours > 23 || !one_of(text, &at, ":"))
			return false;
		minutes = digits(text, &at, 2);
		if (minutes < 0 || minutes > 59)
			return false;
	}
	if (at != text.size)
		return false;
	out->tv_sec = timegm(&tm) - sign * (hours * 3600 + minutes * 60);
	out->tv_nsec = nsec;
	return true;
}

ol_time_text ol_time_format(const struct timespec *when)
{
	ol_time_text out = { "" };
	struct tm tm;
	size_t used;

	if (!gmtime_r(&when->tv_sec, &tm))
		return out;
	used = strftime(out.text, sizeof out.text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (used && when->tv_nsec) {
		(void)snprintf(out.text + used, sizeof out.text - used, ".%09ld", when->tv_nsec);
		used = strlen(out.text);
		while (out.text[used - 1] == '0')
			out.text[--used] = '\0';
	}
	(void)snprintf(out.text + used, sizeof out.text - used, "Z");
	return out;
}

ol_time_text ol_time_ago(int64_t unix_seconds, int64_t now)
{
	/* docker's steps: a unit is used until there are two of the next. */
	static const struct {
		int64_t below, unit;
		const char *one, *many;
	} steps[] = {
		{ 60, 1, NULL, "seconds" },
		{ 120, 60, "About a minute", "" },
		{ 3600, 60, NULL, "minutes" },
		{ 7200, 3600, "About an hour", "" },
		{ 48LL * 3600, 3600, NULL, "hours" },
		{ 14LL * 24 * 3600, 24LL * 3600, NULL, "days" },
		{ 60LL * 24 * 3600, 7LL * 24 * 3600, NULL, "weeks" },
		{ 2LL * 365 * 24 * 3600, 30LL * 24 * 3600, NULL, "months" },
		{ INT64_MAX, 365LL * 24 * 3600, NULL, "years" },
	};
	int64_t past = now > unix_seconds ? now - unix_seconds : 0;
	ol_time_text out = { "" };
	size_t i = 0;

	while (past >= steps[i].below)
		i++;
	if (past < 1)
		(void)snprintf(out.text, sizeof out.text, "Less than a second ago");
	else if (past == 1)
		(void)snprintf(out.text, sizeof out.text, "1 second ago");
	else if (steps[i].one)
		(void)snprintf(out.text, sizeof out.text, "%s ago", steps[i].one);
	else
		(void)snprintf(out.text, sizeof out.text, "%lld %s ago",
			(long long)(past / steps[i].unit), steps[i].many);
	return out;
}
