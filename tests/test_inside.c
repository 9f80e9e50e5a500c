#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "exec/inside.h"
#include "tests/check.h"

typedef struct box {
	char path[64];
	int outer_fd, root_fd;
} box;

static void box_init(box *b)
{
	(void)snprintf(b->path, sizeof b->path, "/tmp/orlop-inside.XXXXXX");
	assert_non_null(mkdtemp(b->path));
	b->outer_fd = open(b->path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_int_equal(0, mkdirat(b->outer_fd, "root", 0755));
	b->root_fd = openat(b->outer_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(b->outer_fd >= 0 && b->root_fd >= 0);
	assert_int_equal(0, mkdirat(b->root_fd, "dir", 0755));
	assert_int_equal(
		0, close(openat(b->root_fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644)));
	/* Every way out that an image may try. */
	assert_int_equal(0, symlinkat("../..", b->root_fd, "up"));
	assert_int_equal(0, symlinkat("/", b->root_fd, "top"));
	assert_int_equal(0, symlinkat("/tmp", b->root_fd, "tmp"));
	assert_int_equal(0, symlinkat("/run/inner/target", b->root_fd, "dangling"));
	assert_int_equal(0, symlinkat("loop", b->root_fd, "loop"));
	assert_int_equal(0, symlinkat("/proc/self/fd/3", b->root_fd, "magic"));
}

static void box_done(box *b)
{
	(void)close(b->root_fd);
	(void)close(b->outer_fd);
	assert_int_equal(OL_OK, ol_remove_tree(AT_FDCWD, b->path, NULL));
}

/* Where below the root a path ends up; "" when it is refused. */
static void what_is_made_is_made_inside(void **state)
{
	static const struct {
		const char *path;
		ol_inside_kind kind;
		const char *made;
		int rc;
	} cases[] = {
		{ "/dir", OL_INSIDE_DIRECTORY, "dir", OL_OK },
		{ "/", OL_INSIDE_DIRECTORY, ".", OL_OK },
		{ "/a/b/c", OL_INSIDE_DIRECTORY, "a/b/c", OL_OK },
		{ "/f/g", OL_INSIDE_FILE, "f/g", OL_OK },
		{ "a//b/./d", OL_INSIDE_DIRECTORY, "a/b/d", OL_OK },
		{ "/../../../x", OL_INSIDE_DIRECTORY, "x", OL_OK },
		{ "/dir/../../y", OL_INSIDE_FILE, "y", OL_OK },
		{ "/up/up1", OL_INSIDE_DIRECTORY, "up1", OL_OK },
		{ "/top/top1", OL_INSIDE_DIRECTORY, "top1", OL_OK },
		{ "/tmp/tmp1", OL_INSIDE_DIRECTORY, "tmp/tmp1",
			OL_EINVAL }, /* tmp → /tmp: a loop */
		{ "/dangling", OL_INSIDE_FILE, "run/inner/target", OL_OK },
		{ "/dangling", OL_INSIDE_FILE, "run/inner/target", OL_OK },
		{ "/loop", OL_INSIDE_ANY, "", OL_EINVAL },
		{ "/magic", OL_INSIDE_DIRECTORY, "proc/self/fd/3", OL_OK }, /* just a name */
		{ "/file", OL_INSIDE_DIRECTORY, "", OL_EINVAL },
		{ "/dir", OL_INSIDE_FILE, "", OL_EINVAL },
		{ "/file", OL_INSIDE_ANY, "file", OL_OK },
		{ "/file/x", OL_INSIDE_FILE, "", OL_ENOTFOUND },
	};
	box b;

	(void)state;
	box_init(&b);
	OL_EACH (cases, c) {
		ol_error err = { .code = 0 };
		struct stat want, got;
		int fd = -1;

		CHECK_INT(c->path, c->rc, ol_inside_make(b.root_fd, c->path, c->kind, &fd, &err));
		if (c->rc < 0)
			continue;
		CHECK_INT(c->path, 0, fstatat(b.root_fd, c->made, &want, 0));
		CHECK_INT(c->path, 0, fstat(fd, &got));
		CHECK_INT(c->path, (long long)want.st_ino, (long long)got.st_ino);
		(void)close(fd);
	}
	/* Nothing beside the root. */
	assert_int_equal(-1, faccessat(b.outer_fd, "x", F_OK, 0));
	assert_int_equal(-1, faccessat(b.outer_fd, "up1", F_OK, 0));
	assert_int_equal(-1, access("/top1", F_OK));
	box_done(&b);
}

static void names_are_bounded(void **state)
{
	char name[300], path[8192];
	int fd = -1;
	box b;

	(void)state;
	box_init(&b);
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(
		OL_EINVAL, ol_inside_make(b.root_fd, name, OL_INSIDE_DIRECTORY, &fd, NULL));
	memset(path, '/', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_int_equal(
		OL_EINVAL, ol_inside_make(b.root_fd, path, OL_INSIDE_DIRECTORY, &fd, NULL));
	assert_int_equal(-1, fd);
	box_done(&b);
}

static void a_plain_path_takes_no_links(void **state)
{
	int fd = -1;
	box b;

	(void)state;
	box_init(&b);
	assert_int_equal(OL_OK, ol_inside_open(b.root_fd, "/dir", O_PATH, true, &fd, NULL));
	(void)close(fd);
	fd = -1;
	assert_int_equal(OL_EINVAL, ol_inside_open(b.root_fd, "/top", O_PATH, true, &fd, NULL));
	assert_int_equal(OL_EINVAL, ol_inside_open(b.root_fd, "/top/dir", O_PATH, true, &fd, NULL));
	assert_int_equal(OL_ENOTFOUND, ol_inside_open(b.root_fd, "/no", O_PATH, true, &fd, NULL));
	assert_int_equal(-1, fd);
	box_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made_is_made_inside),
		cmocka_unit_test(names_are_bounded),
		cmocka_unit_test(a_plain_path_takes_no_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
