/* Writing to tests/fake_registry: one scenario of fixtures/registry a row. */
#include "base/clock.h"
#include "fetch/upload.h"
#include "tests/fake_pull.h"

/* The bytes of the fake registry's blob, fetched from it. */
struct cargo {
	ol_registry *registry;
	const struct fake *fake;
	ol_buf bytes;
	unsigned opened, readied;
	uint64_t sent;
};

static ol_ref ref_to(const struct fake *fake, const char *repository)
{
	ol_ref ref = fake_ref(fake);

	(void)snprintf(ref.path, sizeof ref.path, "%s", repository);
	return ref;
}

static int open_cargo(void *ctx, ol_source **out, ol_error *err)
{
	struct cargo *cargo = ctx;

	(void)err;
	cargo->opened++;
	*out = ol_source_of_memory(cargo->bytes.data, cargo->bytes.size);
	return OL_OK;
}

static void count_sent(void *ctx, uint64_t done)
{
	((struct cargo *)ctx)->sent = done;
}

static void load_cargo(struct cargo *cargo)
{
	ol_ref app = ref_to(cargo->fake, "app");
	ol_descriptor blob = { .media_type = "",
		.digest = cargo->fake->layers[0].digest,
		.size = cargo->fake->layers[0].size };

	cargo->bytes = (ol_buf)OL_BUF((size_t)1 << 20);
	assert_int_equal(OL_OK, ol_registry_get_small_blob(cargo->registry, &app, &blob,
					(size_t)1 << 20, &cargo->bytes, NULL));
}

struct expect_log {
	const char *words;
	int min, max;
};

#define ANY 100000

