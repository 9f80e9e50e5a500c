#include "base/alloc.h"
#include "base/str.h"
#include "tests/check.h"

static void a_buffer_grows_up_to_its_cap(void **state)
{
	ol_auto_buf ol_buf buf = OL_BUF(1000);

	(void)state;
	CHECK_STR("before", "", ol_str_text(&buf));
	for (int i = 0; i < 100; i++)
		CHECK_INT("add", OL_OK, ol_buf_add(&buf, "0123456789", 10));
	CHECK_INT("size", 1000, (long long)buf.size);
	CHECK_INT("terminated", 0, buf.data[1000]);
	CHECK_STR("whole", "0123456789", buf.data + 990);
}

/* A caller may add many times and look once: what follows a refusal is refused, too, and what was
 * there stays. */
static void past_the_cap_everything_is_refused(void **state)
{
	ol_auto_str ol_str str = OL_STR(5);
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("fits", OL_OK, ol_str_add(&str, "abc"));
	CHECK_INT("error", OL_OK, ol_str_error(&str, &err));
	CHECK_INT("too long", OL_ELIMIT, ol_str_add(&str, "def"));
	CHECK_INT("would fit", OL_ELIMIT, ol_str_addc(&str, 'd'));
	CHECK_INT("formatted", OL_ELIMIT, ol_str_addf(&str, "%d", 1));
	CHECK_INT("room", 1, ol_buf_room(&str, 1) == NULL);
	CHECK_STR("kept", "abc", ol_str_text(&str));
	CHECK_INT("error", OL_ELIMIT, ol_str_error(&str, &err));
	CHECK_STR("words", "larger than the 5 bytes allowed", err.text);
	ol_buf_clear(&str);
	CHECK_INT("cleared", OL_OK, ol_str_add(&str, "12345"));
}

static void a_size_that_overflows_is_refused(void **state)
{
	ol_auto_buf ol_buf buf = OL_BUF(100);

	(void)state;
	CHECK_INT("some", OL_OK, ol_buf_add(&buf, "abc", 3));
	assert_null(ol_buf_room(&buf, SIZE_MAX));
	CHECK_INT("refused", OL_ELIMIT, buf.rc);
}

static void room_is_filled_by_the_caller(void **state)
{
	ol_auto_buf ol_buf buf = OL_BUF(100);
	char *room = ol_buf_room(&buf, 50);

	(void)state;
	assert_non_null(room);
	CHECK_INT("nothing yet", 0, (long long)buf.size);
	room[0] = 'x';
	room[1] = 'y';
	buf.size += 2;
	CHECK_INT("add", OL_OK, ol_buf_add(&buf, "z", 1));
	CHECK_STR("all", "xyz", ol_str_text(&buf));
}

static void a_stolen_buffer_is_the_callers(void **state)
{
	ol_auto_str ol_str str = OL_STR(100);
	ol_autofree char *text = NULL, *empty = NULL;

	(void)state;
	ol_str_add(&str, "mine");
	text = ol_buf_steal(&str);
	CHECK_STR("text", "mine", text);
	CHECK_STR("left", "", ol_str_text(&str));
	empty = ol_buf_steal(&str);
	CHECK_STR("nothing is text, too", "", empty);
}

static void text_of_any_length_is_formatted(void **state)
{
	static const int widths[] = { 1, 254, 255, 256, 257, 5000 };

	(void)state;
	OL_EACH (widths, w) {
		ol_auto_str ol_str str = OL_STR(10000);

		CHECK_INT("format", OL_OK, ol_str_addf(&str, "[%*d]", *w, 7));
		CHECK_INT("size", *w + 2, (long long)str.size);
		CHECK_STR("end", "7]", str.data + str.size - 2);
	}
}

static void views_may_hold_nothing(void **state)
{
	ol_auto_str ol_str str = OL_STR(10);

	(void)state;
	CHECK_INT("NULL", OL_OK, ol_str_addv(&str, (ol_view){ 0 }));
	CHECK_INT("bytes", OL_OK, ol_str_addv(&str, ol_view_from("a\0b", 3)));
	CHECK_INT("size", 3, (long long)ol_buf_view(&str).size);
}

