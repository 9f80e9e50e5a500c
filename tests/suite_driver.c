/*
 * One suite for all layer drivers: every test runs once for each row of the table that works here.
 * Layers are built from recipes, published as a pull does it, completed where they lean, mounted,
 * and what is seen is compared with what is meant.
 *
 * Everything is mounted in a mount namespace of the suite's own, so nothing outlives it.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/userns.h"
#include "tests/layer_recipe.h"
#include "tests/suite_box.h"
#include "tests/suite_images.h"

static const char *suite_tree(const suite_run *run)
{
	if (ol_userns_is_inside())
		OL_EACH (users_trees, u)
			if (strcmp(u->name, run->image->name) == 0)
				return u->tree;
	return run->image->tree;
}

static void show_image(suite_box *box, const suite_run *run, bool writable, bool old_mount)
{
	ol_autofd int state_fd = suite_state_open(box, USER_A);
	ol_rootfs_options options = suite_options(box, USER_A, state_fd);

	options.writable = writable;
	options.old_mount = old_mount;
	suite_mount(box, &options);
	suite_check_tree(run->image->name, suite_tree(run), box->target);
	suite_unmount(box, USER_A);
	suite_state_remove(box, USER_A);
}

/* Each image, as users mount it: read-only and writable, through the new calls and the old one. */
static void an_image_is_shown_as_meant(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);

	for (size_t i = 0; run->image->layers[i]; i++)
		suite_add(box, run->driver, run->image->layers[i]);
	for (int variant = 0; variant < 4; variant++)
		show_image(box, run, variant & 1, variant & 2);
	for (size_t i = 0; i < box->count; i++)
		assert_false(suite_is_mounted(box, &box->layers[i].key));
}

/* With what overlayfs notes in user.* instead of trusted.*, as it must without root. */
static void an_image_is_shown_through_user_xattrs(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);

	box->userxattr = true;
	for (size_t i = 0; run->image->layers[i]; i++)
		suite_add(box, run->driver, run->image->layers[i]);
	for (int variant = 0; variant < 4; variant++)
		show_image(box, run, variant & 1, variant & 2);
}

/* As many layers as overlayfs takes, which is one too many for an empty directory above them; and
 * too many. */
static void layers_stack_to_the_limit(void **state)
{
	const suite_run *run = *state;
	static const size_t counts[] = { 130, OL_LAYERS_MAX };
	suite_box *box = suite_begin(state);
	ol_auto_str ol_str tree = OL_STR((size_t)1 << 20);

	(void)ol_str_add(&tree, ". d 0755 0:0 1\n");
	for (unsigned i = 0; i < OL_LAYERS_MAX; i++) {
		ol_autofree char *line = ol_text("f%u f 0644 0:0 %u %u\n", i, i, i);
		ol_autofree char *recipe = ol_text(". d 0755 0:0 1\n%s", line);

		suite_add(box, run->driver, recipe);
		(void)ol_str_add(&tree, line);
	}
	for (int variant = 0; variant < 4; variant++) {
		size_t count = counts[variant & 1];
		ol_autofd int state_fd = suite_state_open(box, USER_A);
		ol_rootfs_options options = suite_options(box, USER_A, state_fd);
		char *end = tree.data;

		for (size_t i = 0; i <= count; i++)
			end = strchr(end, '\n') + 1;
		options.count = count;
		options.old_mount = variant & 2;
		suite_mount(box, &options);
		{
			ol_autofree char *part = ol_strndup(tree.data, (size_t)(end - tree.data));

			suite_check_tree("many layers", part, box->target);
		}
		CHECK_INT("writable", -1, chmod(box->target, 0700));
		suite_unmount(box, USER_A);
		suite_state_remove(box, USER_A);
	}
	CHECK_INT("too many", OL_ELIMIT,
		ol_rootfs_mount(box->store,
			&(ol_rootfs_options){ .layers = box->layers, .count = OL_LAYERS_MAX + 1 },
			NULL, NULL));
}

/* What was written is there again; what the container made of "/" is not undone. */
static void what_is_written_stays_in_the_upper(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_autofd int state_fd = suite_state_open(box, USER_A);
	ol_rootfs_options options;
	ol_autofree char *gone = ol_text("%s/d/f", box->target);
	ol_autofree char *moved = ol_text("%s/moved", box->target);

	suite_add(box, run->driver, suite_base_recipe);
	options = suite_options(box, USER_A, state_fd);
	options.writable = true;
	suite_mount(box, &options);
	suite_write_file(box, "new", "new");
	assert_int_equal(0, rename(gone, moved));
	assert_int_equal(0, chmod(box->target, 0700));
	suite_unmount(box, USER_A);
	suite_mount(box, &options);
	suite_check_tree("again",
		". d 0700 1:2 ?\nd d 0755 0:0 ?\nmoved f 0644 0:0 1 x\nnew f 0644 0:0 ? new\n",
		box->target);
	suite_unmount(box, USER_A);
	(void)close(ol_steal_fd(&state_fd));
	suite_state_remove(box, USER_A);
	options.state_fd = state_fd = suite_state_open(box, USER_A);
	suite_mount(box, &options);
	suite_check_tree("anew", suite_base_recipe, box->target);
	suite_unmount(box, USER_A);
}

