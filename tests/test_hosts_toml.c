/* hosts.toml: docs/hosts.md of containerd, with its own examples among the rows. */
#include "fetch/hosts_toml.h"
#include "tests/check.h"

static void show_trust(const ol_endpoint *e, ol_str *out)
{
	for (const char *const *ca = e->authorities; ca && *ca; ca++)
		(void)ol_str_addf(out, " ca=%s", *ca);
	if (e->cert)
		(void)ol_str_addf(out, " cert=%s key=%s", e->cert, e->key);
	if (e->skip_verify)
		(void)ol_str_add(out, " skip");
	if (e->may_be_plain)
		(void)ol_str_add(out, " plain");
}

/* Endpoints as one line each. */
static void show(const ol_endpoints *endpoints, ol_str *out)
{
	static const char *const transports[] = { "try:", "https:", "http:" };

	for (size_t i = 0; i < endpoints->count; i++) {
		const ol_endpoint *e = &endpoints->list[i];

		(void)ol_str_addf(out, "%s//%s%s ", transports[e->transport], e->host, e->root);
		for (unsigned bit = 0; bit < 4; bit++)
			if (e->capabilities & 1U << bit)
				(void)ol_str_addc(out, "prsf"[bit]);
		if (e->ns)
			(void)ol_str_addf(out, " ns=%s", e->ns);
		show_trust(e, out);
		if (e->connect_ms)
			(void)ol_str_addf(out, " %ums", e->connect_ms);
		if (e->proxy)
			(void)ol_str_addf(out, " proxy=%s", e->proxy);
		for (const char *const *h = e->headers; h && *h; h++)
			(void)ol_str_addf(out, " {%s}", *h);
		(void)ol_str_add(out, e->is_primary ? " primary" : "");
		(void)ol_str_addc(out, '\n');
	}
}

#define HUB "https://registry-1.docker.io/v2 prsf primary\n"

