/*
 * The suite's tests of who uses layers: sharing, giving up, what the dead leave, private
 * namespaces, and where uppers lie.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "snapshot/layer_mount.h"
#include "snapshot/mount_state.h"
#include "store/use.h"
#include "tests/layer_recipe.h"
#include "tests/suite_box.h"

/* The store's structs own their strings when they come out of it; what goes in is only lent. */
static char *lend(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* Only so do they share the page cache. */
static void users_of_a_layer_share_its_mount(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_layer_mount_options options = { .layers = box->layers, .count = 1, .user_id = USER_A };
	ol_autofd int a = -1;
	ol_autofd int b = -1;
	struct stat of_a, of_b;
	ol_error err = { 0 };
	bool mounts;

	suite_add(box, run->driver, suite_base_recipe);
	suite_must("a", ol_layer_mounts_begin(box->store, &options, &a, &err), &err);
	mounts = suite_is_mounted(box, &box->layers[0].key);
	options.user_id = USER_B;
	suite_must("b", ol_layer_mounts_begin(box->store, &options, &b, &err), &err);
	assert_int_equal(0, fstat(a, &of_a));
	assert_int_equal(0, fstat(b, &of_b));
	CHECK_INT("one superblock", (long long)of_a.st_dev, (long long)of_b.st_dev);
	CHECK_INT("one root", (long long)of_a.st_ino, (long long)of_b.st_ino);
	suite_must("end a", ol_layer_mounts_end(box->store, USER_A, &err), &err);
	CHECK_INT("b is left", mounts, suite_is_mounted(box, &box->layers[0].key));
	suite_must("end b", ol_layer_mounts_end(box->store, USER_B, &err), &err);
	CHECK_INT("nobody is left", false, suite_is_mounted(box, &box->layers[0].key));
	suite_must("end twice", ol_layer_mounts_end(box->store, USER_B, &err), &err);
}

static bool has_users(suite_box *box, const ol_digest *key)
{
	ol_autofree ol_digest *unused = NULL;
	size_t count = 0;

	suite_must("asking", ol_use_add(box->store, USER_B, key, 1, NULL), &(ol_error){ 0 });
	suite_must(
		"asking", ol_use_end(box->store, USER_B, &unused, &count, NULL), &(ol_error){ 0 });
	return count == 0;
}

static void add_container(
	suite_box *box, const char *id, pid_t pid, uint64_t start, const char *boot_id)
{
	ol_error err = { 0 };

	suite_must("container",
		ol_container_add(box->store,
			&(ol_container_info){ .id = lend(id),
				.name = lend(id),
				.image = lend("x"),
				.root = ol_digest_of(OL_SHA256, "x", 1),
				.config = ol_digest_of(OL_SHA256, "y", 1),
				.command = lend("x"),
				.state = OL_CONTAINER_RUNNING,
				.pid = pid,
				.pid_start = start,
				.boot_id = lend(boot_id) },
			&err),
		&err);
}

static void add_mount(suite_box *box, const char *id, const char *boot_id, uint64_t mount_namespace)
{
	ol_error err = { 0 };

	suite_must("mount",
		ol_mount_add(box->store,
			&(ol_mount_info){ .id = lend(id),
				.target = box->target,
				.image = lend("x"),
				.root = ol_digest_of(OL_SHA256, "x", 1),
				.config = ol_digest_of(OL_SHA256, "y", 1),
				.users = 1,
				.mount_namespace = mount_namespace,
				.boot_id = lend(boot_id) },
			&err),
		&err);
}

/* What a user was that a sweep finds, and whether it is still one afterwards. */
static void a_sweep_gives_up_what_the_dead_hold(void **state)
{
	enum kind { CONTAINER, MOUNT, HERE, ELSEWHERE, COMING, FOLDER };
	static const struct {
		const char *label;
		enum kind kind;
		bool this_boot, alive, stays;
	} cases[] = {
		{ "container that runs", CONTAINER, true, true, true },
		{ "container whose process is gone", CONTAINER, true, false, false },
		{ "container of another boot", CONTAINER, false, true, false },
		{ "mount", MOUNT, true, true, true },
		{ "mount of another boot", MOUNT, false, true, false },
		{ "mount that somebody took away", HERE, true, true, false },
		{ "mount that is being made", COMING, true, true, true },
		{ "mount of another namespace", ELSEWHERE, true, true, true },
		{ "mount of another namespace and boot", ELSEWHERE, false, true, false },
		{ "container that is being made", FOLDER, true, true, true },
	};
	const suite_run *run = *state;

	OL_EACH (cases, c) {
		suite_box *box = suite_begin(state);
		const char *boot = c->this_boot ? ol_store_boot_id(box->store) : "earlier";
		uint64_t start = ol_process_start(getpid());
		ol_layer_mount_options options = {
			.layers = box->layers, .count = 1, .user_id = USER_A
		};
		ol_autofd int state_fd = suite_state_open(box, USER_A);
		ol_autofd int lock = -1;
		ol_error err = { 0 };

		(void)state_fd; /* is only held open */
		suite_add(box, run->driver, suite_base_recipe);
		if (c->kind == CONTAINER)
			add_container(box, USER_A, getpid(), c->alive ? start : start - 1, boot);
		else if (c->kind != FOLDER)
			add_mount(box, USER_A, boot,
				c->kind == MOUNT       ? 0
				: c->kind == ELSEWHERE ? ol_mount_namespace() + 1
						       : ol_mount_namespace());
		if (c->kind == COMING)
			suite_must(c->label, ol_mounts_lock(box->store, true, &lock, &err), &err);
		suite_must(c->label, ol_layer_mounts_begin(box->store, &options, NULL, &err), &err);
		CHECK_INT(c->label, true, has_users(box, &box->layers[0].key));
		suite_must(c->label, ol_rootfs_sweep(box->store, &err), &err);
		CHECK_INT(c->label, c->stays, has_users(box, &box->layers[0].key));
		if (!c->stays)
			CHECK_INT(c->label, false, suite_is_mounted(box, &box->layers[0].key));
		(void)suite_end(state);
	}
}

/* A mount whose rows are gone, as a crash between the two leaves it. */
static void a_sweep_unmounts_what_has_no_rows(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_layer_mount_options options = { .layers = box->layers, .count = 1, .user_id = USER_A };
	ol_autofree ol_digest *unused = NULL;
	size_t count = 0;
	ol_error err = { 0 };

	suite_add(box, run->driver, suite_base_recipe);
	suite_must("begin", ol_layer_mounts_begin(box->store, &options, NULL, &err), &err);
	suite_must("forget", ol_use_end(box->store, USER_A, &unused, &count, &err), &err);
	suite_must("sweep", ol_rootfs_sweep(box->store, &err), &err);
	CHECK_INT("mounted", false, suite_is_mounted(box, &box->layers[0].key));
}

/* As run does it: the layers are held where all see them, the overlay is made where nobody does. */
static void a_held_root_is_mounted_in_a_private_namespace(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_autofd int state_fd = suite_state_open(box, USER_A);
	ol_autofd int here = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	ol_auto_str ol_str seen = OL_STR(1);
	ol_rootfs_options options;
	ol_error err = { 0 };
	bool shared;
	int rc;

	suite_add(box, run->driver, suite_base_recipe);
	options = suite_options(box, USER_A, state_fd);
	suite_must("hold", ol_rootfs_hold(box->store, &options, &err), &err);
	shared = suite_is_mounted(box, &box->layers[0].key);
	assert_int_equal(0, unshare(CLONE_NEWNS));
	options.held = true;
	options.writable = true;
	rc = ol_rootfs_mount(box->store, &options, NULL, &err);
	seen = recipe_compare(suite_base_recipe, box->target);
	assert_int_equal(0, setns(here, CLONE_NEWNS));
	suite_must("mount", rc, &err);
	CHECK_STR("inside", "", seen.data);
	suite_check_tree("here", ". d 0700 0:0 ?\n", box->target);
	CHECK_INT("still held", shared, suite_is_mounted(box, &box->layers[0].key));
	suite_must("unmount", ol_rootfs_unmount(box->store, USER_A, NULL, &err), &err);
	CHECK_INT("mounted", false, suite_is_mounted(box, &box->layers[0].key));
}

/* A child that is killed with everything mounted; its mounts are in our namespace. A handle does
 * not survive a fork, so it opens the store itself. A test's failure must not return from here. */
static int mount_and_die(suite_box *box)
{
	ol_autofree char *root = suite_path(box, "root"), *run = suite_path(box, "run");
	const ol_container_info info = { .id = lend(USER_A),
		.name = lend("killed"),
		.image = lend("x"),
		.root = ol_digest_of(OL_SHA256, "x", 1),
		.config = ol_digest_of(OL_SHA256, "y", 1),
		.command = lend("x"),
		.state = OL_CONTAINER_RUNNING,
		.pid = getpid(),
		.pid_start = ol_process_start(getpid()) };
	ol_autofd int state_fd = -1;
	ol_container_info row = info;
	ol_rootfs_options options;
	ol_error err = { 0 };

	if (ol_store_open(&(ol_store_options){ .root = root, .run_root = run }, &box->store, &err) <
		0)
		return 2;
	row.boot_id = lend(ol_store_boot_id(box->store));
	if (ol_container_add(box->store, &row, &err) < 0 ||
		ol_container_dir(box->store, USER_A, &state_fd, &err) < 0)
		return 3;
	options = suite_options(box, USER_A, state_fd);
	options.writable = true;
	if (ol_rootfs_mount(box->store, &options, NULL, &err) < 0 ||
		ol_rootfs_unmount(box->store, USER_A, box->target, &err) < 0)
		return 4;
	return 5;
}

/* containers/<id>/ on an overlay, which takes no upper of another. */
static int state_open_on_overlay(suite_box *box)
{
	ol_autofree char *data = ol_text("lowerdir=%s/l,upperdir=%s/u,workdir=%s/w%s", box->dir,
		box->dir, box->dir, box->userxattr ? ",userxattr" : "");
	ol_autofree char *path = suite_path(box, "root/containers/" USER_A);
	static const char *const names[] = { "l", "u", "w" };

	(void)close(suite_state_open(box, USER_A));
	OL_EACH (names, name)
		assert_int_equal(0, mkdirat(box->dir_fd, *name, 0700));
	assert_int_equal(0, mount("overlay", path, "overlay", 0, data));
	return suite_state_open(box, USER_A);
}

static bool is_on_tmpfs(int dir_fd, const char *name)
{
	ol_autofd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	struct statfs fs;

	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* Killed wherever it may be, a user leaves only what a sweep finds, and nothing in the way of the
 * next one. */
static void what_a_killed_user_mounted_goes_with_a_sweep(void **state)
{
	static const struct {
		const char *point;
		bool on_tmpfs, overlay_stays;
	} cases[] = {
		{ "snapshot.mounts.recorded:kill", false, false },
		{ "snapshot.rootfs.held:kill", false, false },
		{ "snapshot.rootfs.fresh:kill", false, false },
		{ "snapshot.rootfs.tmpfs:kill", true, false },
		{ "snapshot.rootfs.mounted:kill", false, true },
		{ "snapshot.rootfs.mounted:kill", true, true },
		{ "snapshot.mounts.dropped:kill", false, false },
	};
	const suite_run *run = *state;

	OL_EACH (cases, c) {
		suite_box *box = suite_begin(state);
		ol_autofd int state_fd =
			c->on_tmpfs ? state_open_on_overlay(box) : suite_state_open(box, USER_A);
		ol_rootfs_options options;
		ol_error err = { 0 };
		int status = 0;
		pid_t pid;

		suite_add(box, run->driver, suite_base_recipe);
		ol_store_close(box->store);
		box->store = NULL;
		(void)setenv("ORLOP_FAULT", c->point, 1);
		pid = fork();
		if (pid == 0)
			_exit(mount_and_die(box));
		(void)unsetenv("ORLOP_FAULT");
		assert_int_equal(pid, waitpid(pid, &status, 0));
		CHECK_INT(c->point, SIGKILL, status);
		suite_open_store(box, NULL);
		suite_must("sweep", ol_rootfs_sweep(box->store, &err), &err);
		CHECK_INT(c->point, false, suite_is_mounted(box, &box->layers[0].key));
		CHECK_INT(c->point, false, has_users(box, &box->layers[0].key));
		CHECK_INT(c->point, false, is_on_tmpfs(state_fd, "tmpfs"));
		/* The overlay itself is its own: it works on, and goes when asked to. */
		suite_check_tree(c->point,
			c->overlay_stays ? suite_base_recipe : ". d 0700 0:0 ?\n", box->target);
		suite_unmount(box, USER_A);
		suite_check_tree(c->point, ". d 0700 0:0 ?\n", box->target);
		options = suite_options(box, USER_A, state_fd);
		options.writable = true;
		suite_mount(box, &options);
		suite_check_tree(c->point, suite_base_recipe, box->target);
		suite_unmount(box, USER_A);
		(void)suite_end(state);
	}
}

/* A layer that cannot be opened: nothing is left mounted or recorded. */
static void a_mount_that_fails_leaves_nothing(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_autofd int state_fd = suite_state_open(box, USER_A);
	ol_rootfs_options options;
	ol_error err = { 0 };

	suite_add(box, run->driver, suite_base_recipe);
	suite_add(box, run->driver, "g f 0644 0:0 1 y\n");
	options = suite_options(box, USER_A, state_fd);
	options.target = "/nonexistent/place";
	assert_true(ol_rootfs_mount(box->store, &options, NULL, &err) < 0);
	CHECK_INT("used", false, has_users(box, &box->layers[0].key));
	CHECK_INT("mounted", false, suite_is_mounted(box, &box->layers[0].key));
	(void)snprintf(box->layers[1].driver, sizeof box->layers[1].driver, "other");
	options.target = box->target;
	CHECK_INT("driver", OL_EUNSUPPORTED, ol_rootfs_mount(box->store, &options, NULL, &err));
	CHECK_INT("used", false, has_users(box, &box->layers[0].key));
	CHECK_INT("mounted", false, suite_is_mounted(box, &box->layers[0].key));
}

static void an_upper_that_the_store_cannot_hold_lies_on_a_tmpfs(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_autofd int state_fd = state_open_on_overlay(box);
	ol_rootfs_options options;
	ol_error err = { 0 };

	suite_add(box, run->driver, suite_base_recipe);
	options = suite_options(box, USER_A, state_fd);
	for (int variant = 0; variant < 4; variant++) {
		ol_autofree char *note = NULL;

		options.old_mount = variant & 1;
		options.writable = variant & 2;
		suite_must("mount", ol_rootfs_mount(box->store, &options, &note, &err), &err);
		CHECK_INT("note", options.writable, note && strstr(note, "tmpfs"));
		suite_check_tree("tree", suite_base_recipe, box->target);
		if (options.writable)
			suite_write_file(box, "new", "new");
		CHECK_INT("leftover", -1, faccessat(state_fd, "tmpfs", F_OK, 0));
		suite_unmount(box, USER_A);
		suite_check_tree("target", ". d 0700 0:0 ?\n", box->target);
	}
}

const suite_test suite_user_tests[] = {
	{ "users_of_a_layer_share_its_mount", users_of_a_layer_share_its_mount },
	{ "a_sweep_gives_up_what_the_dead_hold", a_sweep_gives_up_what_the_dead_hold },
	{ "a_sweep_unmounts_what_has_no_rows", a_sweep_unmounts_what_has_no_rows },
	{ "a_held_root_is_mounted_in_a_private_namespace",
		a_held_root_is_mounted_in_a_private_namespace },
	{ "what_a_killed_user_mounted_goes_with_a_sweep",
		what_a_killed_user_mounted_goes_with_a_sweep },
	{ "a_mount_that_fails_leaves_nothing", a_mount_that_fails_leaves_nothing },
	{ "an_upper_that_the_store_cannot_hold_lies_on_a_tmpfs",
		an_upper_that_the_store_cannot_hold_lies_on_a_tmpfs },
	{ NULL, NULL },
};
