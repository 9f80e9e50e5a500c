#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/lazy_start_priv.h"
#include "image/lazy_worker_priv.h"
#include "store/lazy.h"

/* Readers mostly wait for the network. */
#define FILL_THREADS  12
#define AHEAD_THREADS 4
#define FILL_STACK    ((size_t)1 << 20)
/* What a start needs may be many small ranges; two layers are unpacked side by side. */
#define FETCH_THREADS  12
#define UNPACK_THREADS 2
/* Of a blob's front, fetched as its payload is mounted. */
#define WARM_BYTES ((uint64_t)64 << 10)
/* A job that could not be opened is tried again, later each time. */
#define REOPEN_MS     1000
#define REOPEN_MS_MAX 60000

void ol_lazy_asks_push(ol_lazy_asks *asks, ol_lazy_ask *ask)
{
	ask->next = NULL;
	if (asks->last)
		asks->last->next = ask;
	else
		asks->first = ask;
	asks->last = ask;
}

ol_lazy_ask *ol_lazy_asks_pop(ol_lazy_asks *asks)
{
	ol_lazy_ask *ask = asks->first;

	if (!ask)
		return NULL;
	asks->first = ask->next;
	if (!asks->first)
		asks->last = NULL;
	return ask;
}

void ol_lazy_log(ol_lazy_worker *worker, const ol_lazy_job *job, const char *fmt, ...)
{
	char text[768];
	va_list args;

	va_start(args, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is right above */
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	ol_tell_text(&worker->session->options.listener, OL_EVENT_WARNING, "%.255s%s%s",
		job ? (job->name ? job->name : ol_digest_format(&job->diff_id).text) : "",
		job ? ": " : "", text);
}

void ol_lazy_log_often(
	ol_lazy_worker *worker, const ol_lazy_job *job, ol_lazy_hush *hush, const char *text)
{
	uint64_t left_out = 0;
	bool said;

	pthread_mutex_lock(&worker->log_lock);
	said = ol_lazy_hush_pass(hush, ol_now_ms(), &left_out);
	pthread_mutex_unlock(&worker->log_lock);
	if (said && left_out)
		ol_lazy_log(worker, job, "%s (and %llu lines like it that were left out)", text,
			(unsigned long long)left_out);
	else if (said)
		ol_lazy_log(worker, job, "%s", text);
}

void ol_lazy_log_rest(ol_lazy_job *job)
{
	const uint64_t now = ol_now_ms();
	uint64_t reads, chunks;

	pthread_mutex_lock(&job->worker->log_lock);
	reads = ol_lazy_hush_rest(&job->reads_hush, now);
	chunks = ol_lazy_hush_rest(&job->chunks_hush, now);
	pthread_mutex_unlock(&job->worker->log_lock);
	if (reads)
		ol_lazy_log(job->worker, job, "%llu more reads failed", (unsigned long long)reads);
	if (chunks)
		ol_lazy_log(job->worker, job, "%llu more lines about its chunks were left out",
			(unsigned long long)chunks);
}

void ol_lazy_worker_wait(ol_lazy_worker *worker, uint64_t ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)pthread_cond_timedwait(&worker->changed, &worker->lock, &until);
}

