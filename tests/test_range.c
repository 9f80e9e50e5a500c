#include "fetch/range.h"
#include "tests/check.h"

static void only_the_grammar_is_a_content_range(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t start, end, total;
		bool has_total, unsatisfied;
	} cases[] = {
		{ "bytes 0-9/10", OL_OK, 0, 10, 10, true, false },
		{ "Bytes 5-5/100", OL_OK, 5, 6, 100, true, false },
		{ "bytes 5-9/*", OL_OK, 5, 10, 0, false, false },
		{ "bytes */47", OL_OK, 0, 0, 47, true, true },
		{ "bytes */*", OL_EINVAL, 0, 0, 0, false, false },
		{ "bytes 0-10/10", OL_EINVAL, 0, 0, 0, false, false },
		{ "bytes 9-5/10", OL_EINVAL, 0, 0, 0, false, false },
		{ "bytes 0-18446744073709551615/*", OL_EINVAL, 0, 0, 0, false, false },
		{ "bytes 0-99999999999999999999/*", OL_EINVAL, 0, 0, 0, false, false },
		{ "bytes 0-9/10 ", OL_EINVAL, 0, 0, 0, false, false },
		{ "bytes -9/10", OL_EINVAL, 0, 0, 0, false, false },
		{ "bytes=0-9/10", OL_EINVAL, 0, 0, 0, false, false },
		{ "bytes 0-9", OL_EINVAL, 0, 0, 0, false, false },
		{ "items 0-9/10", OL_EINVAL, 0, 0, 0, false, false },
		{ "", OL_EINVAL, 0, 0, 0, false, false },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_content_range range = { 0 };

		CHECK_INT(
			c->text, c->rc, ol_content_range_parse(ol_view_of(c->text), &range, NULL));
		CHECK_INT(c->text, c->has_total, range.has_total);
		CHECK_INT(c->text, c->unsatisfied, range.unsatisfied);
		CHECK_INT(c->text, (long long)c->start, (long long)range.start);
		CHECK_INT(c->text, (long long)c->end, (long long)range.end);
		CHECK_INT(c->text, (long long)c->total, (long long)range.total);
	}
}

static void an_upload_says_how_far_it_came(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t offset;
	} cases[] = {
		{ "0-9", OL_OK, 10 },
		{ "bytes=0-9", OL_OK, 10 },
		{ "Bytes 0-9", OL_OK, 10 },
		{ "0-0", OL_OK, 0 },
		{ "0-1", OL_OK, 2 },
		{ "1-9", OL_EINVAL, 7 },
		{ "0-", OL_EINVAL, 7 },
		{ "0--1", OL_EINVAL, 7 },
		{ "0-9/10", OL_EINVAL, 7 },
		{ "0-9 ", OL_EINVAL, 7 },
		{ "0-18446744073709551615", OL_EINVAL, 7 },
		{ "bytes", OL_EINVAL, 7 },
		{ "", OL_EINVAL, 7 },
	};

	(void)state;
	OL_EACH (cases, c) {
		uint64_t offset = 7;

		CHECK_INT(
			c->text, c->rc, ol_upload_range_parse(ol_view_of(c->text), &offset, NULL));
		CHECK_INT(c->text, (long long)c->offset, (long long)offset);
	}
}

static void a_length_is_a_number(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t length;
	} cases[] = {
		{ "5242880", OL_OK, 5242880 },
		{ "0", OL_OK, 0 },
		{ "5 MB", OL_EINVAL, 7 },
		{ "-1", OL_EINVAL, 7 },
		{ "99999999999999999999", OL_EINVAL, 7 },
		{ "", OL_EINVAL, 7 },
	};

	(void)state;
	OL_EACH (cases, c) {
		uint64_t length = 7;

		CHECK_INT(c->text, c->rc, ol_length_parse(ol_view_of(c->text), &length, NULL));
		CHECK_INT(c->text, (long long)c->length, (long long)length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_grammar_is_a_content_range),
		cmocka_unit_test(an_upload_says_how_far_it_came),
		cmocka_unit_test(a_length_is_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
