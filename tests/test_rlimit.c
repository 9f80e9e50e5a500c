#include <sys/resource.h>

#include "exec/capability.h"
#include "exec/rlimit.h"
#include "tests/check.h"

static void limits_are_known_by_dockers_names(void **state)
{
	static const struct {
		const char *name;
		uint64_t soft, hard;
		const char *want;
		int rc;
	} cases[] = {
		{ "nofile", 10, 20, "RLIMIT_NOFILE", OL_OK },
		{ "nofile", 20, 20, "RLIMIT_NOFILE", OL_OK },
		{ "core", 0, 0, "RLIMIT_CORE", OL_OK },
		{ "nproc", 1, 2, "RLIMIT_NPROC", OL_OK },
		{ "nofile", 21, 20, "", OL_EINVAL },
		{ "NOFILE", 1, 1, "", OL_EINVAL },
		{ "files", 1, 1, "", OL_EINVAL },
		{ "", 1, 1, "", OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		const ol_ulimit asked = { c->name, c->soft, c->hard };
		ol_rlimit limit = { .name = "" };

		CHECK_INT(c->name, c->rc, ol_rlimit_choose(&asked, &limit, NULL));
		CHECK_STR(c->name, c->want, limit.name);
	}
}

static void a_hard_limit_above_ours_is_refused_by_name(void **state)
{
	struct rlimit before, lower;
	ol_ulimit asked = { "nofile", 1, 0 };
	ol_rlimit limit;
	ol_error err = { .code = 0 };
	uint64_t held = 0;

	(void)state;
	assert_int_equal(OL_OK, ol_capability_held(&held, NULL));
	if (held & ol_capability_bit(24)) { /* CAP_SYS_RESOURCE: everything may be asked for */
		print_message("SKIP: a process with CAP_SYS_RESOURCE may raise its limits\n");
		skip();
	}
	assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
	lower = before;
	asked.hard = before.rlim_max;
	assert_int_equal(OL_OK, ol_rlimit_choose(&asked, &limit, &err));
	lower.rlim_cur = lower.rlim_max = before.rlim_max - 1;
	assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &lower));
	assert_int_equal(OL_EINVAL, ol_rlimit_choose(&asked, &limit, &err));
	assert_non_null(strstr(err.text, "--ulimit nofile"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_known_by_dockers_names),
		cmocka_unit_test(a_hard_limit_above_ours_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
