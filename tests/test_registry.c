/* The registry client against tests/fake_registry: one scenario of fixtures/registry a row. */
#include <pthread.h>

#include "base/clock.h"
#include "fetch/registry.h"
#include "tests/fake_pull.h"

struct heard {
	pthread_mutex_t lock; /* guards text */
	char text[4096];
};

static void hear(void *ctx, const ol_event *event)
{
	struct heard *heard = ctx;
	size_t used;

	pthread_mutex_lock(&heard->lock);
	used = strlen(heard->text);
	(void)snprintf(heard->text + used, sizeof heard->text - used, "%s\n",
		event->text ? event->text : "");
	pthread_mutex_unlock(&heard->lock);
}

struct expect_log {
	const char *words;
	int min, max;
};

#define ANY 100000

static const struct {
	const char *scenario, *creds;
	int rc;
	const char *error; /* words in it */
	const char *heard; /* words in a note, or NULL */
	struct expect_log log[3];
} pulls[] = {
	{ "plain", NULL, OL_OK, "", NULL,
		{ { "HEAD /v2/app/manifests/latest", 1, 1 },
			{ "GET /v2/app/manifests/sha256:", 1, 1 }, { "auth=none", 4, 4 } } },
	{ "basic", "ann:s3cret:with:colons", OL_OK, "", NULL,
		{ { "auth=none|main", 1, 1 }, { "other GET|auth=none|status=200", 1, 1 },
			{ "other|auth=basic", 0, 0 } } },
	{ "basic", NULL, OL_EAUTH,
		"pull access denied for app, repository does not exist or may require "
		"authorization: "
		"unauthorized: authentication required",
		NULL, { { "status=401", 1, 2 } } },
	{ "basic", "ann:wrong", OL_EAUTH, "pull access denied for app", NULL,
		{ { "auth=basic", 1, 2 } } },
	{ "bearer", "ann:s3cret", OL_OK, "", NULL,
		{ { "auth GET /token|auth=basic", 1, 1 }, { "main|status=401", 1, 1 },
			{ "main|auth=basic", 0, 0 } } },
	{ "bearer", NULL, OL_EAUTH, "pull access denied for app", NULL,
		{ { "auth GET /token|auth=none", 1, 2 } } },
	{ "bearer", "ann:wrong", OL_EAUTH,
		"refuses these credentials: unauthorized: incorrect username or password", NULL,
		{ { "auth GET /token", 1, 2 } } },
	{ "bearer-anonymous", NULL, OL_OK, "", NULL, { { "auth GET /token|auth=none", 1, 1 } } },
	{ "bearer-post", "ann:s3cret", OL_OK, "", NULL,
		{ { "auth POST /token|status=200|auth=none", 1, 1 },
			{ "auth GET /token|status=405", 1, 1 } } },
	{ "bearer-worn", NULL, OL_OK, "", NULL,
		{ { "main|status=401", 3, 3 }, { "auth GET /token", 3, 3 },
			{ "main|status=200", 3, 3 } } },
	{ "bearer-narrow", NULL, OL_OK, "", NULL,
		{ { "auth GET /token", 2, 2 }, { "main|status=401", 2, 2 } } },
	{ "throttle", NULL, OL_OK, "", "asks to wait 2 s",
		{ { "HEAD|status=429", 1, 1 }, { "blobs|status=429", 2, 2 },
			{ "blobs|status=200", 1, 1 } } },
	{ "throttle-date", NULL, OL_OK, "", "asks to wait", { { "blobs|status=503", 1, 1 } } },
	{ "throttle-long", NULL, OL_EUNAVAILABLE, "asks to wait 4000 s", NULL,
		{ { "blobs", 1, 1 } } },
	{ "throttle-ever", NULL, OL_EUNAVAILABLE, "You have reached your pull rate limit", NULL,
		{ { "HEAD|status=429", 4, 4 }, { "GET|status=429", 4, 4 } } },
	{ "burst", NULL, OL_OK, "", NULL, { { "status=503", 2, 2 }, { "status=502", 2, 2 } } },
	{ "down", NULL, OL_EUNAVAILABLE, "500 internal server error: unknown: disk on fire", NULL,
		{ { "blobs|status=500", 4, 4 } } },
	{ "cut", NULL, OL_OK, "", NULL, { { "blobs|status=206", 10, ANY } } },
	{ "cut-no-range", NULL, OL_OK, "", NULL,
		{ { "blobs|status=200", 4, 4 }, { "status=206", 0, 0 } } },
	{ "cut-at-once", NULL, OL_EUNAVAILABLE, "127.0.0.1", NULL, { { "blobs", 4, 4 } } },
	{ "wrong-range", NULL, OL_OK, "", NULL,
		{ { "blobs|status=206", 1, 1 }, { "blobs|status=200", 2, 2 } } },
	{ "wrong-total", NULL, OL_ECORRUPT, "is 999999 bytes at the registry, its descriptor says",
		NULL, { { "blobs", 2, 2 } } },
	{ "unsatisfied", NULL, OL_OK, "", NULL,
		{ { "status=416", 1, 1 }, { "blobs|status=200", 2, 2 } } },
	{ "wrong-digest", NULL, OL_ECORRUPT, "sha256:", NULL, { { "blobs", 1, 1 } } },
	{ "wrong-manifest", NULL, OL_ECORRUPT, "sha256:", NULL, { { "blobs", 0, 0 } } },
	{ "larger-blob", NULL, OL_ECORRUPT, "is larger than the", NULL, { { "blobs", 1, 1 } } },
	{ "larger-blob-said", NULL, OL_ECORRUPT, "bytes at the registry, its descriptor says", NULL,
		{ { "blobs", 1, 1 } } },
	{ "redirect-expiring", NULL, OL_OK, "", NULL,
		{ { "main|blobs|status=307", 3, 3 }, { "other|status=403", 2, 2 },
			{ "other|status=206", 2, 2 } } },
	{ "redirect-for-ever", NULL, OL_EUNAVAILABLE, "redirected more than 10 times", NULL,
		{ { "blobs", 11, 11 } } },
	{ "redirect-nowhere", NULL, OL_EUNAVAILABLE, "redirects to something that is", NULL,
		{ { "blobs", 1, 1 } } },
	{ "head-refused", NULL, OL_OK, "", NULL,
		{ { "HEAD", 1, 1 }, { "GET /v2/app/manifests/latest", 1, 1 } } },
	{ "no-digest", NULL, OL_OK, "", NULL,
		{ { "HEAD", 1, 1 }, { "GET /v2/app/manifests/latest", 1, 1 } } },
	{ "stall", NULL, OL_OK, "", NULL, { { "blobs|range=bytes=4000-|status=206", 1, 1 } } },
	{ "drip", NULL, OL_OK, "", NULL, { { "blobs|status=206", 1, 1 } } },
	{ "stall-for-ever", NULL, OL_EUNAVAILABLE, "stalled", NULL, { { "blobs", 4, 4 } } },
	{ "huge-manifest", NULL, OL_ELIMIT, "larger than", NULL, { { "blobs", 0, 0 } } },
	{ "huge-headers", NULL, OL_ELIMIT, "headers are larger than", NULL, { { "blobs", 0, 0 } } },
	{ "wrong-type", NULL, OL_OK, "", NULL, { { "blobs", 1, 1 } } },
	{ "gzip", NULL, OL_OK, "", NULL, { { "blobs", 2, 2 } } },
	{ "label-gzip", NULL, OL_OK, "", NULL, { { "blobs", 1, 1 } } },
	{ "denied", NULL, OL_EAUTH, "may require authorization: denied: go \\x1b[31maway", NULL,
		{ { "GET", 1, 1 } } },
	{ "not-a-registry", NULL, OL_ENOTFOUND, "manifest for 127.0.0.1", NULL,
		{ { "GET", 1, 1 } } },
	{ "large", NULL, OL_OK, "", NULL, { { "blobs", 1, 1 } } },
};

