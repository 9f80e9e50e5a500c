/*
 * zlib stops at each block (Z_BLOCK). A checkpoint waits until output has come behind it: one of a
 * member that turns out to be empty is replaced by the next, the stream's last one is dropped.
 * While it waits, the bytes that pass belong to the span before it and, perhaps, to the new one:
 * both are hashed.
 *
 *	MEMBER ──its end──▶ BETWEEN ──00──▶ PADDING
 *	   ▲                   │
 *	   └───────1f──────────┘
 */
#include "snapshot/gzip_index.h"

#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "manifest/ztoc_writer.h"
#include "snapshot/decode_priv.h"

#define GZIP_WINDOW_BITS (15 + 16) /* zlib: a gzip wrapper, checked */
/* Checkpoints of small members, or of what compresses beyond all measure, may take half of the
 * blob's size and this. */
#define RECORDS_FREE_BYTES ((uint64_t)4 << 20)

typedef enum index_state { MEMBER, BETWEEN, PADDING } index_state;

struct ol_gzip_index {
	z_stream stream;
	index_state state;
	uint64_t span_bytes;
	int fd;
	uint64_t in, out; /* bytes so far */
	unsigned char last_byte;
	bool fresh;        /* no block of the member has begun */
	uint64_t last_out; /* of the last checkpoint */

	ol_hasher *hasher;  /* owned: of the span that is open; NULL: none is */
	ol_digest *digests; /* owned: of the spans before it */
	size_t count, cap;
	size_t records; /* checkpoints written */
	const char *refusal;

	bool leaving, at_block;

	bool waits; /* a checkpoint, for output */
	uint64_t waits_out;
	ol_hasher *waits_hasher;                        /* owned: of its span */
	ol_digest waits_before;                         /* of the span before it, if one is open */
	unsigned char record[OL_ZTOC_CHECKPOINT_BYTES]; /* of it */
};

ol_gzip_index *ol_gzip_index_new(uint64_t span_bytes, int fd)
{
	ol_gzip_index *index = ol_alloc(sizeof *index);

	if (inflateInit2(&index->stream, GZIP_WINDOW_BITS) != Z_OK) {
		free(index);
		return NULL;
	}
	index->span_bytes = span_bytes;
	index->fd = fd;
	index->fresh = true;
	return index;
}

static void forget(ol_gzip_index *index)
{
	ol_hasher_free(index->hasher);
	ol_hasher_free(index->waits_hasher);
	index->hasher = index->waits_hasher = NULL;
	index->waits = false;
}

void ol_gzip_index_free(ol_gzip_index *index)
{
	if (!index)
		return;
	(void)inflateEnd(&index->stream);
	forget(index);
	free(index->digests);
	free(index);
}

/* --- checkpoints --- */

static void hash(ol_gzip_index *index, const unsigned char *bytes, size_t size)
{
	if (size == 0)
		return;
	index->in += size;
	index->last_byte = bytes[size - 1];
	if (index->hasher)
		ol_hasher_update(index->hasher, bytes, size);
	if (index->waits)
		ol_hasher_update(index->waits_hasher, bytes, size);
}

/* Makes a checkpoint of where the stream is, and lets it wait. */
static void take(ol_gzip_index *index)
{
	const unsigned bits = (unsigned)index->stream.data_type & 7;
	char window[OL_ZTOC_WINDOW_BYTES];
	uInt size = sizeof window;

	if (inflateGetDictionary(&index->stream, (unsigned char *)window, &size) != Z_OK)
		size = 0;
	ol_ztoc_checkpoint_pack(&(ol_ztoc_checkpoint){ .in = index->in,
					.out = index->out,
					.bits = bits,
					.window = { window, size } },
		index->record);
	if (index->hasher) {
		ol_hasher *copy = ol_hasher_copy(index->hasher);

		index->waits_before = ol_hasher_final(copy);
		ol_hasher_free(copy);
	}
	ol_hasher_free(index->waits_hasher);
	index->waits_hasher = ol_hasher_new(OL_SHA256);
	if (bits)
		ol_hasher_update(index->waits_hasher, &index->last_byte, 1);
	index->waits = true;
	index->waits_out = index->last_out = index->out;
	index->fresh = false;
}

static void refuse(ol_gzip_index *index, const char *why)
{
	index->refusal = why;
	forget(index);
}

static void add_digest(ol_gzip_index *index, const ol_digest *digest)
{
	OL_GROW(index->digests, index->count, index->cap);
	index->digests[index->count++] = *digest;
}

/* Output has come behind the checkpoint that waits: the span before it ends there. */
static int commit(ol_gzip_index *index, ol_error *err)
{
	const uint64_t bytes = (uint64_t)(index->records + 1) * OL_ZTOC_CHECKPOINT_BYTES;
	int rc;

	if (index->hasher)
		add_digest(index, &index->waits_before);
	ol_hasher_free(index->hasher);
	index->hasher = ol_steal(&index->waits_hasher);
	index->waits = false;
	if (bytes > RECORDS_FREE_BYTES + index->in / 2 || index->records >= OL_ZTOC_SPANS_MAX) {
		refuse(index, "its places to begin at would take too much room");
		return OL_OK;
	}
	rc = ol_pwrite_all(index->fd, index->record, sizeof index->record,
		(uint64_t)index->records * sizeof index->record, err);
	index->records += rc == OL_OK;
	return rc;
}

