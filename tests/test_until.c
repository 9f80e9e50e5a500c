#include "image/until.h"
#include "tests/check.h"

#define NOW INT64_C(1735787045) /* 2025-01-02T03:04:05Z */

static void until_takes_what_docker_takes(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t at;
	} cases[] = {
		{ "2025-01-02T03:04:05Z", true, NOW },
		{ "2025-01-02T04:04:05+01:00", true, NOW },
		{ "2025-01-02T03:04:05.9Z", true, NOW },
		{ "2025-01-02T03:04:05", true, NOW },
		{ "2025-01-02T03:04", true, NOW - 5 },
		{ "2025-01-02", true, NOW - 11045 },
		{ "1735787045", true, NOW },
		{ "1735787045.123456789", true, NOW },
		{ "0", true, 0 },
		{ "24h", true, NOW - 86400 },
		{ "10m", true, NOW - 600 },
		{ "1h30m", true, NOW - 5400 },
		{ "1.5h", true, NOW - 5400 },
		{ "90s", true, NOW - 90 },
		{ "1500ms", true, NOW - 1 },
		{ "1h10us", true, NOW - 3600 },
		{ "", false, 0 },
		{ "h", false, 0 },
		{ "1d", false, 0 },
		{ "-1h", false, 0 },
		{ "1.h", false, 0 },
		{ "1h ", false, 0 },
		{ "1h30", false, 0 },
		{ "yesterday", false, 0 },
		{ "2025-13-01", false, 0 },
		{ "1735787045.x", false, 0 },
		{ "99999999999999999999", false, 0 },
		{ "999999999999h999999999999h", false, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		int64_t at = 0;

		CHECK_INT(c->text, c->ok, ol_until_parse(c->text, NOW, &at));
		CHECK_INT(c->text, c->at, at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(until_takes_what_docker_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