/* A million bytes in pieces of 160000, the last of 40000: seven. */
static const struct {
	const char *scenario, *creds, *mount_from;
	int rc;
	ol_upload_end end;
	const char *error;
	struct expect_log log[4];
} pushes[] = {
	{ "push-plain", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "HEAD /v2/to/blobs", 1, 1 }, { "POST", 1, 1 }, { "PATCH|status=202", 7, 7 },
			{ "PUT|status=201", 1, 1 } } },
	{ "push-plain", NULL, "app", OL_OK, OL_UPLOAD_MOUNTED, "",
		{ { "POST|status=201", 1, 1 }, { "PATCH", 0, 0 }, { "PUT", 0, 0 } } },
	{ "push-plain", NULL, "elsewhere", OL_OK, OL_UPLOAD_SENT, "",
		{ { "POST|status=202", 1, 1 }, { "PATCH|status=202", 7, 7 } } },
	{ "push-mount", NULL, "app", OL_OK, OL_UPLOAD_SENT, "",
		{ { "POST|status=202", 1, 1 }, { "PATCH|status=202", 7, 7 } } },
	{ "push-mount-denied", NULL, "app", OL_OK, OL_UPLOAD_SENT, "",
		{ { "POST|status=403", 1, 1 }, { "POST|status=202", 1, 1 } } },
	{ "push-cut", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "POST", 1, 1 }, { "PATCH|range=70000-", 1, 1 }, { "PATCH|range=140000-", 1, 1 },
			{ "GET /v2/to/blobs/uploads", 3, 3 } } },
	{ "push-cut-lost", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "POST", 2, 2 }, { "GET /v2/to/blobs/uploads|status=404", 1, 1 } } },
	{ "push-cut-answer", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "POST", 1, 1 }, { "PATCH", 7, 7 }, { "PATCH|range=0-159999", 1, 1 } } },
	{ "push-cut-end", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "POST", 1, 1 }, { "PUT", 1, 2 }, { "HEAD", 2, 2 } } },
	{ "push-cut-ever", NULL, NULL, OL_EUNAVAILABLE, 0, "127.0.0.1", { { "PATCH", 4, 4 } } },
	{ "push-location-relative", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "PATCH|status=202", 7, 7 } } },
	{ "push-location-absolute", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "PATCH|status=202", 7, 7 } } },
	{ "push-location-other", "ann:s3cret", NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "other PATCH|auth=none|status=202", 7, 7 }, { "other|auth=basic", 0, 0 },
			{ "main PATCH", 0, 0 } } },
	{ "push-location-nowhere", NULL, NULL, OL_EUNAVAILABLE, 0,
		"leads an upload to something that is", { { "PATCH", 0, 0 } } },
	{ "push-location-none", NULL, NULL, OL_EUNAVAILABLE, 0,
		"does not say where an upload goes on", { { "PATCH", 0, 0 } } },
	{ "push-expired", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "POST", 3, 3 }, { "PATCH|status=404", 1, 1 }, { "PUT|status=404", 1, 1 } } },
	{ "push-expired-ever", NULL, NULL, OL_ENOTFOUND, 0, "blob upload unknown",
		{ { "POST", 4, 4 } } },
	{ "push-worn", "ann:s3cret", NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "PATCH|status=401", 2, ANY }, { "PATCH|status=202", 7, 7 },
			{ "PUT|status=201", 1, 1 } } },
	{ "push-bearer", "ann:s3cret", "app", OL_OK, OL_UPLOAD_MOUNTED, "",
		{ { "/token", 2, 2 }, { "main|status=401", 2, 2 } } },
	{ "push-bearer", "ann:wrong", NULL, OL_EAUTH, 0, "refuses these credentials",
		{ { "POST /v2", 0, 0 } } },
	{ "push-throttle", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "PATCH|status=429", 1, 1 }, { "PATCH|status=503", 1, 1 },
			{ "PATCH|status=202", 7, 7 }, { "PUT|status=502", 1, 1 } } },
	{ "push-down", NULL, NULL, OL_EUNAVAILABLE, 0, "disk on fire", { { "PATCH", 4, 4 } } },
	{ "push-max-body", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "PATCH|status=413", 1, 1 }, { "PATCH|status=202", 100, 100 } } },
	{ "push-too-large", NULL, NULL, OL_ELIMIT, 0, "it is too large",
		{ { "PATCH|status=413", 2, 2 }, { "DELETE", 1, 1 } } },
	{ "push-min-chunk", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "PATCH|status=202", 4, 4 }, { "status=400", 0, 0 } } },
	{ "push-no-patch", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "PATCH", 1, 1 }, { "POST", 2, 2 }, { "PUT|status=201", 1, 1 } } },
	{ "push-no-range", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "PATCH|status=202", 7, 7 } } },
	{ "push-out-of-order", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "PATCH|status=416", 3, 3 }, { "PUT|status=201", 1, 1 } } },
	{ "push-wrong-digest", NULL, NULL, OL_ECORRUPT, 0, "have another digest",
		{ { "PUT", 1, 1 } } },
	{ "push-other-digest", NULL, NULL, OL_ECORRUPT, 0, "keeps it as sha256:0000",
		{ { "PUT", 1, 1 } } },
	{ "push-denied", NULL, NULL, OL_EAUTH, 0,
		"push access denied for to, repository does not exist or may require "
		"authorization: denied: requested access to the resource is denied",
		{ { "POST", 1, 1 } } },
	{ "push-quota", NULL, NULL, OL_EUNAVAILABLE, 0, "has no room left: denied: quota exceeded",
		{ { "POST", 1, 1 } } },
	{ "push-head-refused", NULL, NULL, OL_OK, OL_UPLOAD_SENT, "",
		{ { "HEAD", 1, 1 }, { "PUT|status=201", 1, 1 } } },
};

