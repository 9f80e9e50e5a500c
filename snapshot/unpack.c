/*
 * The pipeline. Blocks go from stage to stage through two queues. A stage that cannot go on tells
 * the one before it (give up) and the one after it (finish with its failure), so all three end:
 *
 *	            finish(rc) ─▶              finish(rc) ─▶
 *	read_stage ── packed ──▶ decode_stage ── plain ──▶ build_stage (the caller's thread)
 *	            ◀─ give up                 ◀─ give up
 *
 * What the user is told is the first cause: each stage records its own failure in the pipeline,
 * where only the first one stays; what it hears from a neighbour is not its own.
 *
 * The scheduler does the rest: a core runs whichever stage has work, so on two cores one layer
 * takes half of what hash + inflate + hash + write take together, or as long as the slowest.
 */
#include "snapshot/unpack.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/queue.h"
#include "base/trace.h"
#include "snapshot/decode.h"
#include "snapshot/unpack_priv.h"

/* 2 MiB a layer. Blocks are small enough for the caches, and for a start before much has come. */
#define PACKED_BLOCKS      8
#define PACKED_BLOCK_BYTES ((size_t)64 << 10)
#define PLAIN_BLOCKS       12
#define PLAIN_BLOCK_BYTES  ((size_t)128 << 10)
_Static_assert(
	PACKED_BLOCKS *PACKED_BLOCK_BYTES + PLAIN_BLOCKS * PLAIN_BLOCK_BYTES <= (size_t)2 << 20,
	"the queues of one layer");

/* Small files compress well; only past this does a ratio prove a bomb. */
#define RATIO_FREE_BYTES ((uint64_t)64 << 20)

struct pipeline {
	const ol_unpack_options *options; /* lent */
	ol_reader *reader;                /* lent */
	ol_queue *packed, *plain;         /* owned */
	ol_unpack_index *index;           /* owned; NULL: no ztoc is made */
	/* Set by the decoding stage before its first block is put, read by the building one after
	 * it. */
	/* nothing to decode, and DiffID and blob digest are one: hashed once */
	bool plain_is_packed;
	uint64_t blob_size, tar_bytes; /* of the reading and of the building stage */
	ol_digest blob, diff_id;       /* as they turned out */
	atomic_bool failed;            /* a first failure has been recorded */
	pthread_mutex_t lock;          /* guards the two below */
	int rc;
	ol_error error;
};

/* A stage's own failure. The first one counts, and stops the others wherever they wait. */
static void pipeline_fail(struct pipeline *p, int rc, const ol_error *error)
{
	pthread_mutex_lock(&p->lock);
	if (p->rc == OL_OK) {
		p->rc = rc;
		p->error = *error;
	}
	pthread_mutex_unlock(&p->lock);
	atomic_store(&p->failed, true);
	if (p->options->stop)
		ol_cancel_fire(p->options->stop);
}

/* "layer blob sha256:…", or "layer blob" where nobody knows its digest yet. */
struct blob_name {
	char text[16 + OL_DIGEST_TEXT_MAX];
};

static struct blob_name blob_name(const ol_unpack_options *options)
{
	struct blob_name name = { "layer blob" };

	if (ol_digest_is_set(&options->blob))
		(void)snprintf(name.text, sizeof name.text, "layer blob %s",
			ol_digest_format(&options->blob).text);
	return name;
}

static int check_blob(
	const struct pipeline *p, uint64_t size, const ol_digest *digest, ol_error *err)
{
	const ol_unpack_options *o = p->options;
	ol_digest_text name = ol_digest_format(&o->blob);

	if (!ol_digest_is_set(&o->blob))
		return OL_OK;
	if (size != o->blob_size)
		return ol_fail(err, OL_ECORRUPT, "layer blob %s: size is %s%llu, not %llu",
			name.text, size > o->blob_size ? "at least " : "", (unsigned long long)size,
			(unsigned long long)o->blob_size);
	if (!ol_digest_eq(digest, &o->blob))
		return ol_fail(err, OL_ECORRUPT, "layer blob %s: digest is %s, not %s", name.text,
			ol_digest_format(digest).text, name.text);
	return OL_OK;
}

static ol_hasher *hasher_for(const ol_digest *expected)
{
	return ol_hasher_new(ol_digest_is_set(expected) ? expected->algorithm : OL_SHA256);
}

