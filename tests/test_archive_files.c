#include "base/alloc.h"
#include "image/archive_files_priv.h"
#include "tests/check.h"

static int add_document(ol_archive_files *files, const char *name, const char *text)
{
	return ol_archive_files_add(files,
		(ol_archive_file){ .name = ol_strdup(name),
			.kind = OL_ARCHIVE_DOCUMENT,
			.digest = ol_digest_of(OL_SHA256, text, strlen(text)),
			.bytes = ol_strdup(text),
			.size = strlen(text) },
		NULL);
}

static int add_link(ol_archive_files *files, const char *name, const char *target)
{
	return ol_archive_files_add(files,
		(ol_archive_file){ .name = ol_strdup(name),
			.kind = OL_ARCHIVE_LINK,
			.target = ol_strdup(target) },
		NULL);
}

static void links_are_followed_to_their_end(void **state)
{
	static const struct {
		const char *name, *found;
		int rc;
	} cases[] = {
		{ "file", "file", OL_OK },
		{ "one", "file", OL_OK },
		{ "two", "file", OL_OK },
		{ "nothing", "", OL_ENOTFOUND },
		{ "dangling", "", OL_ENOTFOUND },
		{ "self", "", OL_ECORRUPT },
		{ "there", "", OL_ECORRUPT },
	};
	ol_archive_files files = { 0 };

	(void)state;
	assert_int_equal(add_link(&files, "two", "one"), OL_OK);
	assert_int_equal(add_link(&files, "one", "file"), OL_OK);
	assert_int_equal(add_link(&files, "dangling", "nowhere"), OL_OK);
	assert_int_equal(add_link(&files, "self", "self"), OL_OK);
	assert_int_equal(add_link(&files, "there", "back"), OL_OK);
	assert_int_equal(add_link(&files, "back", "there"), OL_OK);
	assert_int_equal(add_document(&files, "file", "{}"), OL_OK);
	OL_EACH (cases, c) {
		ol_archive_file *file = NULL;

		CHECK_INT(c->name, c->rc, ol_archive_files_find(&files, c->name, &file, NULL));
		CHECK_STR(c->name, c->found, file ? file->name : "");
	}
	ol_archive_files_done(&files);
}

static void a_name_means_one_thing(void **state)
{
	ol_archive_files files = { 0 };

	(void)state;
	assert_int_equal(add_document(&files, "a", "{}"), OL_OK);
	assert_int_equal(add_document(&files, "a", "{}"), OL_OK);
	assert_int_equal(files.count, 1);
	assert_int_equal(files.bytes, 2);
	assert_int_equal(add_document(&files, "a", "[]"), OL_ECORRUPT);
	assert_int_equal(add_link(&files, "a", "b"), OL_ECORRUPT);
	assert_int_equal(add_link(&files, "l", "b"), OL_OK);
	assert_int_equal(add_link(&files, "l", "b"), OL_OK);
	assert_int_equal(add_link(&files, "l", "c"), OL_ECORRUPT);
	ol_archive_files_done(&files);
}

static void files_have_a_bound(void **state)
{
	ol_archive_files files = { 0 };
	char name[16];

	(void)state;
	for (size_t i = 0; i < OL_ARCHIVE_FILES_MAX; i++) {
		(void)snprintf(name, sizeof name, "%zx", i);
		assert_int_equal(add_link(&files, name, "x"), OL_OK);
	}
	assert_int_equal(add_link(&files, "one more", "x"), OL_ELIMIT);
	ol_archive_files_done(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_are_followed_to_their_end),
		cmocka_unit_test(a_name_means_one_thing),
		cmocka_unit_test(files_have_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
