#include "cmd/size.h"

#include <ctype.h>
#include <errno.h>
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

int ol_size_parse(const char *text, uint64_t *out, ol_error *err)
{
	static const char units[] = "kmgtp";
	const char *suffix = text, *unit;
	double number;
	char *end;
	int shift = 0;

	/* The number is digits with at most one point: strtod alone would take signs, hex and
	 * infinities. */
	suffix += strspn(suffix, "0123456789");
	if (*suffix == '.')
		suffix += 1 + strspn(suffix + 1, "0123456789");
	errno = 0;
	number = strtod(text, &end);
	if (suffix == text || !isdigit((unsigned char)suffix[-1]) ||
		(end != suffix && !isalpha((unsigned char)*suffix)))
		return ol_fail(err, OL_EINVAL, "invalid size: '%s'", text);
	if (*suffix == ' ')
		suffix++;
	unit = *suffix ? strchr(units, tolower((unsigned char)*suffix)) : NULL;
	if (unit) {
		shift = 10 * (int)(unit - units + 1);
		suffix++;
		if (tolower((unsigned char)*suffix) == 'i' &&
			tolower((unsigned char)suffix[1]) == 'b')
			suffix++;
	}
	if (tolower((unsigned char)*suffix) == 'b')
		suffix++;
	if (*suffix)
		return ol_fail(err, OL_EINVAL, "invalid suffix: '%s'", suffix);
	number = ldexp(number, shift);
	if (errno || number >= 0x1p63)
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
