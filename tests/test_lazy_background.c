#include "image/lazy_worker_priv.h"
#include "tests/store_box.h"

/* An open job whose blob lacks some bytes. */
static void open_job(store_box *box, ol_lazy_job *job, const char *name, uint64_t left)
{
	const ol_ingest_options options = {
		.digest = box_digest(name), .size = 1000, .any_boot = true
	};

	CHECK_INT(name, OL_OK, ol_ingest_open(box->store, &options, &job->ingest, NULL));
	job->source.blob_size = left;
}

/* Each row: what a has over b decides, whatever comes behind it says the other way. */
static void the_next_layer_is_the_one_of_most_benefit(void **state)
{
	static const struct {
		const char *label;
		bool unpacking, mounted;
		int64_t created;
		uint64_t left;
	} rows[] = {
		/* each is better than all that follow */
		{ "unpacked, though nobody has it mounted", true, false, 1, 900 },
		{ "mounted, of a new image, nearly done", false, true, 9, 10 },
		{ "mounted, of a new image", false, true, 9, 900 },
		{ "mounted, of an old image", false, true, 1, 10 },
		{ "of a new image", false, false, 9, 900 },
		{ "of an old image, nearly done", false, false, 1, 10 },
		{ "of an old image", false, false, 1, 900 },
	};
	enum { ROWS = sizeof rows / sizeof *rows };
	store_box *box = *state;
	ol_lazy_job jobs[ROWS] = { 0 };

	for (size_t i = 0; i < ROWS; i++) {
		open_job(box, &jobs[i], rows[i].label, rows[i].left);
		jobs[i].unpacking = rows[i].unpacking;
		jobs[i].mounted = rows[i].mounted;
		jobs[i].image_created = rows[i].created;
	}
	for (size_t i = 0; i < ROWS; i++) {
		CHECK_INT(rows[i].label, true, ol_lazy_job_is_better(&jobs[i], NULL));
		for (size_t k = 0; k < ROWS; k++)
			CHECK_INT(rows[i].label, i < k, ol_lazy_job_is_better(&jobs[i], &jobs[k]));
	}
	for (size_t i = 0; i < ROWS; i++)
		ol_ingest_close(jobs[i].ingest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(the_next_layer_is_the_one_of_most_benefit),
	};

	return cmocka_run_group_tests_name("lazy_background", tests, NULL, NULL);
}
