#include "base/clock.h"
#include "tests/store_box.h"

static void a_store_has_the_layout_of_its_design(void **state)
{
	static const char *const paths[] = { "root/oci-layout", "root/index.json", "root/orlop.db",
		"root/blobs/sha256", "root/blobs/sha512", "root/layers", "root/chains",
		"root/ingest", "root/containers" };
	store_box *box = *state;
	ol_auto_buf ol_buf text = OL_BUF(100);
	char run[160];

	OL_EACH (paths, p)
		CHECK_INT(*p, 1, box_has(box, *p));
	CHECK_INT("read", OL_OK, ol_file_read(box->dir_fd, "root/oci-layout", true, &text, NULL));
	CHECK_STR("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", text.data);
	CHECK_STR("root", box->root, ol_store_root(box->store));
	(void)snprintf(run, sizeof run, "%s/%s", box->run, ol_store_id(box->store));
	CHECK_STR("run", run, ol_store_run_dir(box->store));
	CHECK_STR("boot", "boot-1", ol_store_boot_id(box->store));
	CHECK_INT("id", 16, (long long)strlen(ol_store_id(box->store)));
	assert_true(ol_store_root_fd(box->store) >= 0);
	assert_true(ol_store_run_fd(box->store) >= 0);
}

static void a_store_keeps_its_id(void **state)
{
	store_box *box = *state;
	char *id = strdup(ol_store_id(box->store));

	assert_non_null(id);
	box_boot(box, "boot-2");
	CHECK_STR("id", id, ol_store_id(box->store));
	free(id);
}

static void options_that_lead_nowhere_are_refused(void **state)
{
	store_box *box = *state;
	const struct {
		const char *label;
		ol_store_options options;
		int rc;
	} cases[] = {
		{ "no root", { .root = NULL }, OL_EINVAL },
		{ "empty root", { .root = "" }, OL_EINVAL },
		{ "not there", { .root = "/proc/none/store" }, OL_ENOTFOUND },
		{ "empty boot id", { .root = box->root, .run_root = box->run, .boot_id = "" },
			OL_EINVAL },
		{ "no store", { .root = "/proc", .read_only = true }, OL_ENOTFOUND },
		{ "no folder", { .root = "/proc/none", .read_only = true }, OL_ENOTFOUND },
	};

	OL_EACH (cases, c) {
		ol_store *store = NULL;

		CHECK_INT(c->label, c->rc, ol_store_open(&c->options, &store, NULL));
		assert_null(store);
	}
}

static void the_real_boot_id_is_read(void **state)
{
	store_box *box = *state;

	box_boot(box, NULL);
	CHECK_INT("length", 36, (long long)strlen(ol_store_boot_id(box->store)));
}

static void read_only_reads_and_writes_nothing(void **state)
{
	store_box *box = *state;
	const ol_store_options options = {
		.root = box->root, .run_root = box->run, .read_only = true, .boot_id = "boot-2"
	};
	ol_digest there = box_blob(box->store, "there"), fresh = box_digest("fresh");
	ol_store *store = NULL;

	CHECK_INT("open", OL_OK, ol_store_open(&options, &store, NULL));
	assert_true(ol_blob_exists(store, &there)); /* proved, though nothing can be noted */
	assert_true(ol_blob_put(store, &fresh, ol_view_of("fresh"), false, NULL) < 0);
	assert_false(ol_blob_exists(store, &fresh));
	ol_store_close(store);
}

/* Invariants 4 and 5. */
static void sync_makes_durable_what_this_boot_wrote(void **state)
{
	store_box *box = *state;
	ol_digest old = box_blob(box->store, "old"), fresh;
	ol_blob_info info;

	box_boot(box, "boot-2");
	fresh = box_blob(box->store, "new");
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &fresh, &info, NULL));
	assert_true(info.durable);
	CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &old, &info, NULL));
	assert_false(info.durable);
	assert_true(ol_blob_exists(box->store, &old));
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &old, &info, NULL));
	assert_true(info.durable);
}

static void sync_passes_over_what_is_gone(void **state)
{
	store_box *box = *state;
	ol_digest gone = box_blob(box->store, "gone"), there = box_blob(box->store, "there");
	ol_blob_info info;
	char path[256];

	CHECK_INT("unlink", 0, unlinkat(box->dir_fd, box_blob_path(&gone, path), 0));
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &gone, &info, NULL));
	assert_false(info.durable);
	CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &there, &info, NULL));
	assert_true(info.durable);
}

