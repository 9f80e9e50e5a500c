#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/driver.h"
#include "tests/check.h"
#include "tests/store_box.h"
#include "tests/tar_builder.h"

#define MEMBERS   9
#define DUMP_MAX  ((size_t)1 << 20)
#define OUTSIDE   "/tmp/orlop-dir-outside" /* where hostile links lead; made by the tests */
#define OUT_WORDS "the host's own"

/* ------------------------------------------------------------------- dumps -- */

static bool has_xattr(int parent_fd, const char *name, const char *xattr)
{
	char path[600];

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d/%s", parent_fd, name);
	return lgetxattr(path, xattr, NULL, 0) >= 0;
}

static void dump_dir(int fd, const char *path, ol_str *out);

/* "TYPE path mode uid:gid links", then what there is of size, target, device and marks. */
static void dump_one(int parent_fd, const char *name, const char *path, ol_str *out)
{
	static const char *const marks[] = { "opaque", "origin", "implied" };
	static const char *const xattrs[] = { "trusted.overlay.opaque", "trusted.overlay.origin",
		"trusted.orlop.implied" };
	char target[4096];
	struct stat st;

	assert_int_equal(0, fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW));
	if (out->size)
		(void)ol_str_addc(out, '\n');
	(void)ol_str_addf(out, "%c %s %o %u:%u", "?pc?d?b?-?l"[st.st_mode >> 12], path,
		st.st_mode & 07777, st.st_uid, st.st_gid);
	if (!S_ISDIR(st.st_mode))
		(void)ol_str_addf(out, " %u", (unsigned)st.st_nlink);
	if (S_ISREG(st.st_mode))
		(void)ol_str_addf(out, " %lld", (long long)st.st_size);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		(void)ol_str_addf(out, " dev %u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(parent_fd, name, target, sizeof target);

		(void)ol_str_addf(out, " >%.*s", (int)n, target);
	}
	for (size_t i = 0; i < 3; i++)
		if (has_xattr(parent_fd, name, xattrs[i]))
			(void)ol_str_addf(out, " %s", marks[i]);
	if (S_ISDIR(st.st_mode)) {
		int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		assert_true(fd >= 0);
		dump_dir(fd, path, out);
		(void)close(fd);
	}
}

static void dump_dir(int fd, const char *path, ol_str *out)
{
	char proc[64];
	struct dirent **list;
	int count;

	(void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
	count = scandir(proc, &list, NULL, alphasort);
	assert_true(count >= 0);
	for (int i = 0; i < count; i++) {
		const char *name = list[i]->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			ol_autofree char *whole = ol_text("%s%s%s", path, path[0] ? "/" : "", name);

			dump_one(fd, name, whole, out);
		}
		free(list[i]);
	}
	free(list);
}

/* ----------------------------------------------------------------- boxes -- */

static bool is_root(void)
{
	return geteuid() == 0;
}

