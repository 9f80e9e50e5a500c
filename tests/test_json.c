#include <math.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "manifest/json.h"
#include "tests/check.h"

/* What is accepted, and at which line and column the rest is refused. */
static void parsing_takes_json_and_nothing_else(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *words;
	} cases[] = {
		{ "{}", OL_OK, "" },
		{ " [1, 2.5e3, -7, true, false, null, \"x\\u00e9\"]\n", OL_OK, "" },
		{ "\"text\"", OL_OK, "" },
		{ "null", OL_OK, "" },
		{ "{\"a\":{\"a\":1},\"b\":[{\"a\":2}]}", OL_OK, "" },
		{ "9223372036854775807", OL_OK, "" },
		{ "{\"brackets\":\"]]]]}}}}\\\"[[[[\"}", OL_OK, "" },
		{ "", OL_EINVAL, "line 1" },
		{ " ", OL_EINVAL, "line 1" },
		{ "{\n\"a\":1,}", OL_EINVAL, "line 2, column 7" },
		{ "{\"a\":1,\"a\":1}", OL_EINVAL, "duplicate" },
		{ "{\"a\":1,\"\\u0061\":1}", OL_EINVAL, "duplicate" },
		{ "{} {}", OL_EINVAL, "end of file expected" },
		{ "{}x", OL_EINVAL, "end of file expected" },
		{ "[1", OL_EINVAL, "line 1" },
		{ "\"unfinished", OL_EINVAL, "line 1" },
		{ "\"unfinished\\", OL_EINVAL, "line 1" },
		{ "'single'", OL_EINVAL, "line 1" },
		{ "[1,]", OL_EINVAL, "line 1" },
		{ "[01]", OL_EINVAL, "line 1" },
		{ "[NaN]", OL_EINVAL, "line 1" },
		{ "// no\n{}", OL_EINVAL, "line 1" },
		{ "\"\\u0000\"", OL_EINVAL, "\\u0000" },
		{ "{\"\\u0000\":1}", OL_EINVAL, "\\u0000" },
		{ "\"\\ud800\"", OL_EINVAL, "line 1" },
		{ "\"\xff\"", OL_EINVAL, "unable to decode" },
		{ "\"\xc0\xaf\"", OL_EINVAL, "unable to decode" },
		{ "\"\xed\xa0\x80\"", OL_EINVAL, "unable to decode" },
		{ "\xef\xbb\xbf{}", OL_EINVAL, "line 1" },
		{ "9223372036854775808", OL_EINVAL, "too big" },
		{ "1e999", OL_EINVAL, "overflow" },
		{ "\"a\nb\"", OL_EINVAL, "line 1" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_json_free) ol_json *value = NULL;
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc, ol_json_parse(ol_view_of(c->text), &value, &err));
		if (!strstr(err.text, c->words))
			CHECK_STR(c->text, c->words, err.text);
		CHECK_INT(c->text, c->rc == OL_OK, value != NULL);
	}
}

static void a_nul_byte_is_not_json(void **state)
{
	ol_json *value = NULL;

	(void)state;
	CHECK_INT("after", OL_EINVAL, ol_json_parse(ol_view_from("{}", 3), &value, NULL));
	CHECK_INT("inside", OL_EINVAL, ol_json_parse(ol_view_from("\"a\0b\"", 5), &value, NULL));
	CHECK_INT("nothing", OL_EINVAL, ol_json_parse((ol_view){ 0 }, &value, NULL));
	assert_null(value);
}

/* The words of a refusal go to a terminal. */
static void what_is_refused_is_quoted_safely(void **state)
{
	ol_json *value = NULL;
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("escape", OL_EINVAL, ol_json_parse(ol_view_of("{ \x1b[31m"), &value, &err));
	assert_null(strchr(err.text, '\x1b'));
	CHECK_INT("C1", OL_EINVAL,
		ol_json_parse(ol_view_of("{\"a\":1,\"\xc2\x9b\":2,\"\xc2\x9b\":3}"), &value, &err));
	assert_null(strstr(err.text, "\xc2\x9b"));
}

