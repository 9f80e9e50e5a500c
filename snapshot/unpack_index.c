/*
 * A table of contents and checkpoints of a layer that is pulled whole, kept where they cost
 * nothing: zlib takes two to three times as long as ISA-L, but alone tells where blocks begin. As
 * long as the network is slower than either, decoding mostly waits. Once it does not, zlib stops at
 * the next block, and ISA-L takes over with its window, checksum and half a byte
 * (docs/architecture.md "Lazy layers" has the figures).
 *
 *	decoding   waits ……… works ……… waits ……       share of working over the last seconds
 *	                                              ≤ 1/4: zlib goes on   > 1/4: ISA-L, for good
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hashed_file.h"
#include "base/temp.h"
#include "base/trace.h"
#include "manifest/ztoc_writer.h"
#include "snapshot/decode_priv.h"
#include "snapshot/gzip_index.h"
#include "snapshot/unpack_priv.h"

/* Before that the first request's round trip is most of the waiting. */
#define PACE_BYTES_MIN ((uint64_t)256 << 10)
/* What was longer ago counts half, and half again. */
#define PACE_NS ((uint64_t)4000000000)
/* Working longer than waiting / this: somebody else could be faster. */
#define PACE_SHARE 3

struct ol_unpack_index {
	const ol_unpack_options *options; /* lent */
	int fd;                           /* owned: checkpoints */
	atomic_bool on;                   /* a ztoc may still come of it */

	/* the decoding stage's */
	ol_gzip_index *gzip; /* owned */
	uint64_t at_ns, waited_ns, worked_ns, in_bytes;
	bool hurries;

	/* the building stage's */
	ol_tar *tar;            /* owned */
	ol_ztoc_writer *writer; /* owned */
};

static int on_member(void *ctx, const ol_tar_member *member, ol_error *err)
{
	return ol_ztoc_writer_add(((ol_unpack_index *)ctx)->writer, member, err);
}

static int on_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	(void)ctx;
	(void)entry;
	(void)err;
	return OL_OK;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

ol_unpack_index *ol_unpack_index_new(const ol_unpack_options *options)
{
	ol_unpack_index *index = ol_alloc(sizeof *index);

	index->options = options;
	index->at_ns = now_ns();
	index->tar = ol_tar_new(&(ol_tar_handler){ .entry = on_entry, .ctx = index });
	ol_tar_watch(index->tar, on_member, index);
	index->writer = ol_ztoc_writer_new();
	if (ol_temp_open(options->builder.dir_fd, &index->fd, NULL) < 0)
		index->fd = -1;
	else
		index->gzip = ol_gzip_index_new(options->ztoc_span_bytes, index->fd);
	return index;
}

void ol_unpack_index_free(ol_unpack_index *index)
{
	if (!index)
		return;
	ol_tar_free(index->tar);
	ol_ztoc_writer_free(index->writer);
	ol_gzip_index_free(index->gzip);
	if (index->fd >= 0)
		(void)close(index->fd);
	free(index);
}

static void give_up(ol_unpack_index *index, const char *why)
{
	if (atomic_exchange(&index->on, false))
		ol_trace("snapshot", "layer blob %s: no ztoc is kept: %s",
			ol_digest_short(&index->options->blob).text, why);
}

/* --- the decoding stage --- */

struct pacing_decoder {
	ol_decoder base;
	ol_unpack_index *index; /* lent */
	ol_decoder *fast;       /* owned; NULL: nobody hurries */
};

static void pacing_free(ol_decoder *decoder)
{
	struct pacing_decoder *self = (struct pacing_decoder *)decoder;

	ol_decoder_free(self->fast);
	free(self);
}

static int pacing_run(ol_decoder *decoder, ol_decode_step *step, ol_error *err)
{
	struct pacing_decoder *self = (struct pacing_decoder *)decoder;
	ol_unpack_index *index = self->index;
	ol_gzip_place place;
	int rc;

	if (self->fast)
		return self->fast->ops->run(self->fast, step, err);
	index->in_bytes += step->in_size;
	rc = ol_gzip_index_run(index->gzip, step, err);
	index->in_bytes -= step->in_size;
	if (rc < 0 || !ol_gzip_index_left(index->gzip, &place))
		return rc;
	rc = ol_gzip_decoder_at(&place, &self->fast, err);
	return rc < 0 ? rc : self->fast->ops->run(self->fast, step, err);
}

