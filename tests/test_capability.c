#include <linux/capability.h>

#include "exec/capability.h"
#include "tests/check.h"

#define ALL      (((uint64_t)1 << OL_CAPABILITY_COUNT) - 1)
#define DEFAULTS ((uint64_t)0xa80425fb) /* what docker run shows as CapBnd */
#define BIT(c)   ((uint64_t)1 << (c))

static void a_set_is_chosen_as_docker_chooses_it(void **state)
{
	static const struct {
		const char *name;
		const char *add[3], *drop[3];
		int privileged;
		uint64_t held, want;
		int rc;
	} cases[] = {
		{ "defaults", { NULL }, { NULL }, 0, ALL, DEFAULTS, OL_OK },
		{ "never more than held", { NULL }, { NULL }, 0, ALL & ~BIT(CAP_MKNOD),
			DEFAULTS & ~BIT(CAP_MKNOD), OL_OK },
		{ "nothing held", { NULL }, { NULL }, 0, 0, 0, OL_OK },
		{ "one more", { "NET_ADMIN" }, { NULL }, 0, ALL, DEFAULTS | BIT(CAP_NET_ADMIN),
			OL_OK },
		{ "any spelling", { "cap_net_admin", "Sys_Time" }, { NULL }, 0, ALL,
			DEFAULTS | BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_TIME), OL_OK },
		{ "one less", { NULL }, { "CHOWN" }, 0, ALL, DEFAULTS & ~BIT(CAP_CHOWN), OL_OK },
		{ "all but one", { "ALL" }, { "SYS_ADMIN" }, 0, ALL, ALL & ~BIT(CAP_SYS_ADMIN),
			OL_OK },
		{ "all that is held", { "all" }, { NULL }, 0, ALL & ~BIT(CAP_SYS_RESOURCE),
			ALL & ~BIT(CAP_SYS_RESOURCE), OL_OK },
		{ "none but one", { "CHOWN" }, { "ALL" }, 0, ALL, BIT(CAP_CHOWN), OL_OK },
		{ "none", { NULL }, { "ALL" }, 0, ALL, 0, OL_OK },
		{ "all and none", { "ALL" }, { "ALL" }, 0, ALL, ALL, OL_OK },
		{ "added and dropped", { "CHOWN" }, { "CHOWN" }, 0, ALL, DEFAULTS, OL_OK },
		{ "privileged", { NULL }, { "ALL" }, 1, ALL & ~BIT(CAP_SYS_RESOURCE),
			ALL & ~BIT(CAP_SYS_RESOURCE), OL_OK },
		{ "no such name", { "NET_ADMINN" }, { NULL }, 0, ALL, 0, OL_EINVAL },
		{ "no such name to drop", { NULL }, { "" }, 0, ALL, 0, OL_EINVAL },
		{ "a bare prefix", { "CAP_" }, { NULL }, 0, ALL, 0, OL_EINVAL },
		{ "a number", { "12" }, { NULL }, 0, ALL, 0, OL_EINVAL },
		{ "not ours to give", { "SYS_RESOURCE" }, { NULL }, 0, ALL & ~BIT(CAP_SYS_RESOURCE),
			0, OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		uint64_t got = 0;
		ol_error err = { .code = 0 };

		CHECK_INT(c->name, c->rc,
			ol_capability_choose(c->add, c->drop, c->privileged, c->held, &got, &err));
		CHECK_INT(c->name, (long long)c->want, (long long)got);
	}
}

static void a_refusal_names_the_capability(void **state)
{
	static const char *const add[] = { "sys_resource", NULL };
	uint64_t got;
	ol_error err = { .code = 0 };

	(void)state;
	assert_int_equal(OL_EINVAL, ol_capability_choose(add, NULL, false, 0, &got, &err));
	assert_non_null(strstr(err.text, "CAP_SYS_RESOURCE"));
}

static void names_and_numbers_agree(void **state)
{
	(void)state;
	for (int i = 0; i < OL_CAPABILITY_COUNT; i++)
		CHECK_INT(ol_capability_name(i), i, ol_capability_find(ol_capability_name(i)));
	assert_string_equal("CAP_?", ol_capability_name(-1));
	assert_string_equal("CAP_?", ol_capability_name(OL_CAPABILITY_COUNT));
}

static void what_we_hold_is_what_the_kernel_says(void **state)
{
	uint64_t held = 1;

	(void)state;
	assert_int_equal(OL_OK, ol_capability_held(&held, NULL));
	assert_int_equal(0, held & ~ALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_chosen_as_docker_chooses_it),
		cmocka_unit_test(a_refusal_names_the_capability),
		cmocka_unit_test(names_and_numbers_agree),
		cmocka_unit_test(what_we_hold_is_what_the_kernel_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
