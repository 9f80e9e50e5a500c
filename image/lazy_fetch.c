/*
 * Compressed bytes from a registry into a layer's ingest, each once, whoever wants them.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/lazy_worker_priv.h"

#define RANGES_MAX 256
/* Bytes that somebody else fetches and that do not come: then it is as if the registry did not
 * answer, and the filler decides how long that is borne. */
#define ELSEWHERE_MS 5000
/* The background comes back later. (Whoever waits asks again by itself.) */
#define RETRIES 2
/* A silent connection is given up for another one after so long, however patient the readers are.
 */
#define STALL_SECONDS_MAX 15

/* How long a reader may wait bounds how long it waits for a registry that says nothing. */
static unsigned stall_seconds(const ol_lazy_source *source)
{
	const uint64_t ms = source->timeout_ms ? source->timeout_ms : OL_LAZY_TIMEOUT_MS;

	if (ms >= (uint64_t)STALL_SECONDS_MAX * 1000)
		return STALL_SECONDS_MAX;
	return ms < 1000 ? 1 : (unsigned)(ms / 1000);
}

static char *key_of(const ol_lazy_source *s)
{
	const char *texts[] = { s->cert_dir, s->authfile, s->hosts_dir, s->registries_conf,
		s->creds };
	char *key = ol_text("%d %d %d %d %u", s->plain_http, s->http_first, s->skip_tls_verify,
		s->retries, stall_seconds(s));

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *longer = texts[i] ? ol_text("%s %zu:%s", key, strlen(texts[i]), texts[i])
					: ol_text("%s -", key);

		free(key);
		key = longer;
	}
	return key;
}

static int make_remote(
	ol_lazy_worker *worker, const ol_lazy_source *source, ol_lazy_remote *remote, ol_error *err)
{
	ol_registry_options options = {
		.plain_http = source->plain_http,
		.http_first = source->http_first,
		.skip_tls_verify = source->skip_tls_verify,
		.cert_dir = source->cert_dir,
		.creds = source->creds,
		.authfile = source->authfile,
		.hosts_dir = source->hosts_dir,
		.registries_conf = source->registries_conf,
		.retries = RETRIES,
		.timing = { .connect_ms = stall_seconds(source) * 1000,
			.stall_seconds = stall_seconds(source) },
		.cancel = worker->stop,
	};
	int rc = ol_registry_new(&options, &remote->background, err);

	options.retries = 0;
	options.never_retry = true;
	return rc < 0 ? rc : ol_registry_new(&options, &remote->demand, err);
}

static void free_remote(ol_lazy_remote *remote)
{
	ol_registry_free(remote->demand);
	ol_registry_free(remote->background);
	free(remote->key);
	free(remote);
}

int ol_lazy_remote_get(
	ol_lazy_worker *worker, const ol_lazy_source *source, ol_lazy_remote **out, ol_error *err)
{
	ol_autofree char *key = key_of(source);
	ol_lazy_remote *remote;
	int rc = OL_OK;

	/* Making a handle touches no network. */
	pthread_mutex_lock(&worker->lock);
	for (remote = worker->remotes; remote && strcmp(remote->key, key) != 0;
		remote = remote->next)
		continue;
	if (!remote) {
		remote = ol_alloc(sizeof *remote);
		remote->key = ol_steal(&key);
		rc = make_remote(worker, source, remote, err);
		if (rc < 0) {
			free_remote(remote);
		} else {
			remote->next = worker->remotes;
			worker->remotes = remote;
		}
	}
	pthread_mutex_unlock(&worker->lock);
	if (rc == OL_OK)
		*out = remote;
	return rc;
}

void ol_lazy_remote_free_all(ol_lazy_worker *worker)
{
	while (worker->remotes) {
		ol_lazy_remote *remote = worker->remotes;

		worker->remotes = remote->next;
		free_remote(remote);
	}
}

struct receiving {
	ol_lazy_job *job;
	ol_lazy_counters *counters; /* NULL: nobody counts */
	ol_lazy_cause cause;
	uint64_t left; /* of what was asked for */
};

