/* Which requests go through a proxy. */
#include <stdlib.h>

#include "base/alloc.h"
#include "fetch/proxy.h"
#include "fetch/registry.h"
#include "tests/check.h"

static void no_proxy_names_hosts_networks_and_ports(void **state)
{
	static const struct {
		const char *list, *host, *port;
		bool excepted;
	} cases[] = {
		{ "*", "reg.example", "443", true },
		{ "reg.example", "reg.example", "443", true },
		{ "REG.example", "reg.Example", "443", true },
		{ "example", "reg.example", "443", true },
		{ ".example", "reg.example", "443", true },
		{ ".example", "example", "443", true },
		{ "a, b reg.example\tc", "reg.example", "443", true },
		{ "reg.example:443", "reg.example", "443", true },
		{ "reg.example:5000", "reg.example", "443", false },
		{ "10.0.0.0/8", "10.1.2.3", "80", true },
		{ "10.0.0.0/9", "10.127.2.3", "80", true },
		{ "10.0.0.0/9", "10.128.2.3", "80", false },
		{ "0.0.0.0/0", "10.128.2.3", "80", true },
		{ "10.1.2.3", "10.1.2.3", "80", true },
		{ "10.1.2.3:80", "10.1.2.3", "80", true },
		{ "10.1.2.3:81", "10.1.2.3", "80", false },
		{ "fd00::/8", "[fd12::1]", "80", true },
		{ "fd00::/8", "[fe12::1]", "80", false },
		{ "[fd12::1]:80", "[fd12::1]", "80", true },
		{ "fd12::1", "[fd12::1]", "80", true },
		{ "", "reg.example", "443", false },
		{ ",, ,", "reg.example", "443", false },
		{ ".", "reg.example", "443", false },
		{ "g.example", "reg.example", "443", false },
		{ "reg.example.org", "reg.example", "443", false },
		{ "10.0.0.0/33", "10.0.0.0", "80", false },
		{ "10.0.0.0/", "10.0.0.0", "80", false },
		{ "10.0.0.0/x", "10.0.0.0", "80", false },
		{ "10.0.0.0/8", "reg.example", "80", false },
		{ "10.0.0.0/8", "[::1]", "80", false },
		{ "x/8", "10.0.0.0", "80", false },
	};

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(c->list, c->excepted, ol_proxy_excepts(c->list, c->host, c->port));
}

static void the_environment_chooses_the_proxy(void **state)
{
	static const char *const names[] = { "http_proxy", "HTTP_PROXY", "https_proxy",
		"HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD" };
	static const struct {
		const char *set[3][2];
		const char *url, *proxy, *why;
	} cases[] = {
		{ { { "https_proxy", "http://p" } }, "https://reg.example/v2/", "http://p",
			"https_proxy" },
		{ { { "HTTPS_PROXY", "http://p" } }, "https://reg.example/v2/", "http://p",
			"HTTPS_PROXY" },
		{ { { "HTTPS_PROXY", "http://q" }, { "https_proxy", "http://p" } },
			"https://reg.example/", "http://p", "https_proxy" },
		{ { { "http_proxy", "http://p" } }, "https://reg.example/", NULL, NULL },
		{ { { "http_proxy", "http://p" } }, "http://reg.example/", "http://p",
			"http_proxy" },
		{ { { "HTTP_PROXY", "http://p" } }, "http://reg.example/", "http://p",
			"HTTP_PROXY" },
		{ { { "HTTP_PROXY", "http://p" }, { "REQUEST_METHOD", "GET" } },
			"http://reg.example/", NULL, NULL },
		{ { { "ALL_PROXY", "socks5://p" } }, "https://reg.example/", "socks5://p",
			"ALL_PROXY" },
		{ { { "https_proxy", "" }, { "all_proxy", "http://p" } }, "https://reg.example/",
			"http://p", "all_proxy" },
		{ { { "https_proxy", "http://p" }, { "NO_PROXY", "x,.example" } },
			"https://reg.example/", NULL, "NO_PROXY" },
		{ { { "https_proxy", "http://p" }, { "no_proxy", "reg.example:5000" } },
			"https://reg.example:5000/", NULL, "no_proxy" },
		{ { { "https_proxy", "http://p" }, { "no_proxy", "reg.example:5000" } },
			"https://reg.example/", "http://p", "https_proxy" },
		{ { { "https_proxy", "http://p" } }, "https://127.0.0.1:5000/", NULL, NULL },
		{ { { "https_proxy", "http://p" } }, "https://localhost/", NULL, NULL },
		{ { { "no_proxy", "*" } }, "https://reg.example/", NULL, NULL },
	};

	(void)state;
	OL_EACH (cases, c) {
		const char *why = "unset", *proxy;

		OL_EACH (names, name)
			(void)unsetenv(*name);
		for (size_t i = 0; i < 3 && c->set[i][0]; i++)
			assert_int_equal(0, setenv(c->set[i][0], c->set[i][1], 1));
		proxy = ol_proxy_for(c->url, &why);
		CHECK_STR(c->url, c->proxy ? c->proxy : "none", proxy ? proxy : "none");
		if (c->why || !c->set[0][0])
			CHECK_STR(c->url, c->why ? c->why : "none", why ? why : "none");
	}
	OL_EACH (names, name)
		(void)unsetenv(*name);
}

static void a_proxy_is_shown_without_its_password(void **state)
{
	static const struct {
		const char *proxy, *shown;
	} cases[] = {
		{ "http://p:8080", "http://p:8080" },
		{ "http://ann:s3cret@p:8080", "http://p:8080" },
		{ "http://ann:s3@cret@p", "http://p" },
		{ "ann:s3cret@p", "p" },
		{ "ann:s3://cret@p", "p" },
		{ "", "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_autofree char *shown = ol_proxy_shown(c->proxy);

		CHECK_STR(c->proxy, c->shown, shown);
	}
}

/* libcurl's own words for a proxy that it cannot use hold all of its URL. */
static void no_error_tells_a_proxys_password(void **state)
{
	static const char *const proxies[] = { "ftp://ann:s3cret@127.0.0.1:1",
		"http://ann:s3cret@127.0.0.1:no", "http://ann:s3cret@[::1",
		"http://ann:s3cret@127.0.0.1:1", "socks5://ann:s3cret@127.0.0.1:1" };
	const ol_registry_options options = { .never_retry = true };
	ol_ref ref = { .domain = "reg.example", .path = "app", .tag = "latest" };

	(void)state;
	OL_EACH (proxies, proxy) {
		ol_registry *registry = NULL;
		ol_resolved resolved;
		ol_error err = { 0 };

		assert_int_equal(0, setenv("https_proxy", *proxy, 1));
		CHECK_INT(*proxy, OL_OK, ol_registry_new(&options, &registry, NULL));
		CHECK_INT(*proxy, OL_EUNAVAILABLE,
			ol_registry_resolve(registry, &ref, &resolved, &err));
		if (strstr(err.text, "s3cret") || strstr(err.hint, "s3cret"))
			CHECK_STR(*proxy, "", err.text);
		ol_registry_free(registry);
	}
	(void)unsetenv("https_proxy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_proxy_names_hosts_networks_and_ports),
		cmocka_unit_test(the_environment_chooses_the_proxy),
		cmocka_unit_test(a_proxy_is_shown_without_its_password),
		cmocka_unit_test(no_error_tells_a_proxys_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