ol_lazy_job *ol_lazy_job_of(ol_lazy_worker *worker, const ol_digest *diff_id)
{
	ol_lazy_job *job;

	for (job = worker->jobs; job; job = job->next)
		if (ol_digest_eq(&job->diff_id, diff_id) &&
			(job->is != OL_JOB_WHOLE || job->mounted))
			return job;
	job = ol_alloc(sizeof *job);
	job->worker = worker;
	job->diff_id = *diff_id;
	job->stop = ol_cancel_new();
	job->dir_fd = job->window_fd = job->index_fd = -1;
	job->payload_fd = job->state_fd = job->new_payload_fd = job->new_state_fd = -1;
	{
		pthread_rwlockattr_t attributes;

		(void)pthread_rwlockattr_init(&attributes);
		/* New reads must not starve whoever attaches or settles. */
		(void)pthread_rwlockattr_setkind_np(
			&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
		(void)pthread_rwlock_init(&job->serving, &attributes);
		(void)pthread_rwlockattr_destroy(&attributes);
	}
	job->next = worker->jobs;
	worker->jobs = job;
	return job;
}

static void answer(ol_lazy_ask *ask, int rc, const ol_error *err)
{
	ol_lazy_job *job = ask->job;
	int sys = 0;

	if (rc < 0) {
		sys = rc == OL_ESYSTEM && (err->sys == ENOSPC || err->sys == EDQUOT) ? err->sys
										     : EIO;
		if (rc != OL_ECANCELED) {
			ol_autofree char *line =
				ol_text("a read of bytes %llu to %llu of its payload failed: %s",
					(unsigned long long)ask->start,
					(unsigned long long)ask->end, err->text);

			ol_lazy_log_often(job->worker, job, &job->reads_hush, line);
		}
	}
	ol_lazy_link_answer(job->worker->link, ask->slot, sys);
	free(ask);
}

static bool is_over(ol_lazy_worker *worker)
{
	bool over;

	pthread_mutex_lock(&worker->lock);
	over = worker->over;
	pthread_mutex_unlock(&worker->lock);
	return over;
}

/* Who waited for the opening goes on, or learns that there is none. False: another payload was
 * given meanwhile, which is to be attached first: who waits may be its reader. */
static bool unpark(ol_lazy_job *job, int rc, const ol_error *err)
{
	ol_lazy_worker *worker = job->worker;
	const bool good = rc == OL_OK || rc == OL_EEXISTS;
	ol_lazy_asks refused = { 0 };
	ol_lazy_ask *ask;

	pthread_mutex_lock(&worker->lock);
	if (good && job->new_payload_fd >= 0 && !worker->over) {
		pthread_mutex_unlock(&worker->lock);
		return false;
	}
	job->is = rc == OL_OK ? OL_JOB_OPEN : good ? OL_JOB_WHOLE : OL_JOB_CLOSED;
	if (good) {
		job->open_failures = 0;
		job->retry_at_ms = 0;
	} else {
		const uint64_t ms = (uint64_t)REOPEN_MS
				    << (job->open_failures < 6 ? job->open_failures : 6);

		job->open_failures++;
		job->retry_at_ms = ol_now_ms() + (ms < REOPEN_MS_MAX ? ms : REOPEN_MS_MAX);
	}
	while ((ask = ol_lazy_asks_pop(&job->parked)))
		ol_lazy_asks_push(good ? &worker->queue : &refused, ask);
	pthread_cond_broadcast(&worker->asked);
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	while ((ask = ol_lazy_asks_pop(&refused)))
		answer(ask, rc, err);
	return true;
}

/* Before the first read comes: the way to the registry, its token, a connection, unless what is
 * known of the start opens them. The bytes are of use to the rest. What fails here fails again
 * where somebody waits. */
static void warm_up(ol_lazy_job *job)
{
	const ol_range front = { 0,
		job->source.blob_size < WARM_BYTES ? job->source.blob_size : WARM_BYTES };
	bool known;

	pthread_mutex_lock(&job->worker->lock);
	known = ol_lazy_wants_prefetch(job->worker);
	pthread_mutex_unlock(&job->worker->lock);
	pthread_rwlock_rdlock(&job->serving);
	if (job->filler && job->ingest && !known)
		(void)ol_lazy_fetch_get(job, &front, 1, OL_LAZY_AHEAD, NULL);
	pthread_rwlock_unlock(&job->serving);
}

/* A thread of its own: it may have to wait for a pull that has the layer. */
static void *open_job(void *arg)
{
	ol_lazy_job *job = arg;
	ol_lazy_worker *worker = job->worker;
	ol_error error = { 0 };
	int rc;

	do {
		rc = ol_lazy_job_open(job, &error);
		if (rc == OL_EEXISTS && job->payload_fd >= 0) {
			const int done = ol_lazy_complete_payload(job, &error);

			rc = done < 0 ? done : rc;
		}
		if (rc < 0 && rc != OL_EEXISTS && rc != OL_ECANCELED && job->open_failures == 0)
			ol_lazy_log(worker, job, "cannot be filled: %s", error.text);
	} while (!unpark(job, rc, &error));
	if (rc == OL_OK)
		warm_up(job);
	pthread_mutex_lock(&worker->lock);
	worker->opening--;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

void ol_lazy_job_start(ol_lazy_job *job)
{
	pthread_attr_t attributes;
	pthread_t thread;

	if (job->is == OL_JOB_OPENING || job->closing)
		return;
	job->is = OL_JOB_OPENING;
	job->worker->opening++;
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, open_job, job) != 0) {
		job->worker->opening--;
		job->is = OL_JOB_CLOSED;
		(void)ol_fail(&job->error, OL_ESYSTEM, "cannot start a thread");
	}
	(void)pthread_attr_destroy(&attributes);
}

