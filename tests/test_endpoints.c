/* Which configuration decides for a reference, and what the endpoints are then. */
#include <stdlib.h>
#include <sys/stat.h>

#include "fetch/endpoints.h"
#include "tests/check.h"

static char dir[64];

static void put(const char *place, const char *name, const char *text)
{
	ol_autofree char *folder = ol_text("%s/%s", dir, place);
	ol_autofree char *path = ol_text("%s/%s", folder, name);
	FILE *file;

	(void)mkdir(folder, 0755);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(0, fclose(file));
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/orlop-endpoints-XXXXXX");
	assert_non_null(mkdtemp(dir));
	put("both.example_5000_", "hosts.toml", "[host.'https://underscore']");
	put("both.example:5000", "hosts.toml", "[host.'https://colon']");
	put("colon.example:5000", "hosts.toml", "[host.'https://colon']");
	put("host.example", "hosts.toml", "[host.'https://plain']");
	put("certs.example", "ca.crt", "x");
	put("empty.example", "README", "x");
	put("blank.example", "hosts.toml", "");
	put("blank.example", "client.cert", "");
	put("broken.example", "hosts.toml", "a = ");
	put("docker.io", "hosts.toml", "server='https://hub.mirror'");
	return 0;
}

static int tear_down(void **state)
{
	ol_autofree char *command = ol_text("rm -r %s", dir);

	(void)state;
	return system(command); /* NOLINT(cert-env33-c): words of our own */
}

static const char conf_text[] =
	"[[registry]]\nprefix='host.example'\nlocation='not.asked'\nblocked=true\n"
	"[[registry]]\nlocation='blocked.example'\nblocked=true\n"
	"[[registry]]\nprefix='conf.example/team'\nlocation='real.example:5000/t'\ninsecure=true\n"
	"[[registry.mirror]]\nlocation='m.all'\n"
	"[[registry.mirror]]\nlocation='m.digest/x'\npull-from-mirror='digest-only'\n"
	"[[registry.mirror]]\nlocation='m.tag'\npull-from-mirror='tag-only'\ninsecure=true\n"
	"[[registry]]\nprefix='whole.example/app'\nlocation='elsewhere'\n";

#define DIGEST "@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"

/* "host/repository flags …" of each endpoint, in order. */
static void show(const ol_endpoints *endpoints, ol_str *out)
{
	for (size_t i = 0; i < endpoints->count; i++) {
		const ol_endpoint *e = &endpoints->list[i];

		(void)ol_str_addf(out, "%s%s/%s%s%s%s%s", i ? " " : "", e->host, e->repository,
			e->skip_verify ? "!" : "", e->ns ? "?" : "", e->cert_dir ? "#" : "",
			e->is_primary ? "." : "");
	}
}

static void the_first_that_matches_decides_alone(void **state)
{
	static const struct {
		const char *ref;
		bool with_default;
		int rc;
		const char *endpoints, *source;
	} cases[] = {
		{ "both.example:5000/app", false, OL_OK, "underscore/app? both.example:5000/app.",
			"both.example_5000_/hosts.toml" },
		{ "colon.example:5000/app", false, OL_OK, "colon/app? colon.example:5000/app.",
			"colon.example:5000/hosts.toml" },
		{ "colon.example:5001/app", false, OL_OK, "colon.example:5001/app.", NULL },
		{ "host.example/team/app", false, OL_OK, "plain/team/app? host.example/team/app.",
			"host.example/hosts.toml" },
		{ "host.example:5000/app", false, OL_OK, "host.example:5000/app.", NULL },
		{ "certs.example/app", false, OL_OK, "certs.example/app#.", "certs.example" },
		{ "blank.example/app", false, OL_OK, "blank.example/app#.", "blank.example" },
		{ "empty.example/app", false, OL_OK, "empty.example/app.", NULL },
		{ "broken.example/app", false, OL_EINVAL, "broken.example/hosts.toml: line 1",
			NULL },
		{ "alpine", false, OL_OK, "hub.mirror/library/alpine?.", "docker.io/hosts.toml" },
		{ "blocked.example/app", false, OL_EAUTH,
			"registry blocked.example is blocked in c.conf, line 5", NULL },
		{ "conf.example/team/app", false, OL_OK,
			"m.all/app m.tag/app! real.example:5000/t/app!.", "c.conf" },
		{ "conf.example/team/app" DIGEST, false, OL_OK,
			"m.all/app m.digest/x/app real.example:5000/t/app!.", "c.conf" },
		{ "conf.example/team/app:1" DIGEST, false, OL_OK,
			"m.all/app m.digest/x/app real.example:5000/t/app!.", "c.conf" },
		{ "conf.example/other", false, OL_OK, "conf.example/other.", NULL },
		{ "whole.example/app", false, OL_EINVAL, "there is no repository left", NULL },
		{ "127.0.0.1:5000/app", false, OL_OK, "127.0.0.1:5000/app.", NULL },
		{ "busybox:1", false, OL_OK, "hub.mirror/library/busybox?.", NULL },
		/* _default stands above registries.conf, and below what is for the host */
		{ "conf.example/team/app", true, OL_OK,
			"default.mirror/team/app? conf.example/team/app.", "_default/hosts.toml" },
		{ "blocked.example/app", true, OL_OK, "default.mirror/app? blocked.example/app.",
			"_default/hosts.toml" },
		{ "empty.example/app", true, OL_OK, "default.mirror/app? empty.example/app.",
			"_default/hosts.toml" },
		{ "host.example/app", true, OL_OK, "plain/app? host.example/app.",
			"host.example/hosts.toml" },
	};
	ol_auto(ol_registries_conf_free) ol_registries_conf *conf = ol_registries_conf_new();
	bool has_default = false;

	(void)state;
	CHECK_INT(
		"conf", OL_OK, ol_registries_conf_add(conf, ol_view_of(conf_text), "c.conf", NULL));
	OL_EACH (cases, c) {
		const ol_endpoint_options options = { .hosts_dir = dir, .conf = conf };
		ol_endpoints endpoints = { 0 };
		ol_auto_str ol_str shown = OL_STR(1024);
		ol_error err = { 0 };
		ol_ref ref;

		if (c->with_default && !has_default) {
			put("_default", "hosts.toml", "[host.'https://default.mirror']");
			has_default = true;
		}
		CHECK_INT(c->ref, OL_OK, ol_ref_parse(c->ref, &ref, NULL));
		CHECK_INT(c->ref, c->rc, ol_endpoints_find(&options, &ref, &endpoints, &err));
		if (c->rc < 0) {
			if (!strstr(err.text, c->endpoints))
				CHECK_STR(c->ref, c->endpoints, err.text);
			continue;
		}
		show(&endpoints, &shown);
		CHECK_STR(c->ref, c->endpoints, ol_str_text(&shown));
		if (c->source && (!endpoints.source || !strstr(endpoints.source, c->source)))
			CHECK_STR(c->ref, c->source, endpoints.source ? endpoints.source : "none");
		ol_endpoints_done(&endpoints);
	}
}

