#include <stdlib.h>

#include "base/limits.h"
#include "store/range_map_priv.h"
#include "tests/check.h"

static void ranges_merge_and_leave_gaps(void **state)
{
	static const struct {
		const char *label;
		ol_range add[4];
		uint64_t present, prefix;
		size_t count, missing; /* ranges of the set, gaps below 100 */
	} cases[] = {
		{ "none", { { 0 } }, 0, 0, 0, 1 },
		{ "front", { { 0, 10 } }, 10, 10, 1, 1 },
		{ "all", { { 0, 100 } }, 100, 100, 1, 0 },
		{ "apart", { { 0, 10 }, { 20, 30 } }, 20, 10, 2, 2 },
		{ "touching", { { 0, 10 }, { 10, 30 } }, 30, 30, 1, 1 },
		{ "touching from behind", { { 10, 30 }, { 0, 10 } }, 30, 30, 1, 1 },
		{ "overlapping", { { 0, 20 }, { 10, 30 } }, 30, 30, 1, 1 },
		{ "inside", { { 0, 50 }, { 10, 30 } }, 50, 50, 1, 1 },
		{ "around", { { 10, 30 }, { 5, 50 } }, 45, 0, 1, 2 },
		{ "bridging", { { 0, 10 }, { 20, 30 }, { 40, 50 }, { 5, 45 } }, 50, 50, 1, 1 },
		{ "before all", { { 50, 60 }, { 20, 30 }, { 0, 10 } }, 30, 10, 3, 3 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_range_set set = { 0 };
		ol_range gaps[8];

		OL_EACH (c->add, r)
			if (r->end)
				ol_range_set_add(&set, r->start, r->end);
		CHECK_INT(c->label, (long long)c->present, (long long)set.present);
		CHECK_INT(c->label, (long long)c->prefix, (long long)ol_range_set_prefix(&set));
		CHECK_INT(c->label, (long long)c->count, (long long)set.count);
		CHECK_INT(c->label, (long long)c->missing,
			(long long)ol_range_set_missing(&set, 100, gaps, 8));
		ol_range_set_done(&set);
	}
}

static void find_and_remove_take_whole_ranges(void **state)
{
	ol_range_set set = { 0 };

	(void)state;
	ol_range_set_add(&set, 10, 20);
	ol_range_set_add(&set, 30, 40);
	assert_null(ol_range_set_find(&set, 9));
	assert_null(ol_range_set_find(&set, 20));
	CHECK_INT("found", 30, (long long)ol_range_set_find(&set, 39)->start);
	ol_range_set_remove(&set, ol_range_set_find(&set, 10));
	CHECK_INT("left", 10, (long long)set.present);
	assert_null(ol_range_set_find(&set, 10));
	ol_range_set_done(&set);
}

/* A map of 1000 bytes with two records; harm is done at one byte, or its end is cut off. */
static size_t make_map(unsigned char *out)
{
	ol_range_map_header(1000, "boot-1", out);
	ol_range_map_record(&(ol_range){ 0, 10 }, 96, out + 96);
	ol_range_map_record(&(ol_range){ 20, 1000 }, 120, out + 120);
	return 144;
}

static void a_map_is_believed_whole_or_not_at_all(void **state)
{
	static const struct {
		const char *label;
		size_t size; /* cut to */
		int harm;    /* byte to change, or -1 */
		int rc;
		uint64_t present;
	} cases[] = {
		{ "whole", 144, -1, OL_OK, 990 },
		{ "one record", 120, -1, OL_OK, 10 },
		{ "no record", 96, -1, OL_OK, 0 },
		{ "last record torn", 143, -1, OL_OK, 10 },
		{ "one byte of a record", 97, -1, OL_OK, 0 },
		{ "header cut", 95, -1, OL_ECORRUPT, 0 },
		{ "empty", 0, -1, OL_ECORRUPT, 0 },
		{ "magic", 144, 0, OL_ECORRUPT, 0 },
		{ "version", 144, 8, OL_ECORRUPT, 0 },
		{ "size", 144, 16, OL_ECORRUPT, 0 },
		{ "boot id", 144, 24, OL_ECORRUPT, 0 },
		{ "boot id without end", 144, 87, OL_ECORRUPT, 0 },
		{ "start", 144, 96, OL_ECORRUPT, 0 },
		{ "end", 144, 128, OL_ECORRUPT, 0 },
		{ "check", 144, 143, OL_ECORRUPT, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		unsigned char *bytes = calloc(1, 144);
		ol_range_map map = { 0 };

		assert_non_null(bytes);
		(void)make_map(bytes);
		if (c->harm >= 0)
			bytes[c->harm] ^= 1;
		CHECK_INT(c->label, c->rc,
			ol_range_map_parse(ol_view_from(bytes, c->size), &map, NULL));
		CHECK_INT(c->label, (long long)c->present, (long long)map.set.present);
		if (c->rc == OL_OK)
			CHECK_STR(c->label, "boot-1", map.boot);
		ol_range_set_done(&map.set);
		free(bytes);
	}
}

static void records_that_check_but_make_no_sense_are_refused(void **state)
{
	static const ol_range cases[] = { { 10, 10 }, { 20, 10 }, { 0, 1001 }, { UINT64_MAX, 0 } };

	(void)state;
	OL_EACH (cases, c) {
		unsigned char bytes[120];
		ol_range_map map = { 0 };

		ol_range_map_header(1000, "boot-1", bytes);
		ol_range_map_record(c, 96, bytes + 96);
		CHECK_INT("range", OL_ECORRUPT,
			ol_range_map_parse(ol_view_from(bytes, 120), &map, NULL));
	}
}

static void a_record_belongs_to_its_place(void **state)
{
	unsigned char bytes[144];
	ol_range_map map = { 0 };

	(void)state;
	(void)make_map(bytes);
	memmove(bytes + 96, bytes + 120, 24);
	CHECK_INT("moved", OL_ECORRUPT, ol_range_map_parse(ol_view_from(bytes, 120), &map, NULL));
}

static void bounds_come_first(void **state)
{
	unsigned char *bytes = calloc(1, OL_RANGE_MAP_BYTES_MAX + 1);
	ol_range_map map = { 0 };

	(void)state;
	assert_non_null(bytes);
	ol_range_map_header(OL_DESCRIPTOR_BYTES_MAX + 1, "b", bytes);
	CHECK_INT("size", OL_ELIMIT, ol_range_map_parse(ol_view_from(bytes, 96), &map, NULL));
	ol_range_map_header(10, "b", bytes);
	CHECK_INT("bytes", OL_ELIMIT,
		ol_range_map_parse(ol_view_from(bytes, OL_RANGE_MAP_BYTES_MAX + 1), &map, NULL));
	free(bytes);
}

static void what_is_cut_is_missing(void **state)
{
	static const struct {
		const char *label;
		ol_range cut;
		uint64_t present;
		size_t count;
		bool has_10_20, has_30_40;
	} cases[] = {
		{ "a gap", { 20, 30 }, 20, 2, true, true },
		{ "a whole one", { 10, 20 }, 10, 1, false, true },
		{ "the middle of one", { 14, 16 }, 18, 3, false, true },
		{ "an end", { 15, 25 }, 15, 2, false, true },
		{ "a beginning", { 25, 35 }, 15, 2, true, false },
		{ "an end and a beginning", { 19, 31 }, 18, 2, false, false },
		{ "all", { 0, 100 }, 0, 0, false, false },
		{ "one byte", { 39, 40 }, 19, 2, true, false },
		{ "behind all", { 40, 50 }, 20, 2, true, true },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_range_set set = { 0 };

		ol_range_set_add(&set, 10, 20);
		ol_range_set_add(&set, 30, 40);
		ol_range_set_cut(&set, c->cut.start, c->cut.end);
		CHECK_INT(c->label, (long long)c->present, (long long)set.present);
		CHECK_INT(c->label, (long long)c->count, (long long)set.count);
		CHECK_INT(c->label, c->has_10_20, ol_range_set_has(&set, 10, 20));
		CHECK_INT(c->label, c->has_30_40, ol_range_set_has(&set, 30, 40));
		CHECK_INT(c->label, false, ol_range_set_has(&set, 10, 40));
		CHECK_INT(c->label, true, ol_range_set_has(&set, 50, 50));
		ol_range_set_done(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_merge_and_leave_gaps),
		cmocka_unit_test(find_and_remove_take_whole_ranges),
		cmocka_unit_test(what_is_cut_is_missing),
		cmocka_unit_test(a_map_is_believed_whole_or_not_at_all),
		cmocka_unit_test(records_that_check_but_make_no_sense_are_refused),
		cmocka_unit_test(a_record_belongs_to_its_place),
		cmocka_unit_test(bounds_come_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