#define NEEDS_ROOT()                                                                               \
	do {                                                                                       \
		if (!is_root()) {                                                                  \
			print_message(                                                             \
				"SKIPPED: needs root: trusted xattrs, device nodes, chown\n");     \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static void make_outside(void)
{
	assert_int_equal(OL_OK, ol_remove_tree(AT_FDCWD, OUTSIDE, NULL));
	assert_int_equal(0, mkdir(OUTSIDE, 0755));
	assert_int_equal(OL_OK,
		ol_publish(AT_FDCWD, OUTSIDE "/secret", ol_view_of(OUT_WORDS), 0600, 0, NULL));
}

/* Nothing that a layer says reaches the host. */
static void check_outside(const char *label)
{
	ol_auto_buf ol_buf words = OL_BUF(100);
	ol_auto_str ol_str dump = OL_STR(DUMP_MAX);
	int fd = open(OUTSIDE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	dump_dir(fd, "", &dump);
	(void)close(fd);
	CHECK_STR(label, "- secret 600 0:0 1 14", ol_str_text(&dump));
	CHECK_INT(label, OL_OK, ol_file_read(AT_FDCWD, OUTSIDE "/secret", true, &words, NULL));
	CHECK_STR(label, OUT_WORDS, ol_str_text(&words));
}

static int extract(int dir_fd, ol_view tar, size_t step, ol_built *built, ol_error *err)
{
	const ol_driver *driver = ol_driver_named("dir");
	const ol_builder_options options = { .dir_fd = dir_fd };
	ol_builder *builder = NULL;
	int rc = driver->begin(&options, &builder, err);

	assert_int_equal(OL_OK, rc);
	for (size_t at = 0; rc == OL_OK && at < tar.size; at += step)
		rc = driver->push(
			builder, tar.data + at, tar.size - at < step ? tar.size - at : step, err);
	if (rc == OL_OK)
		rc = driver->finish(builder, built, err);
	driver->free(builder);
	return rc;
}

typedef struct row {
	const char *label;
	int rc;
	bool leans;
	const char *text; /* the dump of fs/, or a part of the error's words */
	tar_member members[MEMBERS + 1];
} row;

static void check_row(const store_box *box, const row *r)
{
	static const size_t steps[] = { SIZE_MAX / 2, 700 };
	ol_auto_buf ol_buf tar = tar_build(r->members);

	OL_EACH (steps, step) {
		ol_auto_str ol_str dump = OL_STR(DUMP_MAX);
		ol_built built = { 0 };
		ol_error err = { 0 };
		int fd, rc;

		make_outside();
		rc = extract(box->dir_fd, ol_buf_view(&tar), *step, &built, &err);
		check_outside(r->label);
		if (rc < 0 && r->rc == OL_OK)
			CHECK_STR(r->label, "", err.text);
		CHECK_INT(r->label, r->rc, rc);
		if (r->rc < 0) {
			if (!strstr(err.text, r->text))
				CHECK_STR(r->label, r->text, err.text);
			continue;
		}
		CHECK_INT(r->label, r->leans, built.leans);
		fd = openat(box->dir_fd, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(fd >= 0);
		CHECK_INT(r->label, r->leans, faccessat(fd, ".wh..wh.orlop", F_OK, 0) == 0);
		(void)unlinkat(fd, ".wh..wh.orlop", 0);
		dump_dir(fd, "", &dump);
		(void)close(fd);
		CHECK_STR(r->label, r->text, ol_str_text(&dump));
	}
	assert_int_equal(OL_OK, ol_remove_tree(AT_FDCWD, OUTSIDE, NULL));
}

#define CHECK_ROWS(box, rows)                                                                      \
	do {                                                                                       \
		OL_EACH (rows, r)                                                                  \
			check_row(box, r);                                                         \
	} while (0)

#define LINK(path, to)                                                                             \
	{                                                                                          \
		.name = (path), .type = '2', .link = (to)                                          \
	}
#define HARD(path, to)                                                                             \
	{                                                                                          \
		.name = (path), .type = '1', .link = (to)                                          \
	}
#define DIR_(path)                                                                                 \
	{                                                                                          \
		.name = (path), .type = '5', .mode = 0755                                          \
	}
#define FILE_(path)                                                                                \
	{                                                                                          \
		.name = (path), .data = "x"                                                        \
	}

/* ------------------------------------------------------------------- tests -- */

static void nothing_leaves_the_tree(void **state)
{
	static const row rows[] = {
		{ "a file through a symlink", OL_OK, true,
			"d a 755 0:0 opaque implied\n- a/secret 644 0:0 1 1",
			{ LINK("a", OUTSIDE), FILE_("a/secret") } },
		{ "through a relative one", OL_OK, true,
			"d a 755 0:0 opaque implied\n- a/secret 644 0:0 1 1",
			{ LINK("a", "../../../../../../../.." OUTSIDE), FILE_("a/secret") } },
		{ "a directory through one", OL_OK, true,
			"d a 755 0:0 opaque implied\nd a/b 755 0:0\n- a/b/c 644 0:0 1 1",
			{ LINK("a", OUTSIDE), DIR_("a/b"), FILE_("a/b/c") } },
		{ "a link in the middle, made late", OL_OK, false, "l a 777 0:0 1 >" OUTSIDE,
			{ DIR_("a"), DIR_("a/b"), FILE_("a/b/c"), LINK("a", OUTSIDE) } },
		{ "a file in place of a link", OL_OK, false, "- a 644 0:0 1 1",
			{ LINK("a", OUTSIDE "/secret"), FILE_("a") } },
		{ "a directory in place of a link", OL_OK, false, "d a 755 0:0 opaque",
			{ LINK("a", OUTSIDE), DIR_("a") } },
		{ "attributes in place of a link's", OL_OK, false, "d a 777 5:5 opaque",
			{ LINK("a", OUTSIDE),
				{ .name = "a", .type = '5', .mode = 0777, .uid = 5, .gid = 5 } } },
		{ "a hard link through a link", OL_OK, true,
			"l a 777 0:0 1 >" OUTSIDE "\n- b 600 0:0 1 8",
			{ LINK("a", OUTSIDE), HARD("b", "a/secret") } },
		{ "a hard link to a link, and a file over it", OL_OK, false,
			"l a 777 0:0 1 >" OUTSIDE "/secret\n- b 644 0:0 1 1",
			{ LINK("a", OUTSIDE "/secret"), HARD("b", "a"), FILE_("b") } },
		{ "a whiteout through a link", OL_OK, true, "d a 755 0:0 opaque implied",
			{ LINK("a", OUTSIDE), { .name = "a/.wh.secret" } } },
		{ "an opaque mark through a link", OL_OK, true, "d a 755 0:0 opaque implied",
			{ LINK("a", OUTSIDE), { .name = "a/.wh..wh..opq" } } },
		{ "a whiteout of a link", OL_OK, false, "l a 777 0:0 1 >" OUTSIDE,
			{ LINK("a", OUTSIDE), { .name = ".wh.a" } } },
		{ "times of what was a directory", OL_OK, false,
			"l a 777 0:0 1 >" OUTSIDE "/secret",
			{ { .name = "a", .type = '5', .mode = 0755, .mtime = 9 },
				LINK("a", OUTSIDE "/secret") } },
		{ "absolute and ..", OL_ECORRUPT, false, "..", { FILE_("/../tmp/x") } },
		{ "a root that is a link", OL_ECORRUPT, false, "root", { LINK(".", OUTSIDE) } },
		{ "absolute", OL_OK, true,
			"d tmp 755 0:0 implied\nd tmp/orlop-dir-outside 755 0:0 implied\n"
			"- tmp/orlop-dir-outside/secret 644 0:0 1 1",
			{ FILE_(OUTSIDE "/secret") } },
	};

	NEEDS_ROOT();
	CHECK_ROWS(*state, rows);
}

static void the_last_of_two_entries_wins(void **state)
{
	static const row rows[] = {
		{ "files", OL_OK, false, "- a 644 0:0 1 3",
			{ FILE_("a"), { .name = "a", .data = "abc" } } },
		{ "directories are one", OL_OK, false, "d a 700 3:4\n- a/b 644 0:0 1 1",
			{ DIR_("a"), FILE_("a/b"),
				{ .name = "a", .type = '5', .mode = 0700, .uid = 3, .gid = 4 } } },
		{ "a file over a directory", OL_OK, false, "- a 644 0:0 1 1",
			{ DIR_("a"), FILE_("a/b"), FILE_("a") } },
		{ "a directory over a file", OL_OK, false, "d a 755 0:0 opaque",
			{ FILE_("a"), DIR_("a") } },
		{ "a file over a fifo, which is not opened", OL_OK, false, "- a 644 0:0 1 1",
			{ { .name = "a", .type = '6' }, FILE_("a") } },
		{ "a file over a device", OL_OK, false, "- a 644 0:0 1 1",
			{ { .name = "a", .type = '3', .major = 1, .minor = 5 }, FILE_("a") } },
		{ "a file over one of two links", OL_OK, false, "- a 644 0:0 1 3\n- b 644 0:0 1 1",
			{ FILE_("a"), HARD("b", "a"), { .name = "a", .data = "abc" } } },
		{ "a link over itself", OL_OK, false, "- a 644 0:0 1 1",
			{ FILE_("a"), HARD("a", "a") } },
		{ "the same link twice", OL_OK, false, "- a 644 0:0 2 1\n- b 644 0:0 2 1",
			{ FILE_("a"), HARD("b", "a"), HARD("b", "a") } },
		{ "a link over a directory", OL_OK, false, "- a 644 0:0 2 1\n- b 644 0:0 2 1",
			{ FILE_("a"), DIR_("b"), FILE_("b/c"), HARD("b", "a") } },
		{ "a link to a directory", OL_ECORRUPT, false, "hard link to a directory",
			{ DIR_("a"), HARD("b", "a") } },
		{ "a link over its own target", OL_ECORRUPT, false, "its own target",
			{ DIR_("a"), FILE_("a/b"), HARD("a", "a/b") } },
		{ "implied, then listed", OL_OK, false, "d a 711 0:0\n- a/b 644 0:0 1 1",
			{ FILE_("a/b"), { .name = "a", .type = '5', .mode = 0711 } } },
		{ "implied, then replaced", OL_OK, false, "- a 644 0:0 1 1",
			{ FILE_("a/b"), FILE_("a") } },
		{ "a lower link, then replaced", OL_OK, false, "- a 644 0:0 1 1",
			{ HARD("a", "below"), FILE_("a") } },
	};

	NEEDS_ROOT();
	CHECK_ROWS(*state, rows);
}

static void whiteouts_are_as_overlayfs_wants_them(void **state)
{
	static const row rows[] = {
		{ "of a file", OL_OK, false, "d d 755 0:0 origin\nc d/x 0 0:0 1 dev 0:0",
			{ DIR_("d"), { .name = "d/.wh.x" } } },
		{ "spares its own layer's file", OL_OK, false, "- x 644 0:0 1 1",
			{ FILE_("x"), { .name = ".wh.x" } } },
		{ "in either order", OL_OK, false, "- x 644 0:0 1 1",
			{ { .name = ".wh.x" }, FILE_("x") } },
		{ "makes its own layer's directory opaque", OL_OK, false,
			"d x 755 0:0 opaque\n- x/y 644 0:0 1 1",
			{ DIR_("x"), FILE_("x/y"), { .name = ".wh.x" } } },
		{ "in either order, too", OL_OK, false, "d x 755 0:0 opaque\n- x/y 644 0:0 1 1",
			{ { .name = ".wh.x" }, DIR_("x"), FILE_("x/y") } },
		{ "also where the directory is implied", OL_OK, true,
			"d x 755 0:0 opaque implied\n- x/y 644 0:0 1 1",
			{ { .name = ".wh.x" }, FILE_("x/y") } },
		{ "an opaque directory has none", OL_OK, false,
			"d d 755 0:0 opaque\n- d/y 644 0:0 1 1",
			{ DIR_("d"), { .name = "d/.wh.x" }, FILE_("d/y"),
				{ .name = "d/.wh..wh..opq" }, { .name = "d/.wh.z" } } },
		{ "twice", OL_OK, false, "c x 0 0:0 1 dev 0:0",
			{ { .name = ".wh.x" }, { .name = ".wh.x" } } },
		{ "a hard link to what it hides", OL_OK, true,
			"c x 0 0:0 1 dev 0:0\n- y 600 0:0 1 1",
			{ { .name = ".wh.x" }, HARD("y", "x") } },
		{ "a forged one", OL_ECORRUPT, false, "0:0", { { .name = "x", .type = '3' } } },
		{ "a forged mark", OL_OK, false, "d d 755 0:0",
			{ { .name = "d",
				.type = '5',
				.mode = 0755,
				.pax = { "SCHILY.xattr.trusted.overlay.opaque=y",
					"SCHILY.xattr.trusted.orlop.implied=" } } } },
	};

	NEEDS_ROOT();
	CHECK_ROWS(*state, rows);
}

static void attributes_are_all_there(void **state)
{
	static const row rows[] = {
		{ "modes and owners", OL_OK, false,
			"- a 6755 1:2 1 1\n- b 0 0:0 1 1\nd c 3770 4294967294:7\n- d 2711 0:5 1 1",
			{ { .name = "a", .mode = 06755, .uid = 1, .gid = 2, .data = "x" },
				{ .name = "b", .data = "x", .patches = { { 100, "0000000" } } },
				{ .name = "c",
					.type = '5',
					.mode = 03770,
					.pax = { "uid=4294967294" },
					.gid = 7 },
				{ .name = "d", .mode = 02711, .gid = 5, .data = "x" } } },
		{ "what a setgid directory would pass on", OL_OK, false,
			"d a 2777 0:9\n- a/b 644 0:0 1 1\nd a/c 755 0:0\np a/d 644 0:0 1\nl a/e "
			"777 0:0 1 >x",
			{ { .name = "a", .type = '5', .mode = 02777, .gid = 9 }, FILE_("a/b"),
				DIR_("a/c"), { .name = "a/d", .type = '6' }, LINK("a/e", "x") } },
		{ "types", OL_OK, false,
			"c c 666 0:0 1 dev 1:3\nb d 600 0:6 1 dev 7:200\np f 622 3:0 1\nl l 777 "
			"8:9 2 >gone\n"
			"l m 777 8:9 2 >gone",
			{ { .name = "c", .type = '3', .mode = 0666, .major = 1, .minor = 3 },
				{ .name = "d",
					.type = '4',
					.mode = 0600,
					.gid = 6,
					.major = 7,
					.minor = 200 },
				{ .name = "f", .type = '6', .mode = 0622, .uid = 3 },
				{ .name = "l", .type = '2', .link = "gone", .uid = 8, .gid = 9 },
				HARD("m", "l") } },
		{ "names of any bytes", OL_OK, false, "- \n\xff\\ 644 0:0 1 1\n- -rf 644 0:0 1 1",
			{ FILE_("-rf"), FILE_("\n\xff\\") } },
	};

	NEEDS_ROOT();
	CHECK_ROWS(*state, rows);
}

static void check_time(int fd, const char *path, long long seconds, long nanoseconds)
{
	struct stat st;

	CHECK_INT(path, 0, fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW));
	CHECK_INT(path, seconds, st.st_mtim.tv_sec);
	CHECK_INT(path, nanoseconds, st.st_mtim.tv_nsec);
}

static void times_are_exact_and_survive_what_comes_later(void **state)
{
	static const tar_member members[] = {
		{ .name = "./", .type = '5', .mode = 0755, .mtime = 5 },
		{ .name = "d", .type = '5', .mode = 0755, .pax = { "mtime=1.000000001" } },
		{ .name = "d/f", .data = "x", .pax = { "mtime=2.123456789" } },
		{ .name = "d/l", .type = '2', .link = "x", .mtime = 3 },
		{ .name = "d/.wh.w" },
		{ .name = "e", .type = '5', .mode = 0755, .mtime = 4 },
		{ .name = "e", .type = '5', .mode = 0755, .mtime = 6 },
		{ 0 },
	};
	const store_box *box = *state;
	ol_auto_buf ol_buf tar = tar_build(members);
	ol_built built = { 0 };
	ol_error err = { 0 };
	int fd;

	NEEDS_ROOT();
	CHECK_INT(err.text, OL_OK, extract(box->dir_fd, ol_buf_view(&tar), 512, &built, &err));
	CHECK_INT("entries", 7, (long long)built.entries);
	fd = openat(box->dir_fd, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check_time(fd, ".", 5, 0);
	check_time(fd, "d", 1, 1);
	check_time(fd, "d/f", 2, 123456789);
	check_time(fd, "d/l", 3, 0);
	check_time(fd, "e", 6, 0);
	(void)close(fd);
}

static void holes_stay_holes(void **state)
{
	static const tar_member members[] = {
		{ .name = "a",
			.data = "xy",
			.pax = { "GNU.sparse.size=67108864", "GNU.sparse.map=1,1,33554432,1" } },
		{ .name = "b", .pax = { "GNU.sparse.size=4194304" } },
		{ 0 },
	};
	const store_box *box = *state;
	ol_auto_buf ol_buf tar = tar_build(members);
	ol_built built = { 0 };
	ol_error err = { 0 };
	struct stat st;
	char bytes[3];
	int fd;

	CHECK_INT(err.text, OL_OK, extract(box->dir_fd, ol_buf_view(&tar), 1, &built, &err));
	fd = openat(box->dir_fd, "fs/a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(0, fstat(fd, &st));
	CHECK_INT("size", 67108864, st.st_size);
	assert_true(st.st_blocks < 64);
	assert_int_equal(3, pread(fd, bytes, 3, 0));
	assert_memory_equal(bytes, "\0x\0", 3);
	assert_int_equal(3, pread(fd, bytes, 3, 33554431));
	assert_memory_equal(bytes, "\0y\0", 3);
	(void)close(fd);
	assert_int_equal(0, fstatat(box->dir_fd, "fs/b", &st, 0));
	CHECK_INT("one hole", 4194304, st.st_size);
	CHECK_INT("one hole", 0, st.st_blocks);
}

/* What is made in a directory would inherit its default ACL, and lose bits of its mode to it. */
static void a_default_acl_is_not_inherited(void **state)
{
	/* version 2; user::rwx group::--- other::--- */
	static const char acl[] =
		"\2\0\0\0\1\0\7\0\xff\xff\xff\xff\4\0\0\0\xff\xff\xff\xff\x20\0\0\0"
		"\xff\xff\xff\xff";
	const char key[] = " SCHILY.xattr.system.posix_acl_default=";
	const store_box *box = *state;
	ol_auto_buf ol_buf tar = OL_BUF(TAR_BYTES_MAX), record = OL_BUF(4096);
	const tar_member dir = DIR_("d"), file = { .name = "d/f", .mode = 0777 };
	ol_built built = { 0 };
	ol_error err = { 0 };
	struct stat st;

	NEEDS_ROOT();
	(void)ol_str_addf(&record, "%zu%s", 2 + sizeof key - 1 + sizeof acl - 1 + 1, key);
	(void)ol_buf_add(&record, acl, sizeof acl - 1);
	(void)ol_str_addc(&record, '\n');
	tar_add_block(&tar, &(tar_member){ .name = "x" }, 'x', ol_buf_view(&record));
	tar_add(&tar, &dir);
	tar_add(&tar, &file);
	CHECK_INT("extract", OL_OK, extract(box->dir_fd, ol_buf_view(&tar), 4096, &built, &err));
	assert_int_equal(0, fstatat(box->dir_fd, "fs/d/f", &st, 0));
	CHECK_INT("mode", 0777, st.st_mode & 07777);
	if (!has_xattr(box->dir_fd, "fs/d", "system.posix_acl_default"))
		print_message("SKIPPED: this file system has no ACLs\n");
}

/* --------------------------------------------------------------- in a store -- */

/* Extracts the members and puts them into the store as a layer. */
static ol_layer_info put_layer(store_box *box, const char *name, ol_view tar)
{
	const ol_driver *driver = ol_driver_named("dir");
	ol_digest diff_id = ol_digest_of(OL_SHA256, tar.data, tar.size);
	ol_layer_info info = { .key = diff_id,
		.diff_id = diff_id,
		.blob = diff_id,
		.tar_bytes = tar.size,
		.blob_size = tar.size };
	ol_built built = { 0 };
	ol_error err = { 0 };

	CHECK_INT(name, OL_OK, extract(box->dir_fd, tar, 4096, &built, &err));
	CHECK_INT(name, OL_OK, ol_blob_put(box->store, &diff_id, tar, false, &err));
	(void)snprintf(info.driver, sizeof info.driver, "%s", driver->name);
	(void)snprintf(info.media_type, sizeof info.media_type, "x/tar");
	info.leans = built.leans;
	info.entries = built.entries;
	info.disk_bytes = built.disk_bytes;
	CHECK_INT(err.text, OL_OK, ol_layer_put(box->store, &info, box->dir_fd, "fs", &err));
	return info;
}

static int verify(store_box *box, const ol_layer_info *layer, ol_view tar, ol_error *err)
{
	ol_source *source = ol_source_of_memory(tar.data, tar.size);
	int rc = ol_driver_named("dir")->verify(box->store, layer, source, err);

	ol_source_close(source);
	return rc;
}

/* A lower, and a layer that leans on it in all ways. */
static const tar_member lower_members[] = {
	{ .name = "d",
		.type = '5',
		.mode = 0750,
		.uid = 3,
		.gid = 4,
		.pax = { "mtime=7.5", "SCHILY.xattr.user.a=b" } },
	{ .name = "d/f", .data = "lower", .uid = 5, .mode = 0640, .mtime = 9 },
	{ .name = "l", .type = '2', .link = "to", .mtime = 8 },
	{ 0 },
};
static const tar_member upper_members[] = {
	{ .name = "d/new", .data = "x" },
	{ .name = "g", .type = '1', .link = "d/f" },
	{ .name = "h", .type = '1', .link = "g" },
	{ .name = "m", .type = '1', .link = "l" },
	{ .name = ".wh.l" },
	{ .name = "e/x", .data = "x" },
	{ 0 },
};
#define COMPLETED                                                                                  \
	"d d 750 3:4\n- d/f 640 5:0 3 5\n- d/new 644 0:0 1 1\nd e 755 0:0\n- e/x 644 0:0 1 1\n"    \
	"- g 640 5:0 3 5\n- h 640 5:0 3 5\nc l 0 0:0 1 dev 0:0\nl m 777 0:0 1 >to"

static void check_completed(store_box *box, const char *label)
{
	ol_auto_str ol_str dump = OL_STR(DUMP_MAX);
	int fd = openat(box->dir_fd, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	dump_dir(fd, "", &dump);
	CHECK_STR(label, COMPLETED, ol_str_text(&dump));
	check_time(fd, "d", 7, 500000000);
	check_time(fd, "d/f", 9, 0);
	check_time(fd, "e", 0, 0);
	CHECK_INT(label, true, has_xattr(fd, "d", "user.a"));
	(void)close(fd);
}

/* The first chain takes the tree, the second extracts it anew; both are the same and verified. */
static void a_layer_that_leans_is_completed_for_each_chain(void **state)
{
	const ol_driver *driver = ol_driver_named("dir");
	store_box *box = *state;
	ol_auto_buf ol_buf low = tar_build(lower_members), up = tar_build(upper_members);
	ol_layer_info lower, layer, chain;
	ol_error err = { 0 };
	int fd = -1;

	NEEDS_ROOT();
	lower = put_layer(box, "lower", ol_buf_view(&low));
	layer = put_layer(box, "layer", ol_buf_view(&up));
	CHECK_INT("the lower does not lean", false, lower.leans);
	CHECK_INT("the layer leans", true, layer.leans);
	CHECK_INT("no lower() of it", OL_EINVAL, driver->lower(box->store, &layer, &fd, NULL));
	CHECK_INT(err.text, OL_OK, verify(box, &layer, ol_buf_view(&up), &err));
	for (int i = 0; i < 2; i++) {
		ol_built built = { 0 };
		int rc = driver->complete(box->store, &layer, &lower, 1, box->dir_fd, &built, &err);

		CHECK_INT(rc < 0 ? err.text : "complete", OL_OK, rc);
		CHECK_INT("leans no more", false, built.leans);
		check_completed(box, i ? "second chain" : "first chain");
		chain = layer;
		chain.key = ol_digest_of(OL_SHA256, i ? "2" : "1", 1);
		chain.is_chain = true;
		chain.leans = false;
		CHECK_INT("put", OL_OK, ol_layer_put(box->store, &chain, box->dir_fd, "fs", &err));
		rc = verify(box, &chain, ol_buf_view(&up), &err);
		CHECK_INT(rc < 0 ? err.text : "verify", OL_OK, rc);
	}
	CHECK_INT("what was moved has nothing wrong", OL_OK,
		verify(box, &layer, ol_buf_view(&up), &err));
}

static void a_link_that_no_layer_has_is_refused(void **state)
{
	static const tar_member members[] = { { .name = "a", .type = '1', .link = "nowhere" },
		{ 0 } };
	store_box *box = *state;
	ol_auto_buf ol_buf tar = tar_build(members);
	ol_layer_info layer;
	ol_built built;
	ol_error err = { 0 };

	NEEDS_ROOT();
	layer = put_layer(box, "layer", ol_buf_view(&tar));
	CHECK_INT("complete", OL_ECORRUPT,
		ol_driver_named("dir")->complete(
			box->store, &layer, NULL, 0, box->dir_fd, &built, &err));
	CHECK_STR("words",
		"layer entry \"a\": a hard link to a file that neither this layer nor those below "
		"have",
		err.text);
}

static const tar_member verified_members[] = {
	{ .name = "./", .type = '5', .mode = 0755, .mtime = 1 },
	{ .name = "d", .type = '5', .mode = 0755, .mtime = 2 },
	{ .name = "d/f", .data = "content", .mtime = 3, .pax = { "SCHILY.xattr.user.a=b" } },
	{ .name = "d/g", .type = '1', .link = "d/f" },
	{ .name = "d/.wh.w" },
	{ .name = "l", .type = '2', .link = "to", .mtime = 4 },
	{ .name = "s", .data = "x", .pax = { "GNU.sparse.size=10000", "GNU.sparse.map=9000,1" } },
	{ .name = "d2", .type = '5', .mode = 0700, .mtime = 5 },
	{ 0 },
};

/* Each way in which a tree can differ, made by a shell command in it. The root gets its
 * time back. */
static void verify_names_the_path_that_differs(void **state)
{
	static const struct {
		const char *label, *command, *words;
	} cases[] = {
		{ "nothing", "true", "" },
		{ "mode", "chmod 600 d/f", "\"d/f\": its mode is" },
		{ "mode of a directory", "chmod 701 d2", "\"d2\": its mode is" },
		{ "mode of the root", "chmod 700 .", "\"\": its mode is" },
		{ "owner", "chown 1 d/g", "\"d/f\": its owner is" },
		{ "group of a symlink", "chgrp -h 1 l", "\"l\": its owner is" },
		{ "time", "touch -d @9 d/f", "\"d/f\": its time is" },
		{ "time of a directory", "touch -d @9 d2", "\"d2\": its time is" },
		{ "content", "printf Content | dd of=d/f conv=notrunc status=none; touch -d @3 d/f",
			"\"d/f\": its content is" },
		{ "content in a hole",
			"printf x | dd of=s seek=5 bs=1 conv=notrunc status=none; touch -d @0 s",
			"\"s\": its content is" },
		{ "size", "truncate -s 6 d/f; touch -d @3 d/f", "\"d/f\": its size is" },
		{ "type", "rm l; mkfifo l", "\"l\": its type is" },
		{ "a directory for a file", "rm s; mkdir s", "\"s\": its type is" },
		{ "target", "ln -sfn other l", "\"l\": its target is" },
		{ "xattr", "setfattr -n user.a -v c d/f", "\"d/f\": its xattrs are" },
		{ "another xattr", "setfattr -n user.b -v c d/f", "\"d/f\": its xattrs are" },
		{ "xattr gone", "setfattr -x user.a d/f", "\"d/f\": its xattrs are" },
		{ "missing", "rm s", "\"s\": it is missing" },
		{ "extra", "mkdir d/x; touch -d @2 d",
			"\"d/x\": the layer's tar does not have it" },
		{ "a whiteout gone", "rm d/w; touch -d @2 d", "\"d/w\": it is missing" },
		{ "its mark gone", "setfattr -x trusted.overlay.origin d",
			"\"d\": its mark of whiteouts" },
		{ "opaque", "setfattr -n trusted.overlay.opaque -v y d2",
			"\"d2\": its opaqueness is" },
		{ "a link broken", "cp -p d/f x; mv x d/g; touch -d @2 d", "its link count is" },
	};
	store_box *box = *state;
	ol_auto_buf ol_buf tar = tar_build(verified_members);

	NEEDS_ROOT();
	OL_EACH (cases, c) {
		ol_layer_info layer = put_layer(box, c->label, ol_buf_view(&tar));
		char command[512];
		ol_error err = { 0 };
		int rc;

		(void)snprintf(command, sizeof command,
			"cd %s/layers/%s/fs && { %s; } && touch -d @1 .", box->root,
			ol_digest_hex(&layer.key).text, c->command);
		CHECK_INT(c->label, 0, system(command)); /* NOLINT(cert-env33-c): our own words */
		rc = verify(box, &layer, ol_buf_view(&tar), &err);
		CHECK_INT(c->label, c->words[0] ? OL_ECORRUPT : OL_OK, rc);
		if (rc < 0 && !strstr(err.text, c->words))
			CHECK_STR(c->label, c->words, err.text);
		(void)snprintf(command, sizeof command, "rm -rf %s/layers/%s", box->root,
			ol_digest_hex(&layer.key).text);
		CHECK_INT(c->label, 0, system(command)); /* NOLINT(cert-env33-c): our own words */
	}
}

static void the_roots_attributes_are_told(void **state)
{
	static const tar_member members[] = { { .name = ".",
						      .type = '5',
						      .mode = 01777,
						      .uid = 6,
						      .gid = 7,
						      .mtime = 8,
						      .pax = { "SCHILY.xattr.user.a=b" } },
		{ .name = ".wh..wh..opq" }, { 0 } };
	const ol_driver *driver = ol_driver_named("dir");
	store_box *box = *state;
	ol_auto_buf ol_buf tar = tar_build(members), bare = tar_build(verified_members + 1);
	ol_root_attributes root = { 0 };
	ol_layer_info layer;

	NEEDS_ROOT();
	layer = put_layer(box, "listed", ol_buf_view(&tar));
	CHECK_INT("root", OL_OK, driver->root(box->store, &layer, &root, NULL));
	CHECK_INT("listed", true, root.listed);
	CHECK_INT("opaque", true, root.opaque);
	CHECK_INT("mode", 01777, root.mode);
	CHECK_INT("uid", 6, root.uid);
	CHECK_INT("gid", 7, root.gid);
	CHECK_INT("time", 8, root.mtime.tv_sec);
	CHECK_INT("xattrs", 1, (long long)root.xattr_count);
	CHECK_STR("xattr", "user.a", root.xattrs[0].name.data);
	ol_root_attributes_done(&root);
	layer = put_layer(box, "bare", ol_buf_view(&bare));
	CHECK_INT("root", OL_OK, driver->root(box->store, &layer, &root, NULL));
	CHECK_INT("not listed", false, root.listed);
	CHECK_INT("not opaque", false, root.opaque);
	ol_root_attributes_done(&root);
}

static void the_probe_leaves_nothing(void **state)
{
	store_box *box = *state;
	ol_auto_str ol_str before = OL_STR(DUMP_MAX), after = OL_STR(DUMP_MAX);
	ol_error err = { 0 };

	NEEDS_ROOT();
	dump_dir(ol_store_root_fd(box->store), "", &before);
	CHECK_INT(err.text, OL_OK, ol_driver_named("dir")->probe(box->store, &err));
	dump_dir(ol_store_root_fd(box->store), "", &after);
	CHECK_STR("same", ol_str_text(&before), ol_str_text(&after));
}

/* A child as another user, which the probe refuses in words; 0, or the number of what was wrong. */
static int probe_as_nobody(store_box *box)
{
	ol_error err = { 0 };
	int rc;

	if (setresuid(65534, 65534, 65534) < 0)
		return 1;
	rc = ol_driver_named("dir")->probe(box->store, &err);
	if (rc != OL_EUNSUPPORTED)
		return 2;
	return strstr(err.text, "without root or a user namespace") ? 0 : 3;
}

static void an_ordinary_user_is_refused_before_anything_is_made(void **state)
{
	store_box *box = *state;
	ol_auto_str ol_str before = OL_STR(DUMP_MAX), after = OL_STR(DUMP_MAX);
	int status;
	pid_t pid;

	NEEDS_ROOT();
	dump_dir(ol_store_root_fd(box->store), "", &before);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(probe_as_nobody(box));
	assert_int_equal(pid, waitpid(pid, &status, 0));
	CHECK_INT("status", 0, status);
	dump_dir(ol_store_root_fd(box->store), "", &after);
	CHECK_STR("same", ol_str_text(&before), ol_str_text(&after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(nothing_leaves_the_tree),
		BOX_TEST(the_last_of_two_entries_wins),
		BOX_TEST(whiteouts_are_as_overlayfs_wants_them),
		BOX_TEST(attributes_are_all_there),
		BOX_TEST(times_are_exact_and_survive_what_comes_later),
		BOX_TEST(holes_stay_holes),
		BOX_TEST(a_default_acl_is_not_inherited),
		BOX_TEST(a_layer_that_leans_is_completed_for_each_chain),
		BOX_TEST(a_link_that_no_layer_has_is_refused),
		BOX_TEST(verify_names_the_path_that_differs),
		BOX_TEST(the_roots_attributes_are_told),
		BOX_TEST(the_probe_leaves_nothing),
		BOX_TEST(an_ordinary_user_is_refused_before_anything_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
