/* Folders of layers that are not whole (store/lazy.h), and what the rest of the store makes of
 * them. */
#include "store/ingest.h"
#include "store/lazy.h"
#include "store/lease.h"
#include "store/survey.h"
#include "tests/store_box.h"

/* A staging folder with a seek table that says text. */
static int stage(store_box *box, const char *text)
{
	int fd = -1;

	CHECK_INT("stage", OL_OK, ol_remove_tree(box->dir_fd, "stage", NULL));
	CHECK_INT("stage", OL_OK, ol_mkdirs(box->dir_fd, "stage", 0700, NULL));
	box_file(box, "stage/seek", text);
	box_file(box, "stage/source", text);
	CHECK_INT("stage", OL_OK, ol_dir_open(box->dir_fd, "stage", &fd, NULL));
	return fd;
}

static void put_folder(store_box *box, const char *key, const char *text)
{
	const ol_digest diff_id = box_digest(key);
	ol_autofd int fd = stage(box, text);
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_lazy_put(box->store, &diff_id, fd, &err));
}

static void put_row(store_box *box, const char *key, bool is_chain, const char *driver)
{
	ol_layer_info info = {
		.key = box_digest(key),
		.is_chain = is_chain,
		.diff_id = box_digest("layer"),
		.tar_bytes = 10240,
		.disk_bytes = 9,
		.blob = box_digest("compressed"),
		.blob_size = 10,
		.media_type = "application/vnd.oci.image.layer.v1.tar+gzip",
		.index_digest = box_digest("index"),
		.origin = "reg.example/app:1",
	};
	ol_error err = { 0 };

	(void)snprintf(info.driver, sizeof info.driver, "%s", driver);
	info.disk_bytes = strcmp(driver, "lazy") == 0 ? 9 : 5;
	box_file(box, "staged", "index");
	CHECK_INT(err.text, OL_OK, ol_layer_put(box->store, &info, box->dir_fd, "staged", &err));
}

static const char *path_of(const char *key, const char *file, char path[200])
{
	const ol_digest digest = box_digest(key);

	(void)snprintf(path, 200, "root/lazy/%s%s%s", ol_digest_hex(&digest).text, file ? "/" : "",
		file ? file : "");
	return path;
}

static bool has(store_box *box, const char *file)
{
	char path[200];

	return box_has(box, path_of("layer", file, path));
}

static void a_folder_is_put_as_one(void **state)
{
	store_box *box = *state;
	const ol_digest diff_id = box_digest("layer");
	ol_auto_buf ol_buf text = OL_BUF(100);
	ol_autofd int fd = -1;
	char path[200];

	assert_int_equal(OL_ENOTFOUND, ol_lazy_open(box->store, &diff_id, &fd, NULL));
	put_folder(box, "layer", "one");
	assert_int_equal(OL_OK, ol_lazy_open(box->store, &diff_id, &fd, NULL));
	assert_int_equal(OL_OK, ol_file_read(fd, OL_LAZY_SEEK, true, &text, NULL));
	assert_string_equal("one", text.data);
	assert_false(box_has(box, "stage/seek"));
	assert_int_equal(OL_OK, ol_lazy_remove(box->store, &diff_id, NULL));
	assert_int_equal(OL_OK, ol_lazy_remove(box->store, &diff_id, NULL));
	assert_false(box_has(box, path_of("layer", NULL, path)));
}

static void a_folder_needs_a_seek_table(void **state)
{
	store_box *box = *state;
	const ol_digest diff_id = box_digest("layer"), none = { 0 };
	ol_autofd int fd = stage(box, "one");

	assert_int_equal(OL_EINVAL, ol_lazy_put(box->store, &none, fd, NULL));
	assert_int_equal(0, unlinkat(fd, "seek", 0));
	assert_int_equal(OL_ENOTFOUND, ol_lazy_put(box->store, &diff_id, fd, NULL));
	assert_false(has(box, NULL));
}

