/*
 * bound LAYOUT: what no puller can do without. Hashes the compressed bytes of every layer of an OCI
 * layout's image, inflates them, hashes the result; layers spread over all processors, largest
 * first, each layer's two halves (hash + inflate, hash) over two threads. Prints
 * {"wall": seconds, "cpu": seconds}. The blobs are read into memory before the clock starts.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/queue.h"
#include "snapshot/decode.h"

#define BLOCK ((size_t)128 << 10)

struct blob {
	unsigned char *data; /* owned */
	size_t size;
};

struct blobs {
	struct blob *list; /* owned */
	size_t count, cap, next;
	pthread_mutex_t lock; /* guards next */
};

static void *hash_plain(void *arg)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	ol_queue *queue = arg;
	ol_block *block;

	while (ol_queue_get(queue, &block, NULL) == OL_OK && block) {
		ol_hasher_update(hasher, block->data, block->size);
		ol_queue_return(queue, block);
	}
	(void)ol_hasher_final(hasher);
	return NULL;
}

static int inflate(const struct blob *blob, ol_queue *queue, ol_error *err)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	int rc = ol_decoder_new(ol_compression_sniff(blob->data, blob->size), &decoder, err);

	for (size_t at = 0; rc == OL_OK && at < blob->size;) {
		size_t piece = blob->size - at < BLOCK ? blob->size - at : BLOCK;
		ol_decode_step step = { .in = blob->data + at, .in_size = piece };
		bool more = true;

		ol_hasher_update(hasher, blob->data + at, piece);
		at += piece;
		while (rc == OL_OK && more) {
			ol_block *block;

			rc = ol_queue_blank(queue, &block, err);
			if (rc < 0)
				break;
			step.out = block->data;
			step.out_size = block->cap;
			step.made = 0;
			rc = ol_decoder_run(decoder, &step, err);
			block->size = step.made;
			more = step.in_size > 0 || step.made == block->cap;
			ol_queue_put(queue, block);
		}
	}
	return rc == OL_OK ? ol_decoder_finish(decoder, err) : rc;
}

static void *work(void *arg)
{
	struct blobs *blobs = arg;

	for (;;) {
		ol_auto(ol_queue_free) ol_queue *queue = ol_queue_new(12, BLOCK);
		const struct blob *blob = NULL;
		ol_error err = { 0 };
		pthread_t hasher;
		int rc;

		pthread_mutex_lock(&blobs->lock);
		if (blobs->next < blobs->count)
			blob = &blobs->list[blobs->next++];
		pthread_mutex_unlock(&blobs->lock);
		if (!blob)
			return NULL;
		if (pthread_create(&hasher, NULL, hash_plain, queue) != 0)
			exit(1);
		rc = inflate(blob, queue, &err);
		ol_queue_finish(queue, rc, &err);
		(void)pthread_join(hasher, NULL);
		if (rc < 0) {
			(void)fprintf(stderr, "bound: %s\n", err.text);
			exit(1);
		}
	}
}

static int larger_first(const void *a, const void *b)
{
	const struct blob *x = a, *y = b;

	return x->size < y->size ? 1 : x->size > y->size ? -1 : 0;
}

/* Every gzip or zstd blob of the layout is a layer of its one image. */
static int load(const char *path, struct blobs *blobs, ol_error *err)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		return ol_fail_sys(err, "%s", path);
	while ((entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		ol_autofree char *name = ol_text("%s/%s", path, entry->d_name);
		ol_autofd int fd = open(name, O_RDONLY | O_CLOEXEC);
		struct blob blob;
		struct stat st;
		int rc;

		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 4)
			continue;
		blob = (struct blob){ .data = ol_alloc((size_t)st.st_size),
			.size = (size_t)st.st_size };
		rc = ol_pread_all(fd, blob.data, blob.size, 0, err);
		if (rc == OL_OK &&
			ol_compression_sniff(blob.data, blob.size) == OL_COMPRESSION_NONE) {
			free(blob.data);
			continue;
		}
		if (rc < 0) {
			free(blob.data);
			(void)closedir(dir);
			return rc;
		}
		OL_GROW(blobs->list, blobs->count, blobs->cap);
		blobs->list[blobs->count++] = blob;
	}
	(void)closedir(dir);
	if (blobs->count > 0)
		qsort(blobs->list, blobs->count, sizeof *blobs->list, larger_first);
	return OL_OK;
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct blobs blobs = { .lock = PTHREAD_MUTEX_INITIALIZER };
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	ol_autofree char *path = argc == 2 ? ol_text("%s/blobs/sha256", argv[1]) : NULL;
	pthread_t threads[64];
	ol_error err = { 0 };
	double wall, cpu;

	if (!path) {
		(void)fprintf(stderr, "usage: bound LAYOUT\n");
		return 2;
	}
	if (load(path, &blobs, &err) < 0 || blobs.count == 0) {
		(void)fprintf(
			stderr, "bound: %s: %s\n", path, err.text[0] ? err.text : "no layers");
		return 1;
	}
	processors = processors > 64 ? 64 : processors;
	wall = seconds(CLOCK_MONOTONIC);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (long i = 0; i < processors; i++)
		if (pthread_create(&threads[i], NULL, work, &blobs) != 0)
			return 1;
	for (long i = 0; i < processors; i++)
		(void)pthread_join(threads[i], NULL);
	(void)printf("{\"wall\": %.3f, \"cpu\": %.3f}\n", seconds(CLOCK_MONOTONIC) - wall,
		seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	for (size_t i = 0; i < blobs.count; i++)
		free(blobs.list[i].data);
	free(blobs.list);
	return 0;
}
