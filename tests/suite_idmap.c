/* Root file systems whose owners are shown as a user namespace's: a part of the suite of drivers.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/userns.h"
#include "tests/layer_recipe.h"
#include "tests/suite_box.h"

static const char owned_recipe[] = ". d 0755 0:0 1\n"
				   "d d 0755 1:2 1\n"
				   "d/f f 0644 33:44 1 1\n"
				   "far f 0644 70000:70000 1 1\n"
				   "gone f 0644 0:0 1 1\n";

struct owned {
	const char *path;
	uint32_t uid, gid;
};

static void check_owners(const suite_box *box, const struct owned *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ol_autofree char *path = ol_text("%s/%s", box->target, rows[i].path);
		struct stat st = { 0 };

		CHECK_INT(rows[i].path, 0, lstat(path, &st));
		CHECK_INT(rows[i].path, rows[i].uid, st.st_uid);
		CHECK_INT(rows[i].path, rows[i].gid, st.st_gid);
	}
}

/* What a container's root does: makes, removes, copies up, gives away. 0, or what failed. */
static int act_inside(const char *target, uint32_t uid, uint32_t gid)
{
	ol_autofd int fd =
		open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* what is above is root's */

	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return 1;
	if (fchdir(fd) < 0)
		return 2;
	if (mkdir("new", 0755) < 0)
		return 3;
	if (unlink("gone") < 0)
		return 4;
	if (rename("new", "newer") < 0)
		return 5;
	return mkdir("gone", 0700) < 0 ? 6 : 0;
}

static void act(const suite_box *box, uint32_t uid, uint32_t gid)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(act_inside(box->target, uid, gid));
	assert_int_equal(pid, waitpid(pid, &status, 0));
	CHECK_INT("inside", 0, WEXITSTATUS(status));
	CHECK_INT("inside", true, WIFEXITED(status));
}

/* On the disk ids are the container's: the same upper serves another map. */
static void check_upper(int state_fd)
{
	struct stat st = { 0 };

	assert_int_equal(0, fstatat(state_fd, "upper/newer", &st, 0));
	assert_int_equal(0, st.st_uid);
	assert_int_equal(0, st.st_gid);
}

/* The maps below give ids away that a user namespace does not have. */
static void needs_all_ids(void)
{
	if (!ol_userns_is_inside())
		return;
	print_message("# skip: in a user namespace, whose ids are few\n");
	skip();
}

static void owners_are_shown_through_an_id_map(void **state)
{
	static const struct owned shifted[] = { { ".", 100000, 200000 }, { "d", 100001, 200002 },
		{ "d/f", 100033, 200044 }, { "far", 65534, 65534 } };
	static const struct owned other[] = { { ".", 300000, 300000 }, { "d/f", 300033, 300044 },
		{ "newer", 300000, 300000 } };
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_idmap map, second;

	needs_all_ids();
	assert_int_equal(OL_OK, ol_idmap_parse("0:100000:65536:0:200000:65536", &map, NULL));
	assert_int_equal(OL_OK, ol_idmap_parse("0:300000:65536", &second, NULL));
	suite_add(box, run->driver, owned_recipe);
	for (int variant = 0; variant < 4; variant++) {
		ol_autofd int state_fd = suite_state_open(box, USER_A);
		ol_rootfs_options options = suite_options(box, USER_A, state_fd);

		options.writable = variant & 1;
		options.old_mount = variant & 2;
		options.idmap = &map;
		options.source = "orlop-test";
		suite_mount(box, &options);
		check_owners(box, shifted, sizeof shifted / sizeof shifted[0]);
		if (options.writable) {
			act(box, 100000, 200000);
			check_upper(state_fd);
		}
		suite_unmount(box, USER_A);
		if (options.writable) {
			options.idmap = &second;
			suite_mount(box, &options);
			check_owners(box, other, sizeof other / sizeof other[0]);
			suite_unmount(box, USER_A);
		}
		suite_state_remove(box, USER_A);
	}
	assert_false(suite_is_mounted(box, &box->layers[0].key));
}

/* The caller's own ids, capabilities and mount namespace are as they were. */
static void a_mapped_mount_leaves_the_caller_alone(void **state)
{
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_autofd int state_fd = suite_state_open(box, USER_A);
	ol_rootfs_options options;
	ol_auto_buf ol_buf before = OL_BUF((size_t)1 << 24), after = OL_BUF((size_t)1 << 24);
	ol_idmap map;

	needs_all_ids();
	assert_int_equal(OL_OK, ol_idmap_parse("0:100000:1000", &map, NULL));
	suite_add(box, run->driver, owned_recipe);
	options = suite_options(box, USER_A, state_fd);
	options.writable = true;
	options.idmap = &map;
	assert_int_equal(
		OL_OK, ol_file_read(AT_FDCWD, "/proc/self/mountinfo", false, &before, NULL));
	suite_mount(box, &options);
	check_owners(box, (const struct owned[]){ { "d/f", 100033, 100044 } }, 1);
	suite_unmount(box, USER_A);
	assert_int_equal(
		OL_OK, ol_file_read(AT_FDCWD, "/proc/self/mountinfo", false, &after, NULL));
	assert_string_equal(before.data, after.data);
	suite_write_file(box, "mine", "root writes");
	check_owners(box, (const struct owned[]){ { "mine", 0, 0 } }, 1);
}

/* What is written needs an owner, and the kernel one for its own files. */
static void a_map_without_root_is_refused(void **state)
{
	static const char *const maps[] = { "1:100000:65536", "0:100000:1:1:100000:1" };
	const suite_run *run = *state;
	suite_box *box = suite_begin(state);
	ol_autofd int state_fd = suite_state_open(box, USER_A);
	ol_rootfs_options options;

	suite_add(box, run->driver, owned_recipe);
	options = suite_options(box, USER_A, state_fd);
	OL_EACH (maps, text) {
		ol_idmap map;
		ol_error err = { 0 };

		assert_int_equal(OL_OK, ol_idmap_parse(*text, &map, NULL));
		options.idmap = &map;
		CHECK_INT(*text, OL_EINVAL, ol_rootfs_mount(box->store, &options, NULL, &err));
		assert_non_null(strstr(err.text, "0 of the container"));
		assert_false(suite_is_mounted(box, &box->layers[0].key));
	}
}

const suite_test suite_idmap_tests[] = {
	{ "a_map_without_root_is_refused", a_map_without_root_is_refused },
	{ "owners_are_shown_through_an_id_map", owners_are_shown_through_an_id_map },
	{ "a_mapped_mount_leaves_the_caller_alone", a_mapped_mount_leaves_the_caller_alone },
	{ NULL, NULL },
};