/* count times one piece of text, then count times another. */
static int parse_many(
	const char *open, const char *close, size_t count, const char *around, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *value = NULL;
	ol_auto_str ol_str text = OL_STR((size_t)1 << 22);

	ol_str_addc(&text, around[0]);
	for (size_t i = 0; i < count; i++)
		ol_str_add(&text, open);
	for (size_t i = 0; i < count; i++)
		ol_str_add(&text, close);
	ol_str_add(&text, "1");
	ol_str_addc(&text, around[1]);
	return ol_json_parse(ol_buf_view(&text), &value, err);
}

static int parse_depth(size_t depth, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *value = NULL;
	ol_auto_str ol_str text = OL_STR((size_t)1 << 22);

	for (size_t i = 0; i < depth; i++)
		ol_str_add(&text, i % 2 ? "[" : "{\"[\":");
	ol_str_add(&text, "0");
	for (size_t i = depth; i-- > 0;)
		ol_str_add(&text, i % 2 ? "]" : "}");
	return ol_json_parse(ol_buf_view(&text), &value, err);
}

static void depth_and_number_of_values_have_bounds(void **state)
{
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("deep", OL_OK, parse_depth(OL_JSON_DEPTH_MAX, &err));
	CHECK_INT("deeper", OL_ELIMIT, parse_depth(OL_JSON_DEPTH_MAX + 1, &err));
	CHECK_STR("deeper", "JSON is nested deeper than 64 levels", err.text);
	CHECK_INT("never closed", OL_ELIMIT, parse_many("[", "", 1 << 20, "[ ", &err));
	CHECK_INT("many", OL_OK, parse_many("1,", "", OL_JSON_VALUES_MAX - 3, "[]", &err));
	CHECK_INT("too many", OL_ELIMIT, parse_many("1,", "", OL_JSON_VALUES_MAX, "[]", &err));
	CHECK_INT("too many objects", OL_ELIMIT,
		parse_many("{},", "", OL_JSON_VALUES_MAX / 2, "[]", &err));
}

static ol_json *parsed(const char *text)
{
	ol_json *value = NULL;

	CHECK_INT(text, OL_OK, ol_json_parse(ol_view_of(text), &value, NULL));
	return value;
}

static void null_is_not_there(void **state)
{
	ol_auto(ol_json_free) ol_json *root = parsed("{\"a\":null,\"b\":[null,1]}");
	const ol_json *list = ol_json_get(root, "b");

	(void)state;
	assert_null(ol_json_get(root, "a"));
	assert_null(ol_json_get(root, "c"));
	CHECK_INT("has null", 1, ol_json_has(root, "a"));
	CHECK_INT("has not", 0, ol_json_has(root, "c"));
	CHECK_INT("count", 2, (long long)ol_json_count(list));
	CHECK_INT("element", OL_JSON_NULL, ol_json_type_of(ol_json_at(list, 0)));
	assert_null(ol_json_at(list, 2));
}

/* A chain of readers over what is not there ends in the answer for nothing. */
static void readers_take_null_and_wrong_types(void **state)
{
	ol_auto(ol_json_free) ol_json *text = ol_json_string("x");
	const ol_json *values[] = { NULL, text };

	(void)state;
	OL_EACH (values, v) {
		const char *key = NULL;
		const ol_json *value = NULL;
		void *it = NULL;

		assert_null(ol_json_get(*v, "a"));
		assert_null(ol_json_at(*v, 0));
		CHECK_INT("has", 0, ol_json_has(*v, "a"));
		CHECK_INT("count", 0, (long long)ol_json_count(*v));
		CHECK_INT("next", 0, ol_json_next(*v, &it, &key, &value));
		CHECK_INT("int", -5, ol_json_int(*v, -5));
		CHECK_INT("number", 1, ol_json_number(*v, 0.5) < 0.6);
		CHECK_INT("true", 0, ol_json_true(*v));
		CHECK_INT("object", 0, ol_json_is_object(*v));
		CHECK_INT("array", 0, ol_json_is_array(*v));
		CHECK_INT("is number", 0, ol_json_is_number(*v));
		CHECK_INT("bool", 0, ol_json_is_bool(*v));
	}
	assert_null(ol_json_text(NULL));
	CHECK_STR("text", "x", ol_json_text(text));
}