static int pacing_finish(ol_decoder *decoder, ol_error *err)
{
	struct pacing_decoder *self = (struct pacing_decoder *)decoder;
	ol_gzip_spans spans;

	if (self->fast)
		return ol_decoder_finish(self->fast, err);
	return ol_gzip_index_finish(self->index->gzip, &spans, err);
}

int ol_unpack_index_decoder(ol_unpack_index *index, ol_decoder **out, ol_error *err)
{
	static const ol_decoder_ops ops = {
		.compression = OL_COMPRESSION_GZIP,
		.name = "gzip",
		.free = pacing_free,
		.run = pacing_run,
		.finish = pacing_finish,
	};
	struct pacing_decoder *self;

	if (!index->gzip)
		return ol_decoder_new(OL_COMPRESSION_GZIP, out, err);
	self = ol_alloc(sizeof *self);
	self->base.ops = &ops;
	self->index = index;
	atomic_store(&index->on, true);
	*out = &self->base;
	return OL_OK;
}

void ol_unpack_index_pace(ol_unpack_index *index, bool waited)
{
	uint64_t now;

	if (!index || index->hurries)
		return;
	now = now_ns();
	*(waited ? &index->waited_ns : &index->worked_ns) += now - index->at_ns;
	index->at_ns = now;
	if (index->waited_ns + index->worked_ns > 2 * PACE_NS) {
		index->waited_ns /= 2;
		index->worked_ns /= 2;
	}
	if (index->in_bytes < PACE_BYTES_MIN || index->worked_ns * PACE_SHARE <= index->waited_ns)
		return;
	index->hurries = true;
	give_up(index, "decoding is what is waited for");
	ol_gzip_index_leave(index->gzip);
}

/* --- the building stage --- */

void ol_unpack_index_push(ol_unpack_index *index, const void *data, size_t size)
{
	ol_error why = { 0 };

	if (index && atomic_load(&index->on) && ol_tar_push(index->tar, data, size, &why) < 0)
		give_up(index, why.text);
}

static int write_ztoc(ol_unpack_index *index, const ol_unpacked *unpacked,
	const ol_gzip_spans *spans, ol_hashed_file *file, ol_error *err)
{
	ol_auto(ol_reader_close) ol_reader *checkpoints = NULL;
	ol_ztoc_facts facts = {
		.tool = index->options->ztoc_tool,
		.gzip = true,
		.blob_size = unpacked->blob_size,
		.tar_size = unpacked->tar_bytes,
		.span_bytes = index->options->ztoc_span_bytes,
		.span_digests = spans->digests,
		.span_count = spans->count,
	};

	if (lseek(index->fd, 0, SEEK_SET) < 0)
		return ol_fail_sys(err, "temporary file");
	checkpoints = ol_reader_of_fd(index->fd);
	index->fd = -1;
	facts.checkpoints = checkpoints;
	return ol_ztoc_writer_finish(index->writer, &facts, &file->sink, err);
}

void ol_unpack_index_finish(ol_unpack_index *index, ol_unpacked *out)
{
	ol_hashed_file file = { .hasher = NULL };
	ol_gzip_spans spans;
	ol_error why = { 0 };
	int rc;

	if (!index || !atomic_load(&index->on))
		return;
	rc = ol_gzip_index_finish(index->gzip, &spans, &why);
	if (rc == OL_OK && spans.refusal)
		rc = ol_fail(&why, OL_EUNSUPPORTED, "%s", spans.refusal);
	if (rc == OL_OK)
		rc = ol_tar_finish(index->tar, &why);
	if (rc < 0) {
		give_up(index, why.text);
		return;
	}
	rc = ol_hashed_file_open(index->options->builder.dir_fd, OL_UNPACK_ZTOC, &file, &why);
	if (rc == OL_OK)
		rc = write_ztoc(index, out, &spans, &file, &why);
	if (rc == OL_OK) {
		out->ztoc = ol_hashed_file_digest(&file);
		out->ztoc_size = file.size;
	} else {
		give_up(index, why.text);
	}
	ol_hashed_file_done(&file);
}
