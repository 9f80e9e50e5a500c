#include "tests/store_box.h"

static void a_layer_is_published_with_its_row(void **state)
{
	store_box *box = *state;
	ol_digest key = box_digest("layer-1");
	ol_auto_buf ol_buf text = OL_BUF(100);
	ol_layer_info info = { 0 };
	ol_error err = { 0 };
	int fd = -1;

	CHECK_INT("absent", OL_ENOTFOUND, ol_layer_get(box->store, &key, false, &info, &err));
	CHECK_INT(err.text, OL_OK, box_layer(box, box->store, "layer-1", "the index", &err));
	CHECK_INT("get", OL_OK, ol_layer_get(box->store, &key, false, &info, &err));
	CHECK_STR("driver", "erofs", info.driver);
	CHECK_STR("origin", "reg.example/app:1", info.origin);
	CHECK_INT("tar", 10240, (long long)info.tar_bytes);
	CHECK_INT("entries", 3, (long long)info.entries);
	CHECK_INT("durable", 0, info.durable);
	assert_true(ol_digest_eq(&info.diff_id, &key));
	CHECK_INT("open", OL_OK, ol_layer_open(box->store, &key, false, &fd, &err));
	CHECK_INT("read", OL_OK, ol_file_read(fd, "index.erofs", true, &text, &err));
	CHECK_STR("index", "the index", text.data);
	CHECK_INT("close", 0, close(fd));
	assert_false(ol_layer_exists(box->store, &key, true));
	assert_false(box_has(box, "staged"));
}

static void a_chain_is_apart_from_the_layer_of_that_digest(void **state)
{
	store_box *box = *state;
	ol_layer_info info = {
		.key = box_digest("k"),
		.is_chain = true,
		.diff_id = box_digest("d"),
		.driver = "erofs",
		.index_digest = box_digest("i"),
	};

	box_file(box, "staged", "i");
	CHECK_INT("put", OL_OK, ol_layer_put(box->store, &info, box->dir_fd, "staged", NULL));
	assert_true(ol_layer_exists(box->store, &info.key, true));
	assert_false(ol_layer_exists(box->store, &info.key, false));
}

static void put_again_keeps_the_first_and_takes_ours_away(void **state)
{
	store_box *box = *state;
	ol_digest key = box_digest("twice");
	ol_auto_buf ol_buf text = OL_BUF(100);
	char path[256];

	CHECK_INT("first", OL_OK, box_layer(box, box->store, "twice", "first", NULL));
	CHECK_INT("second", OL_OK, box_layer(box, box->store, "twice", "second", NULL));
	assert_false(box_has(box, "staged"));
	(void)snprintf(
		path, sizeof path, "root/layers/%.64s/index.erofs", ol_digest_hex(&key).text);
	CHECK_INT("read", OL_OK, ol_file_read(box->dir_fd, path, true, &text, NULL));
	CHECK_STR("kept", "first", text.data);
}

static void what_cannot_be_a_row_is_refused(void **state)
{
	store_box *box = *state;
	const ol_layer_info good = {
		.key = box_digest("k"), .diff_id = box_digest("d"), .driver = "dir"
	};
	ol_layer_info cases[] = { good, good, good, good };

	cases[0].key = (ol_digest){ 0 };
	cases[1].diff_id = (ol_digest){ 0 };
	(void)snprintf(cases[2].origin, sizeof cases[2].origin, "a\nb");
	cases[3].tar_bytes = UINT64_MAX;
	box_file(box, "staged", "x");
	OL_EACH (cases, c)
		CHECK_INT(
			"put", OL_EINVAL, ol_layer_put(box->store, c, box->dir_fd, "staged", NULL));
	CHECK_INT("missing", OL_ENOTFOUND,
		ol_layer_put(box->store, &good, box->dir_fd, "none", NULL));
}

static int put_tree(store_box *box, const char *text)
{
	const ol_layer_info info = {
		.key = box_digest("tree"), .diff_id = box_digest("tree"), .driver = "dir"
	};

	CHECK_INT("mkdir", 0, mkdirat(box->dir_fd, "fs", 0755));
	box_file(box, "fs/file", text);
	return ol_layer_put(box->store, &info, box->dir_fd, "fs", NULL);
}

