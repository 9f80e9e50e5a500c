/*
 * zstd (RFC 8878): frames one after another, skippable ones between them.
 *
 * The head of each frame is read here before the library sees it: it tells the window, that is the
 * memory the library is going to take, so that a caller can wait for its turn first. A head that
 * needs more than an easy window ends the run.
 *
 *	HEAD ──▶ FRAME ──its end──▶ HEAD        (nothing in the head: the stream may end here)
 *	  └────▶ SKIP ───its end──▶ HEAD
 */
#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "snapshot/decode_priv.h"

#define HEAD_BYTES_MAX 18

typedef enum zstd_state { HEAD, FRAME, SKIP } zstd_state;

typedef struct zstd_decoder {
	ol_decoder base;
	zstd_state state;
	ZSTD_DCtx *dctx; /* owned */
	unsigned char head[HEAD_BYTES_MAX];
	size_t head_size, head_fed; /* gathered; of them given to the library */
	uint32_t skip_left;
	bool any; /* a frame was met */
} zstd_decoder;

static ol_decoder *zstd_make(void)
{
	zstd_decoder *zstd = ol_alloc(sizeof *zstd);

	zstd->dctx = ZSTD_createDCtx();
	if (!zstd->dctx || ZSTD_isError(ZSTD_DCtx_setParameter(
				   zstd->dctx, ZSTD_d_windowLogMax, OL_ZSTD_WINDOW_LOG_MAX))) {
		(void)ZSTD_freeDCtx(zstd->dctx);
		free(zstd);
		return NULL;
	}
	return &zstd->base;
}

static void zstd_free(ol_decoder *decoder)
{
	zstd_decoder *zstd = (zstd_decoder *)decoder;

	(void)ZSTD_freeDCtx(zstd->dctx);
	free(zstd);
}

static uint64_t little_endian(const unsigned char *bytes, size_t size)
{
	uint64_t value = 0;

	while (size > 0)
		value = value << 8 | bytes[--size];
	return value;
}

/* RFC 8878 section 3.1.1.1: how many bytes of head tell the window. */
static size_t head_needed(const unsigned char *head, size_t size)
{
	static const size_t dictionary_bytes[4] = { 0, 1, 2, 4 };
	static const size_t content_bytes[4] = { 1, 2, 4, 8 }; /* of a single segment */

	if (size < 5)
		return 5;
	if (!(head[4] & 0x20))
		return 6;
	return 5 + dictionary_bytes[head[4] & 3] + content_bytes[head[4] >> 6];
}

static uint64_t window_of(const unsigned char *head, size_t size)
{
	if (head[4] & 0x20) {
		size_t content = head[4] >> 6 ? (size_t)1 << (head[4] >> 6) : 1;
		uint64_t value = little_endian(head + size - content, content);

		return content == 2 ? value + 256 : value;
	}
	return ((uint64_t)1 << (10 + (head[5] >> 3))) / 8 * (8 + (head[5] & 7));
}

/* Gathers the head; *whole once it has been judged and its frame begun. */
static int run_head(zstd_decoder *zstd, ol_decode_step *step, ol_error *err)
{
	uint64_t magic, window;

	while (step->in_size > 0) {
		size_t needed = zstd->head_size < 4 ? 4 : 8;

		if (zstd->head_size >= 4) {
			magic = little_endian(zstd->head, 4);
			if (magic == ZSTD_MAGICNUMBER)
				needed = head_needed(zstd->head, zstd->head_size);
			else if ((magic & ZSTD_MAGIC_SKIPPABLE_MASK) != ZSTD_MAGIC_SKIPPABLE_START)
				return ol_fail(err, OL_ECORRUPT, "zstd: %s",
					zstd->any ? "other bytes after the end" : "no frame");
			if (zstd->head_size == needed)
				break;
		}
		zstd->head[zstd->head_size++] = *step->in;
		ol_decode_used(step, 1);
	}
	if (zstd->head_size < 5)
		return OL_OK;
	magic = little_endian(zstd->head, 4);
	if (magic != ZSTD_MAGICNUMBER) {
		if (zstd->head_size < 8)
			return OL_OK;
		zstd->skip_left = (uint32_t)little_endian(zstd->head + 4, 4);
		zstd->head_size = 0;
		zstd->any = true;
		zstd->state = zstd->skip_left > 0 ? SKIP : HEAD;
		return OL_OK;
	}
	if (zstd->head_size < head_needed(zstd->head, zstd->head_size))
		return OL_OK;
	window = window_of(zstd->head, zstd->head_size);
	if (window > (uint64_t)1 << OL_ZSTD_WINDOW_LOG_MAX)
		return ol_fail(err, OL_ELIMIT, "zstd: a window of %llu bytes, more than %llu",
			(unsigned long long)window, 1ULL << OL_ZSTD_WINDOW_LOG_MAX);
	if (window > zstd->base.window_bytes)
		zstd->base.window_bytes = window;
	zstd->head_fed = 0;
	zstd->any = true;
	zstd->state = FRAME;
	return OL_OK;
}

