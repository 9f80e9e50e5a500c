/*
 * One piece of a blob, inflated into memory. A row for each kind; what a kind leaves out at the end
 * (the trailer of a member that goes on in the next piece) is not looked at.
 *
 *	RAW      copied
 *	GZIP     members one after another, with the decoder that pull has (ISA-L)
 *	DEFLATE  from a checkpoint on, over the ends of members (lazy_piece_deflate.c)
 *	ZSTD     frames one after another, skippable ones passed over, with the decoder that pull
 *	         has
 */
#include "snapshot/lazy_piece.h"

#include <string.h>

#include "snapshot/decode.h"
#include "snapshot/lazy_piece_priv.h"

static int inflate_raw(const ol_piece_input *input, unsigned char *out, ol_error *err)
{
	if (input->bytes.size < input->piece->size)
		return ol_fail(err, OL_ECORRUPT, "the piece is cut short");
	if (input->piece->size > 0)
		memcpy(out, input->bytes.data, (size_t)input->piece->size);
	return OL_OK;
}

/* What comes out is bounded by the room; the decoder's own end is not waited for. */
static int decode(
	ol_compression compression, const ol_piece_input *input, unsigned char *out, ol_error *err)
{
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	ol_decode_step step = {
		.in = (const unsigned char *)input->bytes.data,
		.in_size = input->bytes.size,
		.out = out,
		.out_size = (size_t)input->piece->size,
	};
	int rc = ol_decoder_new(compression, &decoder, err);

	while (rc == OL_OK && step.out_size > 0) {
		const size_t in = step.in_size;
		const uint64_t window = ol_decoder_window_bytes(decoder);

		rc = ol_decoder_run(decoder, &step, err);
		/* A large window was announced, and nothing else happened yet. */
		if (ol_decoder_window_bytes(decoder) > window)
			continue;
		if (rc == OL_OK && step.made == 0 && step.in_size == in)
			break;
	}
	if (rc == OL_OK && step.out_size > 0)
		rc = ol_fail(err, OL_ECORRUPT, "the piece gives fewer bytes than it should");
	return rc;
}

static int inflate_gzip(const ol_piece_input *input, unsigned char *out, ol_error *err)
{
	return decode(OL_COMPRESSION_GZIP, input, out, err);
}

static int inflate_zstd(const ol_piece_input *input, unsigned char *out, ol_error *err)
{
	return decode(OL_COMPRESSION_ZSTD, input, out, err);
}

int ol_piece_inflate(const ol_piece_input *input, unsigned char *out, ol_error *err)
{
	static const struct {
		ol_piece_kind kind;
		int (*inflate)(const ol_piece_input *input, unsigned char *out, ol_error *err);
	} rows[] = {
		{ OL_PIECE_RAW, inflate_raw },
		{ OL_PIECE_GZIP, inflate_gzip },
		{ OL_PIECE_DEFLATE, ol_piece_inflate_deflate },
		{ OL_PIECE_ZSTD, inflate_zstd },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].kind == input->piece->kind)
			return rows[i].inflate(input, out, err);
	return ol_fail(err, OL_ECORRUPT, "the piece is of an unknown kind");
}
