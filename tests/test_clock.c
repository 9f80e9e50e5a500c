#include "base/clock.h"
#include "tests/check.h"

static void a_time_is_parsed_and_formatted(void **state)
{
	static const struct {
		const char *text;
		long long seconds;
		long nsec;
		const char *formatted;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z" },
		{ "2025-01-02T03:04:05Z", 1735787045, 0, "2025-01-02T03:04:05Z" },
		{ "2025-01-02T03:04:05.123456789Z", 1735787045, 123456789,
			"2025-01-02T03:04:05.123456789Z" },
		{ "2025-01-02T03:04:05.5Z", 1735787045, 500000000, "2025-01-02T03:04:05.5Z" },
		{ "2025-01-02T03:04:05.1234567891234Z", 1735787045, 123456789,
			"2025-01-02T03:04:05.123456789Z" },
		{ "2025-01-02t03:04:05z", 1735787045, 0, "2025-01-02T03:04:05Z" },
		{ "2025-01-02 03:04:05Z", 1735787045, 0, "2025-01-02T03:04:05Z" },
		{ "2025-01-02T05:34:05+02:30", 1735787045, 0, "2025-01-02T03:04:05Z" },
		{ "2025-01-01T23:04:05-04:00", 1735787045, 0, "2025-01-02T03:04:05Z" },
		{ "2024-02-29T00:00:00Z", 1709164800, 0, "2024-02-29T00:00:00Z" },
		{ "2000-02-29T00:00:00Z", 951782400, 0, "2000-02-29T00:00:00Z" },
		{ "2016-12-31T23:59:60Z", 1483228800, 0, "2017-01-01T00:00:00Z" },
		{ "1969-12-31T23:59:59Z", -1, 0, "1969-12-31T23:59:59Z" },
		{ "0001-01-01T00:00:00Z", -62135596800, 0, "0001-01-01T00:00:00Z" },
		{ "9999-12-31T23:59:59Z", 253402300799, 0, "9999-12-31T23:59:59Z" },
	};

	(void)state;
	OL_EACH (cases, c) {
		struct timespec when = { 0 };

		CHECK_INT(c->text, 1, ol_time_parse(ol_view_of(c->text), &when));
		CHECK_INT(c->text, c->seconds, when.tv_sec);
		CHECK_INT(c->text, c->nsec, when.tv_nsec);
		CHECK_STR(c->text, c->formatted, ol_time_format(&when).text);
	}
}

static void what_is_not_rfc_3339_is_refused(void **state)
{
	static const char *const cases[] = { "", "2025", "2025-01-02", "2025-01-02T03:04Z",
		"2025-01-02T03:04:05", "2025-01-02T03:04:05.Z", "2025-01-02T03:04:05Zx",
		"2025-01-02T03:04:05+0200", "2025-01-02T03:04:05+24:00",
		"2025-01-02T03:04:05+02:60", "2025-01-02T03:04:05*02:00", "2025-00-02T03:04:05Z",
		"2025-13-02T03:04:05Z", "2025-01-00T03:04:05Z", "2025-01-32T03:04:05Z",
		"2025-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2025-04-31T00:00:00Z",
		"2025-01-02T24:04:05Z", "2025-01-02T03:60:05Z", "2025-01-02T03:04:61Z",
		"2025/01/02T03:04:05Z", "-025-01-02T03:04:05Z", " 2025-01-02T03:04:05Z",
		"2025-1-2T03:04:05Z", "12025-01-02T03:04:05Z" };
	struct timespec when = { 7, 7 };

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(*c, 0, ol_time_parse(ol_view_of(*c), &when));
	CHECK_INT("NUL", 0,
		ol_time_parse(ol_view_from("2025\0"
					   "01-02T03:04:05Z",
				      20),
			&when));
	CHECK_INT("untouched", 7, when.tv_sec);
}

static void a_time_that_has_no_text_is_empty(void **state)
{
	struct timespec when = { INT64_MAX, 0 };

	(void)state;
	CHECK_STR("far", "", ol_time_format(&when).text);
	when.tv_sec = 253402300800;
	CHECK_STR("the year 10000", "", ol_time_format(&when).text);
	when.tv_sec = -62167219201;
	CHECK_STR("before the year 0", "", ol_time_format(&when).text);
}

/* As docker images says it. */
static void ages_are_in_dockers_words(void **state)
{
	const int64_t M = 60, H = 3600, D = 24 * H;
	const struct {
		int64_t past;
		const char *words;
	} cases[] = {
		{ -5, "Less than a second ago" },
		{ 0, "Less than a second ago" },
		{ 1, "1 second ago" },
		{ 59, "59 seconds ago" },
		{ M, "About a minute ago" },
		{ 2 * M - 1, "About a minute ago" },
		{ 2 * M, "2 minutes ago" },
		{ H - 1, "59 minutes ago" },
		{ H, "About an hour ago" },
		{ H + 29 * M, "About an hour ago" },
		{ H + 30 * M, "2 hours ago" },
		{ 47 * H, "47 hours ago" },
		{ 48 * H, "2 days ago" },
		{ 14 * D - H, "13 days ago" },
		{ 14 * D, "2 weeks ago" },
		{ 60 * D - H, "8 weeks ago" },
		{ 60 * D, "2 months ago" },
		{ 730 * D - H, "24 months ago" },
		{ 730 * D, "2 years ago" },
		{ 20000 * D, "54 years ago" },
	};

	(void)state;
	OL_EACH (cases, c)
		CHECK_STR(c->words, c->words, ol_time_ago(1000000000 - c->past, 1000000000).text);
	CHECK_STR("Go's zero", "2024 years ago", ol_time_ago(-62135596800, 1700000000).text);
}

static void the_monotonic_clock_moves_on(void **state)
{
	uint64_t before = ol_now_ms();

	(void)state;
	ol_sleep_ms(20);
	CHECK_INT("slept", 1, ol_now_ms() - before >= 20);
	CHECK_INT("unix", 1, ol_unix_now() > 1700000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_is_parsed_and_formatted),
		cmocka_unit_test(what_is_not_rfc_3339_is_refused),
		cmocka_unit_test(a_time_that_has_no_text_is_empty),
		cmocka_unit_test(ages_are_in_dockers_words),
		cmocka_unit_test(the_monotonic_clock_moves_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
