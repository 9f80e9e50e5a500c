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
	if (*at >= text.size || !text.data[*at] || !strchr(set, text.data[*at]))
		return false;
	++*at;
	return true;
}

/* timegm would turn February 30 into March. */
static int days_of(int month, int year)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month] + (month == 1 && leap);
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
	if (tm->tm_mday < 1 || tm->tm_mday > days_of(tm->tm_mon, tm->tm_year + 1900))
		return false;
	if (!one_of(text, at, "Tt "))
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
	out->tv_sec = timegm(&tm) - (time_t)sign * (hours * 3600 + minutes * 60);
	out->tv_nsec = nsec;
	return true;
}

ol_time_text ol_time_format(const struct timespec *when)
{
	ol_time_text out = { "" };
	struct tm tm;
	size_t used;

	if (!gmtime_r(&when->tv_sec, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
		return out;
	/* strftime writes the year 1 as "1". */
	used = (size_t)snprintf(out.text, sizeof out.text, "%04d-%02d-%02dT%02d:%02d:%02d",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (when->tv_nsec) {
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
	/* docker's steps, in minutes or in hours: a unit is used until there are two of
	 * the next. */
	static const struct {
		int64_t below, unit;
		const char *name;
	} hours_steps[] = {
		{ 48, 1, "hours" },
		{ (int64_t)24 * 7 * 2, 24, "days" },
		{ (int64_t)24 * 30 * 2, (int64_t)24 * 7, "weeks" },
		{ (int64_t)24 * 365 * 2, (int64_t)24 * 30, "months" },
		{ INT64_MAX, (int64_t)24 * 365, "years" },
	};
	int64_t past = now > unix_seconds ? now - unix_seconds : 0;
	/* It rounds hours, and nothing else. */
	int64_t hours = past / 3600 + (past % 3600 >= 1800);
	ol_time_text out = { "" };
	size_t i = 0;

	if (past < 1)
		(void)snprintf(out.text, sizeof out.text, "Less than a second ago");
	else if (past == 1)
		(void)snprintf(out.text, sizeof out.text, "1 second ago");
	else if (past < 60)
		(void)snprintf(out.text, sizeof out.text, "%d seconds ago", (int)past);
	else if (past < 120)
		(void)snprintf(out.text, sizeof out.text, "About a minute ago");
	else if (past < 3600)
		(void)snprintf(out.text, sizeof out.text, "%d minutes ago", (int)(past / 60));
	else if (hours == 1)
		(void)snprintf(out.text, sizeof out.text, "About an hour ago");
	if (out.text[0])
		return out;

	while (hours >= hours_steps[i].below)
		i++;
	(void)snprintf(out.text, sizeof out.text, "%lld %s ago",
		(long long)(hours / hours_steps[i].unit), hours_steps[i].name);
	return out;
}
