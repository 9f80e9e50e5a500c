/* What is written is what is hashed, and a file that stood there is replaced. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hashed_file.h"
#include "tests/check.h"

static void writes_and_hashes(void **state)
{
	static const char text[] = "orlop";
	char dir[] = "/tmp/orlop-hashed-XXXXXX", got[16] = "";
	ol_hashed_file file = { .hasher = NULL };
	const ol_digest want = ol_digest_of(OL_SHA256, text, 5);
	ol_digest is;
	int dir_fd, fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dir_fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ol_write_all(fd, "what stood there before", 23, NULL), OL_OK);
	(void)close(fd);
	assert_int_equal(ol_hashed_file_open(dir_fd, "f", &file, NULL), OL_OK);
	assert_int_equal(ol_sink_write(&file.sink, text, 2, NULL), OL_OK);
	assert_int_equal(ol_sink_write(&file.sink, text + 2, 3, NULL), OL_OK);
	assert_int_equal(file.size, 5);
	is = ol_hashed_file_digest(&file);
	assert_true(ol_digest_eq(&is, &want));
	ol_hashed_file_done(&file);
	ol_hashed_file_done(&file);
	fd = openat(dir_fd, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, got, sizeof got), 5);
	assert_string_equal(got, text);
	(void)close(fd);
	assert_int_equal(ol_hashed_file_open(dir_fd, "none/f", &file, NULL), OL_ENOTFOUND);
	assert_int_equal(ol_remove_tree(AT_FDCWD, dir, NULL), OL_OK);
	(void)close(dir_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(writes_and_hashes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