static void a_push_goes_as_its_scenario_says(void **state)
{
	(void)state;
	OL_EACH (pushes, c) {
		ol_registry_options options = { .creds = c->creds,
			.retries = 3,
			.timing = fake_timing,
			.piece_bytes = 160000 };
		ol_upload_end end = 99;
		ol_error err = { 0 };
		struct fake fake;
		struct cargo cargo = { .fake = &fake };
		ol_upload upload = { .mount_from = c->mount_from,
			.open = open_cargo,
			.progress = count_sent,
			.ctx = &cargo };
		const bool allowed = !c->creds || !strstr(c->creds, "wrong");
		ol_ref to;

		fake_start(&fake, c->scenario, NULL);
		to = ref_to(&fake, "to");
		CHECK_INT(c->scenario, OL_OK, ol_registry_new(&options, &cargo.registry, &err));
		if (allowed)
			load_cargo(&cargo);
		upload.digest = fake.layers[0].digest;
		upload.size = fake.layers[0].size;
		CHECK_INT(c->scenario, c->rc,
			ol_registry_put_blob(cargo.registry, &to, &upload, &end, &err));
		if (c->rc == OL_OK) {
			CHECK_INT(c->scenario, c->end, end);
			CHECK_INT(c->scenario, end == OL_UPLOAD_SENT, cargo.opened);
			CHECK_INT(c->scenario, end == OL_UPLOAD_SENT ? (long long)upload.size : 0,
				(long long)cargo.sent);
		}
		ol_registry_free(cargo.registry);
		if (!strstr(err.text, c->error))
			CHECK_STR(c->scenario, c->error, err.text);
		if (c->creds && strstr(err.text, c->creds + 4))
			CHECK_STR(c->scenario, "no secrets", err.text);
		for (size_t i = 0; i < 4 && c->log[i].words; i++) {
			int count = fake_logged(&fake, c->log[i].words, NULL);

			if (count < c->log[i].min || count > c->log[i].max) {
				print_message("%s: ", c->scenario);
				CHECK_INT(c->log[i].words, c->log[i].min, count);
			}
		}
		fake_stop(&fake);
		ol_buf_done(&cargo.bytes);
	}
}

/* What is there is not sent again, and a blob that is in the store of another repository only is
 * not there. */
static void a_blob_that_is_there_is_left_alone(void **state)
{
	ol_registry_options options = { .timing = fake_timing };
	struct fake fake;
	struct cargo cargo = { .fake = &fake };
	ol_upload upload = { .open = open_cargo, .ctx = &cargo };
	ol_upload_end end = 99;
	ol_ref app, to;

	(void)state;
	fake_start(&fake, "push-plain", NULL);
	app = ref_to(&fake, "app");
	to = ref_to(&fake, "to");
	upload.digest = fake.layers[0].digest;
	upload.size = fake.layers[0].size;
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &cargo.registry, NULL));
	CHECK_INT("put", OL_OK, ol_registry_put_blob(cargo.registry, &app, &upload, &end, NULL));
	CHECK_INT("end", OL_UPLOAD_EXISTED, end);
	CHECK_INT("opened", 0, cargo.opened);
	CHECK_INT("app", OL_OK, ol_registry_has_blob(cargo.registry, &app, &upload.digest, NULL));
	CHECK_INT("to", OL_ENOTFOUND,
		ol_registry_has_blob(cargo.registry, &to, &upload.digest, NULL));
	ol_registry_free(cargo.registry);
	fake_stop(&fake);
}

/* A blob that comes in slowly: 100000 bytes more are there each time it is asked for. */
static int grow(void *ctx, uint64_t from, uint64_t want, uint64_t *to, ol_error *err)
{
	struct cargo *cargo = ctx;

	cargo->readied++;
	if (*to > from + 100000)
		*to = from + 100000;
	return *to >= from + want ? OL_OK : ol_fail(err, OL_EINVAL, "too little is asked for");
}

static int grow_and_fail(void *ctx, uint64_t from, uint64_t want, uint64_t *to, ol_error *err)
{
	if (from >= 300000)
		return ol_fail(err, OL_ECORRUPT, "the far side has lied");
	return grow(ctx, from, want, to, err);
}

static void a_blob_is_sent_as_it_grows(void **state)
{
	static const struct {
		const char *name;
		int (*ready)(void *, uint64_t, uint64_t, uint64_t *, ol_error *);
		int rc, patches;
	} cases[] = { { "grows", grow, OL_OK, 10 }, { "fails", grow_and_fail, OL_ECORRUPT, 3 } };

	(void)state;
	OL_EACH (cases, c) {
		ol_registry_options options = { .timing = fake_timing, .piece_bytes = 160000 };
		struct fake fake;
		struct cargo cargo = { .fake = &fake };
		ol_upload upload = { .open = open_cargo, .ready = c->ready, .ctx = &cargo };
		ol_upload_end end = 99;
		ol_ref to;

		fake_start(&fake, "push-plain", NULL);
		to = ref_to(&fake, "to");
		upload.digest = fake.layers[0].digest;
		upload.size = fake.layers[0].size;
		CHECK_INT("new", OL_OK, ol_registry_new(&options, &cargo.registry, NULL));
		load_cargo(&cargo);
		CHECK_INT(c->name, c->rc,
			ol_registry_put_blob(cargo.registry, &to, &upload, &end, NULL));
		CHECK_INT(c->name, c->rc,
			ol_registry_has_blob(cargo.registry, &to, &upload.digest, NULL) == OL_OK
				? OL_OK
				: OL_ECORRUPT);
		ol_registry_free(cargo.registry);
		CHECK_INT(c->name, c->patches, fake_logged(&fake, "PATCH|status=202", NULL));
		CHECK_INT(c->name, c->rc < 0, fake_logged(&fake, "DELETE|status=204", NULL));
		fake_stop(&fake);
		ol_buf_done(&cargo.bytes);
	}
}

