/*
 * Blobs on their way. What is read may come from anywhere, so it is hashed as it is let go, piece
 * by piece, and the last piece is not let go unless the digest is right:
 *
 *	file      its bytes are all there                 hash ─▶ ready
 *	ingest    registry ─▶ ingest ─▶ contiguous prefix ─▶ hash ─▶ ready
 *	memory    verified before
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "image/transport_priv.h"
#include "store/ingest.h"

#define HASH_BYTES ((size_t)256 << 10)

void ol_cargo_end(ol_cargo *cargo, bool whole)
{
	ol_source_close(cargo->source);
	if (cargo->end)
		cargo->end(cargo->ctx, whole);
	*cargo = (ol_cargo){ 0 };
}

/* --- hashed as it goes --- */

struct proof {
	ol_source *source; /* lent */
	ol_hasher *hasher; /* owned */
	ol_digest want;
	uint64_t at, size; /* bytes hashed, and in all */
};

static void proof_init(struct proof *proof, ol_source *source, const ol_descriptor *blob)
{
	*proof = (struct proof){ .source = source,
		.hasher = ol_hasher_new(blob->digest.algorithm),
		.want = blob->digest,
		.size = blob->size };
}

/* What lies before `to` may be let go. */
static int prove(struct proof *proof, uint64_t to, ol_error *err)
{
	ol_autofree char *buffer = proof->at < to ? ol_alloc(HASH_BYTES) : NULL;
	int rc = OL_OK;

	while (rc == OL_OK && proof->at < to) {
		size_t part = to - proof->at < HASH_BYTES ? (size_t)(to - proof->at) : HASH_BYTES;

		rc = ol_source_read_at(proof->source, proof->at, buffer, part, err);
		if (rc < 0)
			return rc;
		ol_hasher_update(proof->hasher, buffer, part);
		proof->at += part;
		if (proof->at == proof->size) {
			ol_digest got = ol_hasher_final(proof->hasher);

			rc = ol_digest_check(&proof->want, &got, err);
		}
	}
	return rc;
}

/* --- a file --- */

struct file {
	struct proof proof;
	ol_source *source; /* lent */
};

static int file_ready(void *ctx, uint64_t from, uint64_t want, uint64_t *to, ol_error *err)
{
	struct file *file = ctx;

	(void)from;
	(void)want;
	return prove(&file->proof, *to, err);
}

static void file_end(void *ctx, bool whole)
{
	struct file *file = ctx;

	(void)whole;
	ol_hasher_free(file->proof.hasher);
	free(file);
}

int ol_cargo_of_file(int fd, const ol_descriptor *blob, ol_cargo *out, ol_error *err)
{
	struct file *file;
	struct stat st;

	if (fstat(fd, &st) < 0) {
		(void)close(fd);
		return ol_fail_sys(err, "blob %s", ol_digest_format(&blob->digest).text);
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != blob->size) {
		(void)close(fd);
		return ol_fail(err, OL_ECORRUPT,
			"blob %s has %lld bytes where its descriptor says %llu",
			ol_digest_format(&blob->digest).text, (long long)st.st_size,
			(unsigned long long)blob->size);
	}
	file = ol_alloc(sizeof *file);
	file->source = ol_source_of_fd(fd, blob->size);
	proof_init(&file->proof, file->source, blob);
	*out = (ol_cargo){ file->source, file_ready, file_end, file };
	return OL_OK;
}

/* --- memory --- */

static void bytes_end(void *ctx, bool whole)
{
	(void)whole;
	free(ctx);
}

void ol_cargo_of_bytes(ol_buf *bytes, ol_cargo *out)
{
	size_t size = bytes->size;
	char *data = ol_buf_steal(bytes);

	*out = (ol_cargo){
		.source = ol_source_of_memory(data ? data : "", size), .end = bytes_end, .ctx = data
	};
}

/* --- from a registry, through an ingest --- */

struct fetched {
	ol_copy *copy; /* lent */
	ol_registry *registry;
	ol_ref *refs; /* owned */
	size_t count;
	ol_descriptor blob; /* its strings are not looked at */
	ol_ingest *ingest;  /* owned */
	ol_source *own;     /* owned: what the proof reads */
	pthread_t thread;
	atomic_bool unwanted;
	bool corrupt;
	struct proof proof;
};

/* From the transfer thread. */
static int receive(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	struct fetched *fetched = ctx;

	if (fetched->unwanted || fetched->copy->stopped)
		return ol_fail(err, OL_ECANCELED, "interrupted");
	return ol_ingest_write(fetched->ingest, offset, data, size, err);
}

#define RANGES_MAX 64

static int fetch_from(struct fetched *fetched, const ol_ref *ref, ol_error *err)
{
	ol_blob_target target = { .write = receive, .ctx = fetched };
	ol_range missing[RANGES_MAX];
	ol_fetch_range ranges[RANGES_MAX];
	int rc = OL_OK;

	for (size_t count; rc == OL_OK &&
			   (count = ol_ingest_missing(fetched->ingest, missing, RANGES_MAX)) > 0;) {
		for (size_t i = 0; i < count; i++)
			ranges[i] = (ol_fetch_range){ missing[i].start, missing[i].end };
		rc = ol_registry_get_blob(
			fetched->registry, ref, &fetched->blob, ranges, count, &target, err);
	}
	return rc < 0 ? ol_wrap(err, rc, "%s", ol_ref_name_familiar(ref).text) : OL_OK;
}

