#include "cmd/limit_option.h"

#include <errno.h>
#include <inttypes.h>

#include "base/ckd.h"
#include "base/view.h"

int ol_integer_parse(
	const char *flag, const char *text, int64_t min, int64_t max, int64_t *out, ol_error *err)
{
	const char *digits = text + (*text == '-');
	long long value;

	errno = 0;
	value = strtoll(text, NULL, 10);
	if (!*digits || strspn(digits, "0123456789") != strlen(digits))
		return ol_fail(err, OL_EINVAL,
			"invalid argument \"%.80s\" for \"%s\" flag: it is a whole number", text,
			flag);
	if (errno || value < min || value > max)
		return ol_fail(err, OL_EINVAL,
			"invalid argument \"%.80s\" for \"%s\" flag: it is from %" PRId64
			" to %" PRId64,
			text, flag, min, max);
	*out = value;
	return OL_OK;
}

static int limit_value(const char *text, uint64_t *out, ol_error *err)
{
	int64_t value = 0;
	int rc;

	if (strcmp(text, "unlimited") == 0) {
		*out = UINT64_MAX;
		return OL_OK;
	}
	rc = ol_integer_parse("--ulimit", text, -1, INT64_MAX, &value, err);
	if (rc == OL_OK)
		*out = value < 0 ? UINT64_MAX : (uint64_t)value;
	return rc;
}

int ol_ulimit_parse(const char *text, ol_arena *arena, ol_ulimit *out, ol_error *err)
{
	static const char *const names[] = { "core", "cpu", "data", "fsize", "locks", "memlock",
		"msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending",
		"stack" };
	char *name = ol_arena_strdup(arena, text), *soft = strchr(name, '='), *hard;
	bool known = false;
	int rc;

	if (!soft)
		return ol_fail(err, OL_EINVAL,
			"invalid argument \"%.80s\" for \"--ulimit\" flag: it is NAME=SOFT[:HARD]",
			text);
	*soft++ = '\0';
	hard = strchr(soft, ':');
	if (hard)
		*hard++ = '\0';
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		known = known || strcmp(name, names[i]) == 0;
	if (!known)
		return ol_fail(err, OL_EINVAL,
			"invalid argument \"%.80s\" for \"--ulimit\" flag: invalid ulimit type: "
			"%.40s",
			text, name);
	rc = limit_value(soft, &out->soft, err);
	if (rc == OL_OK)
		rc = limit_value(hard ? hard : soft, &out->hard, err);
	if (rc < 0)
		return rc;
	if (out->soft > out->hard)
		return ol_fail(err, OL_EINVAL,
			"invalid argument \"%.80s\" for \"--ulimit\" flag: ulimit soft limit must "
			"be less than or equal to hard limit",
			text);
	out->name = name;
	return OL_OK;
}

int ol_cpus_parse(const char *text, uint64_t *nano_cpus, ol_error *err)
{
	uint64_t nano = 0;
	int decimals = -1;
	bool any = false;

	for (const char *p = text; *p; p++) {
		if (*p == '.' && decimals < 0) {
			decimals = 0;
			continue;
		}
		if (*p < '0' || *p > '9')
			return ol_fail(err, OL_EINVAL,
				"invalid argument \"%.80s\" for \"--cpus\" flag: it is a number: "
				"1.5",
				text);
		if (decimals >= 9 && *p != '0')
			return ol_fail(err, OL_EINVAL,
				"invalid argument \"%.80s\" for \"--cpus\" flag: value is too "
				"precise",
				text);
		any = true;
		if (decimals >= 9)
			continue;
		if (ckd_mul(&nano, nano, 10) || ckd_add(&nano, nano, (uint64_t)(*p - '0')))
			return ol_fail(err, OL_EINVAL,
				"invalid argument \"%.80s\" for \"--cpus\" flag: too many", text);
		decimals += decimals >= 0;
	}
	for (int i = decimals < 0 ? 0 : decimals; i < 9; i++)
		if (ckd_mul(&nano, nano, 10))
			return ol_fail(err, OL_EINVAL,
				"invalid argument \"%.80s\" for \"--cpus\" flag: too many", text);
	if (!any)
		return ol_fail(err, OL_EINVAL,
			"invalid argument \"%.80s\" for \"--cpus\" flag: it is a number: 1.5",
			text);
	*nano_cpus = nano;
	return OL_OK;
}
