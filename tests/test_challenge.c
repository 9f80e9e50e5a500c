#include <stdio.h>

#include "fetch/challenge.h"
#include "tests/check.h"

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

/* "bearer realm service scope error; basic …" */
static void write_down(const ol_challenge *list, size_t count, char *out, size_t size)
{
	static const char *const schemes[] = { "other", "basic", "bearer" };
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(out + used, size - used, "%s%s %s %s %s %s", i ? "; " : "",
			schemes[list[i].scheme], or_dash(list[i].realm), or_dash(list[i].service),
			or_dash(list[i].scope), or_dash(list[i].error));
		used = strlen(out);
	}
}

static void a_line_may_hold_several_challenges(void **state)
{
	static const struct {
		const char *line, *want;
		int rc;
	} cases[] = {
		{ "Basic realm=\"x\"", "basic x - - -", OL_OK },
		{ "basic", "basic - - - -", OL_OK },
		{ "BASIC  REALM = \"a \\\"b\\\" c\"", "basic a \"b\" c - - -", OL_OK },
		{ "Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:a:pull,push\"",
			"bearer https://a/t s repository:a:pull,push -", OL_OK },
		{ "Bearer realm=https://a/t?x=1,service=s,error=invalid_token",
			"bearer https://a/t?x=1 s - invalid_token", OL_OK },
		{ "Bearer realm=\"r\" , scope=\"a b\" ,, Basic realm=\"x\"",
			"bearer r - a b -; basic x - - -", OL_OK },
		{ "Negotiate, Basic realm=\"x\"", "other - - - -; basic x - - -", OL_OK },
		{ "Negotiate YWJj==, Basic realm=x", "other - - - -; basic x - - -", OL_OK },
		{ "Bearer realm=\"a\",realm=\"b\"", "bearer a - - -", OL_OK },
		{ "Digest realm=\"d\", nonce=\"n\", Bearer realm=\"b\"",
			"other d - - -; bearer b - - -", OL_OK },
		{ ", ,Basic realm=\"x\",", "basic x - - -", OL_OK },
		{ "", "", OL_OK },
		{ "Basic realm=\"x", "basic - - - -", OL_EINVAL },
		{ "Basic realm=\"x\\", "basic - - - -", OL_EINVAL },
		{ "realm=\"x\"", "", OL_EINVAL },
		{ "Basic realm=\"x\" y", "basic x - - -", OL_EINVAL },
		{ "Basic realm=\"a\x01\"", "basic - - - -", OL_EINVAL },
		{ "Bearer realm=,service=s", "bearer - s - -", OL_OK },
		{ "Bearer a=b,realm=,service=s", "bearer - - - -", OL_EINVAL },
		{ "\"Basic\"", "", OL_EINVAL },
		{ "a,b,c,d,e,f,g,h,i,j",
			"other - - - -; other - - - -; other - - - -; other - - - -; other - - - "
			"-; "
			"other - - - -; other - - - -; other - - - -",
			OL_OK },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_challenge list[OL_CHALLENGES_MAX];
		size_t count = 0;
		char got[1024];

		CHECK_INT(c->line, c->rc,
			ol_challenges_parse(ol_view_of(c->line), list, &count, NULL));
		write_down(list, count, got, sizeof got);
		CHECK_STR(c->line, c->want, got);
		ol_challenges_done(list, count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_may_hold_several_challenges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