static const struct {
	const char *domain, *text, *endpoints;
} files[] = {
	{ "reg.example", "# nothing", "try://reg.example/v2 prsf primary\n" },
	{ "docker.io", "", "try://registry-1.docker.io/v2 prsf primary\n" },
	{ "docker.io",
		"server = \"https://registry-1.docker.io\"\n"
		"[host.\"https://public-mirror.example.com\"]\n  capabilities = "
		"[\"pull\"]\n"
		"[host.\"https://docker-mirror.internal\"]\n"
		"  capabilities = [\"pull\", \"Resolve\"]\n  ca = \"docker-mirror.crt\"\n",
		"https://public-mirror.example.com/v2 p ns=docker.io\n"
		"https://docker-mirror.internal/v2 pr ns=docker.io "
		"ca=/d/docker-mirror.crt\n" HUB },
	/* in the file's order, not the alphabet's; also when the table comes late */
	{ "docker.io",
		"[host.'https://z']\n[host.'https://a']\n[host.'https://m']\n"
		"[host.'https://z'.header]\nx='1'\n",
		"https://z/v2 prsf ns=docker.io {x: 1}\nhttps://a/v2 prsf ns=docker.io\n"
		"https://m/v2 prsf ns=docker.io\ntry://registry-1.docker.io/v2 prsf "
		"primary\n" },
	/* server without a scheme, another registry: it stands for the upstream */
	{ "reg.example:5000", "server = 'mirror.example/sub/'",
		"https://mirror.example/sub/v2 prsf ns=reg.example:5000 primary\n" },
	{ "reg.example:5000", "server = 'https://reg.example:5000/v2/'",
		"https://reg.example:5000/v2 prsf primary\n" },
	/* the top level's own fields are the server's */
	{ "reg.example",
		"capabilities=['pull']\nskip_verify=true\nca=['/a.pem','b.pem']\n"
		"dial_timeout='1m30s'\n[header]\nx-a='1'\nx-b=['2','3']\n",
		"try://reg.example/v2 p ca=/a.pem ca=/d/b.pem skip 90000ms {x-a: 1} {x-b: "
		"2} "
		"{x-b: 3} primary\n" },
	/* client: three shapes */
	{ "r.example", "server='https://r.example'\nclient='c.pem'",
		"https://r.example/v2 prsf cert=/d/c.pem key=/d/c.pem primary\n" },
	{ "r.example", "server='https://r.example'\nclient=['/1.pem','/2.pem']",
		"https://r.example/v2 prsf cert=/1.pem key=/1.pem primary\n" },
	{ "r.example", "server='https://r.example'\nclient=[['c.cert','c.key'],['d.pem','']]",
		"https://r.example/v2 prsf cert=/d/c.cert key=/d/c.key primary\n" },
	{ "r.example", "server='https://r.example'\nclient=[['c.pem','']]",
		"https://r.example/v2 prsf cert=/d/c.pem key=/d/c.pem primary\n" },
	/* paths */
	{ "r.example",
		"[host.'https://n.example/v2/upstream']\noverride_path=true\n"
		"[host.'https://n.example/a/b']\n[host.'https://"
		"n.example']\noverride_path=true\n",
		"https://n.example/v2/upstream prsf ns=r.example\n"
		"https://n.example/a/b/v2 prsf ns=r.example\n"
		"https://n.example prsf ns=r.example\ntry://r.example/v2 prsf primary\n" },
	/* ports that go without saying, and upper case */
	{ "r.example",
		"[host.'https://M.Example:443']\n[host.'http://m:80']\n[host.'http://"
		"m:443']",
		"https://m.example/v2 prsf ns=r.example\nhttp://m/v2 prsf ns=r.example\n"
		"http://m:443/v2 prsf ns=r.example\ntry://r.example/v2 prsf primary\n" },
	/* containerd: http with TLS configured tries TLS first, but not on port 80 */
	{ "r.example",
		"[host.'http://m:5000']\nskip_verify=true\n[host.'http://"
		"m']\nskip_verify=true",
		"try://m:5000/v2 prsf ns=r.example skip plain\n"
		"http://m/v2 prsf ns=r.example skip\ntry://r.example/v2 prsf primary\n" },
	{ "r.example", "proxy='http://p:8080'\n[host.'https://m']\nproxy='socks5h://q:1/'",
		"https://m/v2 prsf ns=r.example proxy=socks5h://q:1/\n"
		"try://r.example/v2 prsf proxy=http://p:8080 primary\n" },
	{ "r.example", "[host.'https://[::1]:5000']\nheader.a=''\nnot_known = [1, {x=2}]",
		"https://[::1]:5000/v2 prsf ns=r.example {a;}\ntry://r.example/v2 prsf "
		"primary\n" },
};

static void a_file_gives_its_endpoints_in_order(void **state)
{
	(void)state;
	OL_EACH (files, c) {
		ol_endpoints endpoints = { .arena = ol_arena_new() };
		ol_auto_str ol_str shown = OL_STR(4096);
		ol_error err = { 0 };

		if (ol_hosts_toml_parse(ol_view_of(c->text), "/d", c->domain, endpoints.arena,
			    &endpoints, &err) < 0)
			CHECK_STR(c->text, "", err.text);
		show(&endpoints, &shown);
		CHECK_STR(c->text, c->endpoints, ol_str_text(&shown));
		ol_endpoints_done(&endpoints);
	}
}