static void the_environment_names_the_folder(void **state)
{
	const ol_endpoint_options options = { 0 };
	ol_endpoints endpoints = { 0 };
	ol_ref ref;

	(void)state;
	CHECK_INT("ref", OL_OK, ol_ref_parse("host.example/app", &ref, NULL));
	assert_int_equal(0, setenv("ORLOP_HOSTS_DIR", dir, 1));
	CHECK_INT("find", OL_OK, ol_endpoints_find(&options, &ref, &endpoints, NULL));
	CHECK_INT("count", 2, (long long)endpoints.count);
	ol_endpoints_done(&endpoints);
	assert_int_equal(0, setenv("ORLOP_HOSTS_DIR", "/nonexistent", 1));
	CHECK_INT("find", OL_OK, ol_endpoints_find(&options, &ref, &endpoints, NULL));
	CHECK_INT("count", 1, (long long)endpoints.count);
	ol_endpoints_done(&endpoints);
	(void)unsetenv("ORLOP_HOSTS_DIR");
}

static void hosts_have_one_spelling(void **state)
{
	static const struct {
		const char *text;
		ol_transport transport;
		const char *name;
	} cases[] = {
		{ "Reg.Example", OL_TRANSPORT_TRY, "reg.example" },
		{ "reg.example:443", OL_TRANSPORT_HTTPS, "reg.example" },
		{ "reg.example:443", OL_TRANSPORT_HTTP, "reg.example:443" },
		{ "reg.example:443", OL_TRANSPORT_TRY, "reg.example:443" },
		{ "reg.example:80", OL_TRANSPORT_HTTP, "reg.example" },
		{ "docker.io", OL_TRANSPORT_TRY, "registry-1.docker.io" },
		{ "index.docker.io", OL_TRANSPORT_HTTPS, "registry-1.docker.io" },
		{ "[::1]:5000", OL_TRANSPORT_TRY, "[::1]:5000" },
		{ "10.0.0.1", OL_TRANSPORT_TRY, "10.0.0.1" },
		{ "", OL_TRANSPORT_TRY, NULL },
		{ "a b", OL_TRANSPORT_TRY, NULL },
		{ "a/b", OL_TRANSPORT_TRY, NULL },
		{ "a@b", OL_TRANSPORT_TRY, NULL },
		{ ".a", OL_TRANSPORT_TRY, NULL },
		{ "a.", OL_TRANSPORT_TRY, NULL },
		{ "a:", OL_TRANSPORT_TRY, NULL },
		{ ":5000", OL_TRANSPORT_TRY, NULL },
		{ "a:123456", OL_TRANSPORT_TRY, NULL },
		{ "a:x", OL_TRANSPORT_TRY, NULL },
		{ "[::1", OL_TRANSPORT_TRY, NULL },
		{ "[]", OL_TRANSPORT_TRY, NULL },
		{ "[g]", OL_TRANSPORT_TRY, NULL },
	};
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();

	(void)state;
	OL_EACH (cases, c) {
		const char *name = NULL;

		CHECK_INT(c->text, c->name != NULL,
			ol_endpoint_host(ol_view_of(c->text), c->transport, arena, &name));
		if (c->name)
			CHECK_STR(c->text, c->name, name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_matches_decides_alone),
		cmocka_unit_test(the_environment_names_the_folder),
		cmocka_unit_test(hosts_have_one_spelling),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
