/* Where credentials come from and go to, in a home of our own with helpers that are scripts. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fetch/credentials.h"
#include "tests/check.h"

/* The helper knows what lies in $HOME/vault/<server, slashes as _>: user and secret, a
 * line each. */
static const char helper[] =
	"#!/bin/sh\n"
	"echo \"$0 $*\" >> \"$HOME/calls\"\n"
	"case $1 in\n"
	"get) read -r s || :; f=$HOME/vault/$(echo \"$s\" | tr / _); [ -f \"$f\" ] || {\n"
	"	echo 'credentials not found in native keychain'; exit 1; }\n"
	"	{ read -r u; read -r p; } < \"$f\"\n"
	"	printf '{\"ServerURL\":\"%s\",\"Username\":\"%s\",\"Secret\":\"%s\"}' \"$s\" "
	"\"$u\" \"$p\";;\n"
	"store) cat > \"$HOME/stored\";;\n"
	"erase) read -r s || :; rm \"$HOME/vault/$(echo \"$s\" | tr / _)\";;\n"
	"esac\n";

static char home[64];

static char *at_home(const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	(void)snprintf(path, 256, "%s/%s", home, name);
	return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
	FILE *file = fopen(at_home(name), "we");

	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
	assert_int_equal(0, chmod(at_home(name), mode));
}

static char *get(const char *name)
{
	static char text[4096];
	FILE *file = fopen(at_home(name), "re");
	size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;

	text[size] = '\0';
	if (file)
		(void)fclose(file);
	return text;
}

static int set_up(void **state)
{
	static const char *const dirs[] = { "bin", "vault", ".docker", ".config",
		".config/containers", "run", "run/containers" };
	const char *path = getenv("PATH");
	ol_autofree char *with = NULL;

	(void)state;
	(void)snprintf(home, sizeof home, "/tmp/orlop-home-XXXXXX");
	assert_non_null(mkdtemp(home));
	OL_EACH (dirs, dir)
		assert_int_equal(0, mkdir(at_home(*dir), 0700));
	put("bin/docker-credential-vault", helper, 0755);
	put("bin/docker-credential-broken", "#!/bin/sh\necho 'the vault \033[31mis shut'\nexit 3\n",
		0755);
	with = ol_text("%s:%s", at_home("bin"),
		path && !strstr(path, "orlop-home") ? path : "/usr/bin:/bin");
	assert_int_equal(0, setenv("PATH", with, 1));
	assert_int_equal(0, setenv("HOME", home, 1));
	assert_int_equal(0, setenv("XDG_RUNTIME_DIR", at_home("run"), 1));
	(void)unsetenv("XDG_CONFIG_HOME");
	(void)unsetenv("DOCKER_CONFIG");
	(void)unsetenv("DOCKER_AUTH_CONFIG");
	(void)unsetenv("REGISTRY_AUTH_FILE");
	return 0;
}

static int tear_down(void **state)
{
	ol_autofree char *command = ol_text("rm -r %s", home);

	(void)state;
	return system(command); /* NOLINT(cert-env33-c): a path of our own making */
}

static char warned[512];

static void hear(void *ctx, const ol_event *event)
{
	(void)ctx;
	if (event->kind == OL_EVENT_WARNING)
		(void)snprintf(warned, sizeof warned, "%s", event->text);
}

static const ol_listener listener = { hear, NULL };

/* "user:password", "token …", "-" for nothing, or the code. */
static void find(
	const char *host, const char *path, ol_credential_options options, char *out, size_t size)
{
	ol_credentials found = { 0 };
	ol_error err = { 0 };
	int rc;

	warned[0] = '\0';
	options.listener = &listener;
	rc = ol_credentials_find(&options, host, path, &found, &err);
	if (rc < 0)
		(void)snprintf(out, size, "%d", rc);
	else if (found.identity_token)
		(void)snprintf(out, size, "token %s", found.identity_token);
	else if (found.registry_token)
		(void)snprintf(out, size, "bearer %s", found.registry_token);
	else if (found.user)
		(void)snprintf(out, size, "%s:%s", found.user, found.password);
	else
		(void)snprintf(out, size, "-");
	ol_credentials_done(&found);
}

