#include "tests/store_box.h"

static void what_is_put_is_read_back(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_blob(box->store, "hello");
	ol_auto_buf ol_buf out = OL_BUF(100);
	ol_blob_info info;
	ol_error err = { 0 };

	CHECK_INT("read", OL_OK, ol_blob_read(box->store, &digest, 100, &out, &err));
	CHECK_STR("bytes", "hello", out.data);
	CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &digest, &info, &err));
	CHECK_INT("size", 5, (long long)info.size);
	CHECK_INT("durable", 0, info.durable);
	assert_true(ol_blob_exists(box->store, &digest));
}

static void put_refuses_what_is_not_the_digest(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_digest("hello");
	ol_error err = { 0 };

	CHECK_INT("put", OL_ECORRUPT,
		ol_blob_put(box->store, &digest, ol_view_of("hallo"), false, &err));
	assert_false(ol_blob_exists(box->store, &digest));
	CHECK_INT("open", OL_ENOTFOUND,
		ol_blob_read(box->store, &digest, 100, &(ol_buf){ .max = 9 }, &err));
}

static void an_empty_blob_and_a_sha512_blob_are_blobs(void **state)
{
	store_box *box = *state;
	ol_digest empty = box_blob(box->store, "");
	ol_digest wide = ol_digest_of(OL_SHA512, "x", 1);
	ol_auto_buf ol_buf out = OL_BUF(100);

	CHECK_INT("empty", OL_OK, ol_blob_read(box->store, &empty, 100, &out, NULL));
	CHECK_INT("wide", OL_OK, ol_blob_put(box->store, &wide, ol_view_of("x"), true, NULL));
	CHECK_INT("wide", OL_OK, ol_blob_read(box->store, &wide, 100, &out, NULL));
	CHECK_STR("bytes", "x", out.data);
}

static void put_durable_makes_a_written_blob_durable(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_blob(box->store, "keep");
	ol_blob_info info;

	CHECK_INT("again", OL_OK, ol_blob_put(box->store, &digest, ol_view_of("keep"), true, NULL));
	CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &digest, &info, NULL));
	assert_true(info.durable);
}

static void read_refuses_more_than_max(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_blob(box->store, "hello");
	ol_auto_buf ol_buf out = OL_BUF(100);

	CHECK_INT("read", OL_ELIMIT, ol_blob_read(box->store, &digest, 4, &out, NULL));
}

static void adopt_moves_a_file_in(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_digest("layer");
	ol_error err = { 0 };

	box_file(box, "incoming", "layer");
	CHECK_INT("size", OL_ECORRUPT,
		ol_blob_adopt(box->store, &digest, 4, box->dir_fd, "incoming", &err));
	CHECK_INT("adopt", OL_OK,
		ol_blob_adopt(box->store, &digest, 5, box->dir_fd, "incoming", &err));
	assert_false(box_has(box, "incoming"));
	assert_true(ol_blob_exists(box->store, &digest));
	box_file(box, "incoming", "layer");
	CHECK_INT("again", OL_OK,
		ol_blob_adopt(box->store, &digest, 5, box->dir_fd, "incoming", &err));
	assert_false(box_has(box, "incoming"));
	CHECK_INT("missing", OL_ENOTFOUND,
		ol_blob_adopt(box->store, &digest, 5, box->dir_fd, "none", &err));
}

/* Invariant 1: a file without a row is garbage, even under a blob's name. */
static void a_file_without_a_row_is_replaced(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_digest("real");
	ol_auto_buf ol_buf out = OL_BUF(100);
	char path[256];

	box_file(box, box_blob_path(&digest, path), "fake");
	assert_false(ol_blob_exists(box->store, &digest));
	(void)box_blob(box->store, "real");
	CHECK_INT("read", OL_OK, ol_blob_read(box->store, &digest, 100, &out, NULL));
	CHECK_STR("bytes", "real", out.data);
}

