/* TLS: whom to believe and who we are; then Debian's docker-registry with TLS and Basic, where it
 * is installed. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "fetch/registry.h"
#include "fetch/tls_priv.h"
#include "tests/fake_pull.h"

static char dir[64]; /* of certificates made for this run */

static void run(const char *fmt, ...) OL_PRINTF(1, 2);
static void run(const char *fmt, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is above */
	(void)vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	assert_int_equal(0, system(command)); /* NOLINT(cert-env33-c): words of our own */
}

static const char *in(const char *name)
{
	static char paths[6][192];
	static unsigned turn;
	char *path = paths[turn++ % 6];

	(void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
	return path;
}

/* A CA, a server's certificate for 127.0.0.1, a client's; and the directories a user would make of
 * them. */
static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/orlop-tls-XXXXXX");
	assert_non_null(mkdtemp(dir));
	run("cd %s && exec 2>openssl.log && new='openssl req -newkey ec -pkeyopt "
	    "ec_paramgen_curve:P-256 -nodes' &&\n"
	    "$new -x509 -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem &&\n"
	    "$new -subj /CN=server -keyout server.key -out server.csr &&\n"
	    "echo subjectAltName=IP:127.0.0.1,IP:0.0.0.0 > san &&\n"
	    "openssl x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
	    "-extfile san "
	    "-out server.pem && $new -subj /CN=client -keyout client.key -out client.csr &&\n"
	    "openssl x509 -req -days 2 -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
	    "-out client.pem &&\n"
	    "mkdir ca both keyless broken && cp ca.pem ca/ca.crt && cp ca.pem both/ca.crt &&\n"
	    "cp client.pem both/client.cert && cp client.key both/client.key &&\n"
	    "cp ca.pem keyless/ca.crt && cp client.pem keyless/client.cert && echo nonsense > "
	    "broken/ca.crt",
		dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	run("rm -r %s", dir);
	return 0;
}

struct tls_case {
	const char *label, *scenario;
	const char *host; /* instead of 127.0.0.1 */
	const char *cert_dir, *creds, *ssl_cert_file;
	bool tls, client_ca, skip, plain;
	int rc;
	const char *error, *hint;
};

static void pull_by(const struct tls_case *c, bool http_first)
{
	const char *extra[8] = { NULL };
	ol_registry_options options = { .cert_dir = c->cert_dir ? in(c->cert_dir) : NULL,
		.creds = c->creds,
		.skip_tls_verify = c->skip,
		.plain_http = c->plain,
		.http_first = http_first,
		.never_retry = true,
		.timing = fake_timing };
	ol_registry *registry = NULL;
	ol_error err = { 0 };
	struct fake fake;
	size_t count = 0;

	if (c->tls) {
		extra[count++] = "--tls";
		extra[count++] = in("server.pem");
		extra[count++] = in("server.key");
	}
	if (c->client_ca) {
		extra[count++] = "--client-ca";
		extra[count++] = in("ca.pem");
	}
	if (c->ssl_cert_file)
		assert_int_equal(0, setenv("SSL_CERT_FILE", in(c->ssl_cert_file), 1));
	fake_start(&fake, c->scenario, extra);
	if (c->host)
		(void)snprintf(
			fake.main, sizeof fake.main, "%s%s", c->host, strrchr(fake.main, ':'));
	CHECK_INT(c->label, OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT(c->label, c->rc, fake_pull(registry, &fake, &err));
	if (c->rc < 0 && !strstr(err.text, c->error))
		CHECK_STR(c->label, c->error, err.text);
	if (c->rc < 0 && c->hint && !strstr(err.hint, c->hint))
		CHECK_STR(c->label, c->hint, err.hint);
	ol_registry_free(registry);
	fake_stop(&fake);
	(void)unsetenv("SSL_CERT_FILE");
}

/* Whoever is redirected to names the folder: it must be one below certs.d. */
static void a_hosts_name_leads_nowhere_else(void **state)
{
	static const char *const hosts[] = { "..", ".", "../other", "a/../../other", "" };

	(void)state;
	run("mkdir -p %s/config/docker/certs.d/reg.example %s/config/docker/other && "
	    "cp %s/ca.pem %s/config/docker/ca.crt && cp %s/ca.pem %s/config/docker/other/ca.crt && "
	    "cp %s/ca.pem %s/config/docker/certs.d/ca.crt && "
	    "cp %s/ca.pem %s/config/docker/certs.d/reg.example/ca.crt && "
	    "mkdir -p %s/config/docker/certs.d/a",
		dir, dir, dir, dir, dir, dir, dir, dir, dir, dir, dir);
	assert_int_equal(0, setenv("XDG_CONFIG_HOME", in("config"), 1));
	OL_EACH (hosts, host) {
		ol_tls tls = { 0 };

		CHECK_INT(*host, OL_OK, ol_tls_load(&(ol_tls_ask){ .host = *host }, &tls, NULL));
		CHECK_STR(*host, "none", tls.source ? tls.source : "none");
		ol_tls_done(&tls);
	}
	{
		ol_tls tls = { 0 };

		CHECK_INT("reg.example", OL_OK,
			ol_tls_load(&(ol_tls_ask){ .host = "reg.example" }, &tls, NULL));
		assert_non_null(tls.source);
		ol_tls_done(&tls);
	}
	(void)unsetenv("XDG_CONFIG_HOME");
}

static void tls_believes_whom_it_is_told_to(void **state)
{
	static const struct tls_case cases[] = {
		{ "unknown CA", "plain", NULL, NULL, NULL, NULL, true, false, false, false,
			OL_EUNAVAILABLE, "the certificate of 127.0.0.1", "certs.d/127.0.0.1" },
		{ "--cert-dir", "plain", NULL, "ca", NULL, NULL, true, false, false, false, OL_OK,
			"", NULL },
		{ "--tls-verify=false", "plain", NULL, NULL, NULL, NULL, true, false, true, false,
			OL_OK, "", NULL },
		{ "SSL_CERT_FILE", "plain", NULL, NULL, NULL, "ca.pem", true, false, false, false,
			OL_OK, "", NULL },
		{ "no client certificate", "plain", NULL, "ca", NULL, NULL, true, true, false,
			false, OL_EUNAVAILABLE, "127.0.0.1", NULL },
		{ "client certificate", "plain", NULL, "both", NULL, NULL, true, true, false, false,
			OL_OK, "", NULL },
		{ "certificate without key", "plain", NULL, "keyless", NULL, NULL, true, true,
			false, false, OL_ENOTFOUND, "has no readable key client.key",
			"put the key beside it" },
		{ "broken CA", "plain", NULL, "broken", NULL, NULL, true, false, false, false,
			OL_EUNAVAILABLE, "127.0.0.1", NULL },
		{ "no such --cert-dir", "plain", NULL, "missing", NULL, NULL, true, false, false,
			false, OL_ENOTFOUND, "missing", NULL },
		{ "Basic and a redirect", "basic", NULL, "ca", "ann:s3cret:with:colons", NULL, true,
			false, false, false, OL_OK, "", NULL },
		{ "token", "bearer", NULL, "ca", "ann:s3cret", NULL, true, false, false, false,
			OL_OK, "", NULL },
		{ "credentials in the clear", "bearer-clear", NULL, "ca", "ann:s3cret", NULL, true,
			false, false, false, OL_EAUTH, "in the clear", NULL },
		{ "nothing to hide", "bearer-clear", NULL, "ca", NULL, NULL, true, false, false,
			false, OL_OK, "", NULL },
		{ "loopback may be plain", "plain", NULL, NULL, NULL, NULL, false, false, false,
			false, OL_OK, "", NULL },
		{ "others may not", "plain", "0.0.0.0", NULL, NULL, NULL, false, false, false,
			false, OL_EUNAVAILABLE, "does not answer with TLS", "--plain-http" },
		{ "unless they are named so", "plain", "0.0.0.0", NULL, NULL, NULL, false, false,
			false, true, OL_OK, "", NULL },
		{ "or nothing is verified", "plain", "0.0.0.0", NULL, NULL, NULL, false, false,
			true, false, OL_OK, "", NULL },
	};

	(void)state;
	OL_EACH (cases, c)
		pull_by(c, false);
}

/* What was found out before saves asking, and binds nobody. */
static void plain_http_may_be_assumed(void **state)
{
	static const struct tls_case cases[] = {
		{ .label = "plain as before", .scenario = "plain", .rc = OL_OK },
		{ .label = "TLS now", .scenario = "plain", .cert_dir = "ca", .tls = true },
		{ .label = "no loopback",
			.scenario = "plain",
			.host = "0.0.0.0",
			.rc = OL_EUNAVAILABLE,
			.error = "does not answer with TLS" },
	};

	(void)state;
	OL_EACH (cases, c)
		pull_by(c, true);
}

/* Debian's registry: what a push leaves on its disk, TLS and a user ann with the
 * password s3cret. */
static void write_registry(const char *root, unsigned port)
{
	run("set -e; exec >/dev/null; umask 077; mkdir -p %s; cd %s; cat > make <<'END'\n"
	    "add() { h=$(sha256sum \"$1\" | cut -d' ' -f1); d=$b/blobs/sha256/$(echo $h | cut "
	    "-c1-2)/$h; mkdir -p $d; "
	    "cp \"$1\" $d/data; }\n"
	    "link() { mkdir -p $r/$1; printf sha256:$h > $r/$1/link; }\n"
	    "b=data/docker/registry/v2; r=$b/repositories/app; printf '{}' > config; add config; "
	    "c=$h\n"
	    "link _layers/sha256/$h; head -c 5000000 /dev/urandom > layer; add layer; l=$h; link "
	    "_layers/sha256/$h\n"
	    "printf "
	    "'{\"schemaVersion\":2,\"mediaType\":\"application/"
	    "vnd.oci.image.manifest.v1+json\",\"config\":"
	    "{\"mediaType\":\"application/"
	    "vnd.oci.image.config.v1+json\",\"digest\":\"sha256:%%s\",\"size\":2},"
	    "\"layers\":[{\"mediaType\":\"application/"
	    "vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:%%s\","
	    "\"size\":5000000}]}' $c $l > manifest; add manifest\n"
	    "link _manifests/revisions/sha256/$h; link _manifests/tags/latest/current\n"
	    "link _manifests/tags/latest/index/sha256/$h; printf $h > digest; printf $l > "
	    "layer-digest\n"
	    "END\n"
	    "sh make; printf '%%s\\n' "
	    "'ann:$2y$05$vjKvFdsVbHFw/8ESHE7dd.0wHx/MLZUHebD33xpQg.le7qQiLVziK' > users\n"
	    "cat > config.yml <<'END'\n"
	    "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
	    "storage: {filesystem: {rootdirectory: %s/data}}\n"
	    "auth: {htpasswd: {realm: test, path: %s/users}}\n"
	    "http: {addr: '127.0.0.1:%u', tls: {certificate: %s, key: %s}}\nEND\n",
		root, root, root, root, port, in("server.pem"), in("server.key"));
}

static unsigned free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(0, bind(fd, (struct sockaddr *)&address, size));
	assert_int_equal(0, getsockname(fd, (struct sockaddr *)&address, &size));
	(void)close(fd);
	return ntohs(address.sin_port);
}

static void read_digest(const char *path, ol_digest *out)
{
	char text[80] = "sha256:";
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	assert_non_null(fgets(text + 7, sizeof text - 7, file));
	(void)fclose(file);
	CHECK_INT(path, OL_OK, ol_digest_parse(ol_view_of(text), out, NULL));
}

static void debians_registry_is_pulled_from(void **state)
{
	static const struct {
		const char *creds;
		int rc;
	} cases[] = {
		{ "ann:s3cret", OL_OK },
		{ "ann:wrong", OL_EAUTH },
		{ NULL, OL_EAUTH },
	};
	struct fake shape = { 0 };
	unsigned port = free_port();
	char path[256];
	int status;
	pid_t pid;

	(void)state;
	if (access("/usr/bin/docker-registry", X_OK) < 0) {
		print_message("# skip: docker-registry is not installed: the client meets no "
			      "registry but the fake one\n");
		skip();
	}
	(void)snprintf(path, sizeof path, "%s", in("registry"));
	write_registry(path, port);
	read_digest(in("registry/layer-digest"), &shape.layers[0].digest);
	read_digest(in("registry/digest"), &shape.manifest.digest);
	shape.layers[0].size = 5000000;
	shape.layer_count = 1;
	(void)snprintf(shape.main, sizeof shape.main, "127.0.0.1:%u", port);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(
			PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
		(void)freopen(in("registry/log"), "w", stderr); /* kept open over exec */
		(void)execl("/usr/bin/docker-registry", "docker-registry", "serve",
			in("registry/config.yml"), NULL);
		_exit(127);
	}
	OL_EACH (cases, c) {
		ol_registry_options options = { .creds = c->creds,
			.cert_dir = in("ca"),
			.retries = 30,
			.timing = fake_timing };
		ol_registry *registry = NULL;
		ol_error err = { 0 };
		int rc;

		CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
		rc = fake_pull(registry, &shape, &err);
		if (rc != c->rc)
			print_error("%s\n", err.text);
		CHECK_INT(c->creds ? c->creds : "anonymous", c->rc, rc);
		ol_registry_free(registry);
	}
	assert_int_equal(0, kill(pid, SIGTERM));
	assert_int_equal(pid, waitpid(pid, &status, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hosts_name_leads_nowhere_else),
		cmocka_unit_test(tls_believes_whom_it_is_told_to),
		cmocka_unit_test(plain_http_may_be_assumed),
		cmocka_unit_test(debians_registry_is_pulled_from),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