void ol_lazy_job_end(ol_lazy_job *job, bool drop)
{
	ol_lazy_worker *worker = job->worker;
	ol_lazy_ask *ask;

	ol_lazy_job_close(job, drop);
	pthread_mutex_lock(&worker->lock);
	job->closing = false;
	if (job->new_payload_fd >= 0 && !worker->over) {
		ol_lazy_job_start(job);
	} else {
		while ((ask = ol_lazy_asks_pop(&job->parked)))
			ol_lazy_asks_push(&worker->queue, ask);
		pthread_cond_broadcast(&worker->asked);
	}
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

/* Where the start is known, only what it did not read then is reason to guess. */
static void leave_note(ol_lazy_job *job, const ol_lazy_ask *ask)
{
	ol_lazy_worker *worker = job->worker;

	if (ol_lazy_prefetch_knows(job, ask->start))
		return;
	pthread_mutex_lock(&worker->lock);
	ol_ahead_add(&worker->ahead, job, &job->table, ask->start, ask->end, ol_now_ms());
	pthread_mutex_unlock(&worker->lock);
}

/* Until the bytes are there, or it is known that they do not come. */
static int fill(ol_lazy_job *job, const ol_lazy_ask *ask, ol_error *err)
{
	int rc;

	pthread_rwlock_rdlock(&job->serving);
	if (job->poisoned) {
		rc = ol_fail(err, OL_ECORRUPT, "%s", job->error.text);
	} else if (job->present) {
		rc = OL_OK;
	} else if (job->settle) {
		rc = ol_lazy_settle_range(job->settle, ask->start, ask->end, job->stop, err);
	} else if (job->filler) {
		ol_lazy_record_ask(job, ask->start, ask->end);
		leave_note(job, ask);
		rc = ol_filler_fill(job->filler, ask->start, ask->end, OL_LAZY_DEMAND, err);
	} else {
		rc = ol_fail(err, OL_EUNAVAILABLE, "it is not open");
	}
	pthread_rwlock_unlock(&job->serving);
	return rc;
}

/* True: the ask is the caller's to serve. */
static bool admit(ol_lazy_ask *ask)
{
	ol_lazy_job *job = ask->job;
	bool waits;

	if (job->is == OL_JOB_CLOSED && ol_now_ms() >= job->retry_at_ms)
		ol_lazy_job_start(job);
	waits = job->is == OL_JOB_OPENING || job->closing;
	if (waits)
		ol_lazy_asks_push(&job->parked, ask);
	return !waits;
}

static void *fill_thread(void *arg)
{
	ol_lazy_worker *worker = arg;

	for (;;) {
		ol_lazy_ask *ask = NULL;
		ol_error error = { 0 };
		bool ours;
		int rc;

		pthread_mutex_lock(&worker->lock);
		while (!worker->over && !(ask = ol_lazy_asks_pop(&worker->queue)))
			pthread_cond_wait(&worker->asked, &worker->lock);
		ours = ask && admit(ask);
		pthread_mutex_unlock(&worker->lock);
		if (!ask)
			return NULL;
		if (!ours)
			continue;
		rc = fill(ask->job, ask, &error);
		/* Who ends us asks the next one. */
		if (rc < 0 && is_over(worker))
			free(ask);
		else
			answer(ask, rc, &error);
	}
}

static void on_layer(void *ctx, const ol_digest *diff_id, int payload_fd, int state_fd)
{
	ol_lazy_worker *worker = ctx;
	ol_lazy_job *job;

	pthread_mutex_lock(&worker->lock);
	job = ol_lazy_job_of(worker, diff_id);
	if (job->new_payload_fd >= 0) {
		(void)close(job->new_payload_fd);
		(void)close(job->new_state_fd);
	}
	job->new_payload_fd = payload_fd;
	job->new_state_fd = state_fd;
	job->mounted = true;
	ol_lazy_gate_start(&worker->gate, ol_now_ms());
	ol_lazy_job_start(job);
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

static void on_ask(void *ctx, uint64_t slot, const ol_digest *diff_id, uint64_t start, uint64_t end)
{
	ol_lazy_worker *worker = ctx;
	ol_lazy_ask *ask = ol_alloc(sizeof *ask);

	*ask = (ol_lazy_ask){ .slot = slot, .start = start, .end = end };
	pthread_mutex_lock(&worker->lock);
	ask->job = ol_lazy_job_of(worker, diff_id);
	ol_lazy_asks_push(&worker->queue, ask);
	pthread_cond_signal(&worker->asked);
	pthread_mutex_unlock(&worker->lock);
}

/* Its payload is let go by the background: a fill may be under way. */
static void on_gone(void *ctx, const ol_digest *diff_id)
{
	ol_lazy_worker *worker = ctx;

	pthread_mutex_lock(&worker->lock);
	ol_lazy_job_of(worker, diff_id)->mounted = false;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

static void on_wake(void *ctx)
{
	ol_lazy_worker *worker = ctx;

	pthread_mutex_lock(&worker->lock);
	worker->look = true;
	/* What is pulled lazily is mostly about to be run. */
	ol_lazy_gate_start(&worker->gate, ol_now_ms());
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

static void worker_init(ol_lazy_worker *worker, ol_session *session, int link_fd)
{
	pthread_condattr_t attributes;

	*worker = (ol_lazy_worker){ .session = session,
		.link = ol_lazy_link_new(link_fd),
		.stop = ol_cancel_new(),
		.unpack_gate = ol_unpack_gate_new() };
	(void)pthread_mutex_init(&worker->log_lock, NULL);
	(void)pthread_mutex_init(&worker->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&worker->asked, &attributes);
	(void)pthread_cond_init(&worker->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
}

static void stop_all(ol_lazy_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->over = true;
	for (ol_lazy_job *job = worker->jobs; job; job = job->next) {
		ol_cancel_fire(job->stop);
		if (job->attempt)
			ol_cancel_fire(job->attempt);
	}
	pthread_cond_broadcast(&worker->asked);
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	ol_cancel_fire(worker->stop);
}

static void worker_done(ol_lazy_worker *worker)
{
	ol_lazy_ask *ask;

	pthread_mutex_lock(&worker->lock);
	while (worker->opening)
		pthread_cond_wait(&worker->changed, &worker->lock);
	pthread_mutex_unlock(&worker->lock);
	while ((ask = ol_lazy_asks_pop(&worker->queue)))
		free(ask);
	while (worker->jobs) {
		ol_lazy_job *job = worker->jobs;

		worker->jobs = job->next;
		while ((ask = ol_lazy_asks_pop(&job->parked)))
			free(ask);
		ol_lazy_job_free(job);
	}
	ol_lazy_remote_free_all(worker);
	ol_lazy_link_free(worker->link);
	ol_unpack_gate_free(worker->unpack_gate);
	ol_cancel_free(worker->stop);
	(void)pthread_cond_destroy(&worker->asked);
	(void)pthread_cond_destroy(&worker->changed);
	(void)pthread_mutex_destroy(&worker->lock);
	(void)pthread_mutex_destroy(&worker->log_lock);
}

static int start_threads(ol_lazy_worker *worker, pthread_t *threads, size_t *count, ol_error *err)
{
	static const struct {
		void *(*run)(void *);
		size_t count, stack;
	} kinds[] = {
		{ fill_thread, FILL_THREADS, FILL_STACK },
		{ ol_lazy_ahead_fetch, AHEAD_THREADS, FILL_STACK },
		{ ol_lazy_background_fetch, FETCH_THREADS, FILL_STACK },
		{ ol_lazy_background_unpack, UNPACK_THREADS, 0 },
		{ ol_lazy_background_look, 1, 0 },
	};
	pthread_attr_t attributes;

	*count = 0;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		bool failed = false;

		(void)pthread_attr_init(&attributes);
		if (kinds[i].stack)
			(void)pthread_attr_setstacksize(&attributes, kinds[i].stack);
		for (size_t k = 0; !failed && k < kinds[i].count; k++) {
			failed = pthread_create(
					 &threads[*count], &attributes, kinds[i].run, worker) != 0;
			*count += !failed;
		}
		(void)pthread_attr_destroy(&attributes);
		if (failed)
			return ol_fail(err, OL_ESYSTEM, "cannot start a thread");
	}
	return OL_OK;
}

int ol_lazy_worker_main(ol_session *session, int link_fd, ol_error *err)
{
	ol_lazy_worker worker;
	const ol_lazy_link_handler handler = {
		.layer = on_layer, .ask = on_ask, .gone = on_gone, .wake = on_wake, .ctx = &worker
	};
	pthread_t threads[FILL_THREADS + AHEAD_THREADS + FETCH_THREADS + UNPACK_THREADS + 1];
	ol_lazy_argv holder;
	size_t count = 0;
	int rc;

	worker_init(&worker, session, link_fd);
	ol_lazy_argv_init(&holder, session, "lazy-holder", "--adopt");
	ol_lazy_link_rescue(worker.link, holder.argv);
	rc = start_threads(&worker, threads, &count, err);
	if (rc == OL_OK)
		rc = ol_lazy_link_run(worker.link, &handler, session->options.cancel, err);
	stop_all(&worker);
	for (size_t i = 0; i < count; i++)
		(void)pthread_join(threads[i], NULL);
	worker_done(&worker);
	ol_lazy_argv_done(&holder);
	return rc;
}
