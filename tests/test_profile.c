#include <string.h>

#include "base/limits.h"
#include "manifest/profile.h"
#include "tests/check.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* A profile is of its form, or refused. */
static void a_profile_is_parsed_or_refused(void **state)
{
	static const struct {
		const char *label, *json;
		int rc;
		size_t count;
	} cases[] = {
		{ "two", "{\"version\": 1, \"ranges\": [[\"" A "\", 0, 10], [\"" B "\", 5, 6]]}",
			OL_OK, 2 },
		{ "none", "{\"version\": 1, \"ranges\": []}", OL_OK, 0 },
		{ "members of later days",
			"{\"x\": {\"y\": [1]}, \"ranges\": [[\"" A "\", 0, 1]], \"version\": 1}",
			OL_OK, 1 },
		{ "another version", "{\"version\": 2, \"ranges\": []}", OL_EUNSUPPORTED, 0 },
		{ "no version", "{\"ranges\": []}", OL_ECORRUPT, 0 },
		{ "no ranges", "{\"version\": 1}", OL_ECORRUPT, 0 },
		{ "twice", "{\"version\": 1, \"ranges\": [], \"ranges\": []}", OL_ECORRUPT, 0 },
		{ "empty range", "{\"version\": 1, \"ranges\": [[\"" A "\", 5, 5]]}", OL_ECORRUPT,
			0 },
		{ "backwards", "{\"version\": 1, \"ranges\": [[\"" A "\", 6, 5]]}", OL_ECORRUPT,
			0 },
		{ "negative", "{\"version\": 1, \"ranges\": [[\"" A "\", -1, 5]]}", OL_ECORRUPT,
			0 },
		{ "too far", "{\"version\": 1, \"ranges\": [[\"" A "\", 0, 17592186044417]]}",
			OL_ECORRUPT, 0 },
		{ "no digest", "{\"version\": 1, \"ranges\": [[\"md5:00\", 0, 5]]}", OL_ECORRUPT,
			0 },
		{ "too few", "{\"version\": 1, \"ranges\": [[\"" A "\", 0]]}", OL_ECORRUPT, 0 },
		{ "too many", "{\"version\": 1, \"ranges\": [[\"" A "\", 0, 1, 2]]}", OL_ECORRUPT,
			0 },
		{ "a float", "{\"version\": 1, \"ranges\": [[\"" A "\", 0, 1.5]]}", OL_ECORRUPT,
			0 },
		{ "cut short", "{\"version\": 1, \"ranges\": [[\"" A "\", 0,", OL_ECORRUPT, 0 },
		{ "an array", "[]", OL_ECORRUPT, 0 },
		{ "more behind it", "{\"version\": 1, \"ranges\": []} 1", OL_ECORRUPT, 0 },
		{ "nothing", "", OL_ECORRUPT, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_profile profile = { 0 };

		CHECK_INT(c->label, c->rc, ol_profile_parse(ol_view_of(c->json), &profile, NULL));
		CHECK_INT(c->label, (long long)c->count, (long long)profile.count);
		ol_profile_done(&profile);
	}
}

static void what_is_formatted_is_parsed_again(void **state)
{
	ol_auto_buf ol_buf json = OL_BUF(OL_PROFILE_BYTES_MAX);
	ol_profile profile = { 0 }, again = { 0 };
	ol_profile_range range = { .start = 7, .end = 1 << 20 };

	(void)state;
	assert_int_equal(OL_OK, ol_digest_parse(ol_view_of(A), &range.blob, NULL));
	ol_profile_add(&profile, &range);
	assert_int_equal(OL_OK, ol_digest_parse(ol_view_of(B), &range.blob, NULL));
	ol_profile_add(&profile, &range);
	assert_int_equal(OL_OK, ol_profile_format(&profile, &json, NULL));
	assert_int_equal(OL_OK, ol_profile_parse(ol_buf_view(&json), &again, NULL));
	assert_int_equal(2, again.count);
	assert_true(ol_digest_eq(&profile.ranges[1].blob, &again.ranges[1].blob));
	assert_int_equal(7, again.ranges[0].start);
	assert_int_equal(1 << 20, again.ranges[0].end);
	ol_profile_done(&profile);
	ol_profile_done(&again);
}

/* In the order of the reads: only what goes on where the last one ended is one range with it. */
static void ranges_keep_their_order(void **state)
{
	static const struct {
		uint64_t start, end;
		size_t count;
	} adds[] = { { 100, 200, 1 }, { 500, 600, 2 }, { 200, 250, 3 }, { 50, 100, 4 },
		{ 120, 130, 4 }, { 250, 260, 5 }, { 260, 270, 5 }, { 255, 265, 5 } };
	ol_profile profile = { 0 };
	ol_profile_range range = { 0 };

	(void)state;
	assert_int_equal(OL_OK, ol_digest_parse(ol_view_of(A), &range.blob, NULL));
	OL_EACH (adds, a) {
		range.start = a->start;
		range.end = a->end;
		ol_profile_add(&profile, &range);
		assert_int_equal(a->count, profile.count);
	}
	assert_int_equal(100, profile.ranges[0].start);
	assert_int_equal(200, profile.ranges[0].end);
	assert_int_equal(250, profile.ranges[4].start);
	assert_int_equal(270, profile.ranges[4].end);
	ol_profile_done(&profile);
}

static void a_profile_has_its_bounds(void **state)
{
	ol_auto_buf ol_buf json = OL_BUF(OL_PROFILE_BYTES_MAX);
	ol_profile profile = { 0 };
	ol_profile_range range = { 0 };

	(void)state;
	assert_int_equal(OL_OK, ol_digest_parse(ol_view_of(A), &range.blob, NULL));
	(void)ol_str_add(&json, "{\"version\": 1, \"ranges\": [");
	for (size_t i = 0; i <= OL_PROFILE_RANGES_MAX; i++)
		(void)ol_str_addf(&json, "%s[\"" A "\", %zu, %zu]", i ? "," : "", 2 * i, 2 * i + 1);
	(void)ol_str_add(&json, "]}");
	assert_int_equal(OL_OK, ol_str_error(&json, NULL));
	assert_int_equal(OL_ELIMIT, ol_profile_parse(ol_buf_view(&json), &profile, NULL));
	assert_int_equal(OL_ELIMIT,
		ol_profile_parse((ol_view){ "", OL_PROFILE_BYTES_MAX + 1 }, &profile, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_profile_is_parsed_or_refused),
		cmocka_unit_test(what_is_formatted_is_parsed_again),
		cmocka_unit_test(ranges_keep_their_order),
		cmocka_unit_test(a_profile_has_its_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
