/* Mounts of hand-made indexes, of files and through loop devices. */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/temp.h"
#include "snapshot/erofs_driver_priv.h"
#include "tests/erofs_box.h"

#define TAR_BYTES ((size_t)64 << 10)
#define COUNT(a)  (sizeof(a) / sizeof *(a))

static const ol_sparse pieces[] = { { 4096, 4096 } };
static const ol_xattr xattrs[] = { { { "trusted.t", 9 }, { "", 0 } },
	{ { "user.a", 6 }, { "v", 1 } } };
static const ol_tar_entry entries[] = {
	{ .type = OL_TAR_DIR, .name = "", .mode = 0711 },
	{ .type = OL_TAR_FILE,
		.name = "f",
		.mode = 0640,
		.size = 5000,
		.uid = 4000000000,
		.mtime = { 7, 123456789 },
		.xattrs = xattrs,
		.xattr_count = 2 },
	{ .type = OL_TAR_HARDLINK, .name = "g", .target = "f" },
	{ .type = OL_TAR_FILE, .name = "s", .size = 10000, .sparse = pieces, .sparse_count = 1 },
	{ .type = OL_TAR_SYMLINK, .name = "l", .target = "f" },
};

/* A copy of the index, and a tar of known bytes, on dir's file system. */
static int copy_of(const char *dir, const erofs_box *box, int *tar_fd)
{
	ol_autofd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ol_autofree char *index = ol_alloc(box->written.bytes);
	unsigned char tar[TAR_BYTES];
	int fd = -1;

	for (size_t i = 0; i < sizeof tar; i++)
		tar[i] = (unsigned char)(i * 7 >> 4);
	assert_int_equal(OL_OK, ol_temp_open(dir_fd, &fd, NULL));
	assert_int_equal(OL_OK, ol_temp_open(dir_fd, tar_fd, NULL));
	assert_int_equal(OL_OK, ol_pread_all(box->fd, index, box->written.bytes, 0, NULL));
	assert_int_equal(OL_OK, ol_write_all(fd, index, box->written.bytes, NULL));
	assert_int_equal(OL_OK, ol_write_all(*tar_fd, tar, sizeof tar, NULL));
	return fd;
}

static void check_bytes(int mount_fd, const char *name, size_t hole, size_t tar_at, size_t size)
{
	ol_autofd int fd = openat(mount_fd, name, O_RDONLY | O_CLOEXEC);
	unsigned char bytes[16384];

	assert_true(fd >= 0);
	CHECK_INT(name, (long long)size, read(fd, bytes, sizeof bytes));
	for (size_t i = 0; i < size; i++) {
		bool data = i >= hole && (!hole || i < hole + 4096);
		size_t at = tar_at + i - hole;

		CHECK_INT(name, data ? (unsigned char)(at * 7 >> 4) : 0, bytes[i]);
	}
}

static void check_mount(int mount_fd)
{
	ol_autofd int f = openat(mount_fd, "f", O_RDONLY | O_CLOEXEC);
	struct stat st, link;
	struct statfs fs;
	char value[8] = "?";

	assert_int_equal(0, fstatfs(mount_fd, &fs));
	CHECK_INT("type", 0xE0F5E1E2, (uint32_t)fs.f_type);
	assert_int_equal(0, fstat(f, &st));
	CHECK_INT("mode", S_IFREG | 0640, st.st_mode);
	CHECK_INT("uid", 4000000000, st.st_uid);
	CHECK_INT("nanoseconds", 123456789, st.st_mtim.tv_nsec);
	CHECK_INT("names", 2, (long long)st.st_nlink);
	assert_int_equal(0, fstatat(mount_fd, "g", &link, 0));
	CHECK_INT("one inode", (long long)st.st_ino, (long long)link.st_ino);
	CHECK_INT("empty value", 0, fgetxattr(f, "trusted.t", value, sizeof value));
	CHECK_INT("value", 1, fgetxattr(f, "user.a", value, sizeof value));
	CHECK_INT("target", 1, readlinkat(mount_fd, "l", value, sizeof value));
	check_bytes(mount_fd, "f", 0, 4096, 5000);
	check_bytes(mount_fd, "s", 4096, 4096 + 5120, 10000);
	CHECK_INT("none", -1, faccessat(mount_fd, "none", F_OK, 0));
	CHECK_INT("read-only", -1, mkdirat(mount_fd, "new", 0700));
}

static void skip_unless_mountable(int rc, const ol_error *err)
{
	if (rc == OL_OK)
		return;
	if (geteuid() != 0 || err->sys == ENODEV || err->sys == EPERM || err->sys == ENOENT) {
		print_message("SKIP: no EROFS mounts here: %s\n", err->text);
		skip();
	}
	fail_msg("%s", err->text);
}

static void check_on(const char *dir)
{
	erofs_box box = box_write(entries, COUNT(entries), BOX_BUDGET);
	ol_autofd int tar_fd = -1;
	ol_autofd int index_fd = copy_of(dir, &box, &tar_fd);
	ol_autofd int mount_fd = -1;
	ol_error err = { 0 };
	int rc = ol_erofs_mount(index_fd, &tar_fd, 1, &mount_fd, &err);

	box_done(&box);
	skip_unless_mountable(rc, &err);
	check_mount(mount_fd);
}

static void an_index_is_mounted_over_its_tar(void **state)
{
	(void)state;
	check_on("/var/tmp");
}

/* The kernel mounts no file of a tmpfs. */
static void loop_devices_serve_where_files_do_not(void **state)
{
	struct statfs fs;

	(void)state;
	if (statfs("/dev/shm", &fs) < 0 || fs.f_type != TMPFS_MAGIC) {
		print_message("SKIP: /dev/shm is no tmpfs\n");
		skip();
	}
	check_on("/dev/shm");
}

static void an_empty_layer_is_mounted(void **state)
{
	erofs_box box = box_write(NULL, 0, BOX_BUDGET);
	ol_autofd int tar_fd = -1;
	ol_autofd int index_fd = copy_of("/var/tmp", &box, &tar_fd);
	ol_autofd int mount_fd = -1;
	ol_error err = { 0 };
	int rc;

	(void)state;
	assert_int_equal(0, ftruncate(tar_fd, 0));
	rc = ol_erofs_mount(index_fd, &tar_fd, 1, &mount_fd, &err);
	box_done(&box);
	skip_unless_mountable(rc, &err);
	CHECK_INT("none", -1, faccessat(mount_fd, "f", F_OK, 0));
}

static void what_is_no_index_is_refused(void **state)
{
	erofs_box box = box_write(NULL, 0, BOX_BUDGET);
	ol_autofd int tar_fd = -1;
	ol_autofd int index_fd = copy_of("/var/tmp", &box, &tar_fd);
	ol_autofd int mount_fd = -1;
	ol_error err = { 0 };

	(void)state;
	box_done(&box);
	assert_true(ol_erofs_mount(tar_fd, &index_fd, 1, &mount_fd, &err) < 0);
	assert_true(err.text[0] != '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_is_mounted_over_its_tar),
		cmocka_unit_test(loop_devices_serve_where_files_do_not),
		cmocka_unit_test(an_empty_layer_is_mounted),
		cmocka_unit_test(what_is_no_index_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
