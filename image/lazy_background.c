/*
 * The rest of every lazy layer, behind the readers' backs:
 *
 *	look     rows of driver "lazy" ─▶ jobs, opened; rows that are gone; when nothing is left
 *	fetch    three threads, a slice each: first what starts need, of all layers, then layer by
 *	         layer, the best first; nothing new while somebody reads
 *	unpack   two threads: an ordinary unpacking of the same ingest, which waits where bytes are
 *	         missing; at its end the layer is whole
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "image/layer_take_priv.h"
#include "image/lazy_worker_priv.h"
#include "store/lazy.h"
#include "store/name.h"
#include "store/reach.h"

#define RANGES_MAX 64
/* Three requests at once keep a long link full. */
#define SLICES_MAX 3
/* Of what a start needs as many as it takes, but little more than the link holds: what is needed
 * first is to come first. */
#define PREFETCH_FLYING_MAX ((uint64_t)3 << 19)
/* The store is looked through so often without being told to: an image may have been removed. */
#define LOOK_MS 2000
/* A registry that is down is asked again after so long, doubling. */
#define BACKOFF_MS     1000
#define BACKOFF_MAX_MS 30000
#define LIES_MAX       2
#define LIES_MS        ((uint64_t)3600 * 1000)
#define OPENINGS_MAX   3 /* a job that cannot be opened keeps no worker alive beyond these */
#define NICE           10
#define IMAGES_MAX     64

/* linux/ioprio.h is not installed everywhere. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE        (3 << 13)

/* This thread, and those it starts, yield to whoever else wants the processor or the disk. */
static void be_nice(void)
{
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

static bool may_fill(const ol_lazy_job *job, uint64_t now_ms)
{
	return job->is == OL_JOB_OPEN && job->listed && !job->source.no_fill &&
	       now_ms >= job->retry_at_ms;
}

static uint64_t left_of(const ol_lazy_job *job)
{
	return job->source.blob_size - ol_ingest_present(job->ingest);
}

bool ol_lazy_job_is_better(const ol_lazy_job *a, const ol_lazy_job *b)
{
	if (!b)
		return true;
	if (a->unpacking != b->unpacking)
		return a->unpacking;
	if (a->mounted != b->mounted)
		return a->mounted;
	if (a->image_created != b->image_created)
		return a->image_created > b->image_created;
	return left_of(a) < left_of(b);
}

struct slice {
	ol_lazy_job *job;
	ol_range mine[RANGES_MAX];
	size_t count;
	ol_lazy_cause cause;
};

/* What a job lacks of wanted (NULL: of all), as much as the gate lets through. */
static bool take_slice(
	ol_lazy_job *job, const ol_range *wanted, size_t count, uint64_t size, struct slice *slice)
{
	const ol_range all = { 0, job->source.blob_size };
	ol_range missing[RANGES_MAX];
	const size_t lacks = ol_flight_missing(
		job->ingest, wanted ? wanted : &all, wanted ? count : 1, missing, RANGES_MAX);
	bool busy;

	/* Of what a start needs one range: the next thread takes the next one meanwhile. */
	slice->count = ol_flight_take(job->flight, &(ol_flight_wish){ missing, lacks, size },
		slice->mine, wanted ? 1 : RANGES_MAX, &busy);
	slice->job = job;
	return slice->count > 0;
}

/* Takes the next of the job's wishes; false: none is left, all of it is there or under way. What
 * fails comes with the rest. */
static bool take_wishes(ol_lazy_job *job, uint64_t size, struct slice *slice)
{
	while (job->wanted_at < job->wanted_count) {
		ol_range next[RANGES_MAX];
		size_t used;
		const size_t count = ol_lazy_prefetch_next(job, size, next, RANGES_MAX, &used);

		if (take_slice(job, next, count, size, slice)) {
			slice->cause = OL_LAZY_PREFETCH;
			return true;
		}
		job->wanted_at += used;
	}
	job->checked = true;
	return false;
}

/* Of the job's next wish in the start; one whose list is done comes first, to be checked off. */
static size_t next_place(const ol_lazy_job *job)
{
	return job->wanted_at < job->wanted_count ? job->wanted[job->wanted_at].place : 0;
}

/* The job whose next wish came first in the start; NULL: all are checked off. */
static ol_lazy_job *first_wish(const ol_lazy_worker *worker)
{
	const uint64_t now = ol_now_ms();
	ol_lazy_job *first = NULL;

	for (ol_lazy_job *job = worker->jobs; job; job = job->next)
		if (!job->checked && may_fill(job, now) &&
			(!first || next_place(job) < next_place(first)))
			first = job;
	return first;
}

static bool next_prefetch(ol_lazy_worker *worker, uint64_t size, struct slice *slice)
{
	ol_lazy_job *job;

	while ((job = first_wish(worker)))
		if (take_wishes(job, size, slice))
			return true;
	return false;
}

static bool next_rest(ol_lazy_worker *worker, uint64_t size, struct slice *slice)
{
	const uint64_t now = ol_now_ms();
	ol_lazy_job *best;

	for (ol_lazy_job *job = worker->jobs; job; job = job->next)
		job->passed = !may_fill(job, now) || left_of(job) == 0;
	do {
		best = NULL;
		for (ol_lazy_job *job = worker->jobs; job; job = job->next)
			if (!job->passed && ol_lazy_job_is_better(job, best))
				best = job;
		if (best && take_slice(best, NULL, 0, size, slice)) {
			slice->cause = OL_LAZY_BACKGROUND;
			return true;
		}
		if (best)
			best->passed = true; /* what it lacks is under way */
	} while (best);
	return false;
}

bool ol_lazy_wants_prefetch(const ol_lazy_worker *worker)
{
	const uint64_t now = ol_now_ms();

	for (const ol_lazy_job *job = worker->jobs; job; job = job->next)
		if (!job->checked && may_fill(job, now))
			return true;
	return false;
}

static uint64_t rate_of(const ol_lazy_worker *worker)
{
	uint64_t rate = 0;

	for (const ol_lazy_job *job = worker->jobs; job; job = job->next)
		if (job->is == OL_JOB_OPEN && job->source.rate_bytes &&
			(!rate || job->source.rate_bytes < rate))
			rate = job->source.rate_bytes;
	return rate;
}

static bool is_full(const ol_lazy_worker *worker, bool urgent)
{
	return urgent ? worker->prefetch_flying >= PREFETCH_FLYING_MAX
		      : worker->slices >= SLICES_MAX;
}

static uint64_t bytes_of(const struct slice *slice)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < slice->count; i++)
		bytes += slice->mine[i].end - slice->mine[i].start;
	return bytes;
}

