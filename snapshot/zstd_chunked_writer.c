#include "snapshot/zstd_chunked_writer.h"

#include <assert.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "manifest/tar_split_writer.h"
#include "manifest/toc_writer.h"
#include "snapshot/frame_codec_priv.h"
#include "snapshot/frame_stream_priv.h"

/* What stands behind the end of the tar is told in pieces of this size, as tar-split does. */
#define REST_BYTES ((uint64_t)1 << 20)
#define END_BYTES  1024 /* the two blocks of zeros that end a tar */
/* A member's headers: its own, and the extended ones, each bounded by base/limits.h. */
#define HEADERS_BYTES_MAX (4 * OL_PAX_BYTES_MAX)

struct ol_zstd_chunked {
	const ol_scan *scan;           /* lent */
	ol_frame_pool_options options; /* without a plan */
	size_t *frames;                /* owned: of each chunk */
	ol_frame_plan plan;
	ol_frame_stream stream;
	ol_digest toc;
	ol_toc_place place;
};

/* ------------------------------------------------------------------------ the plan -- */

static void make_plan(ol_zstd_chunked *self)
{
	const ol_scan *scan = self->scan;
	uint64_t at = 0;

	self->frames = ol_alloc_array(scan->chunk_count + 1, sizeof *self->frames);
	for (size_t i = 0; i < scan->count; i++) {
		const ol_scan_member *member = &scan->members[i];

		for (size_t k = 0; k < member->chunk_count; k++) {
			const ol_scan_chunk *chunk = &scan->chunks[member->chunk + k];
			const uint64_t begin = member->data_offset + chunk->offset;

			ol_frame_plan_add(&self->plan, at, begin - at);
			self->frames[member->chunk + k] = ol_frame_plan_cut(&self->plan);
			ol_frame_plan_add_whole(&self->plan, begin, chunk->size);
			(void)ol_frame_plan_cut(&self->plan);
			at = begin + chunk->size;
		}
	}
	ol_frame_plan_add(&self->plan, at, scan->tar_bytes - at);
	(void)ol_frame_plan_cut(&self->plan);
}

/* ----------------------------------------------------------------------- the table -- */

/* As containers have it: chunks are told of a file that has several; the first one's stand with
 * the file, where the end is that of all. */
static void put_file(const ol_zstd_chunked *self, const ol_scan_member *member, ol_str *toc)
{
	const uint64_t *offsets = self->stream.offsets;
	const size_t last = member->chunk_count ? member->chunk + member->chunk_count - 1 : 0;

	for (size_t i = 0; i < member->chunk_count; i++) {
		const ol_scan_chunk *chunk = &self->scan->chunks[member->chunk + i];
		ol_toc_spot spot = { .blob_offset = offsets[self->frames[member->chunk + i]] };
		ol_digest digest = { .algorithm = OL_SHA256 };

		memcpy(digest.bytes, chunk->sha256, sizeof chunk->sha256);
		if (member->chunk_count > 1) {
			spot.chunk_digest = &digest;
			spot.chunk_offset = chunk->offset;
			spot.chunk_size = chunk->size;
			spot.zeros = chunk->zeros;
		}
		if (i == 0) {
			spot.digest = &member->digest;
			spot.blob_end = offsets[self->frames[last] + 1];
			ol_toc_put_spot(toc, &spot);
			ol_toc_put_close(toc);
		} else {
			ol_toc_put_chunk(toc, member->name, &spot);
		}
	}
	if (member->chunk_count == 0)
		ol_toc_put_close(toc);
}

static int make_toc(
	const ol_zstd_chunked *self, const ol_digest *tar_split, ol_str *toc, ol_error *err)
{
	ol_toc_begin(toc);
	for (size_t i = 0; i < self->scan->count; i++) {
		const ol_scan_member *member = &self->scan->members[i];

		(void)ol_str_addv(
			toc, ol_view_from(self->scan->toc.data + member->toc_at, member->toc_size));
		put_file(self, member, toc);
	}
	return ol_toc_end(toc, tar_split, err);
}

/* -------------------------------------------------------------------- the tar-split -- */

struct splitter {
	const ol_zstd_chunked *writer;
	ol_compressor *zstd; /* owned */
	ol_str line;         /* owned: what was not compressed yet */
	ol_buf bytes;        /* owned: of a segment */
	uint64_t position, raw_size;
	ol_buf *out; /* lent */
};

static int put_line(struct splitter *self, bool last, ol_error *err)
{
	int rc = ol_str_error(&self->line, err);

	if (rc == OL_OK)
		rc = ol_compressor_run(
			self->zstd, self->line.data, self->line.size, last, self->out, err);
	self->raw_size += self->line.size;
	ol_buf_clear(&self->line);
	return rc;
}

static int put_segment(struct splitter *self, uint64_t from, uint64_t to, ol_error *err)
{
	char *room;
	int rc;

	if (from == to)
		return OL_OK;
	ol_buf_clear(&self->bytes);
	room = ol_buf_room(&self->bytes, (size_t)(to - from));
	if (!room)
		return ol_str_error(&self->bytes, err);
	rc = ol_pread_all(self->writer->options.fd, room, (size_t)(to - from), from, err);
	if (rc < 0)
		return rc;
	ol_tar_split_segment(
		&self->line, self->position++, ol_view_from(room, (size_t)(to - from)));
	return put_line(self, false, err);
}

