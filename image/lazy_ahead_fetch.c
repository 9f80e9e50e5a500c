/*
 * The threads that fetch beside readers (image/lazy_ahead_priv.h), and inflate what has come, so
 * that the next read finds it in the payload and the holder answers it by itself.
 */
#include <assert.h>
#include <time.h>

#include "base/clock.h"
#include "image/lazy_worker_priv.h"

#define RANGES_MAX 16
/* While reads come it is looked so often whether the link has room. */
#define ROOM_MS 4
#define IDLE_MS 2000

struct slice {
	ol_lazy_job *job; /* its serving is read-locked */
	ol_range mine[RANGES_MAX];
	size_t count;
};

/* With the worker's lock held, as all up to next_slice. */
static uint64_t flying(const ol_lazy_worker *worker)
{
	uint64_t bytes = 0;

	for (const ol_lazy_job *job = worker->jobs; job; job = job->next)
		if (job->state)
			bytes += ol_lazy_state_counters(job->state)->fetching;
	return bytes;
}

static bool take(ol_lazy_job *job, ol_ahead_note *note, uint64_t most, struct slice *out)
{
	ol_range around, missing[RANGES_MAX];
	bool busy;

	out->job = job;
	out->count = 0;
	while (out->count == 0 && ol_ahead_next(note, most, &around)) {
		const size_t lacks =
			ol_flight_missing(job->ingest, &around, 1, missing, RANGES_MAX);

		out->count =
			ol_flight_take(job->flight, &(ol_flight_wish){ missing, lacks, UINT64_MAX },
				out->mine, RANGES_MAX, &busy);
	}
	return out->count > 0;
}

/* Nobody waits for the lock of a job: who has it for writing waits for us. */
static bool take_note(ol_ahead_note *note, uint64_t most, struct slice *out)
{
	ol_lazy_job *job = note->of;

	if (pthread_rwlock_tryrdlock(&job->serving) != 0)
		return false;
	if (job->filler && job->ingest && !job->poisoned && take(job, note, most, out))
		return true;
	pthread_rwlock_unlock(&job->serving);
	return false;
}

/* In widening circles: what is near to any read before what is far from the latest. */
static bool pick(ol_lazy_worker *worker, struct slice *out)
{
	for (uint64_t most = OL_AHEAD_NEAR_BYTES; most <= OL_AHEAD_FAR_BYTES; most *= 4)
		for (size_t i = 0; i < OL_AHEAD_NOTES && worker->ahead.notes[i].of; i++)
			if (take_note(&worker->ahead.notes[i], most, out))
				return true;
	return false;
}

/* What is fetched anyway is no loss if nobody reads it. */
static bool is_loss(const ol_lazy_job *job)
{
	return job->source.no_fill || job->source.rate_bytes > 0;
}

static bool next_slice(ol_lazy_worker *worker, struct slice *out)
{
	pthread_mutex_lock(&worker->lock);
	while (!worker->over) {
		const uint64_t now_ms = ol_now_ms();

		/* What a start is known to need is no guess, and goes before. */
		if (!ol_lazy_wants_prefetch(worker) &&
			ol_ahead_may(&worker->ahead, flying(worker), now_ms) && pick(worker, out)) {
			for (size_t i = 0; i < out->count && is_loss(out->job); i++)
				worker->ahead.spent += out->mine[i].end - out->mine[i].start;
			break;
		}
		ol_lazy_worker_wait(
			worker, ol_ahead_is_awake(&worker->ahead, now_ms) ? ROOM_MS : IDLE_MS);
	}
	pthread_mutex_unlock(&worker->lock);
	return !worker->over;
}

void ol_lazy_inflate(ol_lazy_job *job, const ol_range *came, size_t count, ol_lazy_cause cause)
{
	const ol_lazy_table *table = &job->table;

	/* What the holder finds in the payload it does not ask for, and nobody would write it down.
	 */
	if (ol_lazy_is_recorded(job))
		return;
	/* What fails is told when somebody reads it. */
	for (size_t i = 0; i < count; i++)
		for (size_t piece = ol_lazy_table_piece(table, came[i].start);
			piece < table->piece_count && table->pieces[piece].begin < came[i].end;
			piece++)
			if (ol_ingest_has(job->ingest, table->pieces[piece].begin,
				    table->pieces[piece].end))
				ol_filler_piece(job->filler, (uint32_t)piece, cause);
}

void *ol_lazy_ahead_fetch(void *arg)
{
	ol_lazy_worker *worker = arg;
	struct slice slice = { .count = 0 };

	while (next_slice(worker, &slice)) {
		ol_lazy_job *job = slice.job;

		assert(job);
		if (ol_lazy_fetch_taken(job, slice.mine, slice.count, OL_LAZY_AHEAD, NULL) == OL_OK)
			ol_lazy_inflate(job, slice.mine, slice.count, OL_LAZY_AHEAD);
		pthread_rwlock_unlock(&job->serving);
	}
	return NULL;
}
