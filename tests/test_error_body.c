#include "fetch/error_body.h"
#include "tests/check.h"

static void the_far_sides_words_are_shown_safely(void **state)
{
	static const struct {
		const char *body, *want;
	} cases[] = {
		{ "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}",
			"manifest unknown" },
		{ "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"requested access is "
		  "denied\\n\"}]}",
			"denied: requested access is denied" },
		{ "{\"errors\":[{\"code\":\"A\"},{\"message\":\"b\"},{\"code\":\"C\"},{\"code\":"
		  "\"D\"}]}",
			"a; b; c" },
		{ "{\"errors\":[17,{}],\"message\":\"other\"}", "other" },
		{ "{\"error\":\"invalid_grant\",\"error_description\":\"no\"}",
			"invalid_grant: no" },
		{ "{\"details\":\"incorrect username or password\"}",
			"incorrect username or password" },
		{ "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has "
		  "expired</Message></Error>",
			"AccessDenied: Request has expired" },
		{ "{\"message\":\"a\\u001b[2Jb\"}", "a\\x1b[2Jb" },
		{ "plain words\n", "plain words" },
		{ "<html><body>no</body></html>", "" },
		{ "{broken", "" },
		{ "{\"errors\":{}}", "" },
		{ "[]", "" },
		{ "", "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(1024);

		ol_error_body_words(ol_view_of(c->body), &out);
		CHECK_STR(c->body, c->want, ol_str_text(&out));
	}
}

static void long_words_are_cut(void **state)
{
	ol_auto_str ol_str body = OL_STR(4096);
	ol_auto_str ol_str out = OL_STR(4096);

	(void)state;
	(void)ol_str_add(&body, "{\"message\":\"");
	for (int i = 0; i < 2000; i++)
		(void)ol_str_addc(&body, 'x');
	(void)ol_str_add(&body, "\"}");
	ol_error_body_words(ol_buf_view(&body), &out);
	CHECK_INT("size", 300, (long long)out.size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_far_sides_words_are_shown_safely),
		cmocka_unit_test(long_words_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
