/* Attachments (store/attached.h), and what the rest of the store makes of them. */
#include "store/attached.h"
#include "store/lease.h"
#include "store/reach.h"
#include "store/survey.h"
#include "tests/store_box.h"

static ol_digest put_image(store_box *box, const char *name, const char *manifest)
{
	const ol_digest root = box_blob(box->store, manifest);
	const ol_name_info info = { .name = name,
		.repo = "reg.example/app",
		.root = root,
		.media_type = "application/vnd.oci.image.manifest.v1+json" };
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_name_set(box->store, &info, &err));
	return root;
}

static void attach(store_box *box, const ol_digest *subject, const char *kind, const char *text)
{
	const ol_digest blob = box_blob(box->store, text);
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_attach(box->store, subject, kind, &blob, &err));
}

static void gc(store_box *box)
{
	ol_gc_result result = { 0 };
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_gc(box->store, NULL, &result, &err));
}

static bool has_blob(store_box *box, const char *text)
{
	const ol_digest digest = box_digest(text);

	return ol_blob_exists(box->store, &digest);
}

static void what_is_attached_is_found_by_its_kind(void **state)
{
	store_box *box = *state;
	const ol_digest subject = box_blob(box->store, "manifest"), one = box_digest("one"),
			two = box_digest("two");
	ol_digest got = { 0 };

	assert_int_equal(OL_ENOTFOUND, ol_attached(box->store, &subject, "profile", &got, NULL));
	attach(box, &subject, "profile", "one");
	assert_int_equal(OL_OK, ol_attached(box->store, &subject, "profile", &got, NULL));
	assert_true(ol_digest_eq(&one, &got));
	assert_int_equal(OL_ENOTFOUND, ol_attached(box->store, &subject, "ztoc", &got, NULL));
	attach(box, &subject, "profile", "two");
	assert_int_equal(OL_OK, ol_attached(box->store, &subject, "profile", &got, NULL));
	assert_true(ol_digest_eq(&two, &got));
	assert_int_equal(OL_OK, ol_detach(box->store, &subject, "profile", NULL));
	assert_int_equal(OL_OK, ol_detach(box->store, &subject, "profile", NULL));
	assert_int_equal(OL_ENOTFOUND, ol_attached(box->store, &subject, "profile", &got, NULL));
}

static void what_cannot_be_attached_is_refused(void **state)
{
	static const struct {
		const char *label, *subject, *kind, *blob;
		int rc;
	} rows[] = {
		{ "sound", "subject", "profile", "blob", OL_OK },
		{ "127 characters", "subject",
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"blob", OL_OK },
		{ "128 characters", "subject",
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"blob", OL_EINVAL },
		{ "no kind", "subject", "", "blob", OL_EINVAL },
		{ "a newline", "subject", "a\nb", "blob", OL_EINVAL },
		{ "no subject", NULL, "profile", "blob", OL_EINVAL },
		{ "no blob", "subject", "profile", NULL, OL_EINVAL },
		{ "a blob that is not there", "subject", "profile", "other", OL_ENOTFOUND },
	};
	store_box *box = *state;

	(void)box_blob(box->store, "subject");
	(void)box_blob(box->store, "blob");
	OL_EACH (rows, row) {
		const ol_digest subject =
			row->subject ? box_digest(row->subject) : (ol_digest){ 0 };
		const ol_digest blob = row->blob ? box_digest(row->blob) : (ol_digest){ 0 };

		CHECK_INT(row->label, row->rc,
			ol_attach(box->store, &subject, row->kind, &blob, NULL));
	}
}

static void it_lives_as_long_as_its_subject(void **state)
{
	store_box *box = *state;
	const ol_digest root = put_image(box, "reg.example/app:1", "manifest");
	const ol_digest layer = box_digest("layer");
	ol_digest got;
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, box_layer(box, box->store, "layer", "index", &err));
	assert_int_equal(OL_OK, ol_blob_set_edges(box->store, &root, &layer, 1, NULL));
	attach(box, &root, "profile", "the profile");
	attach(box, &layer, "ztoc", "the ztoc");
	gc(box);
	assert_true(has_blob(box, "the profile"));
	assert_true(has_blob(box, "the ztoc"));
	/* Replaced: the old one is attached to nothing. */
	attach(box, &root, "profile", "another profile");
	gc(box);
	assert_false(has_blob(box, "the profile"));
	assert_true(has_blob(box, "another profile"));
	assert_int_equal(OL_OK, ol_name_remove(box->store, "reg.example/app:1", false, NULL));
	gc(box);
	assert_false(has_blob(box, "another profile"));
	assert_false(has_blob(box, "the ztoc"));
	assert_int_equal(OL_ENOTFOUND, ol_attached(box->store, &layer, "ztoc", &got, NULL));
}

