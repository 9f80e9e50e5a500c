/* Large blobs, in pieces over several connections. */
#include "fetch/registry.h"
#include "tests/fake_pull.h"

static ol_registry *open_registry(unsigned connections)
{
	ol_registry_options options = {
		.retries = 5, .connections = connections, .timing = fake_timing
	};
	ol_registry *registry = NULL;

	CHECK_INT("new", OL_OK, ol_registry_new(&options, &registry, NULL));
	return registry;
}

static void a_large_blob_comes_whole_however_it_comes(void **state)
{
	static const struct {
		const char *scenario;
		unsigned connections;
		int ranged_min, whole_min; /* requests answered by 206 and by 200 */
		int ranged_max, whole_max;
	} cases[] = {
		{ "large", 0, 0, 1, 0, 1 },          /* loopback: one connection is as good */
		{ "large", 3, 4, 0, 5, 0 },          /* 40 MB in pieces of 8 MiB */
		{ "large-no-range", 3, 0, 1, 0, 1 }, /* one stream brings all pieces */
		{ "large-cut", 3, 5, 0, 1000, 0 },
		{ "large-fickle", 3, 1, 1, 3, 4 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_registry_free) ol_registry *registry = open_registry(c->connections);
		struct fake fake;
		int ranged, whole;

		fake_start(&fake, c->scenario, NULL);
		CHECK_INT(c->scenario, OL_OK, fake_pull_layer(registry, &fake, 0, NULL));
		ol_registry_free(ol_steal(&registry));
		ranged = fake_logged(&fake, "status=206", NULL);
		whole = fake_logged(&fake, "status=200", NULL);
		if (ranged < c->ranged_min || ranged > c->ranged_max)
			CHECK_INT(c->scenario, c->ranged_min, ranged);
		if (whole < c->whole_min || whole > c->whole_max)
			CHECK_INT(c->scenario, c->whole_min, whole);
		fake_stop(&fake);
	}
}

/* Only what is missing is asked for: several holes, as a killed pull leaves them. */
static void only_the_given_ranges_are_fetched(void **state)
{
	static const ol_fetch_range holes[] = { { 5, 100 }, { 100, 100 }, { 50000, 150000 },
		{ 203322, 203323 } };
	static const char *const scenarios[] = { "plain", "plain-no-range" };

	(void)state;
	OL_EACH (scenarios, scenario) {
		ol_auto(ol_registry_free) ol_registry *registry = open_registry(0);
		struct fake fake;
		struct paper paper;
		ol_descriptor blob = { .media_type = "" };
		ol_ref ref;
		unsigned long long bytes = 0;

		fake_start(&fake, *scenario, NULL);
		ref = fake_ref(&fake);
		blob.digest = fake.layers[0].digest;
		blob.size = fake.layers[0].size;
		CHECK_INT(*scenario, 203323, (long long)blob.size);
		paper_init(&paper, blob.size);
		CHECK_INT(*scenario, OL_OK,
			ol_registry_get_blob(registry, &ref, &blob, holes, 4,
				&(ol_blob_target){ paper_write, &paper }, NULL));
		for (uint64_t i = 0; i < paper.size; i++) {
			bool wanted = false;

			for (size_t h = 0; h < 4; h++)
				wanted = wanted || (i >= holes[h].start && i < holes[h].end);
			assert_true(paper.times[i] == wanted);
		}
		paper_done(&paper);
		ol_registry_free(ol_steal(&registry));
		if (strcmp(*scenario, "plain") == 0) {
			CHECK_INT(*scenario, 3, fake_logged(&fake, "status=206", &bytes));
			CHECK_INT(*scenario, 95 + 100000 + 1, (long long)bytes);
		} else {
			CHECK_INT(*scenario, 1, fake_logged(&fake, "blobs|status=200", NULL));
		}
		fake_stop(&fake);
	}
}

static int full(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	(void)data;
	(void)size;
	*(int *)ctx += 1;
	return offset >= 20000000 ? ol_fail(err, OL_ESYSTEM, "disk full") : OL_OK;
}

/* The target's refusal ends all connections and comes back as it is. */
static void a_target_that_fails_ends_the_fetch(void **state)
{
	static const unsigned connections[] = { 1, 3 };

	(void)state;
	OL_EACH (connections, n) {
		ol_auto(ol_registry_free) ol_registry *registry = open_registry(*n);
		ol_error err = { 0 };
		struct fake fake;
		ol_descriptor blob = { .media_type = "" };
		ol_fetch_range all = { 0, 40000000 };
		int calls = 0;
		ol_ref ref;

		fake_start(&fake, "large", NULL);
		ref = fake_ref(&fake);
		blob.digest = fake.layers[0].digest;
		blob.size = fake.layers[0].size;
		CHECK_INT("rc", OL_ESYSTEM,
			ol_registry_get_blob(registry, &ref, &blob, &all, 1,
				&(ol_blob_target){ full, &calls }, &err));
		CHECK_STR("words", "disk full", err.text);
		assert_true(calls > 0);
		fake_stop(&fake);
	}
}

static void ranges_that_cannot_be_meant_are_refused(void **state)
{
	static const ol_fetch_range bad[][2] = {
		{ { 10, 20 }, { 15, 30 } },
		{ { 20, 10 }, { 20, 30 } },
		{ { 0, 10 }, { 20, 101 } },
	};
	ol_auto(ol_registry_free) ol_registry *registry = open_registry(0);
	ol_ref ref = { .domain = "127.0.0.1:1", .path = "app" };
	ol_descriptor blob = { .media_type = "", .size = 100 };
	int calls = 0;

	(void)state;
	OL_EACH (bad, ranges)
		CHECK_INT("rc", OL_EINVAL,
			ol_registry_get_blob(registry, &ref, &blob, *ranges, 2,
				&(ol_blob_target){ full, &calls }, NULL));
	CHECK_INT("calls", 0, calls);
}

/* A small blob comes whole and verified, or not at all. */
static void a_small_blob_is_verified(void **state)
{
	static const struct {
		const char *scenario;
		size_t max;
		int rc;
	} cases[] = {
		{ "plain", 300000, OL_OK },
		{ "plain", 1000, OL_ELIMIT },
		{ "cut", 700000, OL_OK },
		{ "wrong-digest", 300000, OL_ECORRUPT },
		{ "larger-blob", 300000, OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_registry_free) ol_registry *registry = open_registry(0);
		ol_auto_buf ol_buf body = OL_BUF(c->max);
		ol_descriptor blob = { .media_type = "" };
		struct fake fake;
		ol_ref ref;

		fake_start(&fake, c->scenario, NULL);
		ref = fake_ref(&fake);
		blob.digest = fake.layers[0].digest;
		blob.size = fake.layers[0].size;
		CHECK_INT(c->scenario, c->rc,
			ol_registry_get_small_blob(registry, &ref, &blob, c->max, &body, NULL));
		if (c->rc == OL_OK)
			CHECK_INT(c->scenario, (long long)blob.size, (long long)body.size);
		fake_stop(&fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_large_blob_comes_whole_however_it_comes),
		cmocka_unit_test(only_the_given_ranges_are_fetched),
		cmocka_unit_test(a_target_that_fails_ends_the_fetch),
		cmocka_unit_test(ranges_that_cannot_be_meant_are_refused),
		cmocka_unit_test(a_small_blob_is_verified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
