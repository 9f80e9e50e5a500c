#include "cmd/env_file.h"
#include "tests/check.h"

static int parse(const char *text, size_t size, ol_env_list *list, ol_error *err)
{
	return ol_env_file_parse(ol_view_from(text, size), list, err);
}

static void lines_are_read_as_docker_reads_them(void **state)
{
	static const struct {
		const char *text;
		const char *want[5];
	} cases[] = {
		{ "", { NULL } },
		{ "A=1\nB=2\n", { "A=1", "B=2" } },
		{ "A=1", { "A=1" } },
		{ "A=1\r\nB\r\n", { "A=1", "B" } },
		{ "# no\n\n   # no\n\tA=1\n", { "A=1" } },
		{ "A=\n", { "A=" } },
		{ "A=b=c # kept \n", { "A=b=c # kept " } },
		{ "A=\"quoted\"\nB='x'\n", { "A=\"quoted\"", "B='x'" } },
		{ "KEY\n", { "KEY" } },
		{ "\xef\xbb\xbf"
		  "A=1\n",
			{ "A=1" } },
		{ "A=\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\xb3\n",
			{ "A=\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\xb3" } },
		{ "A=tab\there\n", { "A=tab\there" } },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
		ol_env_list list = { .arena = arena };
		size_t count = 0;

		CHECK_INT(c->text, OL_OK, parse(c->text, strlen(c->text), &list, NULL));
		for (; c->want[count]; count++)
			CHECK_STR(c->text, c->want[count],
				count < list.count ? list.entries[count] : "(none)");
		CHECK_INT(c->text, (long long)count, (long long)list.count);
	}
}

static void what_is_no_variable_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		const char *why;
	} cases[] = {
#define ROW(text, why) { text, sizeof(text) - 1, why }
		ROW("A=1\n=2\n", "line 2 has no variable name"),
		ROW("=", "line 1 has no variable name"),
		ROW("export A=1\n", "line 1: variable 'export A' contains whitespaces"),
		ROW("A =1\n", "line 1: variable 'A ' contains whitespaces"),
		ROW("A B\n", "line 1: variable 'A B' contains whitespaces"),
		ROW("ok=1\n\n# x\nA=\xff\n", "line 4 is not UTF-8 text"),
		ROW("A=\xc0\x80\n", "line 1 is not UTF-8 text"),
		ROW("A=\xed\xa0\x80\n", "line 1 is not UTF-8 text"),
		ROW("A=\xf5\x80\x80\x80\n", "line 1 is not UTF-8 text"),
		ROW("A=\xe2\x82\n", "line 1 is not UTF-8 text"),
		ROW("A=\0b\n", "line 1 is not UTF-8 text"),
		ROW("\0", "line 1 is not UTF-8 text"),
#undef ROW
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
		ol_env_list list = { .arena = arena };
		ol_error err = { 0 };

		CHECK_INT(c->why, OL_EINVAL, parse(c->text, c->size, &list, &err));
		CHECK_STR(c->why, c->why, err.text);
	}
}

static void a_file_that_is_not_there_is_named(void **state)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_env_list list = { .arena = arena };
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("rc", OL_ENOTFOUND, ol_env_file_read("/nonexistent/env", &list, &err));
	assert_non_null(strstr(err.text, "/nonexistent/env"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read_as_docker_reads_them),
		cmocka_unit_test(what_is_no_variable_is_refused_with_its_line),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
