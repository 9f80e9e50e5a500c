/*
 * gzip (RFC 1952) with ISA-L, which checks header CRC, CRC-32 and ISIZE of each member. Headers
 * are read apart from the data: isal_inflate forgets the optional fields of a header that comes in
 * pieces.
 *
 *	HEADER ──▶ MEMBER ──its end──▶ BETWEEN ──1f──▶ HEADER
 *	                                  └────00──▶ PADDING: nothing but zeroes
 */
#include <isa-l/igzip_lib.h>

#include "base/alloc.h"
#include "snapshot/decode_priv.h"

typedef enum gzip_state { HEADER, MEMBER, BETWEEN, PADDING } gzip_state;

typedef struct gzip_decoder {
	ol_decoder base;
	gzip_state state;
	struct isal_gzip_header header;
	struct inflate_state inflate;
} gzip_decoder;

static void begin_member(gzip_decoder *gzip)
{
	isal_inflate_reset(&gzip->inflate);
	gzip->inflate.crc_flag = ISAL_GZIP_NO_HDR_VER;
	isal_gzip_header_init(&gzip->header);
	gzip->state = HEADER;
}

static ol_decoder *gzip_make(void)
{
	gzip_decoder *gzip = ol_alloc(sizeof *gzip);

	isal_inflate_init(&gzip->inflate);
	begin_member(gzip);
	return &gzip->base;
}

static void gzip_free(ol_decoder *decoder)
{
	free(decoder);
}

static const char *words_of(int code)
{
	static const struct {
		int code;
		const char *words;
	} rows[] = {
		{ ISAL_INVALID_BLOCK, "an invalid block" },
		{ ISAL_INVALID_SYMBOL, "an invalid symbol" },
		{ ISAL_INVALID_LOOKBACK, "a reference before the beginning" },
		{ ISAL_INVALID_WRAPPER, "an invalid header" },
		{ ISAL_UNSUPPORTED_METHOD, "a method that is not deflate" },
		{ ISAL_INCORRECT_CHECKSUM, "a wrong checksum or length" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].code == code)
			return rows[i].words;
	return "damaged";
}

static uint32_t at_most_32_bits(size_t size)
{
	return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

static int run_header(gzip_decoder *gzip, ol_decode_step *step, ol_error *err)
{
	struct inflate_state *inflate = &gzip->inflate;
	uint32_t in = at_most_32_bits(step->in_size);
	int rc;

	inflate->next_in = (uint8_t *)(uintptr_t)step->in; /* it is not written to */
	inflate->avail_in = in;
	rc = isal_read_gzip_header(inflate, &gzip->header);
	if (rc < 0)
		return ol_fail(err, OL_ECORRUPT, "gzip: %s", words_of(rc));
	ol_decode_used(step, in - inflate->avail_in);
	if (rc == ISAL_DECOMP_OK)
		gzip->state = MEMBER;
	return OL_OK;
}

/* Goes on with a member until its end, the input's or the room's. */
static int run_member(gzip_decoder *gzip, ol_decode_step *step, ol_error *err)
{
	struct inflate_state *inflate = &gzip->inflate;
	uint32_t in = at_most_32_bits(step->in_size), room = at_most_32_bits(step->out_size);
	int rc;

	inflate->next_in = (uint8_t *)(uintptr_t)step->in; /* it is not written to */
	inflate->avail_in = in;
	inflate->next_out = step->out;
	inflate->avail_out = room;
	rc = isal_inflate(inflate);
	if (rc < 0)
		return ol_fail(err, OL_ECORRUPT, "gzip: %s", words_of(rc));
	ol_decode_used(step, in - inflate->avail_in);
	ol_decode_made(step, room - inflate->avail_out);
	if (inflate->block_state == ISAL_BLOCK_FINISH)
		gzip->state = BETWEEN;
	return OL_OK;
}

static int run_padding(ol_decode_step *step, ol_error *err)
{
	size_t size = step->in_size;

	for (size_t i = 0; i < size; i++)
		if (step->in[i] != 0)
			return ol_fail(err, OL_ECORRUPT, "gzip: other bytes after the end");
	ol_decode_used(step, size);
	return OL_OK;
}

static int gzip_run(ol_decoder *decoder, ol_decode_step *step, ol_error *err)
{
	gzip_decoder *gzip = (gzip_decoder *)decoder;
	size_t in_before, made_before;

	do {
		int rc = OL_OK;

		in_before = step->in_size;
		made_before = step->made;
		switch (gzip->state) {
		case BETWEEN:
			if (step->in_size == 0)
				return OL_OK;
			if (step->in[0] == 0)
				gzip->state = PADDING;
			else
				begin_member(gzip);
			continue;
		case HEADER:
			rc = run_header(gzip, step, err);
			break;
		case MEMBER:
			rc = run_member(gzip, step, err);
			break;
		case PADDING:
			rc = run_padding(step, err);
			break;
		}
		if (rc < 0)
			return rc;
		/* With input left but no room, or neither used nor made anything: the caller's
		 * turn. */
	} while (step->out_size > 0 && (step->in_size != in_before || step->made != made_before));
	return OL_OK;
}

static int gzip_finish(ol_decoder *decoder, ol_error *err)
{
	const gzip_decoder *gzip = (const gzip_decoder *)decoder;

	if (gzip->state == HEADER || gzip->state == MEMBER)
		return ol_fail(err, OL_ECORRUPT, "gzip: ends before its end");
	return OL_OK;
}

const ol_decoder_ops ol_decoder_gzip = {
	.compression = OL_COMPRESSION_GZIP,
	.name = "gzip",
	.make = gzip_make,
	.free = gzip_free,
	.run = gzip_run,
	.finish = gzip_finish,
};

/* All that ISA-L knows of what came before: output, half a byte, checksum and length. */
int ol_gzip_decoder_at(const ol_gzip_place *place, ol_decoder **out, ol_error *err)
{
	gzip_decoder *gzip = (gzip_decoder *)gzip_make();
	struct inflate_state *inflate = &gzip->inflate;

	gzip->base.ops = &ol_decoder_gzip;
	gzip->state = MEMBER;
	/* it is not written to */
	if (place->window_size > 0 &&
		isal_inflate_set_dict(inflate, (uint8_t *)(uintptr_t)place->window,
			(uint32_t)place->window_size) != ISAL_DECOMP_OK) {
		gzip_free(&gzip->base);
		return ol_fail(err, OL_ESYSTEM, "gzip: cannot go on here");
	}
	inflate->crc = place->crc;
	inflate->total_out = place->made;
	if (place->bits) {
		inflate->read_in = place->last_byte >> (8 - place->bits);
		inflate->read_in_length = (int32_t)place->bits;
	}
	*out = &gzip->base;
	return OL_OK;
}
