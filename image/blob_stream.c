#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "image/blob_stream_priv.h"

#define WINDOW_BYTES ((uint64_t)4 << 20)
#define WINDOWS      4 /* in memory */
#define FETCHERS     2 /* so that a request's way is no pause */

struct stream {
	ol_reader reader;
	ol_registry *registry; /* lent, as what follows */
	const ol_ref *ref;
	const ol_descriptor *blob;
	uint64_t windows;    /* in all */
	char *data[WINDOWS]; /* owned; window n is in n % WINDOWS */
	uint64_t at;         /* next byte for the reader */
	atomic_bool closed;
	pthread_t threads[FETCHERS];
	unsigned thread_count;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	uint64_t next;    /* window to be fetched */
	uint64_t reading; /* those before it are done with */
	bool ready[WINDOWS];
	int rc;
	ol_error error;
};

struct window {
	struct stream *stream;
	uint64_t start, end;
	char *data;
};

/* From the transfer thread. */
static int receive(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	const struct window *window = ctx;

	if (window->stream->closed)
		return ol_fail(err, OL_ECANCELED, "interrupted");
	memcpy(window->data + (offset - window->start), data, size);
	return OL_OK;
}

static int fetch_window(struct stream *stream, uint64_t number, ol_error *err)
{
	struct window window = {
		.stream = stream,
		.start = number * WINDOW_BYTES,
		.end = (number + 1) * WINDOW_BYTES,
		.data = stream->data[number % WINDOWS],
	};
	const ol_blob_target target = { .write = receive, .ctx = &window };
	ol_fetch_range range;

	if (window.end > stream->blob->size)
		window.end = stream->blob->size;
	range = (ol_fetch_range){ window.start, window.end };
	return ol_registry_get_blob(
		stream->registry, stream->ref, stream->blob, &range, 1, &target, err);
}

/* The next window there is room for; false: no more. */
static bool take_window(struct stream *stream, uint64_t *number)
{
	bool taken;

	pthread_mutex_lock(&stream->lock);
	while (!stream->closed && stream->rc == OL_OK && stream->next < stream->windows &&
		stream->next >= stream->reading + WINDOWS)
		pthread_cond_wait(&stream->changed, &stream->lock);
	taken = !stream->closed && stream->rc == OL_OK && stream->next < stream->windows;
	if (taken)
		*number = stream->next++;
	pthread_mutex_unlock(&stream->lock);
	return taken;
}

static void *fetch(void *ctx)
{
	struct stream *stream = ctx;
	uint64_t number = 0;

	while (take_window(stream, &number)) {
		ol_error err = { 0 };
		const int rc = fetch_window(stream, number, &err);

		pthread_mutex_lock(&stream->lock);
		stream->ready[number % WINDOWS] = rc == OL_OK;
		if (rc < 0 && stream->rc == OL_OK) {
			stream->rc = rc;
			stream->error = err;
		}
		pthread_cond_broadcast(&stream->changed);
		pthread_mutex_unlock(&stream->lock);
	}
	return NULL;
}

static int await_window(struct stream *stream, uint64_t number, ol_error *err)
{
	int rc;

	pthread_mutex_lock(&stream->lock);
	while (stream->rc == OL_OK && !stream->ready[number % WINDOWS])
		pthread_cond_wait(&stream->changed, &stream->lock);
	rc = stream->ready[number % WINDOWS] ? OL_OK : stream->rc;
	if (rc < 0 && err)
		*err = stream->error;
	pthread_mutex_unlock(&stream->lock);
	return rc;
}

static void release_window(struct stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	stream->ready[stream->reading % WINDOWS] = false;
	stream->reading++;
	pthread_cond_broadcast(&stream->changed);
	pthread_mutex_unlock(&stream->lock);
}

static int stream_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct stream *stream = (struct stream *)reader;
	const uint64_t number = stream->at / WINDOW_BYTES, inside = stream->at % WINDOW_BYTES;
	uint64_t left = WINDOW_BYTES - inside;
	int rc;

	*got = 0;
	if (left > stream->blob->size - stream->at)
		left = stream->blob->size - stream->at;
	if (left == 0 || size == 0)
		return OL_OK;
	rc = await_window(stream, number, err);
	if (rc < 0)
		return rc;
	*got = size < left ? size : (size_t)left;
	memcpy(data, stream->data[number % WINDOWS] + inside, *got);
	stream->at += *got;
	if (*got == left)
		release_window(stream);
	return OL_OK;
}

static void stream_close(ol_reader *reader)
{
	struct stream *stream = (struct stream *)reader;

	pthread_mutex_lock(&stream->lock);
	stream->closed = true;
	pthread_cond_broadcast(&stream->changed);
	pthread_mutex_unlock(&stream->lock);
	for (unsigned i = 0; i < stream->thread_count; i++)
		(void)pthread_join(stream->threads[i], NULL);
	for (unsigned i = 0; i < WINDOWS; i++)
		free(stream->data[i]);
	pthread_mutex_destroy(&stream->lock);
	pthread_cond_destroy(&stream->changed);
	free(stream);
}

ol_reader *ol_blob_stream(ol_registry *registry, const ol_ref *ref, const ol_descriptor *blob)
{
	static const ol_reader_ops ops = { stream_read, stream_close };
	struct stream *stream = ol_alloc(sizeof *stream);

	stream->reader.ops = &ops;
	stream->registry = registry;
	stream->ref = ref;
	stream->blob = blob;
	stream->windows = (blob->size + WINDOW_BYTES - 1) / WINDOW_BYTES;
	pthread_mutex_init(&stream->lock, NULL);
	pthread_cond_init(&stream->changed, NULL);
	for (unsigned i = 0; i < WINDOWS; i++)
		stream->data[i] = ol_alloc(WINDOW_BYTES);
	while (stream->thread_count < FETCHERS &&
		pthread_create(&stream->threads[stream->thread_count], NULL, fetch, stream) == 0)
		stream->thread_count++;
	if (stream->thread_count == 0) {
		stream_close(&stream->reader);
		return NULL;
	}
	return &stream->reader;
}