/* reader → packed, hashing. *passed_on: the failure is the next stage's. */
static int read_blocks(struct pipeline *p, bool *passed_on, ol_error *err)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = hasher_for(&p->options->blob);
	uint64_t size = 0;
	int rc;

	for (;;) {
		ol_block *block;

		rc = ol_queue_blank(p->packed, &block, err);
		if (rc < 0) {
			*passed_on = true;
			return rc;
		}
		rc = ol_cancel_check(p->options->cancel, err);
		if (rc == OL_OK)
			rc = ol_reader_read(p->reader, block->data, block->cap, &block->size, err);
		if (rc < 0)
			return rc;
		size += block->size;
		if (block->size == 0) {
			p->blob = ol_hasher_final(hasher);
			p->blob_size = size;
			return check_blob(p, size, &p->blob, err);
		}
		if (ol_digest_is_set(&p->options->blob) && size > p->options->blob_size)
			return check_blob(p, size, NULL, err);
		ol_hasher_update(hasher, block->data, block->size);
		ol_queue_put(p->packed, block);
		if (p->options->progress)
			p->options->progress(p->options->ctx, size);
	}
}

static void *read_stage(void *arg)
{
	struct pipeline *p = arg;
	ol_error error = { 0 };
	bool passed_on = false;
	int rc = read_blocks(p, &passed_on, &error);

	if (rc < 0 && !passed_on)
		pipeline_fail(p, rc, &error);
	ol_queue_finish(p->packed, rc, &error);
	return NULL;
}

static const char *compression_name(ol_compression compression)
{
	static const char *const names[] = {
		[OL_COMPRESSION_UNKNOWN] = "unknown",
		[OL_COMPRESSION_NONE] = "not compressed",
		[OL_COMPRESSION_GZIP] = "gzip",
		[OL_COMPRESSION_ZSTD] = "zstd",
	};

	return names[compression];
}

/* One decoding: what it works with. */
struct decoding {
	struct pipeline *p;
	ol_decoder *decoder;   /* owned; NULL until the first bytes have come */
	unsigned char head[4]; /* of the stream, until they are enough to tell its compression */
	size_t head_size;
	ol_block *out; /* being filled, or NULL */
	uint64_t in_bytes, out_bytes;
	bool inside_gate;
	bool passed_on; /* the failure is a neighbour's, or told by one */
};

/* Media type and bytes must agree: another tool that trusts the type would see another layer. */
static int decoding_start(struct decoding *d, ol_error *err)
{
	const ol_unpack_options *o = d->p->options;
	ol_compression found = ol_compression_sniff(d->head, d->head_size);

	if (o->compression != OL_COMPRESSION_UNKNOWN && o->compression != found)
		return ol_fail(err, OL_ECORRUPT, "%s: its media type says %s, but its bytes are %s",
			blob_name(o).text, compression_name(o->compression),
			compression_name(found));
	/* Unknown both, they are equal, too. */
	d->p->plain_is_packed = found == OL_COMPRESSION_NONE && ol_digest_eq(&o->blob, &o->diff_id);
	return d->p->index && found == OL_COMPRESSION_GZIP
		       ? ol_unpack_index_decoder(d->p->index, &d->decoder, err)
		       : ol_decoder_new(found, &d->decoder, err);
}

static bool decoding_given_up(void *ctx)
{
	const struct decoding *d = ctx;

	return atomic_load(&d->p->failed) || ol_cancel_fired(d->p->options->cancel);
}

/* A window that is too large to have several of waits for its turn. */
static int decoding_look_at_window(struct decoding *d, ol_error *err)
{
	const uint64_t easy = (uint64_t)1 << OL_ZSTD_WINDOW_LOG_EASY;
	int rc;

	if (d->inside_gate || ol_decoder_window_bytes(d->decoder) <= easy)
		return OL_OK;
	ol_trace("snapshot", "layer blob %s has a window of %llu bytes: decoded alone",
		ol_digest_short(&d->p->options->blob).text,
		(unsigned long long)ol_decoder_window_bytes(d->decoder));
	rc = ol_unpack_gate_enter(d->p->options->gate, decoding_given_up, d, err);
	d->inside_gate = rc == OL_OK;
	return rc;
}