static int run_frame(zstd_decoder *zstd, ol_decode_step *step, ol_error *err)
{
	bool from_head = zstd->head_fed < zstd->head_size;
	ZSTD_inBuffer in = { step->in, step->in_size, 0 };
	ZSTD_outBuffer out = { step->out, step->out_size, 0 };
	size_t rc;

	if (from_head)
		in = (ZSTD_inBuffer){ zstd->head + zstd->head_fed, zstd->head_size - zstd->head_fed,
			0 };
	rc = ZSTD_decompressStream(zstd->dctx, &out, &in);
	if (ZSTD_isError(rc)) {
		int code = ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation ? OL_ESYSTEM
										 : OL_ECORRUPT;

		return ol_fail(err, code, "zstd: %s", ZSTD_getErrorName(rc));
	}
	if (from_head)
		zstd->head_fed += in.pos;
	else
		ol_decode_used(step, in.pos);
	ol_decode_made(step, out.pos);
	if (rc == 0) {
		zstd->state = HEAD;
		zstd->head_size = 0;
	}
	return OL_OK;
}

static void run_skip(zstd_decoder *zstd, ol_decode_step *step)
{
	size_t size = step->in_size < zstd->skip_left ? step->in_size : zstd->skip_left;

	ol_decode_used(step, size);
	zstd->skip_left -= (uint32_t)size;
	if (zstd->skip_left == 0)
		zstd->state = HEAD;
}

static int zstd_run(ol_decoder *decoder, ol_decode_step *step, ol_error *err)
{
	const uint64_t easy = (uint64_t)1 << OL_ZSTD_WINDOW_LOG_EASY;
	zstd_decoder *zstd = (zstd_decoder *)decoder;
	bool going = true;

	while (going) {
		zstd_state before = zstd->state;
		size_t in = step->in_size, made = step->made, fed = zstd->head_fed;
		uint64_t window = decoder->window_bytes;
		int rc = OL_OK;

		switch (zstd->state) {
		case HEAD:
			rc = run_head(zstd, step, err);
			break;
		case FRAME:
			rc = run_frame(zstd, step, err);
			break;
		case SKIP:
			run_skip(zstd, step);
			break;
		}
		if (rc < 0)
			return rc;
		if (decoder->window_bytes > window && decoder->window_bytes > easy)
			return OL_OK; /* the caller may want to wait */
		going = step->in_size != in || step->made != made || zstd->head_fed != fed ||
			zstd->state != before;
		if (step->out_size == 0 && zstd->state == FRAME)
			going = false;
	}
	return OL_OK;
}

static int zstd_finish(ol_decoder *decoder, ol_error *err)
{
	const zstd_decoder *zstd = (const zstd_decoder *)decoder;

	if (zstd->state != HEAD || zstd->head_size > 0 || !zstd->any)
		return ol_fail(err, OL_ECORRUPT, "zstd: ends before its end");
	return OL_OK;
}

const ol_decoder_ops ol_decoder_zstd = {
	.compression = OL_COMPRESSION_ZSTD,
	.name = "zstd",
	.make = zstd_make,
	.free = zstd_free,
	.run = zstd_run,
	.finish = zstd_finish,
};
