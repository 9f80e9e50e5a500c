/*
 * The thread turns around four steps until it is told to end:
 *
 *	take what was submitted → curl_multi_perform → hand pieces of bodies on
 *	      ▲                                                            │
 *	      └──────────────── poll ◀── finish what is done ◀─────────────┘
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "fetch/curl_lazy_priv.h"
#include "fetch/transfer_job_priv.h"
#include "fetch/transfer_priv.h"

/* The multi handle keeps so many idle connections: a pull talks to few hosts. */
#define CONNECTIONS_KEPT 32L
#define POLL_MS          1000

struct ol_transfer {
	ol_registry_timing timing;
	char *user_agent; /* owned */
	const ol_cancel *cancel;

	pthread_mutex_t lock; /* guards what follows, down to the thread's own */
	pthread_cond_t changed;
	ol_job *submitted;
	bool started, ending;
	pthread_t thread;

	/* owned; made before the thread starts, then the thread's own (but for wake-ups) */
	CURLM *multi;
	ol_job *active;
	ol_slot *slots; /* idle ones */
};

static ol_slot *take_slot(ol_transfer *transfer)
{
	ol_slot *slot = transfer->slots;

	if (slot) {
		transfer->slots = slot->next;
		curl_easy_reset(slot->easy);
		return slot;
	}
	slot = ol_alloc(sizeof *slot);
	slot->easy = curl_easy_init();
	return slot;
}

static void free_slot(ol_slot *slot)
{
	curl_easy_cleanup(slot->easy);
	free(slot->buffer);
	free(slot);
}

static void give_back(ol_transfer *transfer, ol_job *job)
{
	curl_slist_free_all(job->headers);
	job->headers = NULL;
	if (!job->slot)
		return;
	job->slot->next = transfer->slots;
	transfer->slots = job->slot;
	job->slot = NULL;
}

/* The job is its caller's again. */
static void finish(ol_transfer *transfer, ol_job *job)
{
	give_back(transfer, job);
	pthread_mutex_lock(&transfer->lock);
	job->done = true;
	pthread_cond_broadcast(&transfer->changed);
	pthread_mutex_unlock(&transfer->lock);
}

static void start_job(ol_transfer *transfer, ol_job *job)
{
	job->slot = take_slot(transfer);
	if (job->slot->easy) {
		if (job->request->body && !job->slot->buffer)
			job->slot->buffer = ol_alloc(OL_SOCKET_BYTES);
		ol_job_prepare(job, &transfer->timing, transfer->user_agent);
	}
	if (job->rc == OL_OK && (!job->slot->easy || curl_multi_add_handle(transfer->multi,
							     job->slot->easy) != CURLM_OK))
		job->rc = ol_fail(&job->err, OL_ESYSTEM, "cannot start a transfer");
	if (job->rc < 0) {
		job->reply->outcome = OL_OUTCOME_REFUSED;
		finish(transfer, job);
		return;
	}
	job->next = transfer->active;
	transfer->active = job;
}

static void end_job(ol_transfer *transfer, ol_job *job, CURLcode code)
{
	for (ol_job **link = &transfer->active; *link; link = &(*link)->next)
		if (*link == job) {
			*link = job->next;
			break;
		}
	ol_job_conclude(job, code);
	(void)curl_multi_remove_handle(transfer->multi, job->slot->easy);
	finish(transfer, job);
}

static void drop_unwanted(ol_transfer *transfer, bool all)
{
	ol_job *next;

	for (ol_job *job = transfer->active; job; job = next) {
		next = job->next;
		if (!all && !(job->request->stop && atomic_load(job->request->stop)))
			continue;
		(void)ol_job_refuse(job, ol_fail(&job->err, OL_ECANCELED, "canceled"));
		end_job(transfer, job, CURLE_OK);
	}
}

static void hand_on_all(ol_transfer *transfer)
{
	for (ol_job *job = transfer->active; job; job = job->next)
		if (job->was_active) {
			job->was_active = false;
			(void)ol_job_hand_on(job);
		}
}

static void finish_done(ol_transfer *transfer)
{
	CURLMsg *message;
	int left;
	ol_job *next;

	while ((message = curl_multi_info_read(transfer->multi, &left))) {
		ol_job *job = NULL;
		CURLcode code = message->data.result;

		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&job);
		if (job)
			end_job(transfer, job, code);
	}
	/* What a callback outside of libcurl's turn has ended. */
	for (ol_job *job = transfer->active; job; job = next) {
		next = job->next;
		if (job->rc < 0 || job->enough)
			end_job(transfer, job, CURLE_OK);
	}
}

