#include "snapshot/estargz_writer.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "manifest/tar_writer.h"
#include "manifest/toc_writer.h"
#include "snapshot/estargz_order_priv.h"
#include "snapshot/frame_stream_priv.h"

#define TOC_NAME "stargz.index.json"
/* Beside the table: its header, padding, the end of the tar. */
#define TOC_TAR_BYTES_MAX (OL_TOC_BYTES_MAX + 4096)

/* Where a chunk of the scan is. */
struct place {
	size_t frame;
	uint64_t inner;
};

struct ol_estargz {
	const ol_scan *scan; /* lent */
	ol_estargz_options options;
	ol_estargz_order order;
	ol_buf landmark; /* owned: its tar member */
	struct place landmark_place;
	struct place *places; /* owned: of each chunk of the scan */
	ol_frame_plan plan;
	ol_frame_stream stream;
	ol_digest toc;
};

/* ------------------------------------------------------------------- small members -- */

struct buf_sink {
	ol_sink sink;
	ol_buf *out; /* lent */
};

static int sink_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	ol_buf *out = ((struct buf_sink *)sink)->out;

	(void)ol_buf_add(out, data, size);
	return ol_str_error(out, err);
}

static void sink_close(ol_sink *sink)
{
	(void)sink;
}

/* A file as a tar's member; end: and the end of the tar behind it. mode 0 as others write it. */
static int put_member(ol_buf *out, const char *name, ol_view data, bool end, ol_error *err)
{
	static const ol_sink_ops ops = { sink_write, sink_close };
	struct buf_sink sink = { { &ops }, out };
	const ol_tar_entry entry = { .type = OL_TAR_FILE,
		.name = name,
		.target = "",
		.size = data.size,
		.data_size = data.size };
	ol_tar_writer *writer = ol_tar_writer_new(&sink.sink);
	int rc = ol_tar_writer_add(writer, &entry, err);

	if (rc == OL_OK)
		rc = ol_tar_writer_data(writer, data.data, data.size, err);
	if (rc == OL_OK && end)
		rc = ol_tar_writer_finish(writer, err);
	ol_tar_writer_free(writer);
	if (rc == OL_OK && !end) {
		static const char zeros[512];

		(void)ol_buf_add(out, zeros, -out->size % 512);
		rc = ol_str_error(out, err);
	}
	return rc;
}

/* ----------------------------------------------------------------------- the plan -- */

/* A chunk is about to be planned: a member begins with it, unless small ones share one. */
static struct place begin_chunk(ol_estargz *self, bool always)
{
	if (always || self->plan.frame_bytes >= self->options.min_chunk_bytes)
		(void)ol_frame_plan_cut(&self->plan);
	return (struct place){ self->plan.count, self->plan.frame_bytes };
}

static void plan_landmark(ol_estargz *self)
{
	const char *data = self->landmark.data;
	const size_t size = self->landmark.size;

	/* Its data are its last block. */
	ol_frame_plan_add_bytes(&self->plan, data, size - 512);
	self->landmark_place = begin_chunk(self, true);
	ol_frame_plan_add_bytes(&self->plan, data + size - 512, 512);
}

static void plan_member(ol_estargz *self, const ol_scan_member *member)
{
	const uint64_t end = member->data_offset + member->size;

	ol_frame_plan_add(
		&self->plan, member->header_offset, member->data_offset - member->header_offset);
	for (size_t i = 0; i < member->chunk_count; i++) {
		const ol_scan_chunk *chunk = &self->scan->chunks[member->chunk + i];

		self->places[member->chunk + i] = begin_chunk(self, false);
		ol_frame_plan_add_whole(
			&self->plan, member->data_offset + chunk->offset, chunk->size);
	}
	ol_frame_plan_add_whole(&self->plan, end, -end % 512);
}

static int make_plan(ol_estargz *self, ol_error *err)
{
	const ol_estargz_order *order = &self->order;
	int rc = put_member(&self->landmark, order->first ? OL_LANDMARK_PREFETCH : OL_LANDMARK_NONE,
		ol_view_of("\x0f"), false, err);

	if (rc < 0)
		return rc;
	self->places = ol_alloc_array(self->scan->chunk_count + 1, sizeof *self->places);
	for (size_t i = 0; i <= order->count; i++) {
		if (i == order->first)
			plan_landmark(self);
		if (i < order->count)
			plan_member(self, &self->scan->members[order->members[i]]);
	}
	(void)ol_frame_plan_cut(&self->plan);
	return OL_OK;
}

/* ---------------------------------------------------------------------- the table -- */

static ol_toc_spot spot_of(const ol_estargz *self, const struct place *place)
{
	return (ol_toc_spot){ .blob_offset = self->stream.offsets[place->frame],
		.inner_offset = place->inner };
}

