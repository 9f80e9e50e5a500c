#include "base/clock.h"
#include "fetch/retry.h"
#include "tests/check.h"

static void retry_after_is_seconds_or_a_date(void **state)
{
	/* 1994-11-06 08:49:37 UTC, RFC 9110's own example */
	const int64_t then = 784111777;
	static const struct {
		const char *text;
		int64_t ahead; /* of the date, in seconds */
		int rc;
		uint64_t ms;
	} cases[] = {
		{ "0", 0, OL_OK, 0 },
		{ "12", 0, OL_OK, 12000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 10, OL_OK, 10000 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 7, OL_OK, 7000 },
		{ "Sun Nov  6 08:49:37 1994", 3, OL_OK, 3000 },
		{ "Sun Nov 06 08:49:37 1994", 3, OL_OK, 3000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", -10, OL_OK, 0 },
		{ "99999999999999999999999", 0, OL_OK, UINT64_MAX },
		{ "", 0, OL_EINVAL, 0 },
		{ "-1", 0, OL_EINVAL, 0 },
		{ "1.5", 0, OL_EINVAL, 0 },
		{ "12 ", 0, OL_EINVAL, 0 },
		{ "soon", 0, OL_EINVAL, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 CET", 0, OL_EINVAL, 0 },
		{ "Sun, 06 Nov 1994 25:49:37 GMT", 0, OL_EINVAL, 0 },
		{ "Sun, 06 Now 1994 08:49:37 GMT", 0, OL_EINVAL, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT+1", 0, OL_EINVAL, 0 },
		{ "Sun, 6 Nov 1994 08:49:37 GMT", 0, OL_EINVAL, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		uint64_t ms = 0;

		CHECK_INT(c->text, c->rc,
			ol_retry_after_parse(ol_view_of(c->text), then - c->ahead, &ms, NULL));
		if (c->rc == OL_OK)
			assert_true(ms == c->ms);
	}
}

static void waits_double_to_the_cap_and_jitter_below(void **state)
{
	static const uint64_t whole[] = { 100, 200, 400, 500, 500 };
	ol_patience patience = { .tries = 5, .backoff_ms = 100, .backoff_max_ms = 500 };
	uint64_t ms;

	(void)state;
	OL_EACH (whole, want) {
		assert_true(ol_patience_take(&patience, &ms));
		assert_in_range(ms, *want / 2, *want);
	}
	assert_false(ol_patience_take(&patience, &ms));
	ol_patience_renew(&patience);
	assert_true(ol_patience_take(&patience, &ms));
	assert_in_range(ms, 50, 100);
}

static void a_wait_ends_with_cancel_or_stop(void **state)
{
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
	_Atomic(bool) stop = true;
	uint64_t start = ol_now_ms();

	(void)state;
	CHECK_INT("stop", OL_OK, ol_retry_wait(start + 5000, NULL, &stop, NULL));
	CHECK_INT("time", OL_OK, ol_retry_wait(start + 30, cancel, NULL, NULL));
	assert_in_range(ol_now_ms() - start, 30, 2000);
	ol_cancel_fire(cancel);
	CHECK_INT("cancel", OL_ECANCELED, ol_retry_wait(start + 60000, cancel, NULL, NULL));
	assert_in_range(ol_now_ms() - start, 0, 3000);
}

static void only_some_statuses_are_worth_another_try(void **state)
{
	(void)state;
	assert_true(ol_retry_status(429) && ol_retry_status(503) && ol_retry_status(408));
	assert_false(ol_retry_status(200) || ol_retry_status(401) || ol_retry_status(404) ||
		     ol_retry_status(501));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retry_after_is_seconds_or_a_date),
		cmocka_unit_test(waits_double_to_the_cap_and_jitter_below),
		cmocka_unit_test(a_wait_ends_with_cancel_or_stop),
		cmocka_unit_test(only_some_statuses_are_worth_another_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