/* What can be pulled is pulled right, what cannot is refused with words, and the registry is not
 * asked more than needed. */
static void a_pull_goes_as_its_scenario_says(void **state)
{
	(void)state;
	OL_EACH (pulls, c) {
		struct heard heard = { .lock = PTHREAD_MUTEX_INITIALIZER };
		ol_listener listener = { hear, &heard };
		ol_registry_options options = { .creds = c->creds,
			.retries = 3,
			.timing = fake_timing,
			.listener = &listener };
		ol_registry *registry = NULL;
		ol_error err = { 0 };
		struct fake fake;

		fake_start(&fake, c->scenario, NULL);
		CHECK_INT(c->scenario, OL_OK, ol_registry_new(&options, &registry, &err));
		CHECK_INT(c->scenario, c->rc, fake_pull(registry, &fake, &err));
		ol_registry_free(registry);
		if (!strstr(err.text, c->error))
			CHECK_STR(c->scenario, c->error, err.text);
		if (c->heard && !strstr(heard.text, c->heard))
			CHECK_STR(c->scenario, c->heard, heard.text);
		if (c->creds &&
			(strstr(err.text, c->creds + 4) || strstr(heard.text, c->creds + 4)))
			CHECK_STR(c->scenario, "no secrets", err.text);
		for (size_t i = 0; i < 3 && c->log[i].words; i++) {
			int count = fake_logged(&fake, c->log[i].words, NULL);

			if (count < c->log[i].min || count > c->log[i].max)
				CHECK_INT(c->log[i].words, c->log[i].min, count);
		}
		fake_stop(&fake);
	}
}