/* A manifest of `to` over what `app` has: its config alone, mounted. */
static int put_manifest(ol_registry *registry, const struct fake *fake, const char *tag,
	const char *subject, ol_error *err)
{
	ol_ref to = ref_to(fake, "to");
	ol_upload config = {
		.digest = fake->config.digest, .size = fake->config.size, .mount_from = "app"
	};
	ol_upload_end end;
	ol_autofree char *text =
		ol_text("{\"schemaVersion\":2,\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
			"\",\"config\":{\"mediaType\":\"" OL_MEDIA_OCI_CONFIG
			"\",\"digest\":\"%s\",\"size\":%llu},\"layers\":[],\"annotations\":{\"n\":"
			"\"%s\"}%s%s%s}",
			ol_digest_format(&config.digest).text, (unsigned long long)config.size,
			tag ? tag : "", subject ? ",\"subject\":" : "", subject ? subject : "", "");
	ol_manifest_put put = {
		.tag = tag, .media_type = OL_MEDIA_OCI_MANIFEST, .bytes = ol_view_of(text)
	};
	int rc = ol_registry_put_blob(registry, &to, &config, &end, err);

	put.digest = ol_digest_of(OL_SHA256, text, strlen(text));
	return rc < 0 ? rc : ol_registry_put_manifest(registry, &to, &put, err);
}

static void referrers_are_kept_by_somebody(void **state)
{
	static const struct {
		const char *scenario;
		int tags, rc;
	} cases[] = { { "push-referrers", 0, OL_ENOTFOUND }, { "push-referrers-tag", 2, OL_OK } };

	(void)state;
	OL_EACH (cases, c) {
		ol_registry_options options = { .timing = fake_timing };
		ol_registry *registry = NULL;
		ol_auto_buf ol_buf body = OL_BUF((size_t)1 << 20);
		ol_resolved resolved;
		struct fake fake;
		ol_autofree char *subject = NULL;
		ol_ref to;

		fake_start(&fake, c->scenario, NULL);
		to = ref_to(&fake, "to");
		subject = ol_text("{\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
				  "\",\"digest\":\"%s\",\"size\":%llu}",
			ol_digest_format(&fake.manifest.digest).text,
			(unsigned long long)fake.manifest.size);
		CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
		CHECK_INT(c->scenario, OL_OK, put_manifest(registry, &fake, "a", subject, NULL));
		CHECK_INT(c->scenario, OL_OK, put_manifest(registry, &fake, "b", subject, NULL));
		/* Once more: it is listed already. */
		CHECK_INT(c->scenario, OL_OK, put_manifest(registry, &fake, "b", subject, NULL));
		(void)snprintf(to.tag, sizeof to.tag, "sha256-%s",
			ol_digest_hex(&fake.manifest.digest).text);
		CHECK_INT(c->scenario, c->rc, ol_registry_resolve(registry, &to, &resolved, NULL));
		if (c->rc == OL_OK) {
			CHECK_INT(c->scenario, OL_OK,
				ol_registry_get_manifest(
					registry, &to, &resolved.digest, &body, NULL, NULL));
			assert_non_null(strstr(body.data, "\"annotations\":{\"n\":\"a\"}"));
			assert_non_null(strstr(body.data, "\"annotations\":{\"n\":\"b\"}"));
			assert_non_null(
				strstr(body.data, "\"artifactType\":\"" OL_MEDIA_OCI_CONFIG "\""));
		}
		ol_registry_free(registry);
		CHECK_INT(c->scenario, c->tags,
			fake_logged(&fake, "PUT /v2/to/manifests/sha256-|status=201", NULL));
		fake_stop(&fake);
	}
}

