#include "base/base64.h"
#include "tests/check.h"

/* RFC 4648 section 10, and bytes of all kinds. */
static void bytes_and_text_round_trip(void **state)
{
	static const struct {
		const char *bytes, *text;
		size_t size;
	} cases[] = {
		{ "", "", 0 },
		{ "f", "Zg==", 1 },
		{ "fo", "Zm8=", 2 },
		{ "foo", "Zm9v", 3 },
		{ "foob", "Zm9vYg==", 4 },
		{ "fooba", "Zm9vYmE=", 5 },
		{ "foobar", "Zm9vYmFy", 6 },
		{ "{}", "e30=", 2 },
		{ "\xff\xfe\x00\x3f", "//4APw==", 4 },
		{ "user:pass", "dXNlcjpwYXNz", 9 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf bytes = OL_BUF(64);
		ol_auto_str ol_str text = OL_STR(64);

		CHECK_INT(c->text, OL_OK, ol_base64_format(ol_view_from(c->bytes, c->size), &text));
		CHECK_STR(c->text, c->text, ol_str_text(&text));
		CHECK_INT(c->text, OL_OK, ol_base64_parse(ol_view_of(c->text), &bytes, NULL));
		CHECK_INT(c->text, (long long)c->size, (long long)bytes.size);
		if (c->size)
			CHECK_INT(c->text, 0, memcmp(bytes.data, c->bytes, c->size));
	}
}

static void there_is_one_spelling(void **state)
{
	static const char *const cases[] = { "Z", "Zg",
		"Zg=", "Zg===", "Zh==", "Zm9=", "====", "Z===", "=Zg=", "Zg==Zg==", "Zm9v\n",
		"Zm 9", "Zm9-", "Zm9_", "Zm\xc3\xa9", "Zg=\n" };
	ol_auto_buf ol_buf bytes = OL_BUF(64);
	ol_error err = { 0 };

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(*c, OL_EINVAL, ol_base64_parse(ol_view_of(*c), &bytes, &err));
	CHECK_INT("NUL", OL_EINVAL, ol_base64_parse(ol_view_from("Zm9\0", 4), &bytes, &err));
	CHECK_STR("words", "not base64: at byte 0", err.text);
}

static void a_full_buffer_is_a_limit(void **state)
{
	ol_auto_buf ol_buf bytes = OL_BUF(2);
	ol_auto_str ol_str text = OL_STR(3);

	(void)state;
	CHECK_INT("parse", OL_ELIMIT, ol_base64_parse(ol_view_of("Zm9v"), &bytes, NULL));
	CHECK_INT("format", OL_ELIMIT, ol_base64_format(ol_view_of("f"), &text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_and_text_round_trip),
		cmocka_unit_test(there_is_one_spelling),
		cmocka_unit_test(a_full_buffer_is_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