static bool take_submitted(ol_transfer *transfer)
{
	ol_job *job, *next;
	bool ending;

	pthread_mutex_lock(&transfer->lock);
	job = transfer->submitted;
	transfer->submitted = NULL;
	ending = transfer->ending;
	pthread_mutex_unlock(&transfer->lock);
	for (; job; job = next) {
		next = job->next;
		start_job(transfer, job);
	}
	return !ending;
}

static void *serve(void *ctx)
{
	ol_transfer *transfer = ctx;

	while (take_submitted(transfer)) {
		bool canceled = ol_cancel_fired(transfer->cancel);
		struct curl_waitfd extra = { .fd = ol_cancel_fd(transfer->cancel),
			.events = CURL_WAIT_POLLIN };
		unsigned extras =
			extra.fd >= 0 && !canceled ? 1 : 0; /* once fired it is readable for ever */
		int running = 0;

		drop_unwanted(transfer, canceled);
		(void)curl_multi_perform(transfer->multi, &running);
		hand_on_all(transfer);
		finish_done(transfer);
		(void)curl_multi_poll(transfer->multi, &extra, extras, POLL_MS, NULL);
	}
	return NULL;
}

/* libcurl wants one call in the life of a process; this is the process's state, not a handle's. */
static void init_curl(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int start_thread(ol_transfer *transfer, ol_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t all, before;
	int sys, rc;

	if (transfer->started)
		return OL_OK;
	rc = ol_curl_need(err);
	if (rc < 0)
		return rc;
	(void)pthread_once(&once, init_curl);
	if (!transfer->multi)
		transfer->multi = curl_multi_init();
	if (!transfer->multi)
		return ol_fail(err, OL_ESYSTEM, "libcurl does not start");
	(void)curl_multi_setopt(transfer->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	/* Signals are for the threads that know what to do with them; and a peer that is gone is no
	 * SIGPIPE. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	sys = pthread_create(&transfer->thread, NULL, serve, transfer);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (sys)
		return ol_fail(
			err, OL_ESYSTEM, "cannot start the transfer thread: %s", strerror(sys));
	transfer->started = true;
	return OL_OK;
}

ol_transfer *ol_transfer_new(
	const ol_registry_timing *timing, const char *user_agent, const ol_cancel *cancel)
{
	ol_transfer *transfer = ol_alloc(sizeof *transfer);

	transfer->timing = *timing;
	transfer->user_agent = ol_strdup(user_agent);
	transfer->cancel = cancel;
	pthread_mutex_init(&transfer->lock, NULL);
	pthread_cond_init(&transfer->changed, NULL);
	return transfer;
}

void ol_transfer_free(ol_transfer *transfer)
{
	if (!transfer)
		return;
	if (transfer->started) {
		pthread_mutex_lock(&transfer->lock);
		transfer->ending = true;
		pthread_mutex_unlock(&transfer->lock);
		ol_transfer_wake(transfer);
		(void)pthread_join(transfer->thread, NULL);
	}
	while (transfer->slots) {
		ol_slot *next = transfer->slots->next;

		free_slot(transfer->slots);
		transfer->slots = next;
	}
	if (transfer->multi)
		(void)curl_multi_cleanup(transfer->multi);
	pthread_cond_destroy(&transfer->changed);
	pthread_mutex_destroy(&transfer->lock);
	free(transfer->user_agent);
	free(transfer);
}

void ol_transfer_wake(ol_transfer *transfer)
{
	pthread_mutex_lock(&transfer->lock);
	if (transfer->multi)
		(void)curl_multi_wakeup(transfer->multi);
	pthread_mutex_unlock(&transfer->lock);
}

int ol_transfer_run(
	ol_transfer *transfer, const ol_request *request, ol_reply *reply, ol_error *err)
{
	ol_job job = { .request = request, .reply = reply };
	int rc;

	*reply = (ol_reply){ .outcome = OL_OUTCOME_REFUSED,
		.content_length = UINT64_MAX,
		.headers = OL_STR(OL_HEADER_BYTES_MAX * 2),
		.body = OL_BUF(request->body_max) };
	pthread_mutex_lock(&transfer->lock);
	rc = start_thread(transfer, err);
	if (rc == OL_OK) {
		job.next = transfer->submitted;
		transfer->submitted = &job;
		(void)curl_multi_wakeup(transfer->multi);
		while (!job.done)
			pthread_cond_wait(&transfer->changed, &transfer->lock);
		rc = job.rc;
		if (rc < 0 && err)
			*err = job.err;
	}
	pthread_mutex_unlock(&transfer->lock);
	return rc;
}