static void count_slice(ol_lazy_worker *worker, const struct slice *slice)
{
	slice->job->slices++;
	worker->slices++;
	if (slice->cause == OL_LAZY_PREFETCH)
		worker->prefetch_flying += bytes_of(slice);
}

/* Waits for something to fetch; false when it is over. */
static bool next_slice(ol_lazy_worker *worker, struct slice *slice)
{
	bool found = false;

	pthread_mutex_lock(&worker->lock);
	while (!found && !worker->over) {
		const bool urgent = ol_lazy_wants_prefetch(worker);
		const ol_lazy_gate before = worker->gate;
		uint64_t ms = LOOK_MS, size;

		size = is_full(worker, urgent) ? 0
					       : ol_lazy_gate_pass(&worker->gate, urgent,
							 rate_of(worker), ol_now_ms(), &ms);
		if (size > 0) {
			if (next_prefetch(worker, size, slice) ||
				(!urgent && next_rest(worker, size, slice))) {
				count_slice(worker, slice);
				found = true;
				continue;
			}
			worker->gate = before; /* nothing was asked for */
			ms = urgent ? 1 : LOOK_MS;
		}
		ol_lazy_worker_wait(worker, ms);
	}
	pthread_mutex_unlock(&worker->lock);
	return found;
}

/* Later, and later each time. Who unpacks it must not wait meanwhile. */
static void back_off(ol_lazy_job *job, const ol_error *err)
{
	uint64_t ms = BACKOFF_MS;

	for (unsigned i = 0; i < job->failures && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	job->retry_at_ms = ol_now_ms() + (ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS);
	if (job->failures++ == 0)
		ol_lazy_log(job->worker, job, "waits: %s", err->text);
	ol_lazy_job_say(job, OL_LAZY_STALLED, err->text);
	if (job->attempt)
		ol_cancel_fire(job->attempt);
}

static void end_slice(
	ol_lazy_worker *worker, const struct slice *slice, int rc, const ol_error *err)
{
	ol_lazy_job *job = slice->job;

	pthread_mutex_lock(&worker->lock);
	job->slices--;
	worker->slices--;
	if (slice->cause == OL_LAZY_PREFETCH) {
		worker->prefetch_flying -= bytes_of(slice);
		ol_lazy_gate_busy(&worker->gate, ol_now_ms());
	}
	if (rc == OL_OK && job->failures > 0) {
		job->failures = 0;
		ol_lazy_job_say(job, OL_LAZY_FILLING, "");
	} else if (rc < 0 && rc != OL_ECANCELED) {
		back_off(job, err);
	}
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

/* What a start needs, before it asks. */
static void inflate(const struct slice *slice)
{
	ol_lazy_job *job = slice->job;

	pthread_rwlock_rdlock(&job->serving);
	if (job->filler && job->ingest && !job->poisoned)
		ol_lazy_inflate(job, slice->mine, slice->count, OL_LAZY_PREFETCH);
	pthread_rwlock_unlock(&job->serving);
}

void *ol_lazy_background_fetch(void *arg)
{
	ol_lazy_worker *worker = arg;
	struct slice slice;

	be_nice();
	while (next_slice(worker, &slice)) {
		ol_error error = { 0 };
		const int rc = ol_lazy_fetch_taken(
			slice.job, slice.mine, slice.count, slice.cause, &error);

		if (rc == OL_OK && slice.cause == OL_LAZY_PREFETCH)
			inflate(&slice);
		end_slice(worker, &slice, rc, &error);
	}
	return NULL;
}

static int unpack(ol_lazy_job *job, const ol_cancel *attempt, ol_unpacked *out, ol_error *err)
{
	ol_lazy_worker *worker = job->worker;
	ol_reader *reader;
	int rc = ol_layer_clear(ol_ingest_dir_fd(job->ingest), err);

	if (rc < 0)
		return rc;
	reader = ol_ingest_reader(job->ingest, attempt);
	rc = ol_unpack(reader,
		&(ol_unpack_options){
			/* What readers have mounted is EROFS, and so is what it becomes. */
			.driver = ol_driver_named("erofs"),
			.builder =
				ol_session_builder(worker->session, ol_ingest_dir_fd(job->ingest)),
			.compression = ol_media_of(ol_view_of(job->info.media_type)).compression,
			.blob = job->source.blob,
			.blob_size = job->source.blob_size,
			.diff_id = job->diff_id,
			.cancel = attempt,
			.gate = worker->unpack_gate },
		out, err);
	ol_reader_close(reader);
	return rc;
}

/* All bytes came, and they are not the blob: the next try fetches all of them anew, from somebody
 * else if there is one. */
static void begin_anew(ol_lazy_job *job)
{
	(void)ol_registry_blame(job->remote->demand, &job->source.ref, &job->source.blob);
	(void)ol_registry_blame(job->remote->background, &job->source.ref, &job->source.blob);
	(void)ol_ingest_reset(job->ingest, NULL);
	pthread_mutex_lock(&job->worker->lock);
	job->lies++;
	pthread_mutex_unlock(&job->worker->lock);
}

static void end_unpacking(ol_lazy_job *job, int rc, const ol_error *err)
{
	ol_lazy_worker *worker = job->worker;

	pthread_mutex_lock(&worker->lock);
	job->unpacking = false;
	job->attempt = NULL;
	if (rc < 0 && rc != OL_ECANCELED)
		back_off(job, err);
	/* Nobody has its bytes: they are not to be fetched again and again. */
	if (rc < 0 && job->lies >= LIES_MAX)
		job->retry_at_ms = ol_now_ms() + LIES_MS;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
}

/* No slice may be under way when the ingest begins anew. */
static void wait_for_slices(ol_lazy_job *job)
{
	ol_lazy_worker *worker = job->worker;

	pthread_mutex_lock(&worker->lock);
	while (job->slices > 0)
		ol_lazy_worker_wait(worker, LOOK_MS);
	pthread_mutex_unlock(&worker->lock);
}

/* What whole layers had beside them; chains may need it still, until their image is whole. What is
 * not seen here is gc's. */
static void clear_up(ol_lazy_worker *worker)
{
	ol_store *store = worker->session->store;
	ol_lazy_job *job;

	pthread_mutex_lock(&worker->lock);
	for (job = worker->jobs; job; job = job->next) {
		const ol_digest diff_id = job->diff_id;
		const bool done = job->is == OL_JOB_WHOLE && !job->closing && !job->cleared;

		if (!done)
			continue;
		/* No job is taken away while threads run. */
		pthread_mutex_unlock(&worker->lock);
		if (!ol_lazy_is_needed(store, &diff_id)) {
			(void)ol_lazy_remove(store, &diff_id, NULL);
			job->cleared = true;
		}
		pthread_mutex_lock(&worker->lock);
		if (job->cleared && !job->mounted && !job->poisoned)
			(void)ol_lazy_state_remove(ol_store_run_fd(store), &diff_id, NULL);
	}
	pthread_mutex_unlock(&worker->lock);
}

static void make_whole(ol_lazy_job *job, ol_cancel *attempt)
{
	ol_unpacked unpacked = { 0 };
	ol_error error = { 0 };
	int rc;

	ol_lazy_job_say(job, OL_LAZY_FILLING, "");
	rc = unpack(job, attempt, &unpacked, &error);
	if (rc == OL_ECORRUPT && ol_ingest_present(job->ingest) == job->source.blob_size) {
		wait_for_slices(job);
		begin_anew(job);
	}
	if (rc == OL_OK) {
		ol_lazy_job_say(job, OL_LAZY_CHECKING, "");
		rc = ol_lazy_complete(job, &unpacked, &error);
	}
	end_unpacking(job, rc, &error);
	if (rc < 0)
		return;
	rc = ol_lazy_whole_images(job->worker->session, &job->diff_id, &error);
	if (rc < 0)
		ol_lazy_log(job->worker, job, "is whole, but its images cannot be listed: %s",
			error.text);
	clear_up(job->worker);
}

void *ol_lazy_background_unpack(void *arg)
{
	ol_lazy_worker *worker = arg;

	be_nice();
	for (;;) {
		ol_auto(ol_cancel_free) ol_cancel *attempt = ol_cancel_new();
		ol_lazy_job *best = NULL;

		pthread_mutex_lock(&worker->lock);
		while (!worker->over) {
			const uint64_t now = ol_now_ms();

			for (ol_lazy_job *job = worker->jobs; job; job = job->next)
				if (may_fill(job, now) && !job->unpacking &&
					ol_lazy_job_is_better(job, best))
					best = job;
			if (best)
				break;
			ol_lazy_worker_wait(worker, LOOK_MS);
		}
		if (best) {
			best->unpacking = true;
			best->attempt = attempt;
		}
		pthread_mutex_unlock(&worker->lock);
		if (!best)
			return NULL;
		make_whole(best, attempt);
	}
}

static int find_newest(void *ctx, const ol_name_info *info, ol_error *err)
{
	int64_t *newest = ctx;

	(void)err;
	if (info->created > *newest)
		*newest = info->created;
	return OL_OK;
}

static int64_t newest_image(ol_store *store, const ol_digest *diff_id)
{
	ol_autofree ol_digest *roots = NULL;
	size_t count = 0;
	int64_t newest = 0;

	if (ol_reach_roots(store, diff_id, IMAGES_MAX, &roots, &count, NULL) < 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		(void)ol_name_each_of(store, &roots[i], find_newest, &newest, NULL);
	return newest;
}

/* Somebody may have said since that all of it is wanted after all. */
static void look_for_wish(ol_lazy_job *job)
{
	ol_lazy_source now;

	if (ol_lazy_source_read(
		    job->worker->session->store, job->dir_fd, &job->diff_id, &now, NULL) < 0)
		return;
	job->source.no_fill = now.no_fill;
	ol_lazy_source_done(&now);
}

/* The rows of driver "lazy", as a look goes through them. */
struct rows {
	ol_lazy_worker *worker;
	size_t layers;
	ol_digest *chained; /* owned: DiffIDs of layers that have a lazy chain */
	size_t chained_count, chained_cap;
};

static int see_row(void *ctx, const ol_layer_info *info, ol_error *err)
{
	struct rows *rows = ctx;
	ol_lazy_worker *worker = rows->worker;
	ol_lazy_job *job;
	int64_t created;

	(void)err;
	if (strcmp(info->driver, OL_LAZY_DRIVER) != 0)
		return OL_OK;
	if (info->is_chain) {
		OL_GROW(rows->chained, rows->chained_count, rows->chained_cap);
		rows->chained[rows->chained_count++] = info->diff_id;
		return OL_OK;
	}
	rows->layers++;
	created = newest_image(worker->session->store, &info->key);
	pthread_mutex_lock(&worker->lock);
	job = ol_lazy_job_of(worker, &info->key);
	job->listed = true;
	job->image_created = created;
	if (job->is == OL_JOB_OPEN && job->source.no_fill)
		look_for_wish(job);
	if (job->is == OL_JOB_CLOSED && ol_now_ms() >= job->retry_at_ms)
		ol_lazy_job_start(job);
	pthread_mutex_unlock(&worker->lock);
	return OL_OK;
}

/* Its row is gone: its image was removed, or somebody else made it whole, or it is damaged. */
static void forget(ol_lazy_job *job)
{
	ol_lazy_worker *worker = job->worker;
	ol_layer_info info;
	const int rc = ol_layer_recorded(worker->session->store, &job->diff_id, false, &info, NULL);
	bool ours;

	pthread_mutex_lock(&worker->lock);
	if (job->attempt)
		ol_cancel_fire(job->attempt);
	while (job->slices > 0 || job->unpacking)
		ol_lazy_worker_wait(worker, LOOK_MS);
	ours = job->is == OL_JOB_OPEN && !job->mounted;
	if (ours) {
		job->is = OL_JOB_WHOLE;
		job->closing = true;
	}
	pthread_mutex_unlock(&worker->lock);
	if (ours)
		ol_lazy_job_end(job, rc == OL_ENOTFOUND);
}

/* A worker that was killed between an image's last layer and its chains left those lazy. */
static void finish_images(const struct rows *rows)
{
	ol_error error = { 0 };

	for (size_t i = 0; rows->layers == 0 && i < rows->chained_count; i++)
		if (ol_lazy_whole_images(rows->worker->session, &rows->chained[i], &error) < 0)
			ol_lazy_log(rows->worker, NULL, "layer %s: its image: %s",
				ol_digest_short(&rows->chained[i]).text, error.text);
}

static void look(ol_lazy_worker *worker)
{
	struct rows rows = { .worker = worker };
	ol_store *store = worker->session->store;
	ol_error error = { 0 };
	ol_lazy_job *job;

	pthread_mutex_lock(&worker->lock);
	for (job = worker->jobs; job; job = job->next)
		job->listed = false;
	pthread_mutex_unlock(&worker->lock);
	if (ol_layer_each(store, see_row, &rows, &error) < 0)
		ol_lazy_log(worker, NULL, "the store's layers cannot be listed: %s", error.text);
	else
		finish_images(&rows);
	free(rows.chained);
	/* Jobs are only added, in front. */
	pthread_mutex_lock(&worker->lock);
	job = worker->jobs;
	pthread_mutex_unlock(&worker->lock);
	for (; job; job = job->next)
		ol_lazy_log_rest(job);
}

/* The first job, under the lock, that something is to be done about here. */
static ol_lazy_job *find_left(ol_lazy_worker *worker, bool *detach)
{
	for (ol_lazy_job *job = worker->jobs; job; job = job->next) {
		*detach = !job->mounted && job->payload_fd >= 0 && job->is != OL_JOB_OPENING;
		if (*detach || (job->is == OL_JOB_OPEN && !job->listed && !job->mounted))
			return job;
	}
	return NULL;
}

static void let_go(ol_lazy_worker *worker)
{
	ol_lazy_job *job;
	bool detach = false;

	for (;;) {
		pthread_mutex_lock(&worker->lock);
		job = worker->over ? NULL : find_left(worker, &detach);
		pthread_mutex_unlock(&worker->lock);
		if (!job)
			return;
		if (detach)
			ol_lazy_job_detach(job);
		else
			forget(job);
	}
}

/* A job that is waited for, mounted, being filled, or to be filled later. */
static bool is_idle(const ol_lazy_worker *worker)
{
	for (const ol_lazy_job *job = worker->jobs; job; job = job->next) {
		if (job->is == OL_JOB_OPENING || job->closing || job->unpacking || job->slices)
			return false;
		if (job->mounted && !job->present)
			return false;
		if (job->is == OL_JOB_CLOSED && job->listed && job->open_failures < OPENINGS_MAX)
			return false;
		if (job->is == OL_JOB_OPEN && job->listed && !job->source.no_fill &&
			job->lies < LIES_MAX)
			return false;
	}
	return !worker->queue.first && !worker->look;
}

void *ol_lazy_background_look(void *arg)
{
	ol_lazy_worker *worker = arg;
	bool told = false;

	be_nice();
	pthread_mutex_lock(&worker->lock);
	while (!worker->look && !worker->over)
		ol_lazy_worker_wait(worker, LOOK_MS);
	while (!worker->over) {
		bool idle;

		worker->look = false;
		pthread_mutex_unlock(&worker->lock);
		look(worker);
		let_go(worker);
		pthread_mutex_lock(&worker->lock);
		idle = is_idle(worker);
		if (idle && !told)
			ol_lazy_link_idle(worker->link);
		told = idle;
		if (!worker->look && !worker->over)
			ol_lazy_worker_wait(worker, LOOK_MS);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}