static void a_manifest_that_becomes_another_is_refused(void **state)
{
	ol_registry_options options = { .timing = fake_timing };
	ol_registry *registry = NULL;
	ol_error err = { 0 };
	struct fake fake;

	(void)state;
	fake_start(&fake, "push-plain", NULL);
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT("sound", OL_OK, put_manifest(registry, &fake, "sound", NULL, &err));
	CHECK_INT("by digest", OL_OK, put_manifest(registry, &fake, NULL, NULL, &err));
	ol_registry_free(registry);
	fake_stop(&fake);
	fake_start(&fake, "push-other-digest", NULL);
	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT("other", OL_ECORRUPT, put_manifest(registry, &fake, "other", NULL, &err));
	assert_non_null(strstr(err.text, "manifest other: 127.0.0.1"));
	ol_registry_free(registry);
	fake_stop(&fake);
}

static int add_tag(void *ctx, const char *tag, ol_error *err)
{
	ol_str *all = ctx;

	(void)err;
	return ol_str_addf(all, "%s ", tag);
}

static void tags_are_listed_page_by_page(void **state)
{
	static const char *const tags[] = { "a", "b", "c", "d", "e", "f", "g" };
	static const struct {
		const char *scenario, *repository, *tags;
		int rc, requests;
	} cases[] = { { "push-tags", "to", "a b c d e f g ", OL_OK, 3 },
		{ "push-tags", "none", "", OL_ENOTFOUND, 1 },
		{ "push-tags-for-ever", "to", "a b c d e f g ", OL_EUNAVAILABLE, 1 } };

	(void)state;
	OL_EACH (cases, c) {
		ol_registry_options options = { .timing = fake_timing };
		ol_registry *registry = NULL;
		ol_auto_str ol_str all = OL_STR(1000);
		struct fake fake;
		ol_ref ref;

		fake_start(&fake, c->scenario, NULL);
		ref = ref_to(&fake, c->repository);
		CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
		OL_EACH (tags, tag)
			CHECK_INT(*tag, OL_OK, put_manifest(registry, &fake, *tag, NULL, NULL));
		CHECK_INT(c->scenario, c->rc,
			ol_registry_list_tags(registry, &ref, add_tag, &all, NULL));
		CHECK_STR(c->scenario, c->tags, ol_str_text(&all));
		ol_registry_free(registry);
		CHECK_INT(c->scenario, c->requests, fake_logged(&fake, "/tags/list", NULL));
		fake_stop(&fake);
	}
}

static void a_link_leads_on(void **state)
{
	static const struct {
		const char *header, *next;
		int rc;
	} cases[] = {
		{ "</v2/a/tags/list?n=1&last=b>; rel=\"next\"", "/v2/a/tags/list?n=1&last=b",
			OL_OK },
		{ "<x>;rel=next", "x", OL_OK },
		{ "<x> ; title=\"a, b\" ; REL=NEXT", "x", OL_OK },
		{ "<x>; rel=\"prev\", <y>; rel=\"next\"", "y", OL_OK },
		{ "<a,b>; rel=\"next\"", "a,b", OL_OK },
		{ "<x>; rel=\"prev\"", "", OL_ENOTFOUND },
		{ "<x>; title=\"; rel=next", "", OL_ENOTFOUND },
		{ "<x", "", OL_ENOTFOUND },
		{ "x>; rel=next", "", OL_ENOTFOUND },
		{ "<x>; rel=nextly", "", OL_ENOTFOUND },
		{ "", "", OL_ENOTFOUND },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_view next = { "", 0 };

		CHECK_INT(c->header, c->rc, ol_link_next(ol_view_of(c->header), &next, NULL));
		if (!ol_view_is(next, c->next))
			CHECK_STR(c->header, c->next, next.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_push_goes_as_its_scenario_says),
		cmocka_unit_test(a_blob_that_is_there_is_left_alone),
		cmocka_unit_test(a_blob_is_sent_as_it_grows),
		cmocka_unit_test(referrers_are_kept_by_somebody),
		cmocka_unit_test(a_manifest_that_becomes_another_is_refused),
		cmocka_unit_test(tags_are_listed_page_by_page),
		cmocka_unit_test(a_link_leads_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
