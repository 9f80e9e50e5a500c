#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "image/lazy_record_priv.h"
#include "image/lazy_worker_priv.h"
#include "manifest/profile.h"
#include "store/attached.h"
#include "store/lazy.h"
#include "store/lease.h"
#include "tests/store_box.h"

/* A layer of two pieces that is recorded, by a worker that is none. */
struct recording {
	ol_session session;
	ol_lazy_worker worker;
	ol_lazy_job job;
	ol_lazy_piece pieces[2];
	ol_lazy_extent extents[3];
	ol_layer_info layer;
	ol_digest manifest;
	ol_lease *lease;
};

static void begin(struct recording *self, store_box *box)
{
	*self = (struct recording){
		.pieces = { { .begin = 100, .end = 200 }, { .begin = 200, .end = 350 } },
		.extents = { { .offset = 0, .size = 512, .piece = 0 },
			{ .offset = 512, .size = 512, .piece = 0 },
			{ .offset = 4096, .size = 512, .piece = 1 } },
	};
	self->session.store = box->store;
	self->worker.session = &self->session;
	(void)pthread_mutex_init(&self->worker.lock, NULL);
	self->job.worker = &self->worker;
	self->job.diff_id = box_digest("layer");
	self->job.table = (ol_lazy_table){ .pieces = self->pieces,
		.extents = self->extents,
		.piece_count = 2,
		.extent_count = 3 };
	self->layer.diff_id = self->job.diff_id;
	self->layer.blob = box_digest("blob");
	(void)snprintf(self->layer.driver, sizeof self->layer.driver, "%s", OL_LAZY_DRIVER);
	self->manifest = box_blob(box->store, "manifest");
	CHECK_INT("lease", OL_OK, ol_lease_begin(box->store, "test", &self->lease, NULL));
	CHECK_INT("lease", OL_OK, ol_lease_add(self->lease, &self->manifest, NULL));
	CHECK_INT("begin", OL_OK, ol_lazy_record_begin(&self->session, &self->layer, 1, NULL));
}

static void done(struct recording *self)
{
	ol_lease_end(self->lease);
	(void)pthread_mutex_destroy(&self->worker.lock);
}

static size_t end(struct recording *self, int want)
{
	size_t ranges = 99;

	CHECK_INT("end", want,
		ol_lazy_record_end(
			&self->session, &self->manifest, &self->layer, 1, &ranges, NULL));
	return ranges;
}

static void read_profile(store_box *box, const ol_digest *manifest, ol_profile *out)
{
	ol_auto_buf ol_buf json = OL_BUF((size_t)1 << 20);
	ol_digest blob;

	CHECK_INT(
		"attached", OL_OK, ol_attached(box->store, manifest, OL_PROFILE_KIND, &blob, NULL));
	CHECK_INT("read", OL_OK, ol_blob_read(box->store, &blob, (size_t)1 << 20, &json, NULL));
	CHECK_INT("parse", OL_OK, ol_profile_parse(ol_buf_view(&json), out, NULL));
}

static char *path_of(const struct recording *self)
{
	return ol_text("lazy/%s.record", ol_digest_hex(&self->job.diff_id).text);
}

/* What is read becomes pieces, each once, and the file is gone. */
static void reads_become_a_profile(void **state)
{
	store_box *box = *state;
	struct recording self;
	ol_autofree char *path = NULL;
	ol_profile profile = { 0 };

	begin(&self, box);
	path = path_of(&self);
	ol_lazy_record_ask(&self.job, 4096, 4097);
	ol_lazy_record_ask(&self.job, 4096, 4608);
	assert_int_equal(1, end(&self, OL_OK));
	read_profile(box, &self.manifest, &profile);
	assert_int_equal(1, profile.count);
	assert_int_equal(200, profile.ranges[0].start);
	assert_int_equal(350, profile.ranges[0].end);
	assert_true(ol_digest_eq(&self.layer.blob, &profile.ranges[0].blob));
	ol_profile_done(&profile);
	assert_int_equal(-1, faccessat(ol_store_run_fd(box->store), path, F_OK, 0));
	/* Nothing is recorded any more, and what was recorded stays. */
	ol_lazy_record_ask(&self.job, 0, 512);
	assert_int_equal(0, end(&self, OL_OK));
	read_profile(box, &self.manifest, &profile);
	assert_int_equal(1, profile.count);
	ol_profile_done(&profile);
	done(&self);
}

