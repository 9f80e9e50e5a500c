#include "base/alloc.h"
#include "fetch/url.h"
#include "tests/check.h"

static void a_location_resolves_against_its_url(void **state)
{
	static const struct {
		const char *base, *location, *want;
		int rc;
	} cases[] = {
		{ "https://a/v2/x/blobs/y", "/z?sig=1", "https://a/z?sig=1", OL_OK },
		{ "https://a/v2/x", "https://user:pw@b:8443/c#frag", "https://b:8443/c", OL_OK },
		{ "https://a/v2/x?old=1", "?new=1", "https://a/v2/x?new=1", OL_OK },
		{ "https://a/v2/x", "//b/c", "https://b/c", OL_OK },
		{ "http://a/v2/x", "file:///etc/passwd", "", OL_EINVAL },
		{ "http://a/v2/x", "gopher://b/", "", OL_EINVAL },
		{ "http://a/v2/x", "http://b/\nX: y", "", OL_EINVAL },
		{ "not a url", "/x", "", OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_autofree char *out = NULL;

		CHECK_INT(c->location, c->rc, ol_url_join(c->base, c->location, &out, NULL));
		CHECK_STR(c->location, c->want, out ? out : "");
	}
}

/* Scheme, host and port: a subdomain, another port or the lack of TLS is somebody else. */
static void only_the_same_origin_gets_credentials(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "https://reg.example/x", "https://REG.example:443/y", true },
		{ "http://reg.example/x", "http://reg.example:80", true },
		{ "https://reg.example/x", "http://reg.example/x", false },
		{ "https://reg.example/x", "https://a.reg.example/x", false },
		{ "https://reg.example/x", "https://reg.example:8443/x", false },
		{ "https://reg.example/x", "https://reg.example.evil/x", false },
		{ "https://reg.example/x", "https://reg.example@evil/x", false },
		{ "https://reg.example/x", "nonsense", false },
	};

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(c->b, c->same, ol_url_same_origin(c->a, c->b));
}

static void loopback_is_known(void **state)
{
	static const struct {
		const char *url;
		bool is;
	} cases[] = {
		{ "http://localhost:5000/", true },
		{ "https://a.localhost/", true },
		{ "http://127.0.0.1/", true },
		{ "http://127.9.9.9:1/", true },
		{ "http://[::1]:5000/", true },
		{ "http://localhost.evil/", false },
		{ "http://128.0.0.1/", false },
		{ "http://127.0.0.1.evil/", false },
	};

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(c->url, c->is, ol_url_is_loopback(c->url));
}

static void a_shown_url_has_no_secret(void **state)
{
	ol_autofree char *shown = ol_url_shown("https://user:pw@a/b?X-Amz-Signature=secret#f");

	(void)state;
	CHECK_STR("shown", "https://a/b", shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_location_resolves_against_its_url),
		cmocka_unit_test(only_the_same_origin_gets_credentials),
		cmocka_unit_test(loopback_is_known),
		cmocka_unit_test(a_shown_url_has_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
