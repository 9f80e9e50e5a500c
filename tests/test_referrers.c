/* Lists of referrers, as registries give them: tests/fake_registry plays one scenario a row. */
#include "base/alloc.h"
#include "fetch/referrers.h"
#include "tests/fake_pull.h"

#define SOCI "application/vnd.amazon.soci.index.v1+json"

struct seen {
	char first[16]; /* the first hex digit of each */
	size_t count;
	int answer; /* what the handler says */
};

static int see(void *ctx, const ol_referrer *referrer, ol_error *err)
{
	struct seen *seen = ctx;

	(void)err;
	assert_true(seen->count + 1 < sizeof seen->first);
	seen->first[seen->count++] = ol_digest_hex(&referrer->digest).text[0];
	assert_int_equal(100, referrer->size);
	return seen->answer;
}

static int ask(const char *scenario, const char *type, struct seen *seen, int requests)
{
	const ol_registry_options options = { .never_retry = true, .timing = fake_timing };
	const ol_referrer_handler handler = { see, seen };
	ol_auto(ol_registry_free) ol_registry *registry = NULL;
	ol_digest subject = { .algorithm = OL_SHA256 };
	struct fake fake;
	ol_ref ref;
	int rc;

	assert_int_equal(OL_OK, ol_registry_new(&options, &registry, NULL));
	fake_start(&fake, scenario, NULL);
	ref = fake_ref(&fake);
	rc = ol_registry_referrers(registry, &ref, &subject, type, &handler, NULL);
	ol_registry_free(ol_steal(&registry));
	if (requests >= 0)
		CHECK_INT(scenario, requests, fake_logged(&fake, "/referrers/", NULL));
	fake_stop(&fake);
	return rc;
}

static void referrers_are_listed_and_filtered(void **state)
{
	static const struct {
		const char *scenario, *type;
		int rc;
		const char *first;
		int requests; /* to the API; -1: as many as it takes */
	} cases[] = {
		{ "referrers", NULL, OL_OK, "abcd",
			1 }, /* a digest that cannot be verified is not */
		{ "referrers", SOCI, OL_OK, "ac", 1 },
		{ "referrers", "application/vnd.other+json", OL_OK, "", 1 },
		{ "referrers-none", SOCI, OL_OK, "", 1 },
		{ "referrers-pages", SOCI, OL_OK, "abc", 3 },
		{ "referrers-fallback", SOCI, OL_OK, "a", 1 },
		{ "referrers-unknown", SOCI, OL_OK, "", 1 },
		{ "plain", SOCI, OL_OK, "", 1 }, /* 404, and no tag */
		{ "referrers-for-ever", SOCI, OL_ELIMIT, "", -1 },
		{ "referrers-elsewhere", SOCI, OL_EUNAVAILABLE, "", 1 },
		{ "referrers-manifest", SOCI, OL_ECORRUPT, "", 1 },
		{ "referrers-broken", SOCI, OL_ECORRUPT, "", 1 },
		{ "referrers-down", SOCI, OL_EUNAVAILABLE, "", -1 },
		{ "denied", SOCI, OL_EAUTH, "", -1 },
	};

	(void)state;
	OL_EACH (cases, c) {
		struct seen seen = { 0 };

		CHECK_INT(c->scenario, c->rc, ask(c->scenario, c->type, &seen, c->requests));
		CHECK_STR(c->scenario, c->first, seen.first);
	}
}

static void a_handler_ends_it(void **state)
{
	struct seen seen = { .answer = OL_ECANCELED };

	(void)state;
	assert_int_equal(OL_ECANCELED, ask("referrers", NULL, &seen, 1));
	assert_string_equal("a", seen.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(referrers_are_listed_and_filtered),
		cmocka_unit_test(a_handler_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