static int put_rest(struct splitter *self, uint64_t at, ol_error *err)
{
	const uint64_t end = self->writer->scan->tar_bytes;
	uint64_t part = -at % 512 + END_BYTES;
	int rc = OL_OK;

	while (rc == OL_OK && at < end) {
		part = end - at < part ? end - at : part;
		rc = put_segment(self, at, at + part, err);
		at += part;
		part = REST_BYTES;
	}
	return rc;
}

static int split_all(struct splitter *self, ol_error *err)
{
	const ol_scan *scan = self->writer->scan;
	uint64_t at = 0;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < scan->count; i++) {
		const ol_scan_member *member = &scan->members[i];

		rc = put_segment(self, at, member->data_offset, err);
		ol_tar_split_file(
			&self->line, self->position++, member->name, member->size, member->crc64);
		at = member->data_offset + member->size;
	}
	if (rc == OL_OK)
		rc = put_rest(self, at, err);
	return rc == OL_OK ? put_line(self, true, err) : rc;
}

static int make_tar_split(ol_zstd_chunked *self, ol_buf *out, ol_error *err)
{
	struct splitter splitter = { .writer = self,
		.line = OL_STR(2 * HEADERS_BYTES_MAX),
		.bytes = OL_BUF(HEADERS_BYTES_MAX),
		.out = out };
	int rc = ol_compressor_new(OL_FRAME_ZSTD, self->options.level, &splitter.zstd, err);

	if (rc == OL_OK)
		rc = split_all(&splitter, err);
	self->place.tar_split_raw_size = splitter.raw_size;
	ol_compressor_free(splitter.zstd);
	ol_buf_done(&splitter.line);
	ol_buf_done(&splitter.bytes);
	return rc;
}

/* ------------------------------------------------------------------------- the tail -- */

static void put_skippable(ol_buf *out, const ol_buf *data)
{
	unsigned char head[OL_ZSTD_SKIPPABLE_BYTES];

	ol_zstd_skippable((uint32_t)data->size, head);
	(void)ol_buf_add(out, head, sizeof head);
	(void)ol_buf_add(out, data->data, data->size);
}

static int make_tail(void *ctx, uint64_t offset, ol_buf *out, ol_error *err)
{
	ol_zstd_chunked *self = ctx;
	ol_toc_place *place = &self->place;
	ol_auto_buf ol_buf split = OL_BUF(OL_TOC_BYTES_MAX), packed = OL_BUF(OL_TOC_BYTES_MAX);
	ol_auto_str ol_str toc = OL_STR(OL_TOC_BYTES_MAX);
	unsigned char footer[OL_ZSTD_CHUNKED_FOOTER_BYTES];
	ol_digest digest;
	int rc = make_tar_split(self, &split, err);

	if (rc < 0)
		return ol_wrap(err, rc, "the tar-split");
	digest = ol_digest_of(OL_SHA256, split.data, split.size);
	rc = make_toc(self, &digest, &toc, err);
	if (rc == OL_OK)
		rc = ol_frame_of_bytes(
			OL_FRAME_ZSTD, self->options.level, toc.data, toc.size, &packed, err);
	if (rc < 0)
		return ol_wrap(err, rc, "the table of contents");
	self->toc = ol_digest_of(OL_SHA256, packed.data, packed.size);
	place->format = OL_TOC_ZSTD_CHUNKED;
	place->toc = (ol_toc_range){ offset + OL_ZSTD_SKIPPABLE_BYTES, packed.size };
	place->toc_raw_size = toc.size;
	place->tar_split =
		(ol_toc_range){ place->toc.offset + packed.size + OL_ZSTD_SKIPPABLE_BYTES,
			split.size };
	put_skippable(out, &packed);
	put_skippable(out, &split);
	ol_zstd_chunked_footer(place, footer);
	(void)ol_buf_add(out, footer, sizeof footer);
	return ol_str_error(out, err);
}

/* ----------------------------------------------------------------------- the writer -- */

int ol_zstd_chunked_new(const ol_scan *scan, const ol_frame_pool_options *options,
	ol_zstd_chunked **out, ol_error *err)
{
	ol_auto(ol_zstd_chunked_free) ol_zstd_chunked *self = ol_alloc(sizeof *self);
	int rc;

	assert(!*scan->odd);
	self->scan = scan;
	self->options = *options;
	self->options.codec = OL_FRAME_ZSTD;
	make_plan(self);
	rc = ol_frame_stream_init(&self->stream, &self->plan, &self->options, make_tail, self, err);
	if (rc == OL_OK)
		*out = ol_steal(&self);
	return rc;
}

void ol_zstd_chunked_free(ol_zstd_chunked *self)
{
	if (!self)
		return;
	ol_frame_stream_done(&self->stream);
	ol_frame_plan_done(&self->plan);
	free(self->frames);
	free(self);
}

ol_reader *ol_zstd_chunked_reader(ol_zstd_chunked *self)
{
	return &self->stream.reader;
}

const ol_digest *ol_zstd_chunked_toc(const ol_zstd_chunked *self)
{
	return &self->toc;
}

const ol_toc_place *ol_zstd_chunked_place(const ol_zstd_chunked *self)
{
	return &self->place;
}