static void a_read_only_root_takes_no_writes(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_autofd int state_fd = suite_state_open(box, USER_A);
	ol_rootfs_options options;
	struct statfs fs;

	suite_add(box, run->driver, suite_base_recipe);
	options = suite_options(box, USER_A, state_fd);
	options.guarded = true;
	suite_mount(box, &options);
	CHECK_INT("chmod", -1, chmod(box->target, 0700));
	CHECK_INT("errno", EROFS, errno);
	assert_int_equal(0, statfs(box->target, &fs));
	CHECK_INT("nosuid", MS_NOSUID, fs.f_flags & MS_NOSUID);
	CHECK_INT("nodev", MS_NODEV, fs.f_flags & MS_NODEV);
	suite_unmount(box, USER_A);
}

/* As in any file system: find -xdev and tar --one-file-system look at it. */
static void all_files_are_on_one_device(void **state)
{
	static const char *const names[] = { "d", "d/f", "g", "l" };
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_autofd int state_fd = suite_state_open(box, USER_A);
	ol_rootfs_options options;
	struct stat root, st;

	suite_add(box, run->driver, suite_base_recipe);
	suite_add(box, run->driver, "g f 0644 0:0 1 y\n");
	suite_add(box, run->driver, "l l 0777 0:0 1 g\n");
	options = suite_options(box, USER_A, state_fd);
	suite_mount(box, &options);
	assert_int_equal(0, stat(box->target, &root));
	OL_EACH (names, name) {
		ol_autofree char *path = ol_text("%s/%s", box->target, *name);

		assert_int_equal(0, lstat(path, &st));
		CHECK_INT(*name, (long long)root.st_dev, (long long)st.st_dev);
	}
	suite_unmount(box, USER_A);
}

static void verify_tells_another_layer_from_this_one(void **state)
{
	static const struct {
		const char *label, *recipe;
		int rc;
	} cases[] = {
		{ "the same", suite_base_recipe, OL_OK },
		{ "mode", ". d 0751 1:2 1\nd d 0755 0:0 1\nd/f f 0600 0:0 1 x\n", OL_ECORRUPT },
		{ "owner", ". d 0751 1:2 1\nd d 0755 0:9 1\nd/f f 0644 0:0 1 x\n", OL_ECORRUPT },
		{ "time", ". d 0751 1:2 1\nd d 0755 0:0 1\nd/f f 0644 0:0 2 x\n", OL_ECORRUPT },
		{ "size", ". d 0751 1:2 1\nd d 0755 0:0 1\nd/f f 0644 0:0 1 xx\n", OL_ECORRUPT },
		{ "less", ". d 0751 1:2 1\nd d 0755 0:0 1\n", OL_ECORRUPT },
		{ "xattr", ". d 0751 1:2 1\nd d 0755 0:0 1 - user.x=1\nd/f f 0644 0:0 1 x\n",
			OL_ECORRUPT },
	};
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);

	suite_add(box, run->driver, suite_base_recipe);
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf tar = recipe_tar(c->recipe);
		ol_source *source = ol_source_of_memory(tar.data, tar.size);
		ol_error err = { 0 };
		int rc = run->driver->verify(box->store, &box->layers[0], source, &err);

		ol_source_close(source);
		CHECK_INT(c->label, c->rc, rc);
		if (rc < 0 && !err.text[0])
			CHECK_STR(c->label, "words", err.text);
	}
}

/* Layers of one image made by different drivers: erofs hands what it cannot express to dir. */
static void layers_of_all_drivers_stack(void **state)
{
	const ol_driver *const *drivers = ol_drivers();
	const suite_run *run = *state;

	for (size_t first = 0; first < 2; first++) {
		suite_box *box = suite_begin(state);
		ol_autofd int state_fd = suite_state_open(box, USER_A);
		ol_rootfs_options options;

		for (size_t i = 0; run->image->layers[i]; i++)
			suite_add(box, drivers[(i + first) % 2], run->image->layers[i]);
		options = suite_options(box, USER_A, state_fd);
		suite_mount(box, &options);
		suite_check_tree(run->image->name, suite_tree(run), box->target);
		suite_unmount(box, USER_A);
		(void)suite_end(state);
	}
}