static void every_value_has_a_type(void **state)
{
	static const struct {
		const char *text;
		ol_json_type type;
	} cases[] = {
		{ "{}", OL_JSON_OBJECT },
		{ "[]", OL_JSON_ARRAY },
		{ "\"\"", OL_JSON_STRING },
		{ "1", OL_JSON_INTEGER },
		{ "1.0", OL_JSON_REAL },
		{ "true", OL_JSON_BOOL },
		{ "false", OL_JSON_BOOL },
		{ "null", OL_JSON_NULL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_json_free) ol_json *value = parsed(c->text);

		CHECK_INT(c->text, c->type, ol_json_type_of(value));
	}
	CHECK_INT("NULL", OL_JSON_NULL, ol_json_type_of(NULL));
}

static void typed_members_name_what_is_wrong(void **state)
{
	ol_auto(ol_json_free) ol_json *root =
		parsed("{\"s\":\"x\",\"i\":7,\"r\":7.0,\"b\":true,\"a\":[1],\"o\":{},\"n\":null}");
	const char *text = "untouched";
	const ol_json *value = NULL;
	int64_t number = -1;
	bool yes = false;
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("text absent", OL_OK, ol_json_get_text(root, "none", &text, &err));
	CHECK_INT("text null", OL_OK, ol_json_get_text(root, "n", &text, &err));
	CHECK_STR("text", "untouched", text);
	CHECK_INT("text", OL_OK, ol_json_get_text(root, "s", &text, &err));
	CHECK_STR("text", "x", text);
	CHECK_INT("int", OL_OK, ol_json_get_int(root, "i", &number, &err));
	CHECK_INT("int", 7, number);
	CHECK_INT("bool", OL_OK, ol_json_get_bool(root, "b", &yes, &err));
	CHECK_INT("bool", 1, yes);
	CHECK_INT("array", OL_OK, ol_json_get_array(root, "a", &value, &err));
	CHECK_INT("array", 1, ol_json_is_array(value));
	CHECK_INT("object", OL_OK, ol_json_get_object(root, "o", &value, &err));
	CHECK_INT("object", 1, ol_json_is_object(value));

	CHECK_INT("text", OL_EINVAL, ol_json_get_text(root, "i", &text, &err));
	CHECK_STR("text", "i is not a string", err.text);
	CHECK_INT("real as int", OL_EINVAL, ol_json_get_int(root, "r", &number, &err));
	CHECK_STR("real as int", "r is not an integer", err.text);
	CHECK_INT("bool", OL_EINVAL, ol_json_get_bool(root, "i", &yes, &err));
	CHECK_STR("bool", "i is not true or false", err.text);
	CHECK_INT("array", OL_EINVAL, ol_json_get_array(root, "o", &value, &err));
	CHECK_STR("array", "o is not an array", err.text);
	CHECK_INT("object", OL_EINVAL, ol_json_get_object(root, "a", &value, &err));
	CHECK_STR("object", "a is not an object", err.text);
	CHECK_INT("kept", 7, number);
}

static void members_come_in_the_order_they_stand(void **state)
{
	ol_auto(ol_json_free) ol_json *root = parsed("{\"z\":1,\"a\":null,\"m\":3}");
	ol_auto_str ol_str seen = OL_STR(64);
	const char *key = NULL;
	const ol_json *value = NULL;
	void *it = NULL;

	(void)state;
	while (ol_json_next(root, &it, &key, &value))
		ol_str_addf(&seen, "%s=%d ", key, (int)ol_json_int(value, 0));
	CHECK_STR("order", "z=1 a=0 m=3 ", ol_str_text(&seen));
}

static void check_format(
	const char *label, const ol_json *value, ol_json_style style, const char *want)
{
	ol_auto_str ol_str out = OL_STR(4096);

	CHECK_INT(label, OL_OK, ol_json_format(value, style, &out, NULL));
	CHECK_STR(label, want, ol_str_text(&out));
}

