#include "image/archive_name_priv.h"
#include "tests/check.h"

/* Two spellings of one file are one name, and none leads out of the archive. */
static void a_path_has_one_spelling(void **state)
{
	static const struct {
		const char *name, *clean;
		int rc;
	} cases[] = {
		{ "manifest.json", "manifest.json", OL_OK },
		{ "./blobs/sha256/aa", "blobs/sha256/aa", OL_OK },
		{ "a//b/./c/", "a/b/c", OL_OK },
		{ "./", "", OL_OK },
		{ "", "", OL_OK },
		{ "...", "...", OL_OK },
		{ "..a/b..", "..a/b..", OL_OK },
		{ "/etc/passwd", "", OL_ECORRUPT },
		{ "../x", "", OL_ECORRUPT },
		{ "a/../b", "", OL_ECORRUPT },
		{ "a/..", "", OL_ECORRUPT },
		{ "./..", "", OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_archive_path path = { "" };

		CHECK_INT(c->name, c->rc, ol_archive_path_of(c->name, &path, NULL));
		CHECK_STR(c->name, c->clean, path.text);
	}
}

static void a_path_has_a_bound(void **state)
{
	static char name[OL_PATH_MAX + 2];
	ol_archive_path path;

	(void)state;
	memset(name, 'a', OL_PATH_MAX);
	assert_int_equal(ol_archive_path_of(name, &path, NULL), OL_OK);
	name[OL_PATH_MAX] = 'a';
	assert_int_equal(ol_archive_path_of(name, &path, NULL), OL_ELIMIT);
	name[OL_PATH_MAX] = '\0';
	assert_int_equal(ol_archive_path_follow("a/b", name, false, &path, NULL), OL_ELIMIT);
}

static void links_lead_inside_the_archive(void **state)
{
	static const struct {
		const char *name, *target, *clean;
		bool hard;
		int rc;
	} cases[] = {
		{ "a/layer.tar", "../b/layer.tar", "b/layer.tar", false, OL_OK },
		{ "a/layer.tar", "layer2.tar", "a/layer2.tar", false, OL_OK },
		{ "a/b/c", "../../d", "d", false, OL_OK },
		{ "a", "b", "b", false, OL_OK },
		{ "a/b", "..", "", false, OL_OK },
		{ "a/b", "c/d", "c/d", true, OL_OK },
		{ "a/b", "./c", "c", true, OL_OK },
		{ "a/b", "../../c", "", false, OL_ECORRUPT },
		{ "a", "../c", "", false, OL_ECORRUPT },
		{ "a/b", "/etc/passwd", "", false, OL_ECORRUPT },
		{ "a/b", "/c", "", true, OL_ECORRUPT },
		{ "a/b", "../c", "", true, OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_archive_path path = { "" };

		CHECK_INT(c->target, c->rc,
			ol_archive_path_follow(c->name, c->target, c->hard, &path, NULL));
		CHECK_STR(c->target, c->clean, path.text);
	}
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void a_name_may_promise_a_digest(void **state)
{
	static const struct {
		const char *name, *digest;
		bool is_blob;
	} cases[] = {
		{ "blobs/sha256/" HEX, "sha256:" HEX, true },
		{ "blobs/sha512/" HEX HEX, "sha512:" HEX HEX, true },
		{ HEX ".tar", "sha256:" HEX, false },
		{ HEX ".tar.gz", "sha256:" HEX, false },
		{ HEX "/layer.tar", "sha256:" HEX, false },
		{ HEX ".json", "", false },
		{ HEX, "", false },
		{ "blobs/sha256/" HEX "0", "", false },
		{ "blobs/sha256/" HEX HEX HEX, "", false },
		{ "blobs/sha256/ABCDEF", "", false },
		{ "blobs/sha512/" HEX, "", false },
		{ "blobs/md5/00", "", false },
		{ "blobs/", "", false },
		{ "a/blobs/sha256/" HEX, "", false },
		{ "layer.tar", "", false },
	};

	(void)state;
	OL_EACH (cases, c) {
		bool is_blob = !c->is_blob;
		ol_digest digest = ol_archive_path_digest(c->name, &is_blob);

		CHECK_STR(c->name, c->digest, ol_digest_format(&digest).text);
		CHECK_INT(c->name, c->is_blob, is_blob);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_has_one_spelling),
		cmocka_unit_test(a_path_has_a_bound),
		cmocka_unit_test(links_lead_inside_the_archive),
		cmocka_unit_test(a_name_may_promise_a_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
