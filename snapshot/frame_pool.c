/*
 * Frames are handed to threads in order, and lie in a ring until they are asked for: who compresses
 * is at most a ring ahead of who writes.
 */
#include "snapshot/frame_pool.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/frame_codec_priv.h"

#define IN_BYTES    ((size_t)256 << 10)
#define THREADS_MAX 16
/* Of one frame, compressed. A chunk may be as large as the user likes. */
#define FRAME_BYTES_MAX ((size_t)4 << 30)

struct slot {
	ol_buf bytes; /* owned */
	bool ready;
};

struct ol_frame_pool {
	ol_frame_pool_options options;
	pthread_t threads[THREADS_MAX];
	size_t thread_count;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t change;
	struct slot *slots; /* owned; frame i lies in slot i % slot_count */
	size_t slot_count;
	size_t begun, taken; /* frames somebody has begun; frames given out and done with */
	bool lent;           /* frame `taken` is with the caller */
	bool over;
	int rc; /* the first failure */
	ol_error error;
};

/* What one thread has of its own. */
struct worker {
	ol_frame_pool *pool;
	ol_compressor *compressor; /* owned */
	char *buffer;              /* owned: IN_BYTES */
};

static void tell(ol_frame_pool *pool, uint64_t bytes)
{
	if (!pool->options.progress)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->options.progress(pool->options.ctx, bytes);
	pthread_mutex_unlock(&pool->lock);
}

static int press_part(const struct worker *worker, const ol_frame_part *part, bool last,
	ol_buf *out, ol_error *err)
{
	const ol_frame_pool_options *options = &worker->pool->options;
	int rc = OL_OK;

	for (uint64_t at = 0; rc == OL_OK && at < part->size;) {
		const size_t size =
			part->size - at < IN_BYTES ? (size_t)(part->size - at) : IN_BYTES;
		const char *data = part->bytes ? (const char *)part->bytes + at : worker->buffer;

		rc = ol_cancel_check(options->cancel, err);
		if (rc == OL_OK && !part->bytes)
			rc = ol_pread_all(
				options->fd, worker->buffer, size, part->offset + at, err);
		at += size;
		if (rc == OL_OK)
			rc = ol_compressor_run(
				worker->compressor, data, size, last && at == part->size, out, err);
		if (rc == OL_OK)
			tell(worker->pool, size);
	}
	return rc;
}

static int press(const struct worker *worker, size_t frame, ol_buf *out, ol_error *err)
{
	const ol_frame_plan *plan = worker->pool->options.plan;
	const size_t from = frame ? plan->ends[frame - 1] : 0, to = plan->ends[frame];
	int rc = OL_OK;

	for (size_t i = from; rc == OL_OK && i < to; i++)
		rc = press_part(worker, &plan->parts[i], i + 1 == to, out, err);
	return rc;
}

/* The next frame to be begun; false: there is none. */
static bool take(ol_frame_pool *pool, size_t *frame)
{
	const size_t count = pool->options.plan->count;
	bool got;

	pthread_mutex_lock(&pool->lock);
	while (!pool->over && pool->rc == OL_OK && pool->begun < count &&
		pool->begun >= pool->taken + pool->slot_count)
		pthread_cond_wait(&pool->change, &pool->lock);
	got = !pool->over && pool->rc == OL_OK && pool->begun < count;
	if (got)
		*frame = pool->begun++;
	pthread_mutex_unlock(&pool->lock);
	return got;
}

static void put(ol_frame_pool *pool, size_t frame, int rc, const ol_error *err)
{
	pthread_mutex_lock(&pool->lock);
	pool->slots[frame % pool->slot_count].ready = rc == OL_OK;
	if (rc < 0 && pool->rc == OL_OK) {
		pool->rc = rc;
		pool->error = *err;
	}
	pthread_cond_broadcast(&pool->change);
	pthread_mutex_unlock(&pool->lock);
}

static void *work(void *ctx)
{
	ol_autofree char *buffer = ol_alloc(IN_BYTES);
	struct worker worker = { .pool = ctx, .buffer = buffer };
	ol_frame_pool *pool = worker.pool;
	size_t frame;

	while (take(pool, &frame)) {
		ol_error err = { 0 };
		ol_buf *bytes = &pool->slots[frame % pool->slot_count].bytes;
		int rc = OL_OK;

		if (!worker.compressor)
			rc = ol_compressor_new(
				pool->options.codec, pool->options.level, &worker.compressor, &err);
		if (rc == OL_OK)
			rc = press(&worker, frame, bytes, &err);
		put(pool, frame, rc, &err);
	}
	ol_compressor_free(worker.compressor);
	return NULL;
}

int ol_frame_pool_new(const ol_frame_pool_options *options, ol_frame_pool **out, ol_error *err)
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t want = processors < 1 ? 1 : (size_t)processors;
	ol_frame_pool *pool = ol_alloc(sizeof *pool);

	if (want > THREADS_MAX)
		want = THREADS_MAX;
	pool->options = *options;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->change, NULL);
	pool->slot_count = 2 * want + 2;
	pool->slots = ol_alloc_array(pool->slot_count, sizeof *pool->slots);
	for (size_t i = 0; i < pool->slot_count; i++)
		pool->slots[i].bytes = OL_BUF(FRAME_BYTES_MAX);
	while (pool->thread_count < want &&
		pthread_create(&pool->threads[pool->thread_count], NULL, work, pool) == 0)
		pool->thread_count++;
	if (pool->thread_count == 0) {
		ol_frame_pool_free(pool);
		return ol_fail(err, OL_ESYSTEM, "cannot start a thread");
	}
	*out = pool;
	return OL_OK;
}

void ol_frame_pool_free(ol_frame_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->over = true;
	pthread_cond_broadcast(&pool->change);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->thread_count; i++)
		(void)pthread_join(pool->threads[i], NULL);
	for (size_t i = 0; i < pool->slot_count; i++)
		ol_buf_done(&pool->slots[i].bytes);
	free(pool->slots);
	pthread_cond_destroy(&pool->change);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* What the caller had is free again. */
static void give_back(ol_frame_pool *pool)
{
	struct slot *slot = &pool->slots[pool->taken % pool->slot_count];

	if (!pool->lent)
		return;
	ol_buf_clear(&slot->bytes);
	slot->ready = pool->lent = false;
	pool->taken++;
	pthread_cond_broadcast(&pool->change);
}

int ol_frame_pool_next(ol_frame_pool *pool, const ol_buf **out, ol_error *err)
{
	struct slot *slot;
	int rc;

	pthread_mutex_lock(&pool->lock);
	give_back(pool);
	slot = &pool->slots[pool->taken % pool->slot_count];
	while (pool->rc == OL_OK && pool->taken < pool->options.plan->count && !slot->ready)
		pthread_cond_wait(&pool->change, &pool->lock);
	rc = pool->rc;
	if (rc < 0 && err)
		*err = pool->error;
	if (rc == OL_OK) {
		pool->lent = pool->taken < pool->options.plan->count;
		*out = pool->lent ? &slot->bytes : NULL;
	}
	pthread_mutex_unlock(&pool->lock);
	return rc;
}
