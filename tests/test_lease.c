#include <signal.h>
#include <string.h>

#include "store/lease.h"
#include "tests/store_box.h"

static void adding_to_a_lease_that_was_ended_elsewhere_fails(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_digest("x");
	ol_lease *lease = NULL;

	CHECK_INT("begin", OL_OK, ol_lease_begin(box->store, "test", &lease, NULL));
	CHECK_INT("add", OL_OK, ol_lease_add(lease, &digest, NULL));
	CHECK_INT("add twice", OL_OK, ol_lease_add(lease, &digest, NULL));
	box_sql(box, "DELETE FROM leases");
	CHECK_INT("ended", OL_ENOTFOUND, ol_lease_add(lease, &digest, NULL));
	ol_lease_end(lease);
	ol_lease_end(NULL);
}

static void adding_renews_a_lease(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_blob(box->store, "x");
	ol_lease *lease = NULL;

	CHECK_INT("begin", OL_OK, ol_lease_begin_resumable(box->store, "a\nb", &lease, NULL));
	box_sql(box, "UPDATE leases SET expires = 1, pid = 0");
	CHECK_INT("add", OL_OK, ol_lease_add(lease, &digest, NULL));
	CHECK_INT("gc", OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
	assert_true(ol_blob_exists(box->store, &digest));
	ol_lease_end(lease);
}

static void leases_do_not_share_items(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_blob(box->store, "x");
	ol_lease *one = NULL, *two = NULL;

	CHECK_INT("one", OL_OK, ol_lease_begin(box->store, "one", &one, NULL));
	CHECK_INT("two", OL_OK, ol_lease_begin(box->store, "two", &two, NULL));
	CHECK_INT("one", OL_OK, ol_lease_add(one, &digest, NULL));
	CHECK_INT("two", OL_OK, ol_lease_add(two, &digest, NULL));
	ol_lease_end(one);
	CHECK_INT("gc", OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
	assert_true(ol_blob_exists(box->store, &digest));
	ol_lease_end(two);
	CHECK_INT("gc", OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
	assert_false(ol_blob_exists(box->store, &digest));
}

static void lease_and_die(store_box *box, ol_store *store)
{
	ol_digest digest = box_digest("x");
	ol_lease *lease = NULL;

	(void)box;
	(void)ol_lease_begin(store, "load", &lease, NULL);
	(void)ol_lease_add(lease, &digest, NULL);
	(void)raise(SIGKILL);
}

static void lease_resumably_and_die(store_box *box, ol_store *store)
{
	ol_digest digest = box_digest("x");
	ol_lease *lease = NULL;

	(void)box;
	(void)ol_lease_begin_resumable(store, "pull", &lease, NULL);
	(void)ol_lease_add(lease, &digest, NULL);
	(void)raise(SIGKILL);
}

/* What a process leased ends with it; a pull's an hour later, so that it can be resumed. */
static void a_lease_ends_with_its_process_or_an_hour_later(void **state)
{
	static const struct {
		const char *label;
		void (*work)(store_box *box, ol_store *store);
		const char *later;
		bool kept;
	} cases[] = {
		{ "at once", lease_and_die, NULL, false },
		{ "resumable", lease_resumably_and_die, NULL, true },
		{ "within the hour", lease_resumably_and_die,
			"UPDATE leases SET expires = expires - 3500", true },
		{ "after the hour", lease_resumably_and_die,
			"UPDATE leases SET expires = expires - 3601", false },
	};

	(void)state;
	OL_EACH (cases, c) {
		void *fresh = NULL;
		store_box *box;
		ol_digest digest;

		(void)box_setup(&fresh);
		box = fresh;
		digest = box_blob(box->store, "x");
		assert_true(box_killed_at(box, "none", c->work));
		if (c->later)
			box_sql(box, c->later);
		CHECK_INT(c->label, OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
		CHECK_INT(c->label, c->kept, ol_blob_exists(box->store, &digest));
		(void)box_teardown(&fresh);
	}
}

static int count_reason(void *ctx, const char *why, ol_error *err)
{
	size_t *count = ctx;

	(void)err;
	*count += strcmp(why, "index a") == 0;
	return OL_OK;
}

static bool lives(store_box *box, const ol_digest *digest)
{
	CHECK_INT("gc", OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
	return ol_blob_exists(box->store, digest);
}

static void keep_as(store_box *box, const ol_digest *digest, const char *why)
{
	ol_lease *lease = NULL;

	CHECK_INT(why, OL_OK, ol_lease_begin(box->store, "work", &lease, NULL));
	CHECK_INT(why, OL_OK, ol_lease_add(lease, digest, NULL));
	CHECK_INT(why, OL_OK, ol_lease_keep(lease, why, NULL));
	ol_lease_end(lease);
}

/* It outlives its handle, its process and the hour, and ends when it is forgotten. */
static void a_kept_lease_ends_when_it_is_forgotten(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_blob(box->store, "x");
	size_t count = 0;

	keep_as(box, &digest, "index a");
	box_sql(box, "UPDATE leases SET pid = 0");
	assert_true(lives(box, &digest));
	CHECK_INT("each", OL_OK, ol_lease_each_kept(box->store, count_reason, &count, NULL));
	assert_int_equal(1, count);
	CHECK_INT("another", OL_ENOTFOUND, ol_lease_forget(box->store, "index b", NULL));
	assert_true(lives(box, &digest));
	CHECK_INT("forget", OL_OK, ol_lease_forget(box->store, "index a", NULL));
	assert_false(lives(box, &digest));
	CHECK_INT("again", OL_ENOTFOUND, ol_lease_forget(box->store, "index a", NULL));
}

static void a_kept_lease_replaces_the_one_of_its_reason(void **state)
{
	store_box *box = *state;
	ol_digest one = box_blob(box->store, "1"), two = box_blob(box->store, "2");
	size_t count = 0;

	keep_as(box, &one, "index a");
	keep_as(box, &two, "index a");
	assert_false(lives(box, &one));
	assert_true(ol_blob_exists(box->store, &two));
	CHECK_INT("each", OL_OK, ol_lease_each_kept(box->store, count_reason, &count, NULL));
	assert_int_equal(1, count);
}

static void a_lease_is_kept_for_a_reason_in_plain_text(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_blob(box->store, "x");
	ol_lease *lease = NULL;

	CHECK_INT("begin", OL_OK, ol_lease_begin(box->store, "work", &lease, NULL));
	CHECK_INT("add", OL_OK, ol_lease_add(lease, &digest, NULL));
	CHECK_INT("a line", OL_EINVAL, ol_lease_keep(lease, "a\nb", NULL));
	ol_lease_end(lease);
	assert_false(lives(box, &digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(adding_to_a_lease_that_was_ended_elsewhere_fails),
		BOX_TEST(adding_renews_a_lease),
		BOX_TEST(leases_do_not_share_items),
		BOX_TEST(a_kept_lease_ends_when_it_is_forgotten),
		BOX_TEST(a_kept_lease_replaces_the_one_of_its_reason),
		BOX_TEST(a_lease_is_kept_for_a_reason_in_plain_text),
		cmocka_unit_test(a_lease_ends_with_its_process_or_an_hour_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