/* Invariants 4 and 6. */
static void after_another_boot_bytes_are_proved_first(void **state)
{
	store_box *box = *state;
	ol_digest good = box_blob(box->store, "survives"), bad = box_blob(box->store, "is lost!");
	ol_digest kept = box_digest("synced, then torn");
	ol_error err = { 0 };
	char path[256];
	int fd = -1;

	CHECK_INT("durable", OL_OK,
		ol_blob_put(box->store, &kept, ol_view_of("synced, then torn"), true, &err));
	box_file(box, box_blob_path(&bad, path), "zeroed..");
	CHECK_INT("same boot believes", OL_OK, ol_blob_open(box->store, &bad, &fd, &err));
	CHECK_INT("close", 0, close(fd));
	box_boot(box, "boot-2");
	assert_true(ol_blob_exists(box->store, &good));
	CHECK_INT("bad", OL_ECORRUPT, ol_blob_open(box->store, &bad, &fd, &err));
	assert_true(err.hint[0] != '\0');
	assert_false(ol_blob_exists(box->store, &bad));
	CHECK_INT("stat", OL_ECORRUPT, ol_blob_stat(box->store, &bad, &(ol_blob_info){ 0 }, &err));
	(void)box_blob(box->store, "is lost!");
	assert_true(ol_blob_exists(box->store, &bad));
	box_boot(box, "boot-3");
	assert_true(ol_blob_exists(box->store, &bad));
	assert_true(ol_blob_exists(box->store, &kept));
}

static void what_is_missing_or_cut_on_disk_is_damaged(void **state)
{
	store_box *box = *state;
	ol_digest gone = box_blob(box->store, "gone"), cut = box_blob(box->store, "cut short");
	ol_digest changed = box_blob(box->store, "change");
	ol_auto_buf ol_buf out = OL_BUF(100);
	ol_error err = { 0 };
	char path[256];
	int fd = -1;

	CHECK_INT("unlink", 0, unlinkat(box->dir_fd, box_blob_path(&gone, path), 0));
	box_file(box, box_blob_path(&cut, path), "cut");
	box_file(box, box_blob_path(&changed, path), "Change");
	CHECK_INT("gone", OL_ECORRUPT, ol_blob_open(box->store, &gone, &fd, &err));
	CHECK_INT("cut", OL_ECORRUPT, ol_blob_open(box->store, &cut, &fd, &err));
	CHECK_INT("changed", OL_ECORRUPT, ol_blob_read(box->store, &changed, 100, &out, &err));
	assert_false(ol_blob_exists(box->store, &changed));
	(void)box_blob(box->store, "gone");
	assert_true(ol_blob_exists(box->store, &gone));
}

static void edges_need_a_parent(void **state)
{
	store_box *box = *state;
	ol_digest parent = box_blob(box->store, "parent"),
		  children[2] = { box_digest("a"), box_digest("b") };
	ol_digest stranger = box_digest("stranger");

	CHECK_INT("set", OL_OK, ol_blob_set_edges(box->store, &parent, children, 2, NULL));
	CHECK_INT("replace", OL_OK, ol_blob_set_edges(box->store, &parent, children, 1, NULL));
	CHECK_INT("stranger", OL_ENOTFOUND,
		ol_blob_set_edges(box->store, &stranger, children, 1, NULL));
}

static int count_blob(void *ctx, const ol_blob_info *info, ol_error *err)
{
	struct {
		ol_digest last;
		int count, stop;
	} *seen = ctx;

	(void)err;
	assert_true(strcmp(ol_digest_format(&seen->last).text,
			    ol_digest_format(&info->digest).text) < 0);
	seen->last = info->digest;
	return ++seen->count == seen->stop ? OL_ECANCELED : OL_OK;
}

static void each_goes_in_order_over_many_pages(void **state)
{
	store_box *box = *state;
	struct {
		ol_digest last;
		int count, stop;
	} seen = { 0 };

	for (int i = 0; i < 600; i++) {
		char text[16];

		(void)snprintf(text, sizeof text, "%d", i);
		(void)box_blob(box->store, text);
	}
	CHECK_INT("each", OL_OK, ol_blob_each(box->store, count_blob, &seen, NULL));
	CHECK_INT("count", 600, seen.count);
	seen.last = (ol_digest){ 0 };
	seen.count = 0;
	seen.stop = 300;
	CHECK_INT("stop", OL_ECANCELED, ol_blob_each(box->store, count_blob, &seen, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(what_is_put_is_read_back),
		BOX_TEST(put_refuses_what_is_not_the_digest),
		BOX_TEST(an_empty_blob_and_a_sha512_blob_are_blobs),
		BOX_TEST(put_durable_makes_a_written_blob_durable),
		BOX_TEST(read_refuses_more_than_max),
		BOX_TEST(adopt_moves_a_file_in),
		BOX_TEST(a_file_without_a_row_is_replaced),
		BOX_TEST(after_another_boot_bytes_are_proved_first),
		BOX_TEST(what_is_missing_or_cut_on_disk_is_damaged),
		BOX_TEST(edges_need_a_parent),
		BOX_TEST(each_goes_in_order_over_many_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
