#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "tests/check.h"

/* A folder of the test's own, as *state. */
struct place {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	static struct place place;

	(void)snprintf(place.path, sizeof place.path, "/var/tmp/orlop-test-file.XXXXXX");
	if (!mkdtemp(place.path))
		return -1;
	place.fd = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &place;
	return place.fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct place *place = *state;

	(void)close(place->fd);
	return ol_remove_tree(AT_FDCWD, place->path, NULL);
}

static bool exists(int fd, const char *name)
{
	return faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What was published is there whole; an existing file is replaced only where that was asked for. */
static void publishing_replaces_only_when_told(void **state)
{
	const struct place *place = *state;
	ol_auto_buf ol_buf bytes = OL_BUF(64);

	CHECK_INT("new", OL_OK,
		ol_publish(place->fd, "a", ol_view_of("one"), 0640, OL_PUBLISH_SYNC, NULL));
	CHECK_INT(
		"again", OL_EEXISTS, ol_publish(place->fd, "a", ol_view_of("two"), 0640, 0, NULL));
	CHECK_INT("read", OL_OK, ol_file_read(place->fd, "a", true, &bytes, NULL));
	CHECK_STR("kept", "one", ol_str_text(&bytes));
	CHECK_INT("replace", OL_OK,
		ol_publish(place->fd, "a", ol_view_of("two"), 0640, OL_PUBLISH_REPLACE, NULL));
	ol_buf_clear(&bytes);
	CHECK_INT("read", OL_OK, ol_file_read(place->fd, "a", true, &bytes, NULL));
	CHECK_STR("new one", "two", ol_str_text(&bytes));
}

static void reading_keeps_to_its_cap_and_follows_no_link(void **state)
{
	const struct place *place = *state;
	ol_auto_buf ol_buf bytes = OL_BUF(4);

	CHECK_INT("publish", OL_OK,
		ol_publish(place->fd, "five", ol_view_of("12345"), 0600, 0, NULL));
	CHECK_INT("too long", OL_ELIMIT, ol_file_read(place->fd, "five", true, &bytes, NULL));
	CHECK_INT("none", OL_ENOTFOUND, ol_file_read(place->fd, "nothing", true, &bytes, NULL));
	CHECK_INT("link", 0, symlinkat("five", place->fd, "link"));
	ol_buf_clear(&bytes);
	CHECK_INT("nofollow", OL_ESYSTEM, ol_file_read(place->fd, "link", true, &bytes, NULL));
}

/* A tree deeper than a process may have descriptors open still goes. */
static void a_tree_of_any_depth_is_removed(void **state)
{
	const struct place *place = *state;
	struct rlimit few = { 0 }, before;
	int fd = place->fd;

	for (int i = 0; i < 600; i++) {
		int next;

		CHECK_INT("mkdir", 0, mkdirat(fd, "d", 0755));
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		if (i % 50 == 0)
			CHECK_INT("mkdir", 0, mkdirat(next, "beside", 0700));
		if (fd != place->fd)
			(void)close(fd);
		fd = next;
	}
	(void)close(fd);
	CHECK_INT("limit", 0, getrlimit(RLIMIT_NOFILE, &before));
	few = before;
	few.rlim_cur = 128;
	CHECK_INT("limit", 0, setrlimit(RLIMIT_NOFILE, &few));
	CHECK_INT("remove", OL_OK, ol_remove_tree(place->fd, "d", NULL));
	CHECK_INT("limit", 0, setrlimit(RLIMIT_NOFILE, &before));
	assert_false(exists(place->fd, "d"));
}

static void removal_follows_no_link(void **state)
{
	const struct place *place = *state;

	CHECK_INT("mkdirs", OL_OK, ol_mkdirs(place->fd, "keep/inside", 0755, NULL));
	CHECK_INT("mkdirs", OL_OK, ol_mkdirs(place->fd, "gone/sub", 0755, NULL));
	CHECK_INT("link", 0, symlinkat("../../keep", place->fd, "gone/sub/link"));
	CHECK_INT("remove", OL_OK, ol_remove_tree(place->fd, "gone", NULL));
	assert_false(exists(place->fd, "gone"));
	assert_true(exists(place->fd, "keep/inside"));
	CHECK_INT("nothing there", OL_OK, ol_remove_tree(place->fd, "gone", NULL));
}

static void a_lock_is_held_by_one(void **state)
{
	const struct place *place = *state;
	ol_autofd int one = openat(place->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ol_autofd int two = openat(place->fd, "lock", O_RDWR | O_CLOEXEC);

	CHECK_INT("first", OL_OK, ol_flock(one, true, false, NULL));
	CHECK_INT("second", OL_EBUSY, ol_flock(two, true, false, NULL));
}

static void a_folder_is_empty_or_not(void **state)
{
	const struct place *place = *state;

	assert_int_equal(0, mkdirat(place->fd, "none", 0755));
	assert_int_equal(0, mkdirat(place->fd, "some", 0755));
	assert_int_equal(0, mkdirat(place->fd, "some/.hidden", 0755));
	assert_int_equal(0, symlinkat("none", place->fd, "link"));
	CHECK_INT("empty", true, ol_dir_is_empty(place->fd, "none"));
	CHECK_INT("not empty", false, ol_dir_is_empty(place->fd, "some"));
	CHECK_INT("not there", true, ol_dir_is_empty(place->fd, "missing"));
	CHECK_INT("no folder", false, ol_dir_is_empty(place->fd, "link"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			publishing_replaces_only_when_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			reading_keeps_to_its_cap_and_follows_no_link, setup, teardown),
		cmocka_unit_test_setup_teardown(a_tree_of_any_depth_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(removal_follows_no_link, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lock_is_held_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_folder_is_empty_or_not, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