/* The payload is of use as long as the table says the same; its state goes with it. */
static void a_payload_lasts_as_long_as_its_table(void **state)
{
	store_box *box = *state;
	char path[200], run[300];
	const ol_digest diff_id = box_digest("layer");
	const int run_fd = ol_store_run_fd(box->store);

	(void)snprintf(run, sizeof run, "lazy/%s.state", ol_digest_hex(&diff_id).text);
	put_folder(box, "layer", "one");
	box_file(box, path_of("layer", OL_LAZY_PAYLOAD, path), "payload");
	assert_int_equal(0, mkdirat(run_fd, "lazy", 0700));
	assert_int_equal(OL_OK, ol_publish(run_fd, run, ol_view_of("state"), 0600, 0, NULL));
	put_folder(box, "layer", "one");
	assert_true(has(box, OL_LAZY_PAYLOAD));
	assert_int_equal(0, faccessat(run_fd, run, F_OK, 0));
	put_folder(box, "layer", "two");
	assert_false(has(box, OL_LAZY_PAYLOAD));
	assert_int_equal(-1, faccessat(run_fd, run, F_OK, 0));
	assert_true(has(box, OL_LAZY_SOURCE));
}

/* What was typed is needed as long as the layer is fetched, and by another table too. */
static void credentials_go_with_the_folder(void **state)
{
	store_box *box = *state;
	char run[300];
	const ol_digest diff_id = box_digest("layer");
	const int run_fd = ol_store_run_fd(box->store);

	(void)snprintf(run, sizeof run, OL_LAZY_RUN_DIR "/" OL_LAZY_CREDS_NAME,
		ol_digest_hex(&diff_id).text);
	assert_int_equal(0, mkdirat(run_fd, OL_LAZY_RUN_DIR, 0700));
	for (int swept = 0; swept < 2; swept++) {
		put_folder(box, "layer", "one");
		assert_int_equal(
			OL_OK, ol_publish(run_fd, run, ol_view_of("user:password"), 0600, 0, NULL));
		put_folder(box, "layer", "two");
		assert_int_equal(0, faccessat(run_fd, run, F_OK, 0));
		assert_int_equal(OL_OK, swept ? ol_lazy_sweep(box->store, NULL)
					      : ol_lazy_remove(box->store, &diff_id, NULL));
		assert_int_equal(-1, faccessat(run_fd, run, F_OK, 0));
	}
}

static void gc_keeps_what_a_row_or_a_lease_needs(void **state)
{
	static const struct {
		const char *label;
		const char *key; /* of a row, or NULL */
		const char *driver;
		bool is_chain, leased, kept;
	} rows[] = {
		{ "its layer's row", "layer", "lazy", false, true, true },
		{ "a chain's row", "chain", "lazy", true, true, true },
		{ "a lease", NULL, "", false, true, true },
		{ "nothing", NULL, "", false, false, false },
		{ "a layer that is whole", "layer", "erofs", false, false, false },
		{ "a row that is garbage itself", "layer", "lazy", false, false, false },
	};
	store_box *box = *state;
	const ol_digest diff_id = box_digest("layer");

	OL_EACH (rows, row) {
		ol_lease *lease = NULL;
		ol_gc_result result = { 0 };
		ol_error err = { 0 };

		assert_int_equal(OL_OK, ol_lease_begin(box->store, "test", &lease, NULL));
		if (row->leased) {
			const ol_digest digest = box_digest(row->key ? row->key : "layer");

			assert_int_equal(OL_OK, ol_lease_add(lease, &digest, NULL));
		}
		put_folder(box, "layer", "seek");
		if (row->key)
			put_row(box, row->key, row->is_chain, row->driver);
		CHECK_INT(row->label, row->key && strcmp(row->driver, "lazy") == 0,
			ol_lazy_is_needed(box->store, &diff_id));
		CHECK_INT(err.text, OL_OK, ol_gc(box->store, NULL, &result, &err));
		CHECK_INT(row->label, row->kept, has(box, OL_LAZY_SEEK));
		ol_lease_end(lease);
		CHECK_INT(row->label, OL_OK, ol_gc(box->store, NULL, &result, &err));
		assert_int_equal(OL_OK, ol_lazy_sweep(box->store, NULL));
		CHECK_INT(row->label, false, has(box, NULL));
	}
}