/* What was received before a cut is not asked for again. */
static void resume_asks_for_no_byte_twice(void **state)
{
	static const char *const scenarios[] = { "cut", "stall", "redirect-expiring" };

	(void)state;
	OL_EACH (scenarios, scenario) {
		ol_registry_options options = { .retries = 3, .timing = fake_timing };
		ol_registry *registry = NULL;
		unsigned long long bytes = 0, sizes = 0;
		struct fake fake;

		fake_start(&fake, *scenario, NULL);
		CHECK_INT(*scenario, OL_OK, ol_registry_new(&options, &registry, NULL));
		CHECK_INT(*scenario, OL_OK, fake_pull(registry, &fake, NULL));
		ol_registry_free(registry);
		for (size_t i = 0; i < fake.layer_count; i++)
			sizes += fake.layers[i].size;
		(void)fake_logged(&fake, "status=20|blob", &bytes);
		CHECK_INT(*scenario, (long long)sizes, (long long)bytes);
		fake_stop(&fake);
	}
}

static void resolve_tells_what_the_registry_says(void **state)
{
	static const struct {
		const char *scenario, *type;
	} cases[] = {
		{ "plain", "application/vnd.oci.image.manifest.v1+json" },
		{ "no-digest", "application/vnd.oci.image.manifest.v1+json" },
		{ "wrong-type", "text/plain" },
		{ "schema1", "application/vnd.docker.distribution.manifest.v1+prettyjws" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_registry_options options = { .timing = fake_timing };
		ol_registry *registry = NULL;
		ol_resolved resolved = { 0 };
		struct fake fake;
		ol_ref ref;

		fake_start(&fake, c->scenario, NULL);
		ref = fake_ref(&fake);
		CHECK_INT(c->scenario, OL_OK, ol_registry_new(&options, &registry, NULL));
		CHECK_INT(c->scenario, OL_OK, ol_registry_resolve(registry, &ref, &resolved, NULL));
		CHECK_STR(c->scenario, c->type, resolved.media_type);
		if (strcmp(c->scenario, "schema1") != 0) {
			CHECK_INT(c->scenario, (long long)fake.manifest.size,
				(long long)resolved.size);
			assert_true(ol_digest_eq(&fake.manifest.digest, &resolved.digest));
		}
		ol_registry_free(registry);
		fake_stop(&fake);
	}
}

/* By one request; and what a digest names is held against it. */
static void a_name_comes_with_its_bytes(void **state)
{
	ol_registry_options options = { .timing = fake_timing };
	ol_auto_buf ol_buf body = OL_BUF(1 << 20);
	ol_registry *registry = NULL;
	ol_resolved resolved = { 0 };
	ol_error err = { 0 };
	struct fake fake;
	ol_digest got;
	ol_ref ref;

	(void)state;
	fake_start(&fake, "plain", NULL);
	ref = fake_ref(&fake);
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT("tag", OL_OK, ol_registry_get_named(registry, &ref, &body, &resolved, &err));
	CHECK_STR("type", "application/vnd.oci.image.manifest.v1+json", resolved.media_type);
	CHECK_INT("size", (long long)fake.manifest.size, (long long)body.size);
	got = ol_digest_of(OL_SHA256, body.data, body.size);
	assert_true(ol_digest_eq(&fake.manifest.digest, &got));
	assert_true(ol_digest_eq(&fake.manifest.digest, &resolved.digest));
	(void)snprintf(ref.tag, sizeof ref.tag, "nope");
	CHECK_INT("no such tag", OL_ENOTFOUND,
		ol_registry_get_named(registry, &ref, &body, &resolved, &err));
	CHECK_INT("nothing is left of the last answer", 0, (long long)body.size);
	ol_registry_free(registry);
	CHECK_INT("asked by GET", 2, fake_logged(&fake, "GET|/manifests/", NULL));
	CHECK_INT("and by nothing else", 0, fake_logged(&fake, "HEAD", NULL));
	fake_stop(&fake);
}

/* The error's words are docker's, with what to do about it. */
static void a_missing_tag_is_not_found(void **state)
{
	ol_registry_options options = { .timing = fake_timing };
	ol_registry *registry = NULL;
	ol_resolved resolved;
	ol_error err = { 0 };
	struct fake fake;
	char want[256];
	ol_ref ref;

	(void)state;
	fake_start(&fake, "plain", NULL);
	ref = fake_ref(&fake);
	(void)snprintf(ref.tag, sizeof ref.tag, "nope");
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT("resolve", OL_ENOTFOUND, ol_registry_resolve(registry, &ref, &resolved, &err));
	(void)snprintf(want, sizeof want, "manifest for %s/app:nope not found: manifest unknown",
		fake.main);
	CHECK_STR("words", want, err.text);
	ol_registry_free(registry);
	fake_stop(&fake);
}

static void a_denied_pull_says_how_to_log_in(void **state)
{
	ol_registry_options options = { .timing = fake_timing };
	ol_registry *registry = NULL;
	ol_error err = { 0 };
	struct fake fake;
	char want[256];

	(void)state;
	fake_start(&fake, "basic", NULL);
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT("pull", OL_EAUTH, fake_pull(registry, &fake, &err));
	(void)snprintf(want, sizeof want, "orlop login %s", fake.main);
	CHECK_STR("hint", want, err.hint);
	ol_registry_free(registry);
	fake_stop(&fake);
}

static void ping_tells_whether_credentials_are_good(void **state)
{
	static const struct {
		const char *scenario, *creds;
		int rc;
	} cases[] = {
		{ "plain", NULL, OL_OK },
		{ "basic", "ann:s3cret:with:colons", OL_OK },
		{ "basic", "ann:wrong", OL_EAUTH },
		{ "basic", NULL, OL_EAUTH },
		{ "bearer", "ann:s3cret", OL_OK },
		{ "bearer", "ann:wrong", OL_EAUTH },
		{ "bearer-post", "ann:s3cret", OL_OK },
		{ "not-a-registry", NULL, OL_EUNSUPPORTED },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_registry_options options = { .creds = c->creds, .timing = fake_timing };
		ol_registry *registry = NULL;
		struct fake fake;

		fake_start(&fake, c->scenario, NULL);
		CHECK_INT(c->scenario, OL_OK, ol_registry_new(&options, &registry, NULL));
		CHECK_INT(c->scenario, c->rc, ol_registry_ping(registry, fake.main, NULL));
		ol_registry_free(registry);
		fake_stop(&fake);
	}
}

/* A token is asked for anew before the registry has to refuse it. */
static void a_token_is_renewed_before_it_expires(void **state)
{
	ol_registry_options options = { .timing = fake_timing };
	ol_registry *registry = NULL;
	struct fake fake;

	(void)state;
	fake_start(&fake, "bearer-short", NULL);
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT("first", OL_OK, fake_pull(registry, &fake, NULL));
	ol_sleep_ms(1700);
	CHECK_INT("second", OL_OK, fake_pull(registry, &fake, NULL));
	CHECK_INT("tokens", 2, fake_logged(&fake, "/token", NULL));
	CHECK_INT("refusals", 1, fake_logged(&fake, "status=401", NULL));
	ol_registry_free(registry);
	fake_stop(&fake);
}

/* An identity token from a file goes to the token server by POST, and nowhere else. */
static void an_identity_token_is_posted(void **state)
{
	char path[] = "/tmp/orlop-auth-XXXXXX";
	ol_registry_options options = { .authfile = path, .timing = fake_timing };
	ol_registry *registry = NULL;
	struct fake fake;
	FILE *file;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	fake_start(&fake, "bearer-post", NULL);
	file = fdopen(fd, "w");
	(void)fprintf(file, "{\"auths\":{\"%s\":{\"identitytoken\":\"refresh-me\"}}}", fake.main);
	(void)fclose(file);
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT("pull", OL_OK, fake_pull(registry, &fake, NULL));
	CHECK_INT("posted", 1, fake_logged(&fake, "auth POST /token|status=200", NULL));
	CHECK_INT("got", 0, fake_logged(&fake, "auth GET /token", NULL));
	ol_registry_free(registry);
	fake_stop(&fake);
	(void)unlink(path);
}

static void *cancel_soon(void *ctx)
{
	ol_sleep_ms(200);
	ol_cancel_fire(ctx);
	return NULL;
}

/* Whatever is waited for: a body, a penalty, a connection. */
static void cancel_ends_every_wait_at_once(void **state)
{
	static const char *const scenarios[] = { "stall-for-ever", "throttle", "cut-at-once" };

	(void)state;
	OL_EACH (scenarios, scenario) {
		ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
		ol_registry_options options = { .retries = 50,
			.timing = { .stall_seconds = 60, .backoff_ms = 10000 },
			.cancel = cancel };
		ol_registry *registry = NULL;
		uint64_t start;
		struct fake fake;
		pthread_t thread;

		fake_start(&fake, *scenario, NULL);
		CHECK_INT(*scenario, OL_OK, ol_registry_new(&options, &registry, NULL));
		start = ol_now_ms();
		assert_int_equal(0, pthread_create(&thread, NULL, cancel_soon, cancel));
		CHECK_INT(*scenario, OL_ECANCELED, fake_pull(registry, &fake, NULL));
		assert_in_range(ol_now_ms() - start, 0, 1000);
		(void)pthread_join(thread, NULL);
		ol_registry_free(registry);
		fake_stop(&fake);
	}
}

static void nobody_there_is_unavailable(void **state)
{
	ol_registry_options options = { .never_retry = true, .timing = fake_timing };
	ol_registry *registry = NULL;
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT("port", OL_EUNAVAILABLE, ol_registry_ping(registry, "127.0.0.1:1", &err));
	assert_non_null(strstr(err.text, "127.0.0.1:1"));
	CHECK_INT(
		"name", OL_EUNAVAILABLE, ol_registry_ping(registry, "no-such-host.invalid", &err));
	assert_non_null(strstr(err.text, "no-such-host.invalid"));
	ol_registry_free(registry);
}

struct crowd {
	ol_registry *registry;
	const struct fake *fake;
	int rc;
};

static void *pull_in_crowd(void *ctx)
{
	struct crowd *crowd = ctx;

	crowd->rc = fake_pull(crowd->registry, crowd->fake, NULL);
	return NULL;
}

/* One handle serves all threads of a command: one token, one challenge each at most. */
static void many_threads_share_a_handle(void **state)
{
	ol_registry_options options = { .retries = 5, .timing = fake_timing };
	struct crowd crowd[12];
	pthread_t threads[12];
	ol_registry *registry = NULL;
	struct fake fake;

	(void)state;
	fake_start(&fake, "bearer-anonymous", NULL);
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	for (size_t i = 0; i < 12; i++) {
		crowd[i] = (struct crowd){ registry, &fake, -1 };
		assert_int_equal(0, pthread_create(&threads[i], NULL, pull_in_crowd, &crowd[i]));
	}
	for (size_t i = 0; i < 12; i++) {
		(void)pthread_join(threads[i], NULL);
		CHECK_INT("thread", OL_OK, crowd[i].rc);
	}
	CHECK_INT("tokens", 1, fake_logged(&fake, "/token", NULL));
	ol_registry_free(registry);
	fake_stop(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pull_goes_as_its_scenario_says),
		cmocka_unit_test(resume_asks_for_no_byte_twice),
		cmocka_unit_test(resolve_tells_what_the_registry_says),
		cmocka_unit_test(a_name_comes_with_its_bytes),
		cmocka_unit_test(a_missing_tag_is_not_found),
		cmocka_unit_test(a_denied_pull_says_how_to_log_in),
		cmocka_unit_test(ping_tells_whether_credentials_are_good),
		cmocka_unit_test(a_token_is_renewed_before_it_expires),
		cmocka_unit_test(an_identity_token_is_posted),
		cmocka_unit_test(cancel_ends_every_wait_at_once),
		cmocka_unit_test(nobody_there_is_unavailable),
		cmocka_unit_test(many_threads_share_a_handle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