/* "u:p" is dTpw, "v:q" is djpx, "w:r" is dzpy in base64. */
static void a_config_file_is_read_as_docker_and_podman_do(void **state)
{
	static const struct {
		const char *config, *host, *path, *want;
	} cases[] = {
		{ "{\"auths\":{\"reg.example\":{\"auth\":\"dTpw\"}}}", "reg.example", "a/b",
			"u:p" },
		{ "{\"auths\":{\"reg.example:5000\":{\"auth\":\"dTpw\"}}}", "reg.example", "a",
			"-" },
		{ "{\"auths\":{\"https://reg.example\":{\"auth\":\"dTpw\"}}}", "reg.example", "a",
			"u:p" },
		{ "{\"auths\":{\"https://reg.example/v1/\":{\"auth\":\"dTpw\"}}}", "reg.example",
			"a", "u:p" },
		{ "{\"auths\":{\"http://reg.example:5000/v2\":{\"auth\":\"dTpw\"}}}",
			"reg.example:5000", "a", "u:p" },
		{ "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpw\"}}}", "docker.io",
			"library/alpine", "u:p" },
		{ "{\"auths\":{\"docker.io\":{\"auth\":\"dTpw\"}}}", "docker.io", "library/alpine",
			"u:p" },
		{ "{\"auths\":{\"notdocker.io\":{\"auth\":\"dTpw\"}}}", "docker.io",
			"library/alpine", "-" },
		{ "{\"auths\":{\"reg.example\":{\"auth\":\"dTpw\"},\"reg.example/"
		  "team\":{\"auth\":\"djpx\"},"
		  "\"reg.example/team/app\":{\"auth\":\"dzpy\"}}}",
			"reg.example", "team/app", "w:r" },
		{ "{\"auths\":{\"reg.example/team/app\":{\"auth\":\"dzpy\"},\"reg.example/"
		  "team\":{\"auth\":\"djpx\"}}}",
			"reg.example", "team/application", "v:q" },
		{ "{\"auths\":{\"reg.example/team\":{\"auth\":\"djpx\"}}}", "reg.example", "teams",
			"-" },
		{ "{\"auths\":{\"https://"
		  "reg.example\":{\"auth\":\"dTpw\"},\"reg.example\":{\"auth\":\"djpx\"}}}",
			"reg.example", "a", "v:q" },
		{ "{\"auths\":{\"reg.example\":{},\"https://reg.example\":{\"auth\":\"dTpw\"}}}",
			"reg.example", "a", "u:p" },
		{ "{\"auths\":{\"reg.example\":{\"username\":\"x\",\"password\":\"y\"}}}",
			"reg.example", "a", "x:y" },
		{ "{\"auths\":{\"reg.example\":{\"auth\":\"dTpw\",\"identitytoken\":\"t\"}}}",
			"reg.example", "a", "token t" },
		{ "{\"auths\":{\"reg.example\":{\"registrytoken\":\"t\"}}}", "reg.example", "a",
			"bearer t" },
		{ "{\"auths\":{\"reg.example\":{\"auth\":\"dTpw\"}},\"credsStore\":\"vault\"}",
			"reg.example", "a", "u:p" },
		{ "{\"credsStore\":\"vault\"}", "kept.example", "a", "ken:kept:secret" },
		{ "{\"credsStore\":\"vault\",\"auths\":{\"kept.example\":{\"auth\":\"dTpw\"}}}",
			"kept.example", "a", "ken:kept:secret" },
		{ "{\"credsStore\":\"vault\",\"auths\":{\"https://old.example/v1/\":{}}}",
			"old.example", "a", "olga:old" },
		{ "{\"credsStore\":\"vault\"}", "docker.io", "library/a", "hub:hubpw" },
		{ "{\"credsStore\":\"broken\",\"credHelpers\":{\"kept.example\":\"vault\"}}",
			"kept.example", "a", "ken:kept:secret" },
		{ "{\"credsStore\":\"vault\"}", "token.example", "a", "token idtoken" },
		{ "", "reg.example", "a", "-" },
		{ "{}", "reg.example", "a", "-" },
	};

	(void)state;
	put("vault/kept.example", "ken\nkept:secret\n", 0600);
	put("vault/https:__old.example_v1_", "olga\nold\n", 0600);
	put("vault/https:__index.docker.io_v1_", "hub\nhubpw\n", 0600);
	put("vault/token.example", "<token>\nidtoken\n", 0600);
	OL_EACH (cases, c) {
		char got[128];

		put("auth.json", c->config, 0600);
		find(c->host, c->path, (ol_credential_options){ .authfile = at_home("auth.json") },
			got, sizeof got);
		CHECK_STR(c->config, c->want, got);
		CHECK_STR(c->config, "", warned);
	}
	assert_null(strstr(get("calls"), "secret")); /* nor a server: all of it goes over stdin */
	assert_null(strstr(get("calls"), "example"));
}

