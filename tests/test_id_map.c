#include "base/alloc.h"
#include "base/id_map.h"
#include "tests/check.h"

static const char *text_of(const ol_id_map *map)
{
	static char text[256];
	ol_auto_str ol_str out = OL_STR(255);

	ol_id_map_format(map, &out);
	(void)snprintf(text, sizeof text, "%s", ol_str_text(&out));
	return text;
}

/* As the kernel prints them: padded, one a line; and nothing that it would not print. */
static void a_map_is_read_as_the_kernel_writes_it(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *again;
	} cases[] = {
		{ "         0          0 4294967295\n", OL_OK, "0 0 4294967295\n" },
		{ "0 1000 1\n1 100000 65536\n", OL_OK, "0 1000 1\n1 100000 65536\n" },
		{ "0\t1000\t1", OL_OK, "0 1000 1\n" },
		{ "", OL_OK, "" },
		{ "0 1000\n", OL_EINVAL, "" },
		{ "0 1000 1 2\n", OL_EINVAL, "" },
		{ "\n", OL_EINVAL, "" },
		{ "0 1000 0\n", OL_EINVAL, "" },
		{ "0 -1 1\n", OL_EINVAL, "" },
		{ "0 4294967296 1\n", OL_EINVAL, "" },
		{ "1 0 4294967295\n", OL_EINVAL, "" },
		{ "0 1 4294967295\n", OL_EINVAL, "" },
		{ "a b c\n", OL_EINVAL, "" },
		{ "0 0 18446744073709551617\n", OL_EINVAL, "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_id_map map = { .count = 0 };

		CHECK_INT(c->text, c->rc, ol_id_map_parse(ol_view_of(c->text), &map, NULL));
		CHECK_STR(c->text, c->again, text_of(&map));
	}
}

static void a_map_has_a_bound(void **state)
{
	ol_auto_str ol_str text = OL_STR((size_t)1 << 16);
	ol_id_map map = { .count = 0 };

	(void)state;
	for (unsigned i = 0; i < OL_ID_RANGES_MAX; i++)
		(void)ol_str_addf(&text, "%u %u 1\n", i, i);
	CHECK_INT("as many", OL_OK, ol_id_map_parse(ol_buf_view(&text), &map, NULL));
	CHECK_INT("all", OL_ID_RANGES_MAX, (long long)map.count);
	(void)ol_str_add(&text, "1000 1000 1\n");
	CHECK_INT("one more", OL_ELIMIT, ol_id_map_parse(ol_buf_view(&text), &map, NULL));
	CHECK_INT("untouched", OL_ID_RANGES_MAX, (long long)map.count);
}

static ol_id_map map_of(const char *text)
{
	ol_id_map map = { .count = 0 };

	assert_int_equal(OL_OK, ol_id_map_parse(ol_view_of(text), &map, NULL));
	return map;
}

static void ids_have_a_place_or_none(void **state)
{
	static const struct {
		uint32_t inside;
		bool has;
		uint32_t outside;
	} cases[] = {
		{ 0, true, 1000 },
		{ 1, true, 100000 },
		{ 65536, true, 165535 },
		{ 65537, false, 0 },
		{ 70000, true, 5 },
		{ 70001, false, 0 },
		{ UINT32_MAX, false, 0 },
	};
	const ol_id_map map = map_of("0 1000 1\n1 100000 65536\n70000 5 1\n");

	(void)state;
	OL_EACH (cases, c) {
		char label[16];
		uint32_t outside = 0;

		(void)snprintf(label, sizeof label, "%u", c->inside);
		CHECK_INT(label, c->has, ol_id_map_outside(&map, c->inside, &outside));
		CHECK_INT(label, c->outside, outside);
		CHECK_INT(label, c->has, ol_id_map_has(&map, c->inside));
	}
	CHECK_INT("last", 65536, ol_id_map_last(&map));
}

