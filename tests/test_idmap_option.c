#include "cmd/idmap_option.h"
#include "tests/check.h"

static const ol_option table[] = {
	OL_IDMAP_OPTION,
	{ .name = "uidmap", .kind = OL_OPTION_LIST, .value = "MAP", .help = "x" },
	{ .name = "gidmap", .kind = OL_OPTION_LIST, .value = "MAP", .help = "x" },
	{ 0 },
};

/* The words of one line, through the parser of options. */
static int read_words(const char *const *words, ol_idmap *out, ol_error *err)
{
	static const ol_option *const tables[] = { table, NULL };
	const ol_grammar grammar = { .tables = tables };
	ol_auto(ol_args_free) ol_args *args = NULL;
	int count = 0, rc;

	while (words[count])
		count++;
	rc = ol_args_parse(&grammar, count, (char *const *)(uintptr_t)words, &args, err);
	return rc < 0 ? rc : ol_idmap_option(args, out, err);
}

static void a_map_is_said_in_one_option_or_in_two(void **state)
{
	static const struct {
		const char *words[7];
		const char *map;
		int rc;
	} cases[] = {
		{ { NULL }, "", OL_OK },
		{ { "--idmap", "0:5:6" }, "0:5:6", OL_OK },
		{ { "--idmap=0:5:6:0:7:6" }, "0:5:6:0:7:6", OL_OK },
		{ { "--uidmap", "0:5:6" }, "0:5:6", OL_OK },
		{ { "--uidmap", "0:5:6", "--uidmap", "6:50:1" }, "0:5:6,6:50:1", OL_OK },
		{ { "--uidmap", "0:5:6,6:50:1", "--gidmap", "0:7:8" }, "0:5:6,6:50:1:0:7:8",
			OL_OK },
		{ { "--gidmap", "0:7:8" }, "", OL_EINVAL },
		{ { "--idmap", "0:5:6", "--uidmap", "0:5:6" }, "", OL_EINVAL },
		{ { "--idmap", "0:5:6", "--gidmap", "0:5:6" }, "", OL_EINVAL },
		{ { "--uidmap", "0:5:6", "--uidmap", "0:50:1" }, "", OL_EINVAL },
		{ { "--uidmap", "0:5:6:0:5:6" }, "", OL_EINVAL },
		{ { "--uidmap", "auto" }, "", OL_EINVAL },
		{ { "--idmap", "" }, "", OL_EINVAL },
		{ { "--idmap", ":" }, "", OL_EINVAL },
		{ { "--idmap", "somebody:0" }, "", OL_EINVAL },
		{ { "--idmap", "0:5:4294967295" }, "", OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str text = OL_STR(8192);
		ol_idmap map = { .uids = { .count = 0 }, .gids = { .count = 0 } };
		ol_error err = { 0 };

		CHECK_INT(c->map, c->rc, read_words(c->words, &map, &err));
		if (c->rc == OL_OK && ol_idmap_is_set(&map))
			ol_idmap_format(&map, &text);
		if (c->rc == OL_OK)
			CHECK_STR(c->map, c->map, ol_str_text(&text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_map_is_said_in_one_option_or_in_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