static void a_config_file_that_is_wrong_is_refused(void **state)
{
	static const char *const configs[] = {
		"{",
		"[]",
		"{\"auths\":[]}",
		"{\"credHelpers\":\"vault\"}",
		"{\"credsStore\":{}}",
		"{\"auths\":{\"reg.example\":{\"auth\":\"not base64\"}}}",
		"{\"auths\":{\"reg.example\":{\"auth\":\"dXA=\"}}}",
		"{\"auths\":{\"reg.example\":{\"auth\":\"OnA=\"}}}",
		"{\"auths\":{\"reg.example\":{\"auth\":17}}}",
		"{\"auths\":{\"reg.example\":{\"auth\":\"dTpw\"},\"reg.example\":{}}}",
	};

	(void)state;
	OL_EACH (configs, config) {
		ol_credential_options options = { .authfile = at_home("auth.json") };
		ol_credentials found = { 0 };
		ol_error err = { 0 };

		put("auth.json", *config, 0600);
		CHECK_INT(*config, OL_EINVAL,
			ol_credentials_find(&options, "reg.example", "a", &found, &err));
		assert_null(found.user);
		assert_non_null(strstr(err.text, "auth.json"));
		assert_null(strstr(err.text, "dTpw"));
		/* One that was only looked for is passed over, aloud. */
		put(".docker/config.json", *config, 0600);
		options = (ol_credential_options){ .listener = &listener };
		warned[0] = '\0';
		CHECK_INT(*config, OL_OK,
			ol_credentials_find(&options, "reg.example", "a", &found, NULL));
		assert_null(found.user);
		assert_non_null(strstr(warned, "config.json"));
	}
}

/* A helper that is missing or fails is a warning; the image may be public. */
static void a_helper_that_fails_means_anonymous_with_a_warning(void **state)
{
	static const struct {
		const char *config, *warning;
	} cases[] = {
		{ "{\"credsStore\":\"nowhere\"}", "docker-credential-nowhere: no such program" },
		{ "{\"credsStore\":\"broken\"}",
			"docker-credential-broken: the vault \\x1b[31mis shut (status 3)" },
		{ "{\"credHelpers\":{\"reg.example\":\"nowhere\"}}",
			"docker-credential-nowhere: no such program" },
		{ "{\"credsStore\":\"../../bin/sh\"}", "cannot be empty or hold a slash" },
	};

	(void)state;
	OL_EACH (cases, c) {
		char got[128];

		put("auth.json", c->config, 0600);
		find("reg.example", "a",
			(ol_credential_options){ .authfile = at_home("auth.json") }, got,
			sizeof got);
		CHECK_STR(c->config, "-", got);
		if (!strstr(warned, c->warning))
			CHECK_STR(c->config, c->warning, warned);
	}
}

