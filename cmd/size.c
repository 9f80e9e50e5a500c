#include "cmd/size.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

ol_size_text ol_size_format(uint64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double size = (double)bytes;
	size_t unit = 0;
	ol_size_text out;

	/* go-units turns at 1000 and so writes 999.7 kB as "1e+03kB": turn where three digits round
	 * up to it. */
	while (size >= 999.5) {
		size /= 1000;
		unit++;
	}
	(void)snprintf(out.text, sizeof out.text, "%.3g%s", size, units[unit]);
	return out;
}

/* Where the number ends: digits with at most one point. strtod alone would take signs, hex and
 * infinities. */
static const char *number_end(const char *text)
{
	const char *end = text + strspn(text, "0123456789");

	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	return end == text || end[-1] == '.' ? NULL : end;
}

/* "", "b", "k", "kb", "kib" in either case: powers of 1024; -1 for anything else. */
static int shift_of(const char *suffix)
{
	static const char units[] = "kmgtp";
	const char *unit = *suffix ? strchr(units, tolower((unsigned char)*suffix)) : NULL;
	const char *rest = unit ? suffix + 1 : suffix;

	if (*rest && strcasecmp(rest, "b") != 0 && !(unit && strcasecmp(rest, "ib") == 0))
		return -1;
	return unit ? 10 * (int)(unit - units + 1) : 0;
}

int ol_size_parse(const char *text, uint64_t *out, ol_error *err)
{
	const char *suffix = number_end(text);
	double number;
	int shift;

	if (!suffix)
		return ol_fail(err, OL_EINVAL, "invalid size: '%s'", text);
	shift = shift_of(suffix + (*suffix == ' '));
	if (shift < 0)
		return ol_fail(err, OL_EINVAL, "invalid suffix: '%s'", suffix + (*suffix == ' '));
	/* An exponent or hex would have been taken for a suffix above. */
	number = ldexp(strtod(text, NULL), shift);
	if (number >= 0x1p63)
		return ol_fail(err, OL_EINVAL, "size too large: '%s'", text);
	*out = (uint64_t)number;
	return OL_OK;
}

ol_size_text ol_seconds_format(uint64_t seconds)
{
	ol_size_text out;

	if (seconds < 60)
		(void)snprintf(out.text, sizeof out.text, "%us", (unsigned)seconds);
	else if (seconds < 3600)
		(void)snprintf(out.text, sizeof out.text, "%um%02us", (unsigned)seconds / 60,
			(unsigned)seconds % 60);
	else if (seconds < (uint64_t)100 * 3600)
		(void)snprintf(out.text, sizeof out.text, "%uh%02um", (unsigned)seconds / 3600,
			(unsigned)seconds % 3600 / 60);
	else
		(void)snprintf(out.text, sizeof out.text, ">4 days");
	return out;
}