/* What was made under one map means the same under another that covers it. */
static void one_map_covers_another(void **state)
{
	static const struct {
		const char *map, *part;
		bool covers;
	} cases[] = {
		{ "0 1000 1\n1 100000 65536\n", "0 1000 1\n", true },
		{ "0 1000 1\n1 100000 65536\n", "0 1000 1\n1 100000 65536\n", true },
		{ "0 1000 1\n1 100000 10\n11 100010 10\n", "0 1000 1\n1 100000 20\n", true },
		{ "0 1000 1\n", "", true },
		{ "0 1000 1\n", "0 1000 1\n1 100000 65536\n", false },
		{ "0 1000 1\n1 200000 65536\n", "0 1000 1\n1 100000 65536\n", false },
		{ "0 1001 1\n", "0 1000 1\n", false },
		{ "0 1000 1\n1 100000 65536\n", "0 1000 1\n1 100000 65537\n", false },
		{ "0 0 4294967295\n", "5 5 1\n", true },
		{ "0 0 4294967295\n", "5 6 1\n", false },
	};

	(void)state;
	OL_EACH (cases, c) {
		const ol_id_map map = map_of(c->map), part = map_of(c->part);

		CHECK_INT(c->map, c->covers, ol_id_map_covers(&map, &part));
	}
}

static void ids_that_meet_are_one_range(void **state)
{
	static const struct {
		const char *map, *inside;
		bool all;
	} cases[] = {
		{ "0 1000 1\n1 100000 65536\n", "0 0 65537\n", false },
		{ "10 5 2\n0 1000 1\n12 9 1\n", "0 0 1\n10 10 3\n", false },
		{ "0 0 4294967295\n", "0 0 4294967295\n", true },
		{ "", "", false },
	};

	(void)state;
	OL_EACH (cases, c) {
		const ol_id_map map = map_of(c->map);
		ol_id_map inside;

		ol_id_map_inside(&map, &inside);
		CHECK_STR(c->map, c->inside, text_of(&inside));
		CHECK_INT(c->map, c->all, ol_id_map_is_all(&map));
	}
}

/* subuid(5): the lines of the user, by name or number, one behind the other. */
static void ranges_are_those_of_the_user(void **state)
{
	static const struct {
		const char *text, *name;
		int rc;
		const char *map;
	} cases[] = {
		{ "ann:100000:65536\nbob:165536:65536\n", "ann", OL_OK,
			"0 1000 1\n1 100000 65536\n" },
		{ "1000:5:10\n", "ann", OL_OK, "0 1000 1\n1 5 10\n" },
		{ "1000:5:10\n", NULL, OL_OK, "0 1000 1\n1 5 10\n" },
		{ "ann:100:10\nann:200:5\n", "ann", OL_OK, "0 1000 1\n1 100 10\n11 200 5\n" },
		{ "bob:1:1\n", "ann", OL_OK, "0 1000 1\n" },
		{ "annabel:1:1\nan:1:1\n10001:1:1\n", "ann", OL_OK, "0 1000 1\n" },
		{ "", "ann", OL_OK, "0 1000 1\n" },
		{ "# ann:1:1\n\n:1:1\nnonsense\n", "ann", OL_OK, "0 1000 1\n" },
		{ "ann:100000:0\n", "ann", OL_OK, "0 1000 1\n" },
		{ "bob:x:y\nann:100000:65536", "ann", OL_OK, "0 1000 1\n1 100000 65536\n" },
		{ "ann\n", "ann", OL_OK, "0 1000 1\n" },
		{ "ann:100000\n", "ann", OL_EINVAL, "" },
		{ "ann::1\n", "ann", OL_EINVAL, "" },
		{ "ann:1:1:1\n", "ann", OL_EINVAL, "" },
		{ "ann:-1:1\n", "ann", OL_EINVAL, "" },
		{ "ann:4294967295:1\n", "ann", OL_EINVAL, "" },
		{ "ann:1:4294967296\n", "ann", OL_EINVAL, "" },
		{ "ann: 1:1\n", "ann", OL_EINVAL, "" },
		{ "ann:1:4294967294\nann:1:4294967294\n", "ann", OL_EINVAL, "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_id_map map = map_of("0 1000 1\n");
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc,
			ol_subid_parse(ol_view_of(c->text), c->name, 1000, &map, &err));
		if (c->rc == OL_OK)
			CHECK_STR(c->text, c->map, text_of(&map));
		else
			CHECK_INT(c->text, 1, strstr(err.text, "line ") != NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_map_is_read_as_the_kernel_writes_it),
		cmocka_unit_test(a_map_has_a_bound),
		cmocka_unit_test(ids_have_a_place_or_none),
		cmocka_unit_test(one_map_covers_another),
		cmocka_unit_test(ids_that_meet_are_one_range),
		cmocka_unit_test(ranges_are_those_of_the_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