static void put_landmark(const ol_estargz *self, ol_str *toc)
{
	const ol_digest digest = ol_digest_of(OL_SHA256, "\x0f", 1);
	const ol_tar_raw raw = { .type = '0',
		.name = ol_view_of(self->order.first ? OL_LANDMARK_PREFETCH : OL_LANDMARK_NONE),
		.size = 1 };
	ol_toc_spot spot = spot_of(self, &self->landmark_place);

	spot.digest = spot.chunk_digest = &digest;
	ol_toc_put_member(toc, &raw, false);
	ol_toc_put_spot(toc, &spot);
	ol_toc_put_close(toc);
}

static void put_file(const ol_estargz *self, const ol_scan_member *member, ol_str *toc)
{
	for (size_t i = 0; i < member->chunk_count; i++) {
		const ol_scan_chunk *chunk = &self->scan->chunks[member->chunk + i];
		ol_toc_spot spot = spot_of(self, &self->places[member->chunk + i]);
		ol_digest digest = { .algorithm = OL_SHA256 };

		memcpy(digest.bytes, chunk->sha256, sizeof chunk->sha256);
		spot.chunk_digest = &digest;
		spot.chunk_offset = chunk->offset;
		/* The last one is told by the file's size. */
		spot.chunk_size = i + 1 < member->chunk_count ? chunk->size : 0;
		if (i == 0) {
			spot.digest = &member->digest;
			ol_toc_put_spot(toc, &spot);
			ol_toc_put_close(toc);
		} else {
			ol_toc_put_chunk(toc, member->name, &spot);
		}
	}
	if (member->chunk_count == 0) {
		ol_toc_put_spot(toc, &(ol_toc_spot){ .digest = &member->digest });
		ol_toc_put_close(toc);
	}
}

static int make_toc(ol_estargz *self, ol_str *toc, ol_error *err)
{
	const ol_estargz_order *order = &self->order;

	ol_toc_begin(toc);
	for (size_t i = 0; i <= order->count; i++) {
		const ol_scan_member *member;

		if (i == order->first)
			put_landmark(self, toc);
		if (i == order->count)
			break;
		member = &self->scan->members[order->members[i]];
		(void)ol_str_addv(
			toc, ol_view_from(self->scan->toc.data + member->toc_at, member->toc_size));
		put_file(self, member, toc);
	}
	return ol_toc_end(toc, NULL, err);
}

/* Behind the last frame. */
static int make_tail(void *ctx, uint64_t offset, ol_buf *out, ol_error *err)
{
	ol_estargz *self = ctx;
	ol_auto_str ol_str toc = OL_STR(OL_TOC_BYTES_MAX);
	ol_auto_buf ol_buf tar = OL_BUF(TOC_TAR_BYTES_MAX);
	unsigned char footer[OL_ESTARGZ_FOOTER_BYTES];
	int rc = make_toc(self, &toc, err);

	if (rc < 0)
		return ol_wrap(err, rc, "the table of contents");
	self->toc = ol_digest_of(OL_SHA256, toc.data, toc.size);
	rc = put_member(&tar, TOC_NAME, ol_buf_view(&toc), true, err);
	if (rc == OL_OK)
		rc = ol_frame_of_bytes(
			OL_FRAME_GZIP, self->options.frames.level, tar.data, tar.size, out, err);
	ol_estargz_footer(offset, footer);
	(void)ol_buf_add(out, footer, sizeof footer);
	return rc < 0 ? rc : ol_str_error(out, err);
}

/* ---------------------------------------------------------------------- the writer -- */

int ol_estargz_new(
	const ol_scan *scan, const ol_estargz_options *options, ol_estargz **out, ol_error *err)
{
	ol_auto(ol_estargz_free) ol_estargz *self = ol_alloc(sizeof *self);
	int rc;

	assert(!*scan->odd);
	self->scan = scan;
	self->options = *options;
	self->options.frames.codec = OL_FRAME_GZIP;
	self->landmark = OL_BUF(4096);
	ol_estargz_order_make(&self->order, scan, options->first, options->found);
	rc = make_plan(self, err);
	if (rc == OL_OK)
		rc = ol_frame_stream_init(
			&self->stream, &self->plan, &self->options.frames, make_tail, self, err);
	if (rc == OL_OK)
		*out = ol_steal(&self);
	return rc;
}

void ol_estargz_free(ol_estargz *self)
{
	if (!self)
		return;
	ol_frame_stream_done(&self->stream);
	ol_frame_plan_done(&self->plan);
	ol_estargz_order_done(&self->order);
	ol_buf_done(&self->landmark);
	free(self->places);
	free(self);
}

ol_reader *ol_estargz_reader(ol_estargz *self)
{
	return &self->stream.reader;
}

const ol_digest *ol_estargz_toc(const ol_estargz *self)
{
	return &self->toc;
}
