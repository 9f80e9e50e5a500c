#include "base/crew.h"

#include <assert.h>
#include <pthread.h>

struct run {
	const ol_crew *crew;
	pthread_mutex_t lock; /* guards what follows */
	size_t next;
	int rc;
	ol_error error;
};

/* False: there is no more to begin. */
static bool take(struct run *run, size_t *job)
{
	bool took;

	pthread_mutex_lock(&run->lock);
	took = run->rc == OL_OK && run->next < run->crew->jobs;
	if (took)
		*job = run->next++;
	pthread_mutex_unlock(&run->lock);
	return took;
}

static void fail(struct run *run, int rc, const ol_error *err)
{
	pthread_mutex_lock(&run->lock);
	/* Who was canceled may have been so by the failure of another, that is about to be told. */
	if (run->rc == OL_OK || (run->rc == OL_ECANCELED && rc != OL_ECANCELED)) {
		run->rc = rc;
		run->error = *err;
	}
	pthread_mutex_unlock(&run->lock);
	if (run->crew->stop)
		ol_cancel_fire(run->crew->stop);
}

static void *work_off(void *arg)
{
	struct run *run = arg;
	size_t job;

	while (take(run, &job)) {
		ol_error err = { 0 };
		const int rc = run->crew->work(run->crew->ctx, job, &err);

		if (rc < 0)
			fail(run, rc, &err);
	}
	return NULL;
}

int ol_crew_run(const ol_crew *crew, ol_error *err)
{
	struct run run = { .crew = crew };
	pthread_t threads[OL_CREW_MAX];
	size_t started = 0;

	assert(crew->at_once > 0);
	pthread_mutex_init(&run.lock, NULL);
	while (started < OL_CREW_MAX && started + 1 < crew->at_once && started + 1 < crew->jobs &&
		pthread_create(&threads[started], NULL, work_off, &run) == 0)
		started++;
	(void)work_off(&run); /* fewer threads are slower, not wrong */
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&run.lock);
	if (run.rc < 0 && err)
		*err = run.error;
	return run.rc;
}