static void a_driver_is_chosen_by_trying(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	const ol_driver *driver = NULL;
	char why[256] = "";
	ol_error err = { 0 };

	suite_must(
		"named", ol_driver_choose(box->store, run->driver->name, &driver, why, &err), &err);
	assert_ptr_equal(run->driver, driver);
	suite_must("best", ol_driver_choose(box->store, NULL, &driver, why, &err), &err);
	assert_true(why[0] != 0);
	CHECK_INT("unknown", OL_EINVAL, ol_driver_choose(box->store, "zfs", &driver, why, &err));
}

static const suite_test tree_tests[] = {
	{ "a_driver_is_chosen_by_trying", a_driver_is_chosen_by_trying },
	{ "what_is_written_stays_in_the_upper", what_is_written_stays_in_the_upper },
	{ "a_read_only_root_takes_no_writes", a_read_only_root_takes_no_writes },
	{ "all_files_are_on_one_device", all_files_are_on_one_device },
	{ "verify_tells_another_layer_from_this_one", verify_tells_another_layer_from_this_one },
	{ "layers_stack_to_the_limit", layers_stack_to_the_limit },
	{ NULL, NULL },
};

#define IMAGES    (sizeof images / sizeof images[0])
#define TESTS_MAX (5 * IMAGES + 64)

struct plan {
	struct CMUnitTest tests[TESTS_MAX];
	suite_run runs[TESTS_MAX];
	size_t count;
};

static void plan_add(struct plan *plan, const char *who, const char *name, CMUnitTestFunction call,
	const suite_run *run)
{
	assert_true(plan->count < TESTS_MAX);
	plan->runs[plan->count] = *run;
	plan->tests[plan->count] = (struct CMUnitTest){
		.name = ol_text("%s: %s", who, name),
		.test_func = call,
		.teardown_func = suite_end,
		.initial_state = &plan->runs[plan->count],
	};
	plan->count++;
}

static void plan_add_all(struct plan *plan, const ol_driver *driver, const suite_test *tests)
{
	for (; tests->name; tests++)
		plan_add(plan, driver->name, tests->name, tests->call,
			&(suite_run){ .driver = driver });
}

/* Whether a driver works here; why not is said aloud. */
static bool works(const ol_driver *driver)
{
	char dir[] = "/var/tmp/orlop-suite-XXXXXX";
	ol_autofree char *run = mkdtemp(dir) ? ol_text("%s/run", dir) : NULL;
	ol_store *store = NULL;
	ol_error err = { 0 };
	int rc = ol_store_open(&(ol_store_options){ .root = dir, .run_root = run }, &store, &err);

	if (rc == OL_OK)
		rc = driver->probe(store, &err);
	if (rc < 0)
		print_message("# skip: driver %s: %s\n", driver->name, err.text);
	ol_store_close(store);
	(void)ol_remove_tree(AT_FDCWD, dir, NULL);
	return rc == OL_OK;
}

/* Nobody mounts EROFS without root, so it need not do without trusted.*. */
static bool needs_root(const ol_driver *driver)
{
	return strcmp(driver->name, "erofs") == 0;
}

int main(int argc, char **argv)
{
	struct plan *plan = ol_alloc(sizeof *plan);
	size_t working = 0;
	int failed;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
		mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_message("# skip: the suite of drivers needs root and mounts\n");
		free(plan);
		return 0;
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	for (const ol_driver *const *row = ol_drivers(); *row; row++) {
		if (!works(*row))
			continue;
		working++;
		for (size_t i = 0; i < IMAGES; i++)
			plan_add(plan, (*row)->name, images[i].name, an_image_is_shown_as_meant,
				&(suite_run){ .driver = *row, .image = &images[i] });
		for (size_t i = 0; !needs_root(*row) && i < IMAGES; i++)
			plan_add(plan, "user xattrs", images[i].name,
				an_image_is_shown_through_user_xattrs,
				&(suite_run){ .driver = *row, .image = &images[i] });
		plan_add_all(plan, *row, tree_tests);
		plan_add_all(plan, *row, suite_user_tests);
		plan_add_all(plan, *row, suite_idmap_tests);
	}
	for (size_t i = 0; working == 2 && i < IMAGES; i++)
		plan_add(plan, "mixed", images[i].name, layers_of_all_drivers_stack,
			&(suite_run){ .image = &images[i] });
	failed = _cmocka_run_group_tests("drivers", plan->tests, plan->count, NULL, NULL);
	for (size_t i = 0; i < plan->count; i++)
		free((char *)(uintptr_t)plan->tests[i].name);
	free(plan);
	return failed;
}
