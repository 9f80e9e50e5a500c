/* Jobs that a few threads do (base/crew.h). */
#include <pthread.h>
#include <stdatomic.h>

#include "base/crew.h"
#include "tests/check.h"

#define JOBS 40

struct jobs {
	atomic_uint done[JOBS];
	atomic_uint running, most; /* at once */
	size_t fails, cancels;     /* these jobs */
	ol_cancel *stop;
	pthread_barrier_t *both; /* the first two jobs meet here; or NULL */
};

static int work(void *ctx, size_t job, ol_error *err)
{
	struct jobs *jobs = ctx;
	const unsigned now = ++jobs->running;
	unsigned most = jobs->most;
	int rc = OL_OK;

	while (now > most && !atomic_compare_exchange_weak(&jobs->most, &most, now))
		;
	jobs->done[job]++;
	if (jobs->both && job < 2)
		(void)pthread_barrier_wait(jobs->both);
	if (job == jobs->cancels) {
		/* not before the other has begun to fail */
		while (jobs->stop && !ol_cancel_fired(jobs->stop))
			;
		rc = ol_fail(err, OL_ECANCELED, "canceled");
	}
	if (job == jobs->fails)
		rc = ol_fail(err, OL_ECORRUPT, "job %zu", job);
	jobs->running--;
	return rc;
}

static void every_job_is_done_once(void **state)
{
	static const struct {
		const char *label;
		size_t jobs, at_once;
	} rows[] = {
		{ "none", 0, 4 },
		{ "one", 1, 4 },
		{ "by the caller alone", JOBS, 1 },
		{ "by several", JOBS, 3 },
		{ "by as many as there are at the most", JOBS, 1000 },
	};

	(void)state;
	OL_EACH (rows, r) {
		struct jobs jobs = { .fails = JOBS, .cancels = JOBS };
		const ol_crew crew = {
			.jobs = r->jobs, .at_once = r->at_once, .work = work, .ctx = &jobs
		};

		CHECK_INT(r->label, OL_OK, ol_crew_run(&crew, NULL));
		for (size_t i = 0; i < JOBS; i++)
			CHECK_INT(r->label, i < r->jobs, jobs.done[i]);
		CHECK_INT(r->label, 1, jobs.most <= r->at_once && jobs.most <= OL_CREW_MAX);
	}
}

static void no_job_begins_after_the_first_that_fails(void **state)
{
	struct jobs jobs = { .fails = 5, .cancels = JOBS };
	ol_auto(ol_cancel_free) ol_cancel *stop = ol_cancel_new();
	const ol_crew crew = {
		.jobs = JOBS, .at_once = 1, .work = work, .ctx = &jobs, .stop = stop
	};
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("fails", OL_ECORRUPT, ol_crew_run(&crew, &err));
	CHECK_STR("whose words", "job 5", err.text);
	CHECK_INT("told to stop", true, ol_cancel_fired(stop));
	for (size_t i = 0; i < JOBS; i++)
		CHECK_INT("done", i <= 5, jobs.done[i]);
}

/* Who fails first stops the other, which is canceled by it; told the other way round too. */
static void a_failure_counts_before_a_job_that_was_canceled(void **state)
{
	static const struct {
		const char *label;
		size_t fails, cancels;
		bool waits; /* the canceled one, until it is stopped */
	} rows[] = {
		{ "canceled by the failure", 0, 1, true },
		{ "canceled by the failure of the second", 1, 0, true },
		{ "canceled by itself, perhaps before", 1, 0, false },
	};

	(void)state;
	OL_EACH (rows, r) {
		ol_auto(ol_cancel_free) ol_cancel *stop = ol_cancel_new();
		pthread_barrier_t both;
		struct jobs jobs = { .fails = r->fails,
			.cancels = r->cancels,
			.stop = r->waits ? stop : NULL,
			.both = &both };
		const ol_crew crew = {
			.jobs = 2, .at_once = 2, .work = work, .ctx = &jobs, .stop = stop
		};
		ol_error err = { 0 };

		assert_int_equal(0, pthread_barrier_init(&both, NULL, 2));
		CHECK_INT(r->label, OL_ECORRUPT, ol_crew_run(&crew, &err));
		CHECK_STR(r->label, r->fails ? "job 1" : "job 0", err.text);
		(void)pthread_barrier_destroy(&both);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_job_is_done_once),
		cmocka_unit_test(no_job_begins_after_the_first_that_fails),
		cmocka_unit_test(a_failure_counts_before_a_job_that_was_canceled),
	};

	return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}
