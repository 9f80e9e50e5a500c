#include "fetch/token.h"
#include "tests/check.h"

static void a_token_answer_is_read(void **state)
{
	/* 2025-01-02T03:04:05Z */
	const int64_t now = 1735787045;
	static const struct {
		const char *body;
		int rc;
		const char *text, *refresh;
		uint64_t renew_after_ms;
	} cases[] = {
		{ "{\"token\":\"a\"}", OL_OK, "a", "", 45000 },
		{ "{\"access_token\":\"b\",\"expires_in\":300}", OL_OK, "b", "", 270000 },
		{ "{\"token\":\"a\",\"access_token\":\"b\",\"expires_in\":4}", OL_OK, "a", "",
			3000 },
		{ "{\"token\":\"a\",\"expires_in\":0}", OL_OK, "a", "", 45000 },
		{ "{\"token\":\"a\",\"expires_in\":-5}", OL_OK, "a", "", 45000 },
		{ "{\"token\":\"a\",\"expires_in\":1e300}", OL_OK, "a", "", 2592000000ULL - 30000 },
		{ "{\"token\":\"a\",\"expires_in\":300,\"issued_at\":\"2025-01-02T03:03:05Z\"}",
			OL_OK, "a", "", 210000 },
		{ "{\"token\":\"a\",\"expires_in\":300,\"issued_at\":\"2024-01-02T03:03:05Z\"}",
			OL_OK, "a", "", 270000 },
		{ "{\"token\":\"a\",\"expires_in\":300,\"issued_at\":\"2026-01-02T03:03:05Z\"}",
			OL_OK, "a", "", 270000 },
		{ "{\"token\":\"a\",\"refresh_token\":\"r\"}", OL_OK, "a", "r", 45000 },
		{ "{\"token\":\"\"}", OL_EINVAL, "", "", 0 },
		{ "{\"token\":\"a\\r\\nX: y\"}", OL_EINVAL, "", "", 0 },
		{ "{\"token\":17}", OL_EINVAL, "", "", 0 },
		{ "{}", OL_EINVAL, "", "", 0 },
		{ "[]", OL_EINVAL, "", "", 0 },
		{ "<html>", OL_EINVAL, "", "", 0 },
		{ "", OL_EINVAL, "", "", 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_token token = { 0 };
		ol_error err = { 0 };

		CHECK_INT(c->body, c->rc, ol_token_parse(ol_view_of(c->body), now, &token, &err));
		CHECK_STR(c->body, c->text, token.text ? token.text : "");
		CHECK_STR(c->body, c->refresh, token.refresh ? token.refresh : "");
		CHECK_INT(c->body, (long long)c->renew_after_ms, (long long)token.renew_after_ms);
		ol_token_done(&token);
	}
}

static void a_form_is_escaped(void **state)
{
	ol_auto_str ol_str form = OL_STR(200);

	(void)state;
	ol_form_add(&form, "scope", "repository:a/b:pull,push");
	ol_form_add(&form, "x", "a b&c=d%\xc3\xa9~");
	CHECK_STR("form", "scope=repository%3Aa%2Fb%3Apull%2Cpush&x=a%20b%26c%3Dd%25%C3%A9~",
		ol_str_text(&form));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_answer_is_read),
		cmocka_unit_test(a_form_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
