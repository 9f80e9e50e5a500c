#include "cmd/exit_status.h"
#include "tests/check.h"

static void every_code_has_docker_s_status(void **state)
{
	(void)state;
	for (int code = OL_CODE_MIN; code < OL_OK; code++) {
		CHECK_INT("command", code == OL_ECANCELED ? 130 : 1, ol_exit_status(code, false));
		CHECK_INT("run", code == OL_ECANCELED ? 130 : 125, ol_exit_status(code, true));
	}
	CHECK_INT("ok", 0, ol_exit_status(OL_OK, false));
	CHECK_INT("ok", 0, ol_exit_status(OL_OK, true));
}

static void a_code_without_a_row_still_fails(void **state)
{
	(void)state;
	CHECK_INT("command", 1, ol_exit_status(OL_CODE_MIN - 1, false));
	CHECK_INT("run", 125, ol_exit_status(OL_CODE_MIN - 1, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_docker_s_status),
		cmocka_unit_test(a_code_without_a_row_still_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
