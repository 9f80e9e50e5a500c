/* Leaning indexes, completed on layers below: what the new index says. Nothing is mounted. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/erofs_box.h"
#include "tests/layer_recipe.h"
#include "tests/suite_box.h"

/* Builds a layer's index in a staging folder; the caller closes it. */
static ol_built build(const suite_box *box, const char *recipe, const char *name, int *staging)
{
	const ol_driver *driver = ol_driver_named("erofs");
	ol_auto_buf ol_buf tar = recipe_tar(recipe);
	ol_builder_options options = { 0 };
	ol_builder *builder = NULL;
	ol_built built;
	ol_error err = { 0 };

	assert_int_equal(0, mkdirat(box->dir_fd, name, 0700));
	suite_must("staging", ol_dir_open(box->dir_fd, name, staging, &err), &err);
	options.dir_fd = *staging;
	suite_must("begin", driver->begin(&options, &builder, &err), &err);
	suite_must("push", driver->push(builder, tar.data, tar.size, &err), &err);
	suite_must("finish", driver->finish(builder, &built, &err), &err);
	driver->free(builder);
	return built;
}

/* The top layer, as the store has it before it is completed. */
static ol_layer_info put_leaning(suite_box *box, const char *recipe)
{
	ol_autofd int staging = -1;
	ol_built built = build(box, recipe, "top", &staging);
	ol_auto_buf ol_buf tar = recipe_tar(recipe);
	ol_layer_info info = { .key = ol_digest_of(OL_SHA256, tar.data, tar.size),
		.driver = "erofs",
		.leans = built.leans,
		.tar_bytes = tar.size,
		.index_digest = built.index_digest };
	ol_error err = { 0 };

	CHECK_STR("driver", "erofs", built.driver);
	CHECK_INT("leans", true, built.leans);
	info.diff_id = info.key;
	suite_must("put", ol_layer_put(box->store, &info, staging, "index.erofs", &err), &err);
	return info;
}

/* The tree of what complete() makes in the staging folder "new". */
static int complete(suite_box *box, const ol_layer_info *top, ol_str *text, ol_error *err)
{
	ol_autofd int staging = -1;
	erofs_box index = { .fd = -1 };
	ol_built built;
	int rc;

	assert_int_equal(0, mkdirat(box->dir_fd, "new", 0700));
	suite_must("staging", ol_dir_open(box->dir_fd, "new", &staging, err), err);
	rc = ol_driver_named("erofs")->complete(
		box->store, top, box->layers, box->count, staging, &built, err);
	if (rc < 0)
		return rc;
	CHECK_INT("leans", false, built.leans);
	index.fd = openat(staging, "index.erofs", O_RDONLY | O_CLOEXEC);
	index.written.bytes = built.disk_bytes;
	assert_true(index.fd >= 0);
	*text = box_text(&index);
	box_done(&index);
	return OL_OK;
}

static const struct {
	const char *label;
	const char *driver;    /* of the layers below */
	const char *lowers[3]; /* bottom first */
	const char *top;
	const char *want; /* without the root's line */
	int rc;
} rows[] = {
	{ "the topmost that has a directory counts", "erofs",
		{ "d d 0700 1:1 1 - user.x=low\n", "d d 0711 2:2 2.5 - user.x=high\n",
			"e d 0755 0:0 3\n" },
		"d/f f 0644 0:0 4 -\n",
		"/d d 0711 2:2 2.500000000 user.x=high\n/d/f - 0644 0:0 4.000000000 0=\n", OL_OK },
	{ "a directory that a whiteout took is not seen", "erofs",
		{ "d d 0700 1:1 1\n", "d w 0 0:0 0\n" }, "d/f f 0644 0:0 4 -\n",
		"/d d 0755 0:0 0.000000000\n/d/f - 0644 0:0 4.000000000 0=\n", OL_OK },
	{ "nor one beneath an opaque one", "erofs",
		{ "d d 0700 1:1 1\nd/e d 0700 1:1 1\n", "d d 0711 2:2 2\nd o 0 0:0 0\n" },
		"d/e/f f 0644 0:0 4 -\n",
		"/d d 0711 2:2 2.000000000\n/d/e d 0755 0:0 0.000000000\n"
		"/d/e/f - 0644 0:0 4.000000000 0=\n",
		OL_OK },
	{ "nor one behind a link", "erofs", { "r/e d 0700 1:1 1\nd l 0777 0:0 1 r\n" },
		"d/e/f f 0644 0:0 4 -\n",
		"/d d 0755 0:0 0.000000000\n/d/e d 0755 0:0 0.000000000\n"
		"/d/e/f - 0644 0:0 4.000000000 0=\n",
		OL_OK },
	{ "a link takes the names below with it", "erofs",
		{ "a d 0700 1:1 1\na/one f 0755 3:4 5 data\na/two h 0755 3:4 5 a/one\n" },
		"x h 0755 3:4 5 a/one\n",
		"/a d 0700 1:1 1.000000000\n"
		"/a/one - 0755 3:4 5.000000000 n=3 4=2:1024+4\n"
		"/a/two - 0755 3:4 5.000000000 n=3 4=2:1024+4\n"
		"/x - 0755 3:4 5.000000000 n=3 4=2:1024+4\n",
		OL_OK },
	{ "but none that this layer hides", "erofs",
		{ "one f 0755 3:4 5 data\ntwo h 0755 3:4 5 one\n" },
		"x h 0755 3:4 5 one\ntwo w 0 0:0 0\none f 0600 0:0 6 -\n",
		"/one - 0600 0:0 6.000000000 0=\n/two c 0000 0:0 0.000000000 0:0\n"
		"/x - 0755 3:4 5.000000000 4=2:512+4\n",
		OL_OK },
	{ "what a tree has becomes part of the index", "dir", { "a f 0755 3:4 5 data\n" },
		"x h 0755 3:4 5 a\n",
		"/a - 0755 3:4 5.000000000 n=2 4=0:1536+4\n"
		"/x - 0755 3:4 5.000000000 n=2 4=0:1536+4\n",
		OL_OK },
	{ "a link to nothing", "erofs", { "a f 0755 3:4 5 data\n" }, "x h 0755 3:4 5 b\n", "",
		OL_ECORRUPT },
	{ "a link to what a whiteout took", "erofs", { "a f 0755 3:4 5 data\n", "a w 0 0:0 0\n" },
		"x h 0755 3:4 5 a\n", "", OL_ECORRUPT },
	{ "a link to a directory below", "erofs", { "a d 0755 3:4 5\n" }, "x h 0755 3:4 5 a\n", "",
		OL_ECORRUPT },
};

static void what_is_below_completes_an_index(void **state)
{
	OL_EACH (rows, row) {
		suite_box *box = suite_begin(state);
		ol_auto_str ol_str text = OL_STR(1);
		ol_layer_info top;
		ol_error err = { 0 };

		if (geteuid() != 0 && strcmp(row->driver, "dir") == 0) {
			print_message("SKIP: %s: only root makes such a tree\n", row->label);
			(void)suite_end(state);
			continue;
		}
		for (size_t i = 0; i < 3 && row->lowers[i]; i++)
			suite_add(box, ol_driver_named(row->driver), row->lowers[i]);
		top = put_leaning(box, row->top);
		CHECK_INT(row->label, row->rc, complete(box, &top, &text, &err));
		if (row->rc == OL_OK)
			CHECK_STR(row->label, row->want, strchr(ol_str_text(&text), '\n') + 1);
		(void)suite_end(state);
	}
}

int main(void)
{
	suite_run run = { 0 };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(
			what_is_below_completes_an_index, NULL, suite_end, &run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