/* The way that follows one removed image: only what nothing else has goes. */
static void removing_one_image_frees_what_is_attached_to_it_alone(void **state)
{
	store_box *box = *state;
	const ol_digest one = put_image(box, "reg.example/app:1", "manifest 1");
	const ol_digest two = put_image(box, "reg.example/app:2", "manifest 2");
	const ol_digest layer = box_digest("layer");
	ol_gc_result result = { 0 };
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, box_layer(box, box->store, "layer", "index", &err));
	assert_int_equal(OL_OK, ol_blob_set_edges(box->store, &one, &layer, 1, NULL));
	assert_int_equal(OL_OK, ol_blob_set_edges(box->store, &two, &layer, 1, NULL));
	attach(box, &layer, "ztoc", "the layer's");
	attach(box, &one, "profile", "of one");
	attach(box, &one, "other", "of both");
	attach(box, &two, "other", "of both");
	assert_int_equal(OL_OK, ol_name_remove(box->store, "reg.example/app:1", false, NULL));
	CHECK_INT(err.text, OL_OK, ol_gc_image(box->store, &one, NULL, &result, &err));
	assert_false(has_blob(box, "of one"));
	assert_true(has_blob(box, "of both"));
	assert_true(has_blob(box, "the layer's"));
	assert_int_equal(OL_OK, ol_name_remove(box->store, "reg.example/app:2", false, NULL));
	CHECK_INT(err.text, OL_OK, ol_gc_image(box->store, &two, NULL, &result, &err));
	assert_false(has_blob(box, "of both"));
	assert_false(has_blob(box, "the layer's"));
}

static void it_is_reached_from_its_image(void **state)
{
	store_box *box = *state;
	const ol_digest root = put_image(box, "reg.example/app:1", "manifest");
	const ol_digest profile = box_digest("the profile");
	ol_survey survey = { 0 };
	ol_autofree ol_digest *roots = NULL;
	size_t count = 0;

	attach(box, &root, "profile", "the profile");
	assert_int_equal(OL_OK, ol_reach_roots(box->store, &profile, 5, &roots, &count, NULL));
	assert_int_equal(1, count);
	assert_true(ol_digest_eq(&root, &roots[0]));
	assert_int_equal(OL_OK, ol_survey_take(box->store, &survey, NULL));
	assert_int_equal(0, survey.garbage);
	assert_int_equal(OL_OK, ol_detach(box->store, &root, "profile", NULL));
	assert_int_equal(OL_OK, ol_survey_take(box->store, &survey, NULL));
	assert_true(survey.garbage > 0);
}

/* Somebody may attach before the subject stands: with a lease on it. */
static void what_waits_for_its_subject_is_kept_by_a_lease(void **state)
{
	store_box *box = *state;
	const ol_digest subject = box_digest("to come"), blob = box_digest("the ztoc");
	ol_lease *lease = NULL;
	ol_digest got;

	assert_int_equal(OL_OK, ol_lease_begin(box->store, "test", &lease, NULL));
	assert_int_equal(OL_OK, ol_lease_add(lease, &subject, NULL));
	attach(box, &subject, "ztoc", "the ztoc");
	gc(box);
	assert_int_equal(OL_OK, ol_attached(box->store, &subject, "ztoc", &got, NULL));
	assert_true(ol_blob_exists(box->store, &blob));
	ol_lease_end(lease);
	gc(box);
	assert_int_equal(OL_ENOTFOUND, ol_attached(box->store, &subject, "ztoc", &got, NULL));
	assert_false(ol_blob_exists(box->store, &blob));
}

static uint64_t count_faults(store_box *box)
{
	const ol_check_options options = { .quick = true, .found = box_print_finding };
	uint64_t faults = 99;

	assert_int_equal(OL_OK, ol_check(box->store, &options, &faults, NULL));
	return faults;
}

static void a_damaged_row_is_not_believed(void **state)
{
	store_box *box = *state;
	const ol_digest root = put_image(box, "reg.example/app:1", "manifest");
	ol_gc_result result = { 0 };
	ol_digest got;

	attach(box, &root, "profile", "the profile");
	assert_int_equal(0, count_faults(box));
	box_harm(box, "UPDATE attached SET blob = replace(blob, 'sha256:', 'sha256:0')");
	assert_int_equal(OL_ECORRUPT, ol_attached(box->store, &root, "profile", &got, NULL));
	assert_int_equal(OL_ECORRUPT, ol_gc(box->store, NULL, &result, NULL));
	assert_int_equal(1, count_faults(box));
	attach(box, &root, "profile", "the profile");
	assert_int_equal(OL_OK, ol_attached(box->store, &root, "profile", &got, NULL));
	assert_int_equal(0, count_faults(box));
}

static void what_lost_its_blob_or_subject_is_told_and_pruned(void **state)
{
	store_box *box = *state;
	const ol_digest root = put_image(box, "reg.example/app:1", "manifest");

	attach(box, &root, "profile", "the profile");
	box_sql(box, "INSERT INTO attached(subject, kind, blob) SELECT 'sha256:"
		     "0000000000000000000000000000000000000000000000000000000000000000', 'x', blob "
		     "FROM attached");
	assert_int_equal(1, count_faults(box));
	gc(box);
	assert_int_equal(0, count_faults(box));
	box_sql(box, "UPDATE attached SET blob = 'sha256:"
		     "0000000000000000000000000000000000000000000000000000000000000000'");
	assert_int_equal(1, count_faults(box));
	gc(box);
	assert_int_equal(0, count_faults(box));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(what_is_attached_is_found_by_its_kind),
		BOX_TEST(what_cannot_be_attached_is_refused),
		BOX_TEST(it_lives_as_long_as_its_subject),
		BOX_TEST(removing_one_image_frees_what_is_attached_to_it_alone),
		BOX_TEST(it_is_reached_from_its_image),
		BOX_TEST(what_waits_for_its_subject_is_kept_by_a_lease),
		BOX_TEST(a_damaged_row_is_not_believed),
		BOX_TEST(what_lost_its_blob_or_subject_is_told_and_pruned),
	};

	return cmocka_run_group_tests_name("attached", tests, NULL, NULL);
}