static void what_moves_a_terminal_is_escaped(void **state)
{
	static const struct {
		const char *label, *text;
		size_t size;
		const char *safe;
	} cases[] = {
		{ "plain", "abc ~", 5, "abc ~" },
		{ "escape", "\x1b[31m", 5, "\\x1b[31m" },
		{ "line", "a\nb\tc\r", 6, "a\\x0ab\\x09c\\x0d" },
		{ "DEL", "\x7f", 1, "\\x7f" },
		{ "NUL", "a\0b", 3, "a\\x00b" },
		{ "letters", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
			"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "C1",
			"\xc2\x9b"
			"31m",
			5, "\\xc2\\x9b31m" },
		{ "first that is no control", "\xc2\xa0", 2, "\xc2\xa0" },
		{ "not UTF-8", "\xff\xfe", 2, "\\xff\\xfe" },
		{ "cut short", "\xe2\x82", 2, "\\xe2\\x82" },
		{ "overlong", "\xc0\xaf\xe0\x80\xaf", 5, "\\xc0\\xaf\\xe0\\x80\\xaf" },
		{ "surrogate", "\xed\xa0\x80", 3, "\\xed\\xa0\\x80" },
		{ "past the end", "\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80" },
		{ "last", "\xf4\x8f\xbf\xbf", 4, "\xf4\x8f\xbf\xbf" },
		{ "lone", "\x80", 1, "\\x80" },
		{ "nothing", NULL, 0, "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str str = OL_STR(100);

		CHECK_INT(c->label, OL_OK, ol_str_add_safe(&str, ol_view_from(c->text, c->size)));
		CHECK_STR(c->label, c->safe, ol_str_text(&str));
	}
}

static void a_character_has_a_size(void **state)
{
	static const struct {
		const char *text;
		size_t size;
	} cases[] = {
		{ "", 0 },
		{ "a", 1 },
		{ "\xc3\xa9x", 2 },
		{ "\xc3", 0 },
		{ "\xe2\x82\xac", 3 },
		{ "\xe2\x82", 0 },
		{ "\xf0\x9f\x98\x80", 4 },
		{ "\xf0\x8f\x98\x80", 0 },
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xc3(", 0 },
		{ "\xe2(\xac", 0 },
		{ "\xe2\x82(", 0 },
	};

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(
			c->text, (long long)c->size, (long long)ol_utf8_size(ol_view_of(c->text)));
}

static void views_compare_with_text(void **state)
{
	ol_view v = ol_view_from("abcdef", 3), none = { 0 };

	(void)state;
	CHECK_INT("is", 1, ol_view_is(v, "abc"));
	CHECK_INT("is not", 0, ol_view_is(v, "abcd"));
	CHECK_INT("starts", 1, ol_view_starts(v, "ab"));
	CHECK_INT("does not start", 0, ol_view_starts(v, "abcd"));
	CHECK_INT("ends", 1, ol_view_ends(v, "bc"));
	CHECK_INT("does not end", 0, ol_view_ends(v, "ef"));
	CHECK_INT("nothing", 1, ol_view_is(none, ""));
	CHECK_INT("nothing", 0, ol_view_is(none, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_grows_up_to_its_cap),
		cmocka_unit_test(past_the_cap_everything_is_refused),
		cmocka_unit_test(a_size_that_overflows_is_refused),
		cmocka_unit_test(room_is_filled_by_the_caller),
		cmocka_unit_test(a_stolen_buffer_is_the_callers),
		cmocka_unit_test(text_of_any_length_is_formatted),
		cmocka_unit_test(views_may_hold_nothing),
		cmocka_unit_test(what_moves_a_terminal_is_escaped),
		cmocka_unit_test(a_character_has_a_size),
		cmocka_unit_test(views_compare_with_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