static void reads_that_come_late_are_no_starts(void **state)
{
	store_box *box = *state;
	struct recording self;
	ol_autofree char *path = NULL;

	begin(&self, box);
	path = path_of(&self);
	CHECK_INT("over", OL_OK,
		ol_publish(ol_store_run_fd(box->store), path, ol_view_of("1\n"), 0600,
			OL_PUBLISH_REPLACE, NULL));
	ol_lazy_record_ask(&self.job, 0, 512);
	assert_int_equal(0, end(&self, OL_OK));
	done(&self);
}

/* What was read first counts: past the bound nothing more is written down, and what is there is
 * kept.
 */
static void a_recording_that_is_full_is_kept(void **state)
{
	static const char line[] = "1 100 200\n";
	store_box *box = *state;
	struct recording self;
	ol_autofree char *path = NULL;
	ol_auto_str ol_str text = OL_STR(OL_PROFILE_RANGES_MAX * 64);
	ol_profile profile = { 0 };
	struct stat st;

	begin(&self, box);
	path = path_of(&self);
	(void)ol_str_addf(&text, "%llu\n", (unsigned long long)ol_now_ms() + 60000);
	while (text.size + sizeof line - 1 <= OL_PROFILE_RANGES_MAX * 64)
		(void)ol_str_add(&text, line);
	CHECK_INT("full", OL_OK,
		ol_publish(ol_store_run_fd(box->store), path, ol_buf_view(&text), 0600,
			OL_PUBLISH_REPLACE, NULL));
	ol_lazy_record_ask(&self.job, 4096, 4097);
	assert_int_equal(0, fstatat(ol_store_run_fd(box->store), path, &st, 0));
	assert_int_equal(text.size, st.st_size);
	assert_int_equal(1, end(&self, OL_OK));
	read_profile(box, &self.manifest, &profile);
	assert_int_equal(100, profile.ranges[0].start);
	assert_int_equal(200, profile.ranges[0].end);
	ol_profile_done(&profile);
	done(&self);
}

/* Why nothing was recorded is said. */
static void a_recording_that_cannot_be_read_is_a_failure(void **state)
{
	store_box *box = *state;
	struct recording self;
	ol_autofree char *path = NULL;

	begin(&self, box);
	path = path_of(&self);
	assert_int_equal(0, unlinkat(ol_store_run_fd(box->store), path, 0));
	assert_int_equal(0, mkdirat(ol_store_run_fd(box->store), path, 0700));
	CHECK_INT("end", true,
		ol_lazy_record_end(
			&self.session, &self.manifest, &self.layer, 1, &(size_t){ 0 }, NULL) < 0);
	done(&self);
}

/* What a killed worker left of its last line, or anything else, ends the list. */
static void lines_that_are_none_are_passed_over(void **state)
{
	static const struct {
		const char *text;
		size_t ranges;
	} rows[] = {
		{ "5\n1 10 20\n2 30 40\n", 2 },
		{ "5\n2 30 40\n1 10 20\n", 2 },
		{ "5\n1 10 20\n2 30 4", 1 },
		{ "5\n1 20 10\n", 0 },
		{ "5\n1 -1 10\n", 0 },
		{ "5\nx\n", 0 },
		{ "", 0 },
	};
	store_box *box = *state;

	OL_EACH (rows, row) {
		struct recording self;
		ol_autofree char *path = NULL;

		begin(&self, box);
		path = path_of(&self);
		CHECK_INT(row->text, OL_OK,
			ol_publish(ol_store_run_fd(box->store), path, ol_view_of(row->text), 0600,
				OL_PUBLISH_REPLACE, NULL));
		CHECK_INT(row->text, (int)row->ranges, (int)end(&self, OL_OK));
		done(&self);
	}
}

static void who_has_no_lazy_layer_cannot_record(void **state)
{
	store_box *box = *state;
	ol_session session = { .store = box->store };
	ol_layer_info layer = { .driver = "erofs", .diff_id = box_digest("layer") };

	CHECK_INT("none", OL_EINVAL, ol_lazy_record_begin(&session, &layer, 1, NULL));
	CHECK_INT("no layer", OL_EINVAL, ol_lazy_record_begin(&session, NULL, 0, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(reads_become_a_profile),
		BOX_TEST(reads_that_come_late_are_no_starts),
		BOX_TEST(lines_that_are_none_are_passed_over),
		BOX_TEST(a_recording_that_is_full_is_kept),
		BOX_TEST(a_recording_that_cannot_be_read_is_a_failure),
		BOX_TEST(who_has_no_lazy_layer_cannot_record),
	};

	return cmocka_run_group_tests_name("lazy_record", tests, NULL, NULL);
}
