#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/file.h"
#include "image/archive_writer_priv.h"
#include "manifest/tar.h"
#include "tests/check.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BLOB  "blobs/sha256/" HEX_A

typedef struct box {
	char dir[64];
	int fd;
} box;

static int box_setup(void **state)
{
	box *b = ol_alloc(sizeof *b);
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(b->dir, sizeof b->dir, "%.40s/orlop-archive-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(b->dir));
	b->fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = b;
	return 0;
}

static int box_teardown(void **state)
{
	box *b = *state;

	(void)close(b->fd);
	CHECK_INT("clean up", OL_OK, ol_remove_tree(AT_FDCWD, b->dir, NULL));
	free(b);
	return 0;
}

static bool there(const box *b, const char *name)
{
	return faccessat(b->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What lies in the box itself. */
static unsigned count_files(const box *b)
{
	ol_auto_buf ol_buf out = OL_BUF(4096);
	int status;
	unsigned count = 0;

	assert_int_equal(ol_child_run((const char *const[]){ "ls", "-A", b->dir, NULL },
				 (ol_view){ NULL, 0 }, &out, &status, NULL),
		OL_OK);
	for (size_t i = 0; i < out.size; i++)
		count += out.data[i] == '\n';
	return count;
}

static void must_add(ol_archive_writer *writer, const char *path, const char *text)
{
	ol_error err = { 0 };

	CHECK_INT(
		err.text, OL_OK, ol_archive_writer_add_bytes(writer, path, ol_view_of(text), &err));
}

static void write_sample(const char *path)
{
	ol_auto(ol_archive_writer_free) ol_archive_writer *writer = NULL;
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_archive_writer_tar(path, &writer, &err));
	must_add(writer, BLOB, "bytes");
	must_add(writer, "index.json", "{}");
	CHECK_INT(err.text, OL_OK, ol_archive_writer_finish(writer, &err));
}

static int list_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	(void)err;
	(void)ol_str_addf(ctx, "%s %o %u %lld %llu\n", entry->name, entry->mode, entry->uid,
		(long long)entry->mtime.tv_sec, (unsigned long long)entry->size);
	return OL_OK;
}

static void the_same_entries_give_the_same_tar(void **state)
{
	box *b = *state;
	ol_autofree char *one = ol_text("%s/one", b->dir), *two = ol_text("%s/two", b->dir);
	ol_auto_buf ol_buf first = OL_BUF(1 << 20), second = OL_BUF(1 << 20);
	ol_auto_str ol_str listed = OL_STR(4096);
	ol_auto(ol_tar_free) ol_tar *tar =
		ol_tar_new(&(ol_tar_handler){ list_entry, NULL, &listed });

	write_sample(one);
	write_sample(two);
	CHECK_INT("read", OL_OK, ol_file_read(b->fd, "one", true, &first, NULL));
	CHECK_INT("read", OL_OK, ol_file_read(b->fd, "two", true, &second, NULL));
	assert_int_equal(first.size, second.size);
	assert_memory_equal(first.data, second.data, first.size);
	CHECK_INT("tar", OL_OK, ol_tar_push(tar, first.data, first.size, NULL));
	CHECK_INT("tar", OL_OK, ol_tar_finish(tar, NULL));
	CHECK_STR("entries",
		"blobs 755 0 0 0\nblobs/sha256 755 0 0 0\n" BLOB
		" 644 0 0 5\nindex.json 644 0 0 2\n",
		ol_str_text(&listed));
}

static void a_file_appears_whole_or_not_at_all(void **state)
{
	box *b = *state;
	ol_autofree char *path = ol_text("%s/out", b->dir);
	ol_archive_writer *writer = NULL;
	ol_auto_buf ol_buf old = OL_BUF(64);

	CHECK_INT("old", OL_OK, ol_publish(b->fd, "out", ol_view_of("old"), 0644, 0, NULL));
	CHECK_INT("open", OL_OK, ol_archive_writer_tar(path, &writer, NULL));
	must_add(writer, BLOB, "bytes");
	ol_archive_writer_free(writer);
	CHECK_INT("read", OL_OK, ol_file_read(b->fd, "out", true, &old, NULL));
	CHECK_STR("the old file", "old", ol_str_text(&old));
	CHECK_INT("files", 1, count_files(b));
	write_sample(path);
	ol_buf_clear(&old);
	CHECK_INT("replaced", OL_ELIMIT, ol_file_read(b->fd, "out", true, &old, NULL));
	CHECK_INT("files", 1, count_files(b));
}

static void a_symbolic_link_keeps_pointing(void **state)
{
	box *b = *state;
	ol_autofree char *path = ol_text("%s/link", b->dir);
	struct stat st;

	CHECK_INT("old", OL_OK, ol_publish(b->fd, "file", ol_view_of("old"), 0644, 0, NULL));
	assert_int_equal(symlinkat("file", b->fd, "link"), 0);
	write_sample(path);
	assert_int_equal(fstatat(b->fd, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(fstatat(b->fd, "file", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(st.st_size > 1024);
}

static void what_is_no_file_is_refused_or_written_through(void **state)
{
	box *b = *state;
	ol_autofree char *slash = ol_text("%s/new/", b->dir);
	ol_archive_writer *writer = NULL;

	CHECK_INT("a folder", OL_EINVAL, ol_archive_writer_tar(b->dir, &writer, NULL));
	CHECK_INT("a slash", OL_EINVAL, ol_archive_writer_tar(slash, &writer, NULL));
	CHECK_INT("nothing", OL_EINVAL, ol_archive_writer_tar("", &writer, NULL));
	CHECK_INT(
		"no parent", OL_ENOTFOUND, ol_archive_writer_tar("/nowhere/at/all", &writer, NULL));
	assert_null(writer);
	write_sample("/dev/null");
}

static void a_reader_of_another_size_is_refused(void **state)
{
	box *b = *state;
	ol_autofree char *path = ol_text("%s/out", b->dir), *dir = ol_text("%s/dir", b->dir);

	for (int row = 0; row < 2; row++)
		for (uint64_t size = 4; size <= 6; size++) {
			ol_auto(ol_archive_writer_free) ol_archive_writer *writer = NULL;
			ol_reader *reader = ol_reader_of_memory("bytes", 5);

			CHECK_INT("open", OL_OK,
				row ? ol_archive_writer_dir(dir, &writer, NULL)
				    : ol_archive_writer_tar(path, &writer, NULL));
			CHECK_INT("add", size == 5 ? OL_OK : OL_ECORRUPT,
				ol_archive_writer_add(writer, BLOB, size, reader, NULL));
			ol_reader_close(reader);
		}
	CHECK_INT("files", 0, count_files(b));
}

static void a_path_is_written_once(void **state)
{
	box *b = *state;
	ol_autofree char *path = ol_text("%s/out", b->dir), *dir = ol_text("%s/dir", b->dir);

	for (int row = 0; row < 2; row++) {
		ol_auto(ol_archive_writer_free) ol_archive_writer *writer = NULL;

		CHECK_INT("open", OL_OK,
			row ? ol_archive_writer_dir(dir, &writer, NULL)
			    : ol_archive_writer_tar(path, &writer, NULL));
		assert_false(ol_archive_writer_has(writer, BLOB));
		must_add(writer, BLOB, "bytes");
		must_add(writer, "a", "bytes");
		assert_true(ol_archive_writer_has(writer, BLOB));
		assert_true(ol_archive_writer_has(writer, "a"));
		assert_false(ol_archive_writer_has(writer, "blobs"));
		CHECK_INT("again", OL_EEXISTS,
			ol_archive_writer_add_bytes(writer, BLOB, ol_view_of("bytes"), NULL));
	}
}

static void a_new_folder_appears_at_the_end(void **state)
{
	box *b = *state;
	ol_autofree char *dir = ol_text("%s/dir/", b->dir);
	ol_archive_writer *writer = NULL;

	CHECK_INT("open", OL_OK, ol_archive_writer_dir(dir, &writer, NULL));
	must_add(writer, BLOB, "bytes");
	must_add(writer, "index.json", "{}");
	assert_false(there(b, "dir"));
	CHECK_INT("finish", OL_OK, ol_archive_writer_finish(writer, NULL));
	ol_archive_writer_free(writer);
	assert_true(there(b, "dir/" BLOB));
	assert_true(there(b, "dir/index.json"));
	CHECK_INT("files", 1, count_files(b));
}

/* A layout gets what is new; index.json last; a failure takes back what was added. */
static void a_layout_is_added_to(void **state)
{
	box *b = *state;
	ol_autofree char *dir = ol_text("%s/dir", b->dir);
	ol_archive_writer *writer = NULL;
	ol_auto_buf ol_buf text = OL_BUF(64);

	CHECK_INT("mkdir", OL_OK, ol_mkdirs(b->fd, "dir/blobs/sha256", 0755, NULL));
	CHECK_INT("layout", OL_OK,
		ol_publish(b->fd, "dir/oci-layout", ol_view_of("{}"), 0644, 0, NULL));
	CHECK_INT("index", OL_OK,
		ol_publish(b->fd, "dir/index.json", ol_view_of("old"), 0644, 0, NULL));
	CHECK_INT("blob", OL_OK,
		ol_publish(b->fd, "dir/blobs/sha256/b", ol_view_of("kept"), 0644, 0, NULL));
	for (int finish = 0; finish < 2; finish++) {
		CHECK_INT("open", OL_OK, ol_archive_writer_dir(dir, &writer, NULL));
		must_add(writer, "index.json", "new");
		must_add(writer, "blobs/sha256/b", "same");
		must_add(writer, BLOB, "bytes");
		assert_true(there(b, "dir/" BLOB));
		ol_buf_clear(&text);
		CHECK_INT("read", OL_OK, ol_file_read(b->fd, "dir/index.json", true, &text, NULL));
		CHECK_STR("index.json", "old", ol_str_text(&text));
		if (finish)
			CHECK_INT("finish", OL_OK, ol_archive_writer_finish(writer, NULL));
		ol_archive_writer_free(writer);
		assert_int_equal(there(b, "dir/" BLOB), finish);
	}
	ol_buf_clear(&text);
	CHECK_INT("read", OL_OK, ol_file_read(b->fd, "dir/index.json", true, &text, NULL));
	CHECK_STR("index.json", "new", ol_str_text(&text));
	ol_buf_clear(&text);
	CHECK_INT("read", OL_OK, ol_file_read(b->fd, "dir/blobs/sha256/b", true, &text, NULL));
	CHECK_STR("the blob that was there", "kept", ol_str_text(&text));
}

static void a_folder_of_other_things_is_refused(void **state)
{
	box *b = *state;
	ol_archive_writer *writer = NULL;

	CHECK_INT("file", OL_OK, ol_publish(b->fd, "file", ol_view_of("x"), 0644, 0, NULL));
	CHECK_INT("open", OL_EEXISTS, ol_archive_writer_dir(b->dir, &writer, NULL));
	CHECK_INT("empty name", OL_EINVAL, ol_archive_writer_dir("", &writer, NULL));
}

/* A layout from anywhere may hold links to anywhere. */
static void links_in_a_layout_are_not_followed(void **state)
{
	box *b = *state;
	ol_autofree char *dir = ol_text("%s/dir", b->dir);
	ol_archive_writer *writer = NULL;
	ol_auto_buf ol_buf text = OL_BUF(64);

	CHECK_INT("mkdir", OL_OK, ol_mkdirs(b->fd, "dir", 0755, NULL));
	CHECK_INT("mkdir", OL_OK, ol_mkdirs(b->fd, "outside", 0755, NULL));
	CHECK_INT("file", OL_OK, ol_publish(b->fd, "file", ol_view_of("x"), 0644, 0, NULL));
	CHECK_INT("layout", OL_OK,
		ol_publish(b->fd, "dir/oci-layout", ol_view_of("{}"), 0644, 0, NULL));
	assert_int_equal(symlinkat("../file", b->fd, "dir/index.json"), 0);
	assert_int_equal(symlinkat("../outside", b->fd, "dir/blobs"), 0);
	CHECK_INT("open", OL_OK, ol_archive_writer_dir(dir, &writer, NULL));
	must_add(writer, "index.json", "new");
	assert_true(ol_archive_writer_add_bytes(writer, BLOB, ol_view_of("bytes"), NULL) < 0);
	CHECK_INT("finish", OL_OK, ol_archive_writer_finish(writer, NULL));
	ol_archive_writer_free(writer);
	CHECK_INT("read", OL_OK, ol_file_read(b->fd, "file", true, &text, NULL));
	CHECK_STR("what the link points to", "x", ol_str_text(&text));
	assert_false(there(b, "outside/sha256"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_same_entries_give_the_same_tar),
		TEST(a_file_appears_whole_or_not_at_all),
		TEST(a_symbolic_link_keeps_pointing),
		TEST(what_is_no_file_is_refused_or_written_through),
		TEST(a_reader_of_another_size_is_refused),
		TEST(a_path_is_written_once),
		TEST(a_new_folder_appears_at_the_end),
		TEST(a_layout_is_added_to),
		TEST(a_folder_of_other_things_is_refused),
		TEST(links_in_a_layout_are_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