static int check_growth(const struct decoding *d, ol_error *err)
{
	struct blob_name name;

	if (d->out_bytes <= RATIO_FREE_BYTES)
		return OL_OK;
	name = blob_name(d->p->options);
	if (d->out_bytes > OL_LAYER_TAR_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "%s: holds more than %llu bytes", name.text,
			(unsigned long long)OL_LAYER_TAR_BYTES_MAX);
	if (d->out_bytes / OL_LAYER_RATIO_MAX > d->in_bytes)
		return ol_fail(err, OL_ELIMIT, "%s: %llu bytes hold more than %llu: this is a bomb",
			name.text, (unsigned long long)d->in_bytes,
			(unsigned long long)d->out_bytes);
	return OL_OK;
}

/* Decodes all of in. Blocks go on when they are full, and the last one at the end. */
static int decoding_run(struct decoding *d, const unsigned char *in, size_t size, ol_error *err)
{
	ol_decode_step step = { .in = in, .in_size = size };
	bool more = true;
	int rc;

	while (more) {
		size_t in_before = step.in_size;

		if (!d->out) {
			rc = ol_queue_blank(d->p->plain, &d->out, err);
			if (rc < 0) {
				d->passed_on = true;
				return rc;
			}
		}
		step.out = d->out->data + d->out->size;
		step.out_size = d->out->cap - d->out->size;
		step.made = 0;
		rc = ol_cancel_check(d->p->options->cancel, err);
		if (rc == OL_OK)
			rc = ol_decoder_run(d->decoder, &step, err);
		if (rc < 0)
			return rc;
		d->out->size += step.made;
		d->out_bytes += step.made;
		d->in_bytes += in_before - step.in_size;
		rc = check_growth(d, err);
		if (rc == OL_OK)
			rc = decoding_look_at_window(d, err);
		if (rc < 0)
			return rc;
		/* A decoder may hold back what a full block had no room for. */
		more = step.in_size > 0 || d->out->size == d->out->cap;
		if (d->out->size == d->out->cap) {
			ol_queue_put(d->p->plain, d->out);
			d->out = NULL;
		}
	}
	return OL_OK;
}

/* Holds the first bytes back until there are enough of them to tell the compression. */
static int decoding_take(struct decoding *d, const unsigned char *in, size_t size, ol_error *err)
{
	int rc;

	if (!d->decoder) {
		while (size > 0 && d->head_size < sizeof d->head) {
			d->head[d->head_size++] = *in++;
			size--;
		}
		if (d->head_size < sizeof d->head)
			return OL_OK;
		rc = decoding_start(d, err);
		if (rc == OL_OK)
			rc = decoding_run(d, d->head, d->head_size, err);
		if (rc < 0)
			return rc;
	}
	return size > 0 ? decoding_run(d, in, size, err) : OL_OK;
}

static int decoding_end(struct decoding *d, ol_error *err)
{
	int rc = OL_OK;

	if (!d->decoder) {
		rc = decoding_start(d, err);
		if (rc == OL_OK && d->head_size > 0)
			rc = decoding_run(d, d->head, d->head_size, err);
	}
	if (rc == OL_OK)
		rc = ol_decoder_finish(d->decoder, err);
	if (rc == OL_OK && d->out && d->out->size > 0) {
		ol_queue_put(d->p->plain, d->out);
		d->out = NULL;
	}
	return rc;
}

static int decode_blocks(struct decoding *d, ol_error *err)
{
	int rc = OL_OK;

	while (rc == OL_OK) {
		ol_block *block;

		rc = ol_queue_get(d->p->packed, &block, err);
		ol_unpack_index_pace(d->p->index, true);
		if (rc < 0) {
			d->passed_on = true;
			return rc;
		}
		if (!block)
			return decoding_end(d, err);
		rc = decoding_take(d, block->data, block->size, err);
		ol_unpack_index_pace(d->p->index, false);
		ol_queue_return(d->p->packed, block);
	}
	return rc;
}

static void *decode_stage(void *arg)
{
	struct pipeline *p = arg;
	struct decoding d = { .p = p };
	ol_error error = { 0 };
	int rc = decode_blocks(&d, &error);

	if (d.inside_gate)
		ol_unpack_gate_leave(p->options->gate);
	ol_decoder_free(d.decoder);
	if (rc < 0 && !d.passed_on)
		pipeline_fail(p, rc, &error);
	ol_queue_give_up(p->packed);
	ol_queue_finish(p->plain, rc, &error);
	return NULL;
}

