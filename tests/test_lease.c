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

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(adding_to_a_lease_that_was_ended_elsewhere_fails),
		BOX_TEST(adding_renews_a_lease),
		BOX_TEST(leases_do_not_share_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