static void *fetch(void *ctx)
{
	struct fetched *fetched = ctx;
	ol_error err = { 0 };
	int rc = OL_ENOTFOUND;

	/* What was asked first says best why there is none. */
	for (size_t i = 0; i < fetched->count && rc != OL_OK && rc != OL_ECANCELED; i++) {
		ol_error later = { 0 };

		rc = fetch_from(fetched, &fetched->refs[i], i == 0 ? &err : &later);
	}
	ol_ingest_finish(fetched->ingest, rc, &err);
	return NULL;
}

static int fetched_ready(void *ctx, uint64_t from, uint64_t want, uint64_t *to, ol_error *err)
{
	struct fetched *fetched = ctx;
	uint64_t have = 0;
	int rc = ol_ingest_wait(fetched->ingest, from + want, fetched->copy->stop, &have, err);

	if (rc < 0)
		return rc;
	if (have < *to)
		*to = have;
	if (have < from + want)
		return ol_fail(err, OL_EUNAVAILABLE, "the transfer ended at byte %llu of %llu",
			(unsigned long long)have, (unsigned long long)fetched->blob.size);
	rc = prove(&fetched->proof, *to, err);
	fetched->corrupt = fetched->corrupt || rc == OL_ECORRUPT;
	return rc;
}

static void fetched_end(void *ctx, bool whole)
{
	struct fetched *fetched = ctx;

	fetched->unwanted = true;
	(void)pthread_join(fetched->thread, NULL);
	ol_source_close(fetched->own);
	ol_hasher_free(fetched->proof.hasher);
	/* What has arrived was only a means; so was what is wrong. The rest is for the next try. */
	if (whole || fetched->corrupt)
		(void)ol_ingest_drop(fetched->ingest, NULL);
	else
		ol_ingest_close(fetched->ingest);
	free(fetched->refs);
	free(fetched);
}

static int open_ingest(struct fetched *fetched, ol_error *err)
{
	ol_copy *copy = fetched->copy;
	const ol_ingest_options options = {
		.digest = fetched->blob.digest,
		.size = fetched->blob.size,
		.cancel = copy->stop,
		.listener = &copy->session->options.listener,
	};
	int rc = ol_lease_add(copy->lease, &fetched->blob.digest, err);

	if (rc == OL_OK)
		rc = ol_copy_registry(copy, false, &fetched->registry, err);
	return rc < 0 ? rc : ol_ingest_open(copy->session->store, &options, &fetched->ingest, err);
}

int ol_cargo_fetch(ol_copy *copy, const ol_ref *refs, size_t count, const ol_descriptor *blob,
	ol_cargo *out, ol_error *err)
{
	struct fetched *fetched = ol_alloc(sizeof *fetched);
	int rc;

	fetched->copy = copy;
	fetched->blob = *blob;
	rc = open_ingest(fetched, err);
	if (rc < 0) {
		free(fetched);
		return rc;
	}
	fetched->refs = ol_memdup(refs, count * sizeof *refs);
	fetched->count = count;
	fetched->own = ol_ingest_source(fetched->ingest);
	proof_init(&fetched->proof, fetched->own, blob);
	if (pthread_create(&fetched->thread, NULL, fetch, fetched) != 0) {
		ol_source_close(fetched->own);
		ol_hasher_free(fetched->proof.hasher);
		ol_ingest_close(fetched->ingest);
		free(fetched->refs);
		free(fetched);
		return ol_fail(err, OL_ESYSTEM, "cannot start a thread");
	}
	*out = (ol_cargo){ ol_ingest_source(fetched->ingest), fetched_ready, fetched_end, fetched };
	return OL_OK;
}

/* --- as a stream --- */

struct stream {
	ol_reader reader;
	ol_cargo *cargo; /* lent */
	uint64_t at, ready, size;
};

#define STREAM_STEP ((uint64_t)1 << 20)

static int stream_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct stream *stream = (struct stream *)reader;
	const ol_cargo *cargo = stream->cargo;
	uint64_t left = stream->size - stream->at;
	int rc = OL_OK;

	*got = 0;
	if (left == 0)
		return OL_OK;
	if (stream->at == stream->ready) {
		stream->ready = stream->at + (left < STREAM_STEP ? left : STREAM_STEP);
		if (cargo->ready)
			rc = cargo->ready(cargo->ctx, stream->at, stream->ready - stream->at,
				&stream->ready, err);
	}
	if (rc == OL_OK) {
		*got = stream->ready - stream->at < size ? (size_t)(stream->ready - stream->at)
							 : size;
		rc = ol_source_read_at(cargo->source, stream->at, data, *got, err);
		stream->at += *got;
	}
	return rc;
}

static void stream_close(ol_reader *reader)
{
	free(reader);
}

ol_reader *ol_cargo_reader(ol_cargo *cargo, uint64_t size)
{
	static const ol_reader_ops ops = { stream_read, stream_close };
	struct stream *stream = ol_alloc(sizeof *stream);

	stream->reader.ops = &ops;
	stream->cargo = cargo;
	stream->size = size;
	return &stream->reader;
}
