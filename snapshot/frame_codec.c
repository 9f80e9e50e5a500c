#include <assert.h>
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "snapshot/frame_codec_priv.h"

#define OUT_BYTES ((size_t)64 << 10)
/* zlib: gzip's wrapper around the largest window. */
#define WINDOW_BITS (15 + 16)

struct ol_compressor {
	ol_frame_codec codec;
	z_stream gzip;
	bool has_gzip;
	ZSTD_CCtx *zstd; /* owned, or NULL */
};

int ol_compressor_new(ol_frame_codec codec, int level, ol_compressor **out, ol_error *err)
{
	ol_auto(ol_compressor_free) ol_compressor *self = ol_alloc(sizeof *self);

	self->codec = codec;
	switch (codec) {
	case OL_FRAME_GZIP:
		if (deflateInit2(&self->gzip, level ? level : 6, Z_DEFLATED, WINDOW_BITS, 8,
			    Z_DEFAULT_STRATEGY) != Z_OK)
			return ol_fail(err, OL_ESYSTEM, "zlib does not start");
		self->has_gzip = true;
		break;
	case OL_FRAME_ZSTD:
		self->zstd = ZSTD_createCCtx();
		if (!self->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(
					   self->zstd, ZSTD_c_compressionLevel, level ? level : 3)))
			return ol_fail(err, OL_ESYSTEM, "zstd does not start");
		break;
	}
	*out = ol_steal(&self);
	return OL_OK;
}

void ol_compressor_free(ol_compressor *self)
{
	if (!self)
		return;
	if (self->has_gzip)
		(void)deflateEnd(&self->gzip);
	(void)ZSTD_freeCCtx(self->zstd);
	free(self);
}

static int run_gzip(
	ol_compressor *self, const void *data, size_t size, bool last, ol_buf *out, ol_error *err)
{
	int ended = Z_OK;

	/* zlib counts in unsigned int; whoever calls comes with less. */
	self->gzip.next_in = (z_const Bytef *)data;
	self->gzip.avail_in = (uInt)size;
	do {
		char *room = ol_buf_room(out, OUT_BYTES);

		if (!room)
			return ol_str_error(out, err);
		self->gzip.next_out = (Bytef *)room;
		self->gzip.avail_out = (uInt)OUT_BYTES;
		ended = deflate(&self->gzip, last ? Z_FINISH : Z_NO_FLUSH);
		if (ended == Z_STREAM_ERROR)
			return ol_fail(err, OL_ESYSTEM, "zlib does not compress");
		out->size += OUT_BYTES - self->gzip.avail_out;
	} while (self->gzip.avail_out == 0 || (last && ended != Z_STREAM_END));
	if (last)
		(void)deflateReset(&self->gzip);
	return OL_OK;
}

static int run_zstd(
	ol_compressor *self, const void *data, size_t size, bool last, ol_buf *out, ol_error *err)
{
	ZSTD_inBuffer in = { data, size, 0 };
	size_t left;

	do {
		char *room = ol_buf_room(out, OUT_BYTES);
		ZSTD_outBuffer made = { room, OUT_BYTES, 0 };

		if (!room)
			return ol_str_error(out, err);
		left = ZSTD_compressStream2(
			self->zstd, &made, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return ol_fail(err, OL_ESYSTEM, "zstd does not compress: %s",
				ZSTD_getErrorName(left));
		out->size += made.pos;
	} while (last ? left > 0 : in.pos < in.size);
	return OL_OK;
}

int ol_compressor_run(
	ol_compressor *self, const void *data, size_t size, bool last, ol_buf *out, ol_error *err)
{
	assert(self); /* it was made, if nothing failed */
	return self->codec == OL_FRAME_GZIP ? run_gzip(self, data, size, last, out, err)
					    : run_zstd(self, data, size, last, out, err);
}

int ol_frame_of_bytes(
	ol_frame_codec codec, int level, const void *data, size_t size, ol_buf *out, ol_error *err)
{
	static const size_t step = (size_t)1 << 20;
	ol_auto(ol_compressor_free) ol_compressor *compressor = NULL;
	int rc = ol_compressor_new(codec, level, &compressor, err);
	size_t at = 0;

	do {
		const size_t part = size - at < step ? size - at : step;

		if (rc == OL_OK)
			rc = ol_compressor_run(compressor, (const char *)data + at, part,
				at + part == size, out, err);
		at += part;
	} while (rc == OL_OK && at < size);
	return rc;
}