/* plain → hash → builder. *passed_on: the failure is an earlier stage's. */
static int build_blocks(struct pipeline *p, ol_builder *builder, bool *passed_on, ol_error *err)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = hasher_for(&p->options->diff_id);
	ol_block *block;
	int rc;

	for (;;) {
		rc = ol_queue_get(p->plain, &block, err);
		if (rc < 0) {
			*passed_on = true;
			return rc;
		}
		if (!block)
			break;
		rc = ol_cancel_check(p->options->cancel, err);
		if (rc < 0)
			return rc;
		if (!p->plain_is_packed)
			ol_hasher_update(hasher, block->data, block->size);
		p->tar_bytes += block->size;
		ol_unpack_index_push(p->index, block->data, block->size);
		rc = p->options->driver->push(builder, block->data, block->size, err);
		if (rc < 0)
			return rc;
		ol_queue_return(p->plain, block);
	}
	/* An empty stream has no block that would have published the flag. */
	if (p->tar_bytes > 0 && p->plain_is_packed)
		return OL_OK;
	p->diff_id = ol_hasher_final(hasher);
	if (ol_digest_is_set(&p->options->diff_id) &&
		!ol_digest_eq(&p->diff_id, &p->options->diff_id))
		return ol_fail(err, OL_ECORRUPT, "%s: DiffID is %s, not %s",
			blob_name(p->options).text, ol_digest_format(&p->diff_id).text,
			ol_digest_format(&p->options->diff_id).text);
	return OL_OK;
}

/* The caller's thread. The index or tree is finished only when every byte before it has been
 * verified. */
static int build_stage(struct pipeline *p, ol_built *built)
{
	const ol_driver *driver = p->options->driver;
	ol_builder *builder = NULL;
	ol_error error = { 0 };
	bool passed_on = false;
	int rc = driver->begin(&p->options->builder, &builder, &error);

	if (rc == OL_OK)
		rc = build_blocks(p, builder, &passed_on, &error);
	if (rc == OL_OK)
		rc = driver->finish(builder, built, &error);
	if (builder)
		driver->free(builder);
	if (rc < 0 && !passed_on)
		pipeline_fail(p, rc, &error);
	ol_queue_give_up(p->plain);
	return rc;
}

static int start_stage(pthread_t *thread, void *(*stage)(void *), struct pipeline *p)
{
	ol_error error = { 0 };
	int rc;

	errno = pthread_create(thread, NULL, stage, p);
	if (errno == 0)
		return OL_OK;
	rc = ol_fail_sys(&error, "start a thread");
	pipeline_fail(p, rc, &error);
	return rc;
}

/* Starts the first two stages and is the third. */
static void pipeline_run(struct pipeline *p, ol_built *built)
{
	pthread_t reading, decoding;

	if (start_stage(&reading, read_stage, p) < 0)
		return;
	if (start_stage(&decoding, decode_stage, p) < 0) {
		ol_queue_give_up(p->packed);
	} else {
		(void)build_stage(p, built);
		pthread_join(decoding, NULL);
	}
	pthread_join(reading, NULL);
}

int ol_unpack(ol_reader *reader, const ol_unpack_options *options, ol_unpacked *out, ol_error *err)
{
	struct pipeline p = { .options = options, .reader = reader };
	ol_built built = { 0 };

	pthread_mutex_init(&p.lock, NULL);
	p.packed = ol_queue_new(PACKED_BLOCKS, PACKED_BLOCK_BYTES);
	p.plain = ol_queue_new(PLAIN_BLOCKS, PLAIN_BLOCK_BYTES);
	if (options->ztoc_span_bytes)
		p.index = ol_unpack_index_new(options);
	pipeline_run(&p, &built);
	ol_queue_free(p.packed);
	ol_queue_free(p.plain);
	pthread_mutex_destroy(&p.lock);
	if (p.rc < 0) {
		ol_unpack_index_free(p.index);
		if (err)
			*err = p.error;
		return p.rc;
	}
	*out = (ol_unpacked){
		.blob = p.blob,
		.diff_id = ol_digest_is_set(&p.diff_id) ? p.diff_id : p.blob,
		.blob_size = p.blob_size,
		.tar_bytes = p.tar_bytes,
		.built = built,
	};
	ol_unpack_index_finish(p.index, out);
	ol_unpack_index_free(p.index);
	return OL_OK;
}