/* Only from lazy to whole. */
static void a_whole_layer_takes_a_lazy_ones_place(void **state)
{
	static const struct {
		const char *label, *before, *after, *want;
	} rows[] = {
		{ "it became whole", "lazy", "erofs", "erofs" },
		{ "it became a tree", "lazy", "dir", "dir" },
		{ "whole stays whole", "erofs", "lazy", "erofs" },
		{ "another driver", "erofs", "dir", "erofs" },
		{ "lazy twice", "lazy", "lazy", "lazy" },
	};
	store_box *box = *state;

	put_folder(box, "layer", "seek");
	OL_EACH (rows, row)
		for (int is_chain = 0; is_chain < 2; is_chain++) {
			char key[60];
			ol_digest digest;
			ol_layer_info info = { 0 };

			(void)snprintf(key, sizeof key, "%d %s", is_chain, row->label);
			digest = box_digest(key);
			put_row(box, key, is_chain, row->before);
			put_row(box, key, is_chain, row->after);
			CHECK_INT(row->label, OL_OK,
				ol_layer_get(box->store, &digest, is_chain, &info, NULL));
			CHECK_STR(row->label, row->want, info.driver);
		}
}

static uint64_t count_faults(store_box *box, bool quick)
{
	const ol_check_options options = { .quick = quick, .found = box_print_finding };
	uint64_t faults = 99;
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_check(box->store, &options, &faults, &err));
	return faults;
}

static void a_lazy_layer_without_its_folder_is_damaged(void **state)
{
	store_box *box = *state;
	const ol_digest diff_id = box_digest("layer");
	ol_layer_info info = { 0 };

	put_folder(box, "layer", "seek");
	put_row(box, "layer", false, "lazy");
	assert_int_equal(OL_OK, ol_layer_get(box->store, &diff_id, false, &info, NULL));
	assert_int_equal(0, count_faults(box, true));
	assert_int_equal(0, count_faults(box, false));
	assert_int_equal(OL_OK, ol_lazy_remove(box->store, &diff_id, NULL));
	assert_int_equal(1, count_faults(box, false));
	assert_int_equal(OL_ECORRUPT, ol_layer_get(box->store, &diff_id, false, &info, NULL));
	/* Brought again. */
	put_folder(box, "layer", "seek");
	put_row(box, "layer", false, "lazy");
	assert_int_equal(OL_OK, ol_layer_get(box->store, &diff_id, false, &info, NULL));
	assert_int_equal(0, count_faults(box, false));
	/* Found also without a check. */
	assert_int_equal(OL_OK, ol_lazy_remove(box->store, &diff_id, NULL));
	assert_int_equal(OL_ECORRUPT, ol_layer_get(box->store, &diff_id, false, &info, NULL));
}

static void a_lazy_layer_becomes_durable(void **state)
{
	store_box *box = *state;
	const ol_digest diff_id = box_digest("layer");
	ol_layer_info info = { 0 };

	put_folder(box, "layer", "seek");
	put_row(box, "layer", false, "lazy");
	assert_int_equal(OL_OK, ol_store_sync(box->store, NULL, NULL));
	assert_int_equal(OL_OK, ol_layer_get(box->store, &diff_id, false, &info, NULL));
	assert_true(info.durable);
	box_boot(box, "boot-2");
	assert_int_equal(OL_OK, ol_layer_get(box->store, &diff_id, false, &info, NULL));
}

static void an_older_store_gets_the_folder(void **state)
{
	store_box *box = *state;
	const ol_digest diff_id = box_digest("layer");
	ol_store_options options = { .root = box->root, .run_root = box->run, .read_only = true };
	ol_survey survey = { 0 };
	ol_autofd int fd = -1;

	ol_store_close(box->store);
	box->store = NULL;
	assert_int_equal(0, unlinkat(box->dir_fd, "root/lazy", AT_REMOVEDIR));
	assert_int_equal(OL_OK, ol_store_open(&options, &box->store, NULL));
	assert_int_equal(OL_ENOTFOUND, ol_lazy_open(box->store, &diff_id, &fd, NULL));
	assert_int_equal(OL_OK, ol_survey_take(box->store, &survey, NULL));
	assert_int_equal(OL_OK, ol_lazy_sweep(box->store, NULL));
	assert_false(box_has(box, "root/lazy"));
	box_boot(box, "boot-1");
	assert_true(box_has(box, "root/lazy"));
}

