#include "base/alloc.h"
#include "manifest/json.h"
#include "manifest/json_scan.h"
#include "tests/check.h"

/* The tokens of a text, one character each with what they say: "{k=a:i1}." */
static int tokens_of(const char *text, ol_str *out, ol_error *err)
{
	ol_json_scan scan;
	ol_json_token token;
	int rc;

	ol_json_scan_init(&scan, ol_view_of(text), 64);
	do {
		rc = ol_json_scan_next(&scan, &token, err);
		if (rc < 0)
			break;
		switch (token.type) {
		case OL_JSON_TOKEN_OBJECT:
			ol_str_addc(out, '{');
			break;
		case OL_JSON_TOKEN_OBJECT_END:
			ol_str_addc(out, '}');
			break;
		case OL_JSON_TOKEN_ARRAY:
			ol_str_addc(out, '[');
			break;
		case OL_JSON_TOKEN_ARRAY_END:
			ol_str_addc(out, ']');
			break;
		case OL_JSON_TOKEN_KEY:
			ol_str_addf(out, "%s:", token.text.data ? token.text.data : "");
			break;
		case OL_JSON_TOKEN_STRING:
			ol_str_addf(out, "'%s'", token.text.data ? token.text.data : "");
			break;
		case OL_JSON_TOKEN_INTEGER:
			ol_str_addf(out, "%lld,", (long long)token.integer);
			break;
		case OL_JSON_TOKEN_REAL:
			ol_str_add(out, "real,");
			break;
		case OL_JSON_TOKEN_BOOL:
			ol_str_add(out, token.integer ? "yes," : "no,");
			break;
		case OL_JSON_TOKEN_NULL:
			ol_str_add(out, "null,");
			break;
		case OL_JSON_TOKEN_END:
			ol_str_addc(out, '.');
			break;
		}
	} while (token.type != OL_JSON_TOKEN_END);
	ol_json_scan_done(&scan);
	return rc;
}

static void tokens_come_in_order(void **state)
{
	static const struct {
		const char *text, *tokens;
	} cases[] = {
		{ "{}", "{}." },
		{ " [ ] ", "[]." },
		{ "{\"a\":1,\"b\":[true,false,null,\"x\"]}", "{a:1,b:[yes,no,null,'x']}." },
		{ "[-7, 0, 2.5e3, 1E2, -0, 9223372036854775807, -9223372036854775808]",
			"[-7,0,real,real,0,9223372036854775807,-9223372036854775808,]." },
		{ "9223372036854775808", "real,." },
		{ "99999999999999999999999", "real,." },
		{ "\"\\u00e9\\ud83d\\ude00\\n\\/\\\"\"", "'\u00e9\U0001F600\n/\"'." },
		{ "{\"\":{\"\":[[],[{}]]}}", "{:{:[[][{}]]}}." },
		{ "\t\"a\xc3\xa9z\"\r\n", "'a\u00e9z'." },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str got = OL_STR(4096);
		ol_error err = { 0 };

		CHECK_INT(c->text, OL_OK, tokens_of(c->text, &got, &err));
		CHECK_STR(c->text, c->tokens, ol_str_text(&got));
	}
}

static void what_is_not_json_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *words;
	} cases[] = {
		{ "", OL_EINVAL, "byte 0" },
		{ "  ", OL_EINVAL, "byte 2" },
		{ "[1,]", OL_EINVAL, "byte 3" },
		{ "[1 2]", OL_EINVAL, "byte 3" },
		{ "[,1]", OL_EINVAL, "byte 1" },
		{ "{\"a\"}", OL_EINVAL, "colon" },
		{ "{\"a\":}", OL_EINVAL, "no value" },
		{ "{a:1}", OL_EINVAL, "a key was expected" },
		{ "{\"a\":1,}", OL_EINVAL, "a key was expected" },
		{ "[1}", OL_EINVAL, "comma or the end" },
		{ "{\"a\":1]", OL_EINVAL, "comma or the end" },
		{ "]", OL_EINVAL, "byte 0" },
		{ "{} {}", OL_EINVAL, "behind the end" },
		{ "[1", OL_EINVAL, "byte 2" },
		{ "\"abc", OL_EINVAL, "without an end" },
		{ "\"a\\", OL_EINVAL, "escape" },
		{ "\"\\x41\"", OL_EINVAL, "escape" },
		{ "\"\\u12g4\"", OL_EINVAL, "hex" },
		{ "\"\\u0000\"", OL_EINVAL, "NUL" },
		{ "\"\\ud800\"", OL_EINVAL, "surrogate" },
		{ "\"\\ud800\\n\"", OL_EINVAL, "surrogate" },
		{ "\"\\ud800\\u0041\"", OL_EINVAL, "surrogate" },
		{ "\"\\udc00\"", OL_EINVAL, "surrogate" },
		{ "\"\xff\"", OL_EINVAL, "UTF-8" },
		{ "\"\xed\xa0\x80\"", OL_EINVAL, "UTF-8" },
		{ "\"a\nb\"", OL_EINVAL, "control" },
		{ "01", OL_EINVAL, "no number" },
		{ "-", OL_EINVAL, "no number" },
		{ "1.", OL_EINVAL, "fraction" },
		{ "1e+", OL_EINVAL, "exponent" },
		{ "tru", OL_EINVAL, "no value" },
		{ "nullx", OL_EINVAL, "behind the end" },
		{ "\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
			OL_ELIMIT, "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str got = OL_STR(4096);
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc, tokens_of(c->text, &got, &err));
		if (!strstr(err.text, c->words))
			CHECK_STR(c->text, c->words, err.text);
	}
}

static void depth_is_bounded(void **state)
{
	char text[2 * OL_JSON_DEPTH_MAX + 3] = { 0 };
	ol_auto_str ol_str got = OL_STR(4096);
	ol_error err = { 0 };

	(void)state;
	memset(text, '[', OL_JSON_DEPTH_MAX);
	memset(text + OL_JSON_DEPTH_MAX, ']', OL_JSON_DEPTH_MAX);
	assert_int_equal(OL_OK, tokens_of(text, &got, &err));
	memset(text, '[', OL_JSON_DEPTH_MAX + 1);
	assert_int_equal(OL_ELIMIT, tokens_of(text, &got, &err));
}

static void a_value_can_be_passed_over(void **state)
{
	ol_json_scan scan;
	ol_json_token token;

	(void)state;
	ol_json_scan_init(&scan, ol_view_of("{\"a\":[1,{\"b\":[]}],\"c\":{},\"d\":3}"), 64);
	assert_int_equal(OL_OK, ol_json_scan_next(&scan, &token, NULL));
	for (const char *key = "acd"; *key; key++) {
		assert_int_equal(OL_OK, ol_json_scan_next(&scan, &token, NULL));
		assert_int_equal(OL_JSON_TOKEN_KEY, token.type);
		assert_int_equal(*key, token.text.data[0]);
		assert_int_equal(OL_OK, ol_json_scan_next(&scan, &token, NULL));
		assert_int_equal(OL_OK, ol_json_scan_skip(&scan, &token, NULL));
	}
	assert_int_equal(OL_OK, ol_json_scan_next(&scan, &token, NULL));
	assert_int_equal(OL_JSON_TOKEN_OBJECT_END, token.type);
	ol_json_scan_done(&scan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_come_in_order),
		cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(a_value_can_be_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