/* Each source hides those behind it, host by host. */
static void sources_are_asked_in_order(void **state)
{
	char got[128];
	ol_credential_options none = { 0 };
	ol_credential_options file = { .authfile = at_home("auth.json") };

	(void)state;
	find("reg.example", "a", none, got, sizeof got);
	CHECK_STR("nothing", "-", got);
	put(".config/containers/auth.json", "{\"auths\":{\"reg.example\":{\"auth\":\"YTox\"}}}",
		0600);
	find("reg.example", "a", none, got, sizeof got);
	CHECK_STR("config home", "a:1", got);
	put("run/containers/auth.json", "{\"auths\":{\"reg.example\":{\"auth\":\"Yjoy\"}}}", 0600);
	find("reg.example", "a", none, got, sizeof got);
	CHECK_STR("runtime dir", "b:2", got);
	put(".docker/config.json", "{\"auths\":{\"reg.example\":{\"auth\":\"Yzoz\"}}}", 0600);
	find("reg.example", "a", none, got, sizeof got);
	CHECK_STR("docker", "c:3", got);
	put("config.json", "{\"auths\":{\"other.example\":{\"auth\":\"Yzoz\"}}}", 0600);
	assert_int_equal(0, setenv("DOCKER_CONFIG", home, 1));
	find("reg.example", "a", none, got, sizeof got);
	CHECK_STR("DOCKER_CONFIG instead of ~/.docker", "b:2", got);
	assert_int_equal(0, setenv("DOCKER_AUTH_CONFIG",
				    "{\"auths\":{\"reg.example\":{\"auth\":\"ZDo0\"}}}", 1));
	find("reg.example", "a", none, got, sizeof got);
	CHECK_STR("DOCKER_AUTH_CONFIG", "d:4", got);
	put("registry-auth", "{\"auths\":{\"reg.example\":{\"auth\":\"ZTo1\"}}}", 0600);
	assert_int_equal(0, setenv("REGISTRY_AUTH_FILE", at_home("registry-auth"), 1));
	find("reg.example", "a", none, got, sizeof got);
	CHECK_STR("REGISTRY_AUTH_FILE", "e:5", got);
	put("auth.json", "{\"auths\":{\"reg.example\":{\"auth\":\"Zjo2\"}}}", 0600);
	find("reg.example", "a", file, got, sizeof got);
	CHECK_STR("--authfile", "f:6", got);
	put("auth.json", "{\"auths\":{}}", 0600);
	find("reg.example", "a", file, got, sizeof got);
	CHECK_STR("the first that has the host", "d:4", got);
	file.creds = "g:7:8";
	find("reg.example", "a", file, got, sizeof got);
	CHECK_STR("--creds", "g:7:8", got);
	file.creds = NULL;
	file.authfile = at_home("missing.json");
	find("reg.example", "a", file, got, sizeof got);
	CHECK_STR("a named file must be there", "-2", got);
	assert_int_equal(0, setenv("DOCKER_AUTH_CONFIG", "{", 1));
	assert_int_equal(0, unsetenv("REGISTRY_AUTH_FILE"));
	find("reg.example", "a", none, got, sizeof got);
	CHECK_STR("DOCKER_AUTH_CONFIG must be right", "-1", got);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(0, stat(at_home(name), &st));
	return st.st_mode & 07777;
}

static void login_keeps_what_it_does_not_know(void **state)
{
	ol_credential_options options = { 0 };
	ol_autofree char *where = NULL;
	char got[128];

	(void)state;
	put(".docker/config.json",
		"{\"HttpHeaders\":{\"X\":\"y\"},\"auths\":{\"other.example\":{\"auth\":\"djpx\"},"
		"\"reg.example\":"
		"{\"auth\":\"djpx\",\"email\":\"e\",\"identitytoken\":\"old\"}},\"detachKeys\":"
		"\"ctrl-e\"}",
		0644);
	CHECK_INT("store", OL_OK,
		ol_credentials_store(&options, "reg.example", "u", "p:w", &where, NULL));
	CHECK_STR("where", at_home(".docker/config.json"), where);
	CHECK_INT("mode", 0600, mode_of(".docker/config.json"));
	assert_non_null(strstr(get(".docker/config.json"), "\"X\": \"y\""));
	assert_non_null(strstr(get(".docker/config.json"), "\"detachKeys\": \"ctrl-e\""));
	assert_non_null(strstr(get(".docker/config.json"), "\"email\": \"e\""));
	assert_null(strstr(get(".docker/config.json"), "identitytoken"));
	find("reg.example", "a", options, got, sizeof got);
	CHECK_STR("stored", "u:p:w", got);
	find("other.example", "a", options, got, sizeof got);
	CHECK_STR("other", "v:q", got);
	free(ol_steal(&where));
	CHECK_INT("erase", OL_OK, ol_credentials_erase(&options, "reg.example", &where, NULL));
	find("reg.example", "a", options, got, sizeof got);
	CHECK_STR("erased", "-", got);
	find("other.example", "a", options, got, sizeof got);
	CHECK_STR("other", "v:q", got);
	free(ol_steal(&where));
	CHECK_INT(
		"again", OL_ENOTFOUND, ol_credentials_erase(&options, "reg.example", &where, NULL));
	CHECK_INT("never", OL_ENOTFOUND,
		ol_credentials_erase(&options, "reg2.example", &where, NULL));
}

