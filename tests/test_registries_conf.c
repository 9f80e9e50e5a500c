/* containers-registries.conf(5): rules, aliases, search, drop-ins; what is good and what is not. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fetch/registries_conf.h"
#include "fetch/short_name.h"
#include "tests/check.h"

static ol_ref ref_of(const char *text)
{
	ol_ref ref = { 0 };

	CHECK_INT(text, OL_OK, ol_ref_parse(text, &ref, NULL));
	return ref;
}

static ol_registries_conf *conf_of(const char *text)
{
	ol_registries_conf *conf = ol_registries_conf_new();
	ol_error err = { 0 };

	if (ol_registries_conf_add(conf, ol_view_of(text), "test.conf", &err) < 0)
		CHECK_STR(text, "", err.text);
	return conf;
}

static const char example[] =
	"[[registry]]\nprefix = 'example.com/foo'\n"
	"location = 'internal.example/bar'\n"
	"[[registry.mirror]]\nlocation = 'm0.local/mirror-for-foo'\n"
	"[[registry.mirror]]\nlocation = 'm1.local/mirrors/foo'\ninsecure = true\n"
	"[[registry]]\nlocation = 'example.com'\nblocked = true\n"
	"[[registry]]\nlocation = 'docker.io/library'\n"
	"[[registry]]\nprefix = '*.wild.example'\n"
	"[[registry]]\nprefix = '*.very.wild.example'\nlocation = 'w.example/x'\n"
	"[[registry]]\nlocation = 'reg:5000/a/b'\n"
	"[[registry]]\nprefix = 'reg:5000/a/b:1'\nlocation = 'other/c'\n";

static void the_longest_prefix_wins(void **state)
{
	static const struct {
		const char *ref, *prefix, *location;
	} cases[] = {
		{ "example.com/foo", "example.com/foo", "internal.example/bar" },
		{ "example.com/foo/x:1", "example.com/foo", "internal.example/bar/x" },
		{ "example.com/foobar", "example.com", "example.com/foobar" },
		{ "example.com/x", "example.com", "example.com/x" },
		{ "example.com:5000/x", NULL, NULL },
		{ "alpine", "docker.io/library", "docker.io/library/alpine" },
		{ "team/app", NULL, NULL },
		{ "a.wild.example/x", "*.wild.example", "a.wild.example/x" },
		{ "a.b.wild.example:5000/x", "*.wild.example", "a.b.wild.example:5000/x" },
		{ "a.very.wild.example/x/y", "*.very.wild.example", "w.example/x/x/y" },
		{ "wild.example/x", NULL, NULL },
		{ "notwild.example/x", NULL, NULL },
		{ "evil.org/a.wild.example/x", NULL, NULL },
		{ "reg:5000/a/b:2", "reg:5000/a/b", "reg:5000/a/b" },
		{ "reg:5000/a/b:1", "reg:5000/a/b:1", "other/c" },
		{ "reg:5000/a/bc", NULL, NULL },
	};
	ol_auto(ol_registries_conf_free) ol_registries_conf *conf = conf_of(example);

	(void)state;
	OL_EACH (cases, c) {
		ol_ref ref = ref_of(c->ref);
		const ol_registry_rule *rule = ol_registries_conf_find(conf, &ref);
		ol_auto_str ol_str name = OL_STR(1024);

		CHECK_STR(c->ref, c->prefix ? c->prefix : "none", rule ? rule->prefix : "none");
		if (!rule)
			continue;
		ol_registry_rule_rewrite(rule, rule->location, &ref, &name);
		CHECK_STR(c->ref, c->location, ol_str_text(&name));
	}
}

static void mirrors_keep_their_order_and_use(void **state)
{
	static const char text[] =
		"[[registry]]\nlocation='a'\ninsecure=true\n"
		"[[registry.mirror]]\nlocation='m1:5000/'\npull-from-mirror='digest-only'\n"
		"[[registry.mirror]]\nlocation='m2/x/"
		"y'\ninsecure=true\npull-from-mirror='tag-only'\n"
		"[[registry.mirror]]\nlocation='m3'\npull-from-mirror='all'\n"
		"[[registry]]\nlocation='b'\nmirror-by-digest-only=true\n"
		"[[registry.mirror]]\nlocation='m4'\n";
	ol_auto(ol_registries_conf_free) ol_registries_conf *conf = conf_of(text);
	ol_ref ref = { .domain = "a", .path = "x", .tag = "latest" };
	const ol_registry_rule *rule = ol_registries_conf_find(conf, &ref);

	(void)state;
	CHECK_INT("mirrors", 3, (long long)rule->mirror_count);
	CHECK_STR("no slash at the end", "m1:5000", rule->mirrors[0].location);
	CHECK_STR("second", "m2/x/y", rule->mirrors[1].location);
	CHECK_INT("digests", OL_MIRROR_DIGESTS, rule->mirrors[0].use);
	CHECK_INT("tags", OL_MIRROR_TAGS, rule->mirrors[1].use);
	CHECK_INT("all", OL_MIRROR_ALL, rule->mirrors[2].use);
	CHECK_INT("insecure", 1, rule->insecure);
	CHECK_INT("insecure", 0, rule->mirrors[0].insecure);
	CHECK_INT("insecure", 1, rule->mirrors[1].insecure);
	(void)snprintf(ref.domain, sizeof ref.domain, "b");
	rule = ol_registries_conf_find(conf, &ref);
	CHECK_INT("by digest only", OL_MIRROR_DIGESTS, rule->mirrors[0].use);
}

static void what_cannot_be_meant_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *words;
		int rc;
	} cases[] = {
		{ "a =", "test.conf: line 1, column 4", OL_EINVAL },
		{ "[registries.search]\nregistries=['a']", "line 1: this is the version 1 format",
			OL_EUNSUPPORTED },
		{ "[registries.block]\nregistries=['a']", "version 1", OL_EUNSUPPORTED },
		{ "registry = 1", "registry is an integer, and must be written [[registry]]",
			OL_EINVAL },
		{ "[registry]\nlocation='a'", "must be written [[registry]]", OL_EINVAL },
		{ "registry = [1]", "registry holds an integer", OL_EINVAL },
		{ "[[registry]]", "line 1: a registry has no location", OL_EINVAL },
		{ "[[registry]]\nprefix='a.example'", "a registry has no location", OL_EINVAL },
		{ "[[registry]]\nlocation=1", "line 2: location is an integer", OL_EINVAL },
		{ "[[registry]]\nlocation='https://a'", "has a scheme", OL_EINVAL },
		{ "[[registry]]\nlocation='a b'", "is no host with a path", OL_EINVAL },
		{ "[[registry]]\nlocation='/a'", "is no host with a path", OL_EINVAL },
		{ "[[registry]]\nlocation='*.a'", "only a prefix has", OL_EINVAL },
		{ "[[registry]]\nprefix='*.a/b'", "has a path behind", OL_EINVAL },
		{ "[[registry]]\nprefix='a.*.b'\nlocation='x'", "is no host with a path",
			OL_EINVAL },
		{ "[[registry]]\nlocation='a'\nblocked='yes'", "blocked is a string", OL_EINVAL },
		{ "[[registry]]\nlocation='a'\ninsecure=1", "insecure is an integer", OL_EINVAL },
		{ "[[registry]]\nlocation='a'\nmirror=1", "must be written [[mirror]]", OL_EINVAL },
		{ "[[registry]]\nlocation='a'\n[[registry.mirror]]",
			"line 3: a mirror has no location", OL_EINVAL },
		{ "[[registry]]\nlocation='a'\n[[registry.mirror]]\nlocation='*.m'",
			"a mirror has no location", OL_EINVAL },
		{ "[[registry]]\nlocation='a'\n[[registry.mirror]]\nlocation='m'\n"
		  "pull-from-mirror='never'",
			"line 5: \"never\" is not one of all, digest-only and tag-only",
			OL_EINVAL },
		{ "[[registry]]\nlocation='a'\nmirror-by-digest-only=true\n[[registry.mirror]]\n"
		  "location='m'\npull-from-mirror='all'",
			"stands beside mirror-by-digest-only", OL_EINVAL },
		{ "[[registry]]\nlocation='a'\n[[registry]]\nlocation='a'\nblocked=true",
			"line 3: \"a\" stands at line 1 too", OL_EINVAL },
		{ "unqualified-search-registries='a'", "must be an array", OL_EINVAL },
		{ "unqualified-search-registries=[1]", "only strings may", OL_EINVAL },
		{ "unqualified-search-registries=['https://a']", "is no registry", OL_EINVAL },
		{ "unqualified-search-registries=['']", "is no registry", OL_EINVAL },
		{ "short-name-mode='maybe'", "is not one of enforcing", OL_EINVAL },
		{ "credential-helpers='x'", "must be an array", OL_EINVAL },
		{ "aliases=1", "aliases is an integer", OL_EINVAL },
		{ "[aliases]\nx=1", "line 2: an alias is an integer", OL_EINVAL },
		{ "[aliases]\n'x:1'='a.b/c'", "\"x:1\" is no short name", OL_EINVAL },
		{ "[aliases]\n'a.b/x'='a.b/c'", "is no short name", OL_EINVAL },
		{ "[aliases]\nX='a.b/c'", "is no short name", OL_EINVAL },
		{ "[aliases]\nx='c'", "\"c\" is no name with its registry", OL_EINVAL },
		{ "[aliases]\nx='team/c'", "is no name with its registry", OL_EINVAL },
		{ "[aliases]\nx='a.b/c:1'", "without a tag", OL_EINVAL },
		{ "[aliases]\nx='a.b/c'\nx='a.b/d'", "defined already", OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_registries_conf_free) ol_registries_conf *conf =
			ol_registries_conf_new();
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc,
			ol_registries_conf_add(conf, ol_view_of(c->text), "test.conf", &err));
		if (!strstr(err.text, c->words) || !strstr(err.text, "test.conf: "))
			CHECK_STR(c->text, c->words, err.text);
	}
}

static void a_short_name_stands_for_what_is_configured(void **state)
{
	static const char text[] =
		"unqualified-search-registries=['one.example','docker.io','two:5000/sub']\n"
		"[aliases]\nfedora='registry.fedoraproject.org/fedora'\n"
		"'team/tool'='t.example:5000/tool'\ngone=''\n";
	static const struct {
		const char *name;
		bool search;
		const char *refs, *rule;
	} cases[] = {
		{ "fedora", false, "registry.fedoraproject.org/fedora:latest ",
			"alias in test.conf" },
		{ "fedora:40", true, "registry.fedoraproject.org/fedora:40 ",
			"alias in test.conf" },
		{ "team/tool:1", false, "t.example:5000/tool:1 ", "alias in test.conf" },
		{ "alpine", false, "docker.io/library/alpine:latest ", "no alias" },
		{ "gone", false, "docker.io/library/gone:latest ", "no alias" },
		{ "alpine:3", true,
			"one.example/alpine:3 docker.io/library/alpine:3 two:5000/sub/alpine:3 ",
			"unqualified-search-registries in test.conf" },
		{ "team/app", true,
			"one.example/team/app:latest docker.io/team/app:latest "
			"two:5000/sub/team/app:latest ",
			"unqualified-search-registries" },
		{ "docker.io/fedora", true, "docker.io/library/fedora:latest ", "" },
		{ "localhost/fedora", true, "localhost/fedora:latest ", "" },
		{ "host:5000/fedora", true, "host:5000/fedora:latest ", "" },
	};
	ol_auto(ol_registries_conf_free) ol_registries_conf *conf = conf_of(text);

	(void)state;
	OL_EACH (cases, c) {
		ol_name_choices choices = { 0 };
		ol_auto_str ol_str refs = OL_STR(4096);

		CHECK_INT(
			c->name, OL_OK, ol_name_resolve(conf, c->name, c->search, &choices, NULL));
		for (size_t i = 0; i < choices.count; i++)
			(void)ol_str_addf(&refs, "%s ", ol_ref_format(&choices.refs[i]).text);
		CHECK_STR(c->name, c->refs, ol_str_text(&refs));
		if (!strstr(choices.rule, c->rule))
			CHECK_STR(c->name, c->rule, choices.rule);
		CHECK_INT(c->name, *c->rule != 0, choices.is_short);
		CHECK_INT(c->name, *c->rule && !strstr(c->rule, "no alias"), choices.is_found);
		ol_name_choices_done(&choices);
	}
}

static void a_name_that_is_none_stays_refused(void **state)
{
	ol_name_choices choices = { 0 };

	(void)state;
	CHECK_INT("upper case", OL_EINVAL, ol_name_resolve(NULL, "Alpine", true, &choices, NULL));
	CHECK_INT("empty", OL_EINVAL, ol_name_resolve(NULL, "", true, &choices, NULL));
	CHECK_INT(
		"nothing configured", OL_OK, ol_name_resolve(NULL, "alpine", true, &choices, NULL));
	CHECK_INT("docker.io", 1, (long long)choices.count);
	ol_name_choices_done(&choices);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	ol_autofree char *path = ol_text("%s/%s", dir, name);
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(0, fclose(file));
}

/* A home with its own file, drop-ins and cache; then the environment's files; then one alone. */
static void files_stand_above_each_other(void **state)
{
	char dir[] = "/tmp/orlop-conf-XXXXXX";
	ol_autofree char *sub = NULL, *dropins = NULL, *one = NULL;
	ol_registries_conf *conf = NULL;
	const char *file = NULL;
	const char *const *helpers;
	ol_ref ref = { .domain = "a", .path = "x", .tag = "latest" };
	const ol_registry_rule *rule;
	char command[128];

	(void)state;
	assert_non_null(mkdtemp(dir));
	sub = ol_text("%s/.config/containers", dir);
	dropins = ol_text("%s/registries.conf.d", sub);
	(void)snprintf(command, sizeof command, "mkdir -p %s %s/.cache/containers", dropins, dir);
	assert_int_equal(0, system(command)); /* NOLINT(cert-env33-c): words of our own */
	write_file(sub, "registries.conf",
		"unqualified-search-registries=['main']\ncredential-helpers=['m']\n"
		"[[registry]]\nlocation='a'\nblocked=true\n[aliases]\nx='main.example/x'\n"
		"y='main.example/y'\nz='main.example/z'\n");
	write_file(dropins, "50-a.conf",
		"[[registry]]\nlocation='a'\ninsecure=true\n[aliases]\nx='fifty.example/x'\n");
	write_file(dropins, "10-b.conf",
		"unqualified-search-registries=['ten']\n[aliases]\nx='ten.example/x'\ny=''\n");
	write_file(dropins, "99.disabled", "nonsense");
	assert_int_equal(0, setenv("HOME", dir, 1));
	(void)unsetenv("CONTAINERS_REGISTRIES_CONF");
	(void)unsetenv("CONTAINERS_REGISTRIES_CONF_DIR");
	CHECK_INT("load", OL_OK, ol_registries_conf_load(NULL, &conf, NULL));
	CHECK_STR("last drop-in", "fifty.example/x", ol_registries_conf_alias(conf, "x", &file));
	assert_non_null(strstr(file, "50-a.conf"));
	assert_null(ol_registries_conf_alias(conf, "y", &file));
	CHECK_STR("kept", "main.example/z", ol_registries_conf_alias(conf, "z", &file));
	CHECK_STR("search", "ten", ol_registries_conf_search(conf, &file)[0]);
	helpers = ol_registries_conf_helpers(conf);
	CHECK_STR("helpers", "m", helpers[0]);
	rule = ol_registries_conf_find(conf, &ref);
	CHECK_INT("a rule is replaced as a whole", 0, rule->blocked);
	CHECK_INT("a rule is replaced as a whole", 1, rule->insecure);
	ol_registries_conf_free(conf);

	one = ol_text("%s/one.conf", dir);
	write_file(dir, "one.conf", "[aliases]\nx='one.example/x'\n");
	assert_int_equal(0, setenv("CONTAINERS_REGISTRIES_CONF", one, 1));
	assert_int_equal(0, setenv("CONTAINERS_REGISTRIES_CONF_DIR", "/nonexistent", 1));
	CHECK_INT("environment", OL_OK, ol_registries_conf_load(NULL, &conf, NULL));
	CHECK_STR("environment", "one.example/x", ol_registries_conf_alias(conf, "x", &file));
	assert_null(ol_registries_conf_alias(conf, "z", &file));
	ol_registries_conf_free(conf);
	assert_int_equal(0, setenv("CONTAINERS_REGISTRIES_CONF", "/nonexistent/x", 1));
	CHECK_INT("named and missing", OL_ENOTFOUND, ol_registries_conf_load(NULL, &conf, NULL));
	CHECK_INT("option", OL_OK, ol_registries_conf_load(one, &conf, NULL));
	ol_registries_conf_free(conf);
	CHECK_INT("option, missing", OL_ENOTFOUND, ol_registries_conf_load("/none", &conf, NULL));
	(void)unsetenv("CONTAINERS_REGISTRIES_CONF");
	(void)unsetenv("CONTAINERS_REGISTRIES_CONF_DIR");
	(void)snprintf(command, sizeof command, "rm -r %s", dir);
	assert_int_equal(0, system(command)); /* NOLINT(cert-env33-c): words of our own */
}

static void the_cache_stands_above_all(void **state)
{
	ol_auto(ol_registries_conf_free) ol_registries_conf *conf =
		conf_of("[aliases]\nx='a.example/x'\n");
	const char *file = NULL;

	(void)state;
	CHECK_INT("cache", OL_OK,
		ol_registries_conf_add_cache(
			conf, ol_view_of("[aliases]\n  \"x\" = \"b.example/x\"\n"), "cache", NULL));
	CHECK_STR("x", "b.example/x", ol_registries_conf_alias(conf, "x", &file));
	CHECK_STR("file", "cache", file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_prefix_wins),
		cmocka_unit_test(mirrors_keep_their_order_and_use),
		cmocka_unit_test(what_cannot_be_meant_is_refused_with_its_line),
		cmocka_unit_test(a_short_name_stands_for_what_is_configured),
		cmocka_unit_test(a_name_that_is_none_stays_refused),
		cmocka_unit_test(files_stand_above_each_other),
		cmocka_unit_test(the_cache_stands_above_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