/* From the transfer thread. */
static int receive(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	struct receiving *self = ctx;
	int rc = ol_cancel_check(self->job->stop, err);

	if (rc == OL_OK)
		rc = ol_ingest_write(self->job->ingest, offset, data, size, err);
	if (rc < 0)
		return rc;
	if (self->counters) {
		const uint64_t less = size < self->left ? size : self->left;

		self->counters->bytes[self->cause] += size;
		self->counters->fetching -= less;
		self->counters->blob_bytes = ol_ingest_present(self->job->ingest);
		self->left -= less;
	}
	ol_flight_tick(self->job->flight);
	return OL_OK;
}

static bool is_demand(ol_lazy_cause cause)
{
	return cause == OL_LAZY_DEMAND || cause == OL_LAZY_AHEAD;
}

static void tell_gate(ol_lazy_worker *worker, bool begins)
{
	pthread_mutex_lock(&worker->lock);
	ol_lazy_gate_demand(&worker->gate, begins, ol_now_ms());
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

int ol_lazy_fetch_taken(
	ol_lazy_job *job, const ol_range *mine, size_t count, ol_lazy_cause cause, ol_error *err)
{
	const ol_descriptor blob = { .media_type = job->info.media_type,
		.digest = job->source.blob,
		.size = job->source.blob_size };
	struct receiving receiving = {
		.job = job,
		.counters = job->state ? ol_lazy_state_counters(job->state) : NULL,
		.cause = cause,
	};
	const ol_blob_target target = { .write = receive, .ctx = &receiving };
	ol_fetch_range ranges[RANGES_MAX];
	int rc;

	for (size_t i = 0; i < count; i++) {
		ranges[i] = (ol_fetch_range){ mine[i].start, mine[i].end };
		receiving.left += mine[i].end - mine[i].start;
	}
	if (receiving.counters) {
		receiving.counters->requests += count;
		receiving.counters->fetching += receiving.left;
	}
	if (is_demand(cause))
		tell_gate(job->worker, true);
	rc = ol_registry_get_blob(is_demand(cause) ? job->remote->demand : job->remote->background,
		&job->source.ref, &blob, ranges, count, &target, err);
	if (is_demand(cause))
		tell_gate(job->worker, false);
	if (receiving.counters)
		receiving.counters->fetching -= receiving.left;
	ol_flight_land(job->flight, mine, count);
	return rc;
}

int ol_lazy_fetch_get(
	ol_lazy_job *job, const ol_range *ranges, size_t count, ol_lazy_cause cause, ol_error *err)
{
	ol_range missing[RANGES_MAX], mine[RANGES_MAX];
	uint64_t waited_from = 0;

	for (;;) {
		const uint64_t mark = ol_flight_mark(job->flight);
		const size_t lacks =
			ol_flight_missing(job->ingest, ranges, count, missing, RANGES_MAX);
		bool busy = false;
		size_t taken;
		int rc = ol_cancel_check(job->stop, err);

		if (rc < 0 || lacks == 0)
			return rc;
		taken = ol_flight_take(job->flight, &(ol_flight_wish){ missing, lacks, UINT64_MAX },
			mine, RANGES_MAX, &busy);
		if (taken > 0) {
			rc = ol_lazy_fetch_taken(job, mine, taken, cause, err);
			waited_from = 0;
			if (rc < 0)
				return rc;
			continue;
		}
		/* Any byte of the blob that comes is a sign of life. */
		if (ol_flight_wait(job->flight, mark, ELSEWHERE_MS, job->stop) || !waited_from) {
			waited_from = ol_now_ms();
			continue;
		}
		return ol_fail(err, OL_EUNAVAILABLE, "what was asked for does not come");
	}
}

static int get(void *ctx, const ol_range *ranges, size_t count, ol_lazy_cause cause, ol_error *err)
{
	return ol_lazy_fetch_get(ctx, ranges, count, cause, err);
}

static bool blame(void *ctx, uint64_t begin, uint64_t end)
{
	ol_lazy_job *job = ctx;
	bool others;

	(void)ol_ingest_forget(job->ingest, begin, end, NULL); /* missing for us in any case */
	/* Whichever handle they came by. */
	others = ol_registry_blame(job->remote->demand, &job->source.ref, &job->source.blob);
	others = ol_registry_blame(job->remote->background, &job->source.ref, &job->source.blob) ||
		 others;
	return others;
}

ol_lazy_fetch ol_lazy_fetch_of(ol_lazy_job *job)
{
	return (ol_lazy_fetch){ .get = get, .blame = blame, .ctx = job };
}
