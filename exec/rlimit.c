#include "exec/rlimit.h"

#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/userns.h"
#include "exec/capability.h"

static const struct {
	const char *asked, *name;
	int resource;
} table[] = {
	{ "as", "RLIMIT_AS", RLIMIT_AS },
	{ "core", "RLIMIT_CORE", RLIMIT_CORE },
	{ "cpu", "RLIMIT_CPU", RLIMIT_CPU },
	{ "data", "RLIMIT_DATA", RLIMIT_DATA },
	{ "fsize", "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "locks", "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "memlock", "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "msgqueue", "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "nice", "RLIMIT_NICE", RLIMIT_NICE },
	{ "nofile", "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "nproc", "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "rss", "RLIMIT_RSS", RLIMIT_RSS },
	{ "rtprio", "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "rttime", "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "sigpending", "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "stack", "RLIMIT_STACK", RLIMIT_STACK },
};

_Static_assert(RLIM_INFINITY == UINT64_MAX, "unlimited is the same number here and there");

static void limit_text(char *text, size_t size, uint64_t value)
{
	if (value == UINT64_MAX)
		(void)snprintf(text, size, "unlimited");
	else
		(void)snprintf(text, size, "%" PRIu64, value);
}

static int check_hard(const ol_ulimit *asked, int resource, ol_error *err)
{
	struct rlimit ours;
	char want[32], have[32];
	uint64_t held = 0;
	int rc = ol_capability_held(&held, err);

	if (rc < 0)
		return rc;
	if (getrlimit((__rlimit_resource_t)resource, &ours) < 0)
		return ol_fail_sys(err, "--ulimit %s", asked->name);
	/* Of a user namespace, that capability raises nothing. */
	if (asked->hard <= ours.rlim_max ||
		((held & ol_capability_bit(CAP_SYS_RESOURCE)) && !ol_userns_is_inside()))
		return OL_OK;
	limit_text(want, sizeof want, asked->hard);
	limit_text(have, sizeof have, ours.rlim_max);
	(void)ol_fail(err, OL_EINVAL, "--ulimit %s: the hard limit %s is above orlop's own, %s",
		asked->name, want, have);
	return ol_hint(err, OL_EINVAL,
		"ask for less, or start orlop with a higher limit or with CAP_SYS_RESOURCE");
}

int ol_rlimit_choose(const ol_ulimit *asked, ol_rlimit *out, ol_error *err)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		int rc;

		if (strcmp(table[i].asked, asked->name) != 0)
			continue;
		if (asked->soft > asked->hard)
			return ol_fail(err, OL_EINVAL,
				"--ulimit %s: the soft limit is above the hard one", asked->name);
		rc = check_hard(asked, table[i].resource, err);
		if (rc < 0)
			return rc;
		*out = (ol_rlimit){ table[i].name, table[i].resource, asked->soft, asked->hard };
		return OL_OK;
	}
	return ol_fail(err, OL_EINVAL, "--ulimit: there is no limit \"%s\"", asked->name);
}