static void sync_ends_at_cancel(void **state)
{
	store_box *box = *state;
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();

	(void)box_blob(box->store, "x");
	ol_cancel_fire(cancel);
	CHECK_INT("sync", OL_ECANCELED, ol_store_sync(box->store, cancel, NULL));
}

static void work(store_box *box, ol_store *store)
{
	ol_digest parent = box_blob(store, "parent"), child = box_blob(store, "child"),
		  kept = box_digest("kept");

	(void)ol_blob_put(store, &kept, ol_view_of("kept"), true, NULL);
	(void)ol_blob_set_edges(store, &parent, &child, 1, NULL);
	(void)box_layer(box, store, "layer", "index", NULL);
	(void)ol_store_sync(store, NULL, NULL);
}

static void killed_at_any_step_the_store_is_sound(void **state)
{
	static const char *const faults[] = { "store.blob.adopt:kill", "store.blob.named:kill",
		"store.blob.named:kill:2", "store.blob.commit:kill", "store.blob.committed:kill",
		"store.blob.synced:kill", "store.edges.commit:kill", "store.sync.begin:kill",
		"store.sync.files:kill", "store.sync.commit:kill", "store.index.publish:kill" };
	const ol_check_options check = { .found = box_print_finding };

	(void)state;
	OL_EACH (faults, f) {
		void *fresh = NULL;
		store_box *box;
		uint64_t found = 0;
		ol_digest parent = box_digest("parent");

		(void)box_setup(&fresh);
		box = fresh;
		assert_true(box_killed_at(box, *f, work));
		CHECK_INT(*f, OL_OK, ol_check(box->store, &check, &found, NULL));
		CHECK_INT(*f, 0, (long long)found);
		work(box, box->store);
		assert_true(ol_blob_exists(box->store, &parent));
		CHECK_INT(*f, OL_OK, ol_check(box->store, &check, &found, NULL));
		CHECK_INT(*f, 0, (long long)found);
		(void)box_teardown(&fresh);
	}
}

/* The same points as failures: words, a return value, and a store that is as it was. */
static void a_failure_at_any_step_is_reported(void **state)
{
	static const char *const faults[] = { "store.blob.adopt:error", "store.blob.named:error",
		"store.blob.commit:error" };
	store_box *box = *state;
	const ol_check_options check = { .found = box_print_finding };

	OL_EACH (faults, f) {
		ol_digest digest = box_digest(*f);
		ol_error err = { 0 };
		uint64_t found = 0;
		int rc, status = 1;
		pid_t pid;

		/* In a child: the points count passes for the whole process. */
		ol_store_close(box->store);
		box->store = NULL;
		pid = fork();
		if (pid == 0) {
			ol_store *store = NULL;

			if (box_open_as(box, "boot-1", &store, NULL) < 0)
				_exit(2);
			(void)setenv("ORLOP_FAULT", *f, 1);
			rc = ol_blob_put(store, &digest, ol_view_of(*f), false, &err);
			rc = rc != OL_ESYSTEM || ol_blob_exists(store, &digest);
			ol_store_close(store);
			_exit(rc);
		}
		assert_int_equal(pid, waitpid(pid, &status, 0));
		CHECK_INT(*f, 0, status);
		box_boot(box, "boot-1");
		CHECK_INT(*f, OL_OK, ol_check(box->store, &check, &found, NULL));
		CHECK_INT(*f, 0, (long long)found);
		(void)box_blob(box->store, *f);
	}
}

static void open_is_cheap(void **state)
{
	store_box *box = *state;
	uint64_t start = ol_now_ms();

	for (int i = 0; i < 20; i++)
		box_boot(box, "boot-1");
	/* A few milliseconds each; the bound leaves room for sanitizers and a busy machine. */
	assert_true(ol_now_ms() - start < 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(a_store_has_the_layout_of_its_design),
		BOX_TEST(a_store_keeps_its_id),
		BOX_TEST(options_that_lead_nowhere_are_refused),
		BOX_TEST(the_real_boot_id_is_read),
		BOX_TEST(read_only_reads_and_writes_nothing),
		BOX_TEST(sync_makes_durable_what_this_boot_wrote),
		BOX_TEST(sync_passes_over_what_is_gone),
		BOX_TEST(sync_ends_at_cancel),
		cmocka_unit_test(killed_at_any_step_the_store_is_sound),
		BOX_TEST(a_failure_at_any_step_is_reported),
		BOX_TEST(open_is_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
