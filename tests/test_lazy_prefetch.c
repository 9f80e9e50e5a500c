#include <string.h>

#include "base/limits.h"
#include "image/lazy_worker_priv.h"
#include "manifest/profile.h"
#include "store/attached.h"
#include "store/lease.h"
#include "tests/store_box.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

/* Three pieces of 1 MiB, each an extent of 4 MiB. */
static ol_lazy_piece pieces[] = { { .begin = 0, .end = MIB }, { .begin = MIB, .end = 2 * MIB },
	{ .begin = 2 * MIB, .end = 3 * MIB } };
static ol_lazy_extent extents[] = { { .offset = 0, .size = 4 * MIB, .piece = 0 },
	{ .offset = 4 * MIB, .size = 4 * MIB, .piece = 1 },
	{ .offset = 8 * MIB, .size = 4 * MIB, .piece = 2 } };

/* A job of a worker that is none. */
struct starting {
	ol_session session;
	ol_lazy_worker worker;
	ol_lazy_job job;
	ol_lease *lease;
};

static void begin(struct starting *self, store_box *box)
{
	*self = (struct starting){ .session = { .store = box->store } };
	self->worker.session = &self->session;
	self->job = (ol_lazy_job){ .worker = &self->worker,
		.diff_id = box_digest("layer"),
		.source = { .manifest = box_blob(box->store, "manifest"),
			.blob = box_digest("blob"),
			.blob_size = 3 * MIB },
		.table = { .about = { .blob_size = 3 * MIB },
			.pieces = pieces,
			.extents = extents,
			.piece_count = 3,
			.extent_count = 3 } };
	CHECK_INT("lease", OL_OK, ol_lease_begin(box->store, "test", &self->lease, NULL));
	CHECK_INT("lease", OL_OK, ol_lease_add(self->lease, &self->job.source.manifest, NULL));
}

static void done(struct starting *self)
{
	free(self->job.wanted);
	ol_lease_end(self->lease);
}

static void attach(store_box *box, const struct starting *self, const char *json)
{
	const ol_digest digest = box_blob(box->store, json);

	CHECK_INT("attach", OL_OK,
		ol_attach(box->store, &self->job.source.manifest, OL_PROFILE_KIND, &digest, NULL));
}

/* Those of the job's blob, in the profile's order and with their place in all of it; what a profile
 * says of bytes that the blob does not have is left out. */
static void a_profile_becomes_wishes(void **state)
{
	store_box *box = *state;
	const ol_digest other = box_digest("other");
	struct starting self;
	ol_digest_text ours;
	char json[1024];

	begin(&self, box);
	ours = ol_digest_format(&self.job.source.blob);
	(void)snprintf(json, sizeof json,
		"{\"version\": 1, \"ranges\": [[\"%s\", 2097152, 2097252], [\"%s\", 0, 9], "
		"[\"%s\", 100, 200], [\"%s\", 3145720, 9999999]]}",
		ours.text, ol_digest_format(&other).text, ours.text, ours.text);
	attach(box, &self, json);
	self.job.wanted_count = ol_lazy_prefetch_wishes(&self.job, &self.job.wanted);
	CHECK_INT("count", 3, (long long)self.job.wanted_count);
	CHECK_INT("first", 2097152, (long long)self.job.wanted[0].range.start);
	CHECK_INT("its place", 0, (long long)self.job.wanted[0].place);
	CHECK_INT("second", 100, (long long)self.job.wanted[1].range.start);
	CHECK_INT("its place", 2, (long long)self.job.wanted[1].place);
	CHECK_INT("clipped", 3 * MIB, (long long)self.job.wanted[2].range.end);
	done(&self);
}

static void a_landmark_comes_first(void **state)
{
	struct starting self;

	begin(&self, *state);
	self.job.table.about.prefetch_end = 4096;
	self.job.wanted_count = ol_lazy_prefetch_wishes(&self.job, &self.job.wanted);
	CHECK_INT("count", 1, (long long)self.job.wanted_count);
	CHECK_INT("start", 0, (long long)self.job.wanted[0].range.start);
	CHECK_INT("end", 4096, (long long)self.job.wanted[0].range.end);
	done(&self);
}

static void what_is_near_comes_in_one_range(void **state)
{
	static ol_lazy_wish wishes[] = { { { 900 * KIB, 901 * KIB }, 0 }, { { 0, 10 * KIB }, 1 },
		{ { 20 * KIB, 30 * KIB }, 2 }, { { 200 * KIB, 1400 * KIB }, 3 },
		{ { 2 * MIB, 2 * MIB + KIB }, 4 } };
	const ol_lazy_job job = { .wanted = wishes, .wanted_count = 5 };
	ol_lazy_job later = job;
	ol_range out[8];
	size_t used;

	(void)state;
	/* As many as make up a MiB, in the order of the blob. */
	CHECK_INT("ranges", 2, (long long)ol_lazy_prefetch_next(&job, MIB, out, 8, &used));
	CHECK_INT("used", 4, (long long)used);
	CHECK_INT("first", 0, (long long)out[0].start);
	CHECK_INT("with its neighbour", 30 * KIB, (long long)out[0].end);
	CHECK_INT("second", 200 * KIB, (long long)out[1].start);
	CHECK_INT("which has the other", 1400 * KIB, (long long)out[1].end);
	CHECK_INT("few", 1, (long long)ol_lazy_prefetch_next(&job, MIB, out, 1, &used));
	CHECK_INT("used", 1, (long long)used);
	later.wanted_at = 5;
	CHECK_INT("none left", 0, (long long)ol_lazy_prefetch_next(&later, MIB, out, 8, &used));
	CHECK_INT("used", 0, (long long)used);
}

static void a_read_of_a_known_piece_is_no_surprise(void **state)
{
	static ol_lazy_wish wishes[] = { { { MIB, 2 * MIB }, 0 } };
	struct starting self;

	begin(&self, *state);
	assert_false(ol_lazy_prefetch_knows(&self.job, 5 * MIB));
	self.job.wanted = wishes;
	self.job.wanted_count = 1;
	assert_false(ol_lazy_prefetch_knows(&self.job, 0));
	assert_true(ol_lazy_prefetch_knows(&self.job, 5 * MIB));
	assert_false(ol_lazy_prefetch_knows(&self.job, 8 * MIB));
	assert_false(ol_lazy_prefetch_knows(&self.job, 12 * MIB));
	self.job.wanted = NULL;
	done(&self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(a_profile_becomes_wishes),
		BOX_TEST(a_landmark_comes_first),
		BOX_TEST(what_is_near_comes_in_one_range),
		BOX_TEST(a_read_of_a_known_piece_is_no_surprise),
	};

	return cmocka_run_group_tests_name("lazy_prefetch", tests, NULL, NULL);
}
