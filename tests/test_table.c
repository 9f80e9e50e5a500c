#include "cmd/table.h"
#include "tests/check.h"

static void columns_are_as_wide_as_docker_makes_them(void **state)
{
	static const struct {
		const char *lines, *want;
	} cases[] = {
		{ "", "" },
		{ "one\n", "one\n" },
		{ "REPOSITORY\tTAG\tSIZE\nalpine\tlatest\t7.05MB\n",
			"REPOSITORY   TAG       SIZE\nalpine       latest    7.05MB\n" },
		{ "A\tB\n\t\n", "A         B\n          \n" },
		{ "A\tB\nlonger than ten\tx\n", "A                 B\nlonger than ten   x\n" },
		/* a line without the cell ends the column */
		{ "a\tb\nplain\nlonger than ten\td\n",
			"a         b\nplain\nlonger than ten   d\n" },
		/* characters count, not bytes */
		{ "grüße an alle\tx\nab\ty", "grüße an alle   x\nab              y\n" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);

		CHECK_INT(c->lines, OL_OK, ol_table_format(ol_view_of(c->lines), &out, NULL));
		CHECK_STR(c->lines, c->want, ol_str_text(&out));
	}
}

static void a_table_past_its_cap_is_refused(void **state)
{
	ol_auto_str ol_str out = OL_STR(8);
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("rc", OL_ELIMIT, ol_table_format(ol_view_of("a\tb\n"), &out, &err));
}

static void an_ellipsis_stands_for_what_is_left_out(void **state)
{
	static const struct {
		const char *text;
		size_t width;
		const char *want;
	} cases[] = {
		{ "short", 5, "short" },
		{ "longer", 5, "long…" },
		{ "ü2345", 5, "ü2345" },
		{ "ü23456", 5, "ü234…" },
		{ "xy", 1, "x" },
		{ "", 5, "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_autofree char *got = ol_ellipsis(c->text, c->width);

		CHECK_STR(c->text, c->want, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_docker_makes_them),
		cmocka_unit_test(a_table_past_its_cap_is_refused),
		cmocka_unit_test(an_ellipsis_stands_for_what_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
