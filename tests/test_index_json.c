/* index_json.c: when the file follows the names. What it holds: test_name.c. */
#include "base/alloc.h"
#include "base/clock.h"
#include "store/name.h"
#include "tests/store_box.h"

#define MANY 400 /* more than a short listing holds */

static void set(ol_store *store, unsigned number, const ol_digest *root)
{
	char text[64];

	(void)snprintf(text, sizeof text, "reg.example/a-rather-long-name/app-%u:1", number);
	CHECK_INT(text, OL_OK,
		ol_name_set(store,
			&(ol_name_info){ .name = text, .root = *root, .media_type = "a/b" }, NULL));
}

static bool lists(store_box *box, unsigned number)
{
	ol_auto_str ol_str text = OL_STR((size_t)4 << 20);
	char name[64];

	(void)snprintf(name, sizeof name, "/app-%u:1\"", number);
	CHECK_INT("read", OL_OK, ol_file_read(box->dir_fd, "root/index.json", true, &text, NULL));
	return strstr(ol_str_text(&text), name) != NULL;
}

static ol_digest fill(store_box *box)
{
	const ol_digest root = box_blob(box->store, "manifest");

	for (unsigned i = 0; i < MANY; i++)
		set(box->store, i, &root);
	box_boot(box, "boot-1");
	return root;
}

static void a_short_one_follows_at_once(void **state)
{
	store_box *box = *state;
	const ol_digest root = box_blob(box->store, "manifest");

	set(box->store, 1, &root);
	assert_true(lists(box, 1));
}

static void a_long_one_follows_when_the_store_is_closed(void **state)
{
	store_box *box = *state;
	const ol_digest root = fill(box);

	assert_true(lists(box, MANY - 1));
	set(box->store, MANY, &root);
	assert_false(lists(box, MANY));
	box_boot(box, "boot-1");
	assert_true(lists(box, MANY));
}

static void a_long_one_follows_within_a_second_while_changes_come(void **state)
{
	store_box *box = *state;
	const ol_digest root = fill(box);

	set(box->store, MANY, &root);
	ol_sleep_ms(1100);
	set(box->store, MANY + 1, &root);
	assert_true(lists(box, MANY) && lists(box, MANY + 1));
}

static void change(store_box *box, ol_store *store)
{
	const ol_digest root = box_digest("manifest");

	(void)box;
	set(store, MANY, &root);
}

/* The one who comes next has found the mark when it opened, and publishes when it closes. */
static void whoever_comes_next_publishes_for_one_who_died(void **state)
{
	store_box *box = *state;

	(void)fill(box);
	assert_true(box_killed_at(box, "store.name.committed:kill", change));
	assert_false(lists(box, MANY));
	box_boot(box, "boot-1");
	assert_true(lists(box, MANY));
}

/* However short it is, who dies between the names and the file leaves the mark. */
static void a_short_one_is_published_for_one_who_died(void **state)
{
	store_box *box = *state;

	(void)box_blob(box->store, "manifest");
	assert_true(box_killed_at(box, "store.name.committed:kill", change));
	assert_false(lists(box, MANY));
	box_boot(box, "boot-1");
	assert_true(lists(box, MANY));
}

static void what_somebody_else_published_is_not_published_again(void **state)
{
	store_box *box = *state;
	const ol_digest root = fill(box);
	ol_store *other = NULL;
	struct stat before, after;

	set(box->store, MANY, &root);
	CHECK_INT("other", OL_OK, box_open_as(box, "boot-1", &other, NULL));
	set(other, MANY + 1, &root);
	ol_store_close(other);
	assert_true(lists(box, MANY) && lists(box, MANY + 1));
	assert_int_equal(0, fstatat(box->dir_fd, "root/index.json", &before, 0));
	box_boot(box, "boot-1");
	assert_int_equal(0, fstatat(box->dir_fd, "root/index.json", &after, 0));
	CHECK_INT("the same file", (long long)before.st_ino, (long long)after.st_ino);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(a_short_one_follows_at_once),
		BOX_TEST(a_long_one_follows_when_the_store_is_closed),
		BOX_TEST(a_long_one_follows_within_a_second_while_changes_come),
		BOX_TEST(whoever_comes_next_publishes_for_one_who_died),
		BOX_TEST(a_short_one_is_published_for_one_who_died),
		BOX_TEST(what_somebody_else_published_is_not_published_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