static void login_makes_the_file_it_is_told(void **state)
{
	ol_credential_options options = { .authfile = at_home("new/dir/auth.json") };
	ol_autofree char *where = NULL;
	char got[128];

	(void)state;
	CHECK_INT("erase", OL_ENOTFOUND, ol_credentials_erase(&options, "docker.io", &where, NULL));
	CHECK_INT("nothing made", -1, access(at_home("new"), F_OK));
	CHECK_INT("store", OL_OK,
		ol_credentials_store(&options, "docker.io", "u", "p", &where, NULL));
	CHECK_INT("mode", 0600, mode_of("new/dir/auth.json"));
	CHECK_INT("dir mode", 0700, mode_of("new/dir"));
	assert_non_null(strstr(get("new/dir/auth.json"), "\"https://index.docker.io/v1/\""));
	find("docker.io", "library/a", options, got, sizeof got);
	CHECK_STR("stored", "u:p", got);
	CHECK_INT("docker's is not touched", -1, access(at_home(".docker/config.json"), F_OK));
}

/* Dotfiles are often links: what they lead to is written, and the link stays. */
static void login_follows_a_link(void **state)
{
	ol_credential_options options = { 0 };
	ol_autofree char *where = NULL;
	struct stat st;

	(void)state;
	put("real.json", "{}", 0600);
	assert_int_equal(0, symlink("../real.json", at_home(".docker/config.json")));
	CHECK_INT("store", OL_OK,
		ol_credentials_store(&options, "reg.example", "u", "p", &where, NULL));
	assert_int_equal(0, lstat(at_home(".docker/config.json"), &st));
	assert_true(S_ISLNK(st.st_mode));
	assert_non_null(strstr(get("real.json"), "dTpw"));
}

static void login_leaves_a_broken_file_alone(void **state)
{
	ol_credential_options options = { 0 };
	ol_autofree char *where = NULL;

	(void)state;
	put(".docker/config.json", "{\"auths\":", 0600);
	CHECK_INT("store", OL_EINVAL,
		ol_credentials_store(&options, "reg.example", "u", "p", &where, NULL));
	CHECK_STR("kept", "{\"auths\":", get(".docker/config.json"));
}

static void login_uses_the_helper_that_is_configured(void **state)
{
	ol_credential_options options = { 0 };
	ol_autofree char *where = NULL;

	(void)state;
	put(".docker/config.json", "{\"credsStore\":\"vault\"}", 0600);
	CHECK_INT("store", OL_OK,
		ol_credentials_store(&options, "reg.example", "u", "s3cret", &where, NULL));
	CHECK_STR("where", "docker-credential-vault", where);
	CHECK_STR("given",
		"{\"ServerURL\":\"reg.example\",\"Username\":\"u\",\"Secret\":\"s3cret\"}",
		get("stored"));
	assert_non_null(strstr(get(".docker/config.json"), "\"reg.example\": {}"));
	assert_null(strstr(get("calls"), "s3cret"));
	put("vault/reg.example", "u\ns3cret\n", 0600);
	free(ol_steal(&where));
	CHECK_INT("erase", OL_OK, ol_credentials_erase(&options, "reg.example", &where, NULL));
	CHECK_INT("gone", -1, access(at_home("vault/reg.example"), F_OK));
	assert_null(strstr(get(".docker/config.json"), "reg.example"));
}

int main(void)
{
#define IN_A_HOME(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		IN_A_HOME(a_config_file_is_read_as_docker_and_podman_do),
		IN_A_HOME(a_config_file_that_is_wrong_is_refused),
		IN_A_HOME(a_helper_that_fails_means_anonymous_with_a_warning),
		IN_A_HOME(sources_are_asked_in_order),
		IN_A_HOME(login_keeps_what_it_does_not_know),
		IN_A_HOME(login_makes_the_file_it_is_told),
		IN_A_HOME(login_follows_a_link),
		IN_A_HOME(login_leaves_a_broken_file_alone),
		IN_A_HOME(login_uses_the_helper_that_is_configured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