static void a_payload_counts_as_the_layers(void **state)
{
	store_box *box = *state;
	ol_survey before = { 0 }, after = { 0 };
	char path[200];
	int fd;

	put_folder(box, "layer", "seek");
	put_row(box, "layer", false, "lazy");
	assert_int_equal(OL_OK, ol_survey_take(box->store, &before, NULL));
	fd = openat(box->dir_fd, path_of("layer", OL_LAZY_PAYLOAD, path),
		O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(0, posix_fallocate(fd, 0, 65536));
	assert_int_equal(0, close(fd));
	assert_int_equal(OL_OK, ol_survey_take(box->store, &after, NULL));
	assert_true(after.layers.disk >= before.layers.disk + 65536);
	assert_int_equal(before.layers.count, after.layers.count);
}

/* What came so far stays however old it is, while the layer is lazy; and goes when it is whole. */
static void the_ingest_of_a_lazy_layer_is_kept(void **state)
{
	store_box *box = *state;
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	const ol_ingest_options options = { .digest = box_digest("compressed"), .size = 10 };
	ol_lease *lease = NULL;
	ol_ingest *ingest = NULL;
	ol_gc_result result = { 0 };
	const ol_digest diff_id = box_digest("layer");
	char path[200], data[220];

	(void)snprintf(
		path, sizeof path, "root/ingest/sha256-%s", ol_digest_hex(&options.digest).text);
	(void)snprintf(data, sizeof data, "%s/data", path);
	assert_int_equal(OL_OK, ol_lease_begin(box->store, "test", &lease, NULL));
	assert_int_equal(OL_OK, ol_lease_add(lease, &diff_id, NULL));
	assert_int_equal(OL_OK, ol_ingest_open(box->store, &options, &ingest, NULL));
	assert_int_equal(OL_OK, ol_ingest_write(ingest, 2, "abc", 3, NULL));
	ol_ingest_close(ingest);
	put_folder(box, "layer", "seek");
	put_row(box, "layer", false, "lazy");
	assert_int_equal(0, utimensat(box->dir_fd, data, old, 0));
	assert_int_equal(0, utimensat(box->dir_fd, path, old, 0));
	assert_int_equal(OL_OK, ol_gc(box->store, NULL, &result, NULL));
	assert_true(box_has(box, data));
	put_row(box, "layer", false, "erofs");
	assert_int_equal(OL_OK, ol_gc(box->store, NULL, &result, NULL));
	assert_false(box_has(box, data));
	ol_lease_end(lease);
}

static void put_layer(store_box *box, ol_store *store)
{
	box->store = store;
	put_folder(box, "layer", "seek");
	box->store = NULL;
}

static void a_death_while_putting_leaves_nothing_in_use(void **state)
{
	store_box *box = *state;

	assert_true(box_killed_at(box, "store.lazy.staged:kill", put_layer));
	assert_false(has(box, NULL));
	put_folder(box, "layer", "seek");
	assert_true(has(box, OL_LAZY_SEEK));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(a_folder_is_put_as_one),
		BOX_TEST(a_folder_needs_a_seek_table),
		BOX_TEST(a_payload_lasts_as_long_as_its_table),
		BOX_TEST(credentials_go_with_the_folder),
		BOX_TEST(gc_keeps_what_a_row_or_a_lease_needs),
		BOX_TEST(a_whole_layer_takes_a_lazy_ones_place),
		BOX_TEST(a_lazy_layer_without_its_folder_is_damaged),
		BOX_TEST(a_lazy_layer_becomes_durable),
		BOX_TEST(an_older_store_gets_the_folder),
		BOX_TEST(a_payload_counts_as_the_layers),
		BOX_TEST(the_ingest_of_a_lazy_layer_is_kept),
		BOX_TEST(a_death_while_putting_leaves_nothing_in_use),
	};

	return cmocka_run_group_tests_name("lazy", tests, NULL, NULL);
}