/* --- the stream --- */

static uInt at_most_int(size_t size)
{
	return size < UINT32_MAX ? (uInt)size : UINT32_MAX;
}

static int corrupt(const ol_gzip_index *index, ol_error *err)
{
	return ol_fail(
		err, OL_ECORRUPT, "gzip: %s", index->stream.msg ? index->stream.msg : "damaged");
}

/* To the next block, the input's end or the room's. */
static int run_member(ol_gzip_index *index, ol_decode_step *step, ol_error *err)
{
	z_stream *stream = &index->stream;
	const uInt in = at_most_int(step->in_size), room = at_most_int(step->out_size);
	const unsigned char *from = step->in;
	int rc, ended;

	stream->next_in = (Bytef *)(uintptr_t)from; /* it is not written to */
	stream->avail_in = in;
	stream->next_out = step->out;
	stream->avail_out = room;
	ended = inflate(stream, Z_BLOCK);
	if (ended != Z_OK && ended != Z_STREAM_END && ended != Z_BUF_ERROR)
		return corrupt(index, err);
	ol_decode_used(step, in - stream->avail_in);
	ol_decode_made(step, room - stream->avail_out);
	index->out += room - stream->avail_out;
	hash(index, from, in - stream->avail_in);
	if (index->waits && index->out > index->waits_out) {
		rc = commit(index, err);
		if (rc < 0)
			return rc;
	}
	/* Behind the last block there is nothing to begin at. */
	index->at_block =
		ended != Z_STREAM_END && (stream->data_type & 128) && !(stream->data_type & 64);
	if (ended == Z_STREAM_END)
		index->state = BETWEEN;
	else if (!index->refusal && index->at_block &&
		 (index->fresh || index->out - index->last_out >= index->span_bytes))
		take(index);
	return OL_OK;
}

static int run_between(ol_gzip_index *index, const ol_decode_step *step, ol_error *err)
{
	if (step->in[0] == 0) {
		index->state = PADDING;
		return OL_OK;
	}
	if (inflateReset(&index->stream) != Z_OK)
		return corrupt(index, err);
	index->state = MEMBER;
	index->fresh = true;
	return OL_OK;
}

static int run_padding(ol_gzip_index *index, ol_decode_step *step, ol_error *err)
{
	const size_t size = step->in_size;

	for (size_t i = 0; i < size; i++)
		if (step->in[i] != 0)
			return ol_fail(err, OL_ECORRUPT, "gzip: other bytes after the end");
	hash(index, step->in, size);
	ol_decode_used(step, size);
	return OL_OK;
}

int ol_gzip_index_run(ol_gzip_index *index, ol_decode_step *step, ol_error *err)
{
	size_t in_before, made_before;
	index_state before;

	step->made = 0;
	do {
		int rc = OL_OK;

		in_before = step->in_size;
		made_before = step->made;
		before = index->state;
		switch (index->state) {
		case MEMBER:
			rc = run_member(index, step, err);
			break;
		case BETWEEN:
			if (step->in_size > 0)
				rc = run_between(index, step, err);
			break;
		case PADDING:
			rc = run_padding(index, step, err);
			break;
		}
		if (rc < 0 || (index->leaving && index->at_block))
			return rc;
		/* With input left but no room, or nothing used, made or changed: the caller's turn.
		 */
	} while (step->out_size > 0 && (step->in_size != in_before || step->made != made_before ||
					       index->state != before));
	return OL_OK;
}

void ol_gzip_index_leave(ol_gzip_index *index)
{
	index->leaving = true;
	if (!index->refusal)
		refuse(index, "it was decoded in a hurry");
}

bool ol_gzip_index_left(ol_gzip_index *index, ol_gzip_place *out)
{
	z_stream *stream = &index->stream;
	uInt size = sizeof out->window;

	if (!index->leaving || !index->at_block ||
		inflateGetDictionary(stream, out->window, &size) != Z_OK)
		return false;
	out->window_size = size;
	out->bits = (unsigned)stream->data_type & 7;
	out->last_byte = index->last_byte;
	out->crc = (uint32_t)stream->adler;
	out->made = (uint32_t)stream->total_out;
	return true;
}

int ol_gzip_index_finish(ol_gzip_index *index, ol_gzip_spans *out, ol_error *err)
{
	if (index->state == MEMBER)
		return ol_fail(err, OL_ECORRUPT, "gzip: ends before its end");
	if (index->hasher) {
		const ol_digest last = ol_hasher_final(index->hasher);

		add_digest(index, &last);
		forget(index);
	}
	if (index->count == 0 && !index->refusal)
		index->refusal = "it holds nothing";
	*out = (ol_gzip_spans){
		.digests = index->digests,
		.count = index->refusal ? 0 : index->count,
		.blob_bytes = index->in,
		.tar_bytes = index->out,
		.refusal = index->refusal,
	};
	return OL_OK;
}
