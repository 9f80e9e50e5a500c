#include "cmd/limit_option.h"
#include "tests/check.h"

static void ulimits_have_a_soft_and_a_hard_value(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t soft, hard;
	} cases[] = {
		{ "nofile=1024:2048", OL_OK, 1024, 2048 },
		{ "nofile=1024", OL_OK, 1024, 1024 },
		{ "core=-1", OL_OK, UINT64_MAX, UINT64_MAX },
		{ "core=0:-1", OL_OK, 0, UINT64_MAX },
		{ "memlock=unlimited:unlimited", OL_OK, UINT64_MAX, UINT64_MAX },
		{ "nofile=2:1", OL_EINVAL, 0, 0 },
		{ "nofile=-1:1", OL_EINVAL, 0, 0 },
		{ "nofile", OL_EINVAL, 0, 0 },
		{ "nofile=", OL_EINVAL, 0, 0 },
		{ "nofile=1:", OL_EINVAL, 0, 0 },
		{ "nofile=1:2:3", OL_EINVAL, 0, 0 },
		{ "nofile=x", OL_EINVAL, 0, 0 },
		{ "nofile=-2", OL_EINVAL, 0, 0 },
		{ "nofile=99999999999999999999", OL_EINVAL, 0, 0 },
		{ "nofiles=1", OL_EINVAL, 0, 0 },
		{ "=1", OL_EINVAL, 0, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
		ol_ulimit got = { 0 };

		CHECK_INT(c->text, c->rc, ol_ulimit_parse(c->text, arena, &got, NULL));
		if (c->rc < 0)
			continue;
		CHECK_INT(c->text, (long long)c->soft, (long long)got.soft);
		CHECK_INT(c->text, (long long)c->hard, (long long)got.hard);
	}
}

static void processors_are_counted_in_billionths(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t want;
	} cases[] = {
		{ "1", OL_OK, 1000000000 },
		{ "1.5", OL_OK, 1500000000 },
		{ ".5", OL_OK, 500000000 },
		{ "0.000000001", OL_OK, 1 },
		{ "2.0000000000", OL_OK, 2000000000 },
		{ "1.00000000001", OL_EINVAL, 0 },
		{ "", OL_EINVAL, 0 },
		{ ".", OL_EINVAL, 0 },
		{ "-1", OL_EINVAL, 0 },
		{ "1,5", OL_EINVAL, 0 },
		{ "1.5.5", OL_EINVAL, 0 },
		{ "1e3", OL_EINVAL, 0 },
		{ "99999999999999999999", OL_EINVAL, 0 },
		{ "99999999999", OL_EINVAL, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		uint64_t got = 0;

		CHECK_INT(c->text, c->rc, ol_cpus_parse(c->text, &got, NULL));
		CHECK_INT(c->text, (long long)c->want, (long long)got);
	}
}

static void whole_numbers_stay_in_their_range(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t want;
	} cases[] = {
		{ "-1", OL_OK, -1 },
		{ "64", OL_OK, 64 },
		{ "-2", OL_EINVAL, 0 },
		{ "101", OL_EINVAL, 0 },
		{ "", OL_EINVAL, 0 },
		{ "-", OL_EINVAL, 0 },
		{ "+1", OL_EINVAL, 0 },
		{ "1 ", OL_EINVAL, 0 },
		{ "0x1", OL_EINVAL, 0 },
		{ "9223372036854775808", OL_EINVAL, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		int64_t got = 0;

		CHECK_INT(c->text, c->rc, ol_integer_parse("--x", c->text, -1, 100, &got, NULL));
		CHECK_INT(c->text, c->want, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ulimits_have_a_soft_and_a_hard_value),
		cmocka_unit_test(processors_are_counted_in_billionths),
		cmocka_unit_test(whole_numbers_stay_in_their_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