static void what_is_made_can_be_written(void **state)
{
	ol_auto(ol_json_free) ol_json *root = ol_json_object(), *copy = NULL;
	ol_json *list = ol_json_array();

	(void)state;
	ol_json_set(root, "list", list);
	ol_json_push(list, ol_json_integer(INT64_MIN));
	ol_json_push(list, ol_json_real(0.5));
	ol_json_push(list, ol_json_boolean(true));
	ol_json_push(list, ol_json_null());
	ol_json_push(list, ol_json_string(NULL));
	ol_json_push(list, ol_json_real((double)NAN));
	ol_json_set_text(root, "b", "old");
	ol_json_set_int(root, "a", 1);
	ol_json_set_bool(root, "gone", false);
	copy = ol_json_copy(root);
	ol_json_set_text(root, "b", "\"\\\n/<\xc3\xa9");
	ol_json_remove(root, "gone");
	ol_json_remove(root, "never there");
	check_format("compact", root, OL_JSON_COMPACT,
		"{\"list\":[-9223372036854775808,0.5,true,null,null,null],\"b\":\"\\\"\\\\\\n/"
		"<\xc3\xa9\",\"a\":1}");
	check_format("sorted", root, OL_JSON_SORTED,
		"{\"a\":1,\"b\":\"\\\"\\\\\\n/"
		"<\xc3\xa9\",\"list\":[-9223372036854775808,0.5,true,null,null,null]}");
	ol_json_remove(copy, "list");
	check_format("pretty", copy, OL_JSON_PRETTY,
		"{\n    \"b\": \"old\",\n    \"a\": 1,\n    \"gone\": false\n}");
	check_format("nothing", NULL, OL_JSON_COMPACT, "null");
}

static void bytes_that_are_not_utf8_are_mended(void **state)
{
	ol_auto(ol_json_free) ol_json *root = ol_json_object();

	(void)state;
	ol_json_set_text(root, "a\xff", "\x80x\xc3");
	check_format("mended", root, OL_JSON_COMPACT,
		"{\"a\xef\xbf\xbd\":\"\xef\xbf\xbdx\xef\xbf\xbd\"}");
}

/* Inspecting a hostile image must not move the cursor. */
static void output_is_safe_for_a_terminal(void **state)
{
	ol_auto(ol_json_free) ol_json *value = ol_json_string("\x1b[2J\x7f\xc2\x9b"
							      "31m\xc2\xa0\xe2\x82\xac");
	ol_auto(ol_json_free) ol_json *back = NULL;
	ol_auto_str ol_str out = OL_STR(4096);

	(void)state;
	CHECK_INT("format", OL_OK, ol_json_format(value, OL_JSON_COMPACT, &out, NULL));
	CHECK_STR("escaped", "\"\\u001B[2J\\u007F\\u009B31m\xc2\xa0\xe2\x82\xac\"",
		ol_str_text(&out));
	CHECK_INT("parse", OL_OK, ol_json_parse(ol_buf_view(&out), &back, NULL));
	CHECK_STR("round trip", ol_json_text(value), ol_json_text(back));
}

static void output_stops_at_the_cap(void **state)
{
	ol_auto(ol_json_free) ol_json *value = ol_json_string("more than ten bytes");
	ol_auto_str ol_str out = OL_STR(10);
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("cap", OL_ELIMIT, ol_json_format(value, OL_JSON_COMPACT, &out, &err));
	CHECK_STR("cap", "larger than the 10 bytes allowed", err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing_takes_json_and_nothing_else),
		cmocka_unit_test(a_nul_byte_is_not_json),
		cmocka_unit_test(what_is_refused_is_quoted_safely),
		cmocka_unit_test(depth_and_number_of_values_have_bounds),
		cmocka_unit_test(null_is_not_there),
		cmocka_unit_test(readers_take_null_and_wrong_types),
		cmocka_unit_test(every_value_has_a_type),
		cmocka_unit_test(typed_members_name_what_is_wrong),
		cmocka_unit_test(members_come_in_the_order_they_stand),
		cmocka_unit_test(what_is_made_can_be_written),
		cmocka_unit_test(bytes_that_are_not_utf8_are_mended),
		cmocka_unit_test(output_is_safe_for_a_terminal),
		cmocka_unit_test(output_stops_at_the_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