/* Invariant 4: an index is proved by its digest, a tree cannot be. */
static void after_another_boot_an_index_is_proved_and_a_tree_is_not(void **state)
{
	store_box *box = *state;
	ol_digest good = box_digest("good"), bad = box_digest("bad"), tree = box_digest("tree");
	ol_layer_info info;
	ol_error err = { 0 };
	char path[256];

	CHECK_INT("good", OL_OK, box_layer(box, box->store, "good", "index", NULL));
	CHECK_INT("bad", OL_OK, box_layer(box, box->store, "bad", "index", NULL));
	CHECK_INT("tree", OL_OK, put_tree(box, "one"));
	assert_true(ol_layer_exists(box->store, &tree, false));
	(void)snprintf(
		path, sizeof path, "root/layers/%.64s/index.erofs", ol_digest_hex(&bad).text);
	box_file(box, path, "xxxxx");
	box_boot(box, "boot-2");
	assert_true(ol_layer_exists(box->store, &good, false));
	CHECK_INT("bad", OL_ECORRUPT, ol_layer_get(box->store, &bad, false, &info, &err));
	assert_non_null(strstr(err.hint, "orlop check --repair"));
	CHECK_INT("tree", OL_ECORRUPT, ol_layer_get(box->store, &tree, false, &info, &err));
	CHECK_INT("anew", OL_OK, put_tree(box, "two"));
	assert_true(ol_layer_exists(box->store, &tree, false));
	CHECK_INT("anew", OL_OK, box_layer(box, box->store, "bad", "index", NULL));
	assert_true(ol_layer_exists(box->store, &bad, false));
}

static void what_was_synced_survives_another_boot(void **state)
{
	store_box *box = *state;
	ol_digest tree = box_digest("tree");
	ol_layer_info info;

	CHECK_INT("tree", OL_OK, put_tree(box, "one"));
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	box_boot(box, "boot-2");
	CHECK_INT("tree", OL_OK, ol_layer_get(box->store, &tree, false, &info, NULL));
	assert_true(info.durable);
}

static void a_folder_that_is_missing_or_empty_is_damaged(void **state)
{
	store_box *box = *state;
	ol_digest gone = box_digest("gone"), empty = box_digest("empty");
	char path[256];
	int fd;

	CHECK_INT("put", OL_OK, box_layer(box, box->store, "gone", "i", NULL));
	CHECK_INT("put", OL_OK, box_layer(box, box->store, "empty", "i", NULL));
	(void)snprintf(path, sizeof path, "root/layers/%.64s", ol_digest_hex(&gone).text);
	CHECK_INT("remove", OL_OK, ol_remove_tree(box->dir_fd, path, NULL));
	(void)snprintf(
		path, sizeof path, "root/layers/%.64s/index.erofs", ol_digest_hex(&empty).text);
	CHECK_INT("remove", 0, unlinkat(box->dir_fd, path, 0));
	CHECK_INT("gone", OL_ECORRUPT, ol_layer_open(box->store, &gone, false, &fd, NULL));
	CHECK_INT("empty", OL_ECORRUPT, ol_layer_open(box->store, &empty, false, &fd, NULL));
	CHECK_INT("anew", OL_OK, box_layer(box, box->store, "gone", "i", NULL));
	assert_true(ol_layer_exists(box->store, &gone, false));
}

static void put_work(store_box *box, ol_store *store)
{
	(void)box_layer(box, store, "layer", "index", NULL);
}

/* Invariant 1, at every step. */
static void killed_at_any_step_it_can_be_done_again(void **state)
{
	store_box *box = *state;
	static const char *const faults[] = { "store.layer.put:kill", "store.layer.staged:kill",
		"store.layer.cleared:kill", "store.layer.named:kill", "store.layer.commit:kill",
		"store.layer.committed:kill" };
	ol_digest key = box_digest("layer");
	const ol_check_options check = { .found = box_print_finding };

	OL_EACH (faults, f) {
		uint64_t faults_found = 0;

		assert_true(box_killed_at(box, *f, put_work));
		CHECK_INT(*f, OL_OK, ol_check(box->store, &check, &faults_found, NULL));
		CHECK_INT(*f, 0, (long long)faults_found);
		put_work(box, box->store);
		assert_true(ol_layer_exists(box->store, &key, false));
		CHECK_INT(*f, OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
		assert_false(ol_layer_exists(box->store, &key, false));
	}
}

static int count_layer(void *ctx, const ol_layer_info *info, ol_error *err)
{
	(void)err;
	assert_true(ol_digest_is_set(&info->key));
	++*(int *)ctx;
	return OL_OK;
}

static void each_goes_over_many_pages(void **state)
{
	store_box *box = *state;
	int count = 0;

	for (int i = 0; i < 130; i++) {
		char key[16];

		(void)snprintf(key, sizeof key, "%d", i);
		CHECK_INT(key, OL_OK, box_layer(box, box->store, key, "i", NULL));
	}
	CHECK_INT("each", OL_OK, ol_layer_each(box->store, count_layer, &count, NULL));
	CHECK_INT("count", 130, count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(a_layer_is_published_with_its_row),
		BOX_TEST(a_chain_is_apart_from_the_layer_of_that_digest),
		BOX_TEST(put_again_keeps_the_first_and_takes_ours_away),
		BOX_TEST(what_cannot_be_a_row_is_refused),
		BOX_TEST(after_another_boot_an_index_is_proved_and_a_tree_is_not),
		BOX_TEST(what_was_synced_survives_another_boot),
		BOX_TEST(a_folder_that_is_missing_or_empty_is_damaged),
		BOX_TEST(killed_at_any_step_it_can_be_done_again),
		BOX_TEST(each_goes_over_many_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
