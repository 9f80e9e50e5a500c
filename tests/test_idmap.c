#include "base/alloc.h"
#include "base/idmap.h"
#include "tests/check.h"

static void a_map_is_what_crun_and_podman_take(void **state)
{
	static const struct {
		const char *text, *again; /* again NULL: as it was written */
		int rc;
	} cases[] = {
		{ "0:100000:65536", NULL, OL_OK },
		{ "0:100000:1000,1000:1000:1,1001:101001:64535", NULL, OL_OK },
		{ "0:100000:65536:0:200000:65536", NULL, OL_OK },
		{ "0:1:1:5:6:7,0:1:2", NULL, OL_OK },
		{ "0:100000:65536:0:100000:65536", "0:100000:65536", OL_OK },
		{ "00:01:002", "0:1:2", OL_OK },
		{ "0:0:4294967295", NULL, OL_OK },
		{ "4294967294:0:1", NULL, OL_OK },
		{ "", "", OL_EINVAL },
		{ "0", "", OL_EINVAL },
		{ "0:1", "", OL_EINVAL },
		{ "0:1:", "", OL_EINVAL },
		{ ":1:1", "", OL_EINVAL },
		{ "0:1:0", "", OL_EINVAL },
		{ "0:1:1,", "", OL_EINVAL },
		{ "0:1:1:", "", OL_EINVAL },
		{ "0:1:1 ", "", OL_EINVAL },
		{ " 0:1:1", "", OL_EINVAL },
		{ "-1:1:1", "", OL_EINVAL },
		{ "+1:1:1", "", OL_EINVAL },
		{ "0x0:1:1", "", OL_EINVAL },
		{ "a:b:c", "", OL_EINVAL },
		{ "0:1:1;1:2:1", "", OL_EINVAL },
		{ "0:1:1:0:1:1:0:1:1", "", OL_EINVAL },
		/* past the last id, by one and by much */
		{ "0:0:4294967296", "", OL_EINVAL },
		{ "1:0:4294967295", "", OL_EINVAL },
		{ "0:1:4294967295", "", OL_EINVAL },
		{ "4294967295:0:1", "", OL_EINVAL },
		{ "0:4294967295:1", "", OL_EINVAL },
		{ "0:99999999999999999999999999:1", "", OL_EINVAL },
		/* an id in two ranges: inside, outside, among the groups */
		{ "0:0:10,9:100:1", "", OL_EINVAL },
		{ "0:0:10,20:9:1", "", OL_EINVAL },
		{ "20:0:10,0:100:21", "", OL_EINVAL },
		{ "0:1:1:0:0:10,9:100:1", "", OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str text = OL_STR(8192);
		ol_idmap map = { .uids.count = 0 };
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc, ol_idmap_parse(c->text, &map, &err));
		ol_idmap_format(&map, &text);
		CHECK_STR(c->text, c->again ? c->again : c->text, ol_str_text(&text));
		if (c->rc < 0)
			CHECK_STR(c->text, "it is CONTAINER:HOST:SIZE, as in 0:100000:65536",
				err.hint);
	}
}

static void a_refusal_says_where(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "0:x:1", "id map \"0:x:1\": no number at byte 3" },
		{ "0:1", "id map \"0:1\": no ':' at byte 4" },
		{ "0:1:1!", "id map \"0:1:1!\": no end at byte 6" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_id_map map;
		ol_error err = { 0 };

		CHECK_INT(c->text, OL_EINVAL, ol_idmap_parse_ids(c->text, &map, &err));
		CHECK_STR(c->text, c->said, err.text);
	}
}

static void a_map_of_one_kind_has_no_second(void **state)
{
	ol_id_map map;

	(void)state;
	CHECK_INT("one", OL_OK, ol_idmap_parse_ids("0:1:2", &map, NULL));
	CHECK_INT("two", OL_EINVAL, ol_idmap_parse_ids("0:1:2:0:1:2", &map, NULL));
}

static void ranges_are_counted(void **state)
{
	ol_auto_str ol_str text = OL_STR(8192);
	ol_idmap map;

	(void)state;
	for (int i = 0; i < OL_IDMAP_RANGES_MAX; i++)
		(void)ol_str_addf(&text, "%s%d:%d:1", i ? "," : "", i, i);
	CHECK_INT("most", OL_OK, ol_idmap_parse(ol_str_text(&text), &map, NULL));
	(void)ol_str_add(&text, ",1000:1000:1");
	CHECK_INT("more", OL_ELIMIT, ol_idmap_parse(ol_str_text(&text), &map, NULL));
}

static void an_id_is_found_in_its_extent(void **state)
{
	static const struct {
		const char *label;
		uint32_t inside, outside;
		bool found;
	} cases[] = {
		{ "first", 0, 100000, true },
		{ "last", 9, 100009, true },
		{ "between", 10, 0, false },
		{ "second", 20, 5, true },
		{ "its end", 22, 0, false },
		{ "far", UINT32_MAX, 0, false },
	};
	ol_id_map map;

	(void)state;
	assert_int_equal(OL_OK, ol_idmap_parse_ids("0:100000:10,20:5:2", &map, NULL));
	OL_EACH (cases, c) {
		uint32_t outside = 0;

		CHECK_INT(c->label, c->found, ol_id_map_outside(&map, c->inside, &outside));
		CHECK_INT(c->label, c->outside, outside);
	}
}

static void the_kernel_gets_lines(void **state)
{
	ol_auto_str ol_str text = OL_STR(8192);
	ol_id_map map;

	(void)state;
	assert_int_equal(OL_OK, ol_idmap_parse_ids("0:100000:10,20:5:2", &map, NULL));
	ol_id_map_format(&map, &text);
	assert_string_equal("0 100000 10\n20 5 2\n", ol_str_text(&text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_map_is_what_crun_and_podman_take),
		cmocka_unit_test(a_refusal_says_where),
		cmocka_unit_test(a_map_of_one_kind_has_no_second),
		cmocka_unit_test(ranges_are_counted),
		cmocka_unit_test(an_id_is_found_in_its_extent),
		cmocka_unit_test(the_kernel_gets_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