static void what_cannot_be_meant_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "server = 1", "line 1: server is an integer, and must be a string" },
		{ "server = 'ftp://x'", "\"ftp://x\" is no URL of a registry" },
		{ "server = 'https://'", "is no URL of a registry" },
		{ "server = 'https://u:p@x'", "is no URL of a registry" },
		{ "server = 'https://x:99999999'", "is no URL of a registry" },
		{ "server = 'https://x:'", "is no URL of a registry" },
		{ "server = 'https://x/a?b'", "is no URL of a registry" },
		{ "server = 'https://x/../y'", "is no URL of a registry" },
		{ "server = 'https://x/a b'", "is no URL of a registry" },
		{ "host = 'x'", "line 1: host is a string, and must be a table" },
		{ "\n[host]\nx = 1", "line 3: host holds tables" },
		{ "[host.'https://x y']", "host at line 1" },
		{ "capabilities = 'pull'",
			"line 1: capabilities is a string, and must be an array" },
		{ "capabilities = [1]", "only strings may" },
		{ "capabilities = ['fly']", "are of pull, resolve, push and referrers" },
		{ "ca = 1", "line 1: ca is a path" },
		{ "ca = [['x']]", "ca is a path" },
		{ "client = 1", "line 1: client is a path" },
		{ "client = [1]", "client is a path" },
		{ "client = [['a']]", "client is a path" },
		{ "client = [['a','b','c']]", "client is a path" },
		{ "client = [['a',1]]", "client is a path" },
		{ "client = [[]]", "client is a path" },
		{ "client = ''", "client is a path" },
		{ "skip_verify = 'yes'", "skip_verify is a string, and must be a boolean" },
		{ "override_path = 1", "override_path is an integer" },
		{ "header = 'x'", "header is a string, and must be a table" },
		{ "[header]\nx = 1", "line 2: x is a string or an array" },
		{ "[header]\nx = [1]", "line 2: x is a string or an array" },
		{ "[header]\n'a b' = 'c'", "that HTTP has not" },
		{ "[header]\n'' = 'c'", "that HTTP has not" },
		{ "[header]\na = \"b\\r\\nHost: evil\"", "that HTTP has not" },
		{ "[header]\na = \"\\tb\\n\"", "that HTTP has not" },
		{ "dial_timeout = 5", "dial_timeout is an integer" },
		{ "dial_timeout = '5'", "\"5\" is no duration" },
		{ "dial_timeout = '-5s'", "is no duration" },
		{ "dial_timeout = '0s'", "not between" },
		{ "dial_timeout = '2h'", "not between" },
		{ "proxy = 'p:8080'", "line 1: proxy is a URL" },
		{ "proxy = 'http://p/x?y'", "proxy is a URL" },
		{ "proxy = 'http://'", "proxy is a URL" },
		{ "[host.'https://a']\n[host.'https://a']", "defined already" },
		{ "a = ", "line 1, column 5: a value is missing" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_endpoints endpoints = { .arena = ol_arena_new() };
		ol_error err = { 0 };

		CHECK_INT(c->text, OL_EINVAL,
			ol_hosts_toml_parse(ol_view_of(c->text), "/d", "reg.example",
				endpoints.arena, &endpoints, &err));
		if (!strstr(err.text, c->words))
			CHECK_STR(c->text, c->words, err.text);
		ol_endpoints_done(&endpoints);
	}
}

static void durations_are_gos(void **state)
{
	static const struct {
		const char *text;
		int rc;
		unsigned ms;
	} cases[] = {
		{ "30s", OL_OK, 30000 },
		{ "1.5s", OL_OK, 1500 },
		{ "1m1ms", OL_OK, 60001 },
		{ "1h", OL_OK, 3600000 },
		{ "+1s", OL_OK, 1000 },
		{ "10us", OL_OK, 1 },
		{ "1\xc2\xb5s", OL_OK, 1 },
		{ "", OL_EINVAL, 0 },
		{ "s", OL_EINVAL, 0 },
		{ "1", OL_EINVAL, 0 },
		{ "1 s", OL_EINVAL, 0 },
		{ "1e3s", OL_EINVAL, 0 },
		{ "1.2.3s", OL_EINVAL, 0 },
		{ "0x1s", OL_EINVAL, 0 },
		{ "1d", OL_EINVAL, 0 },
		{ "1s-", OL_EINVAL, 0 },
		{ "nans", OL_EINVAL, 0 },
		{ "99999999999999999999s", OL_EINVAL, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		unsigned ms = 0;

		CHECK_INT(c->text, c->rc, ol_duration_parse(c->text, &ms, NULL));
		CHECK_INT(c->text, c->ms, ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_gives_its_endpoints_in_order),
		cmocka_unit_test(what_cannot_be_meant_is_refused_with_its_line),
		cmocka_unit_test(durations_are_gos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
