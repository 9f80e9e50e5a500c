/*
 * Inflating from a checkpoint, which lies in the middle of a gzip member, between two blocks of
 * deflate and so at any bit:
 *
 *	 byte begin               begin + 1
 *	 │ used … │ bits left │   the rest, as it is
 *	          └─ primed ──┘
 *
 * With zlib: ISA-L can begin at a byte only. At a member's end (its last block) follow 8 bytes of
 * trailer and, in gzip files of several members, the header of the next one: a fresh beginning, as
 * if from there on it were an ordinary gzip file (RFC 1952). Checksums are not looked at: they are
 * of whole members, and the piece's digest says more.
 *
 * bits == 0 and no window may also be the beginning of the file's first member, behind its header.
 */
#include <string.h>
#include <zlib.h>

#include "snapshot/decode.h"
#include "snapshot/lazy_piece_priv.h"

#define WINDOW_BYTES  32768
#define TRAILER_BYTES 8
#define RAW_DEFLATE   (-MAX_WBITS)

static int fail_zlib(const z_stream *stream, int rc, ol_error *err)
{
	if (rc == Z_MEM_ERROR)
		return ol_fail(err, OL_ESYSTEM, "no memory to inflate a piece");
	return ol_fail(err, OL_ECORRUPT, "deflate: %s", stream->msg ? stream->msg : "damaged");
}

/* The bits that are left of the first byte, and the 32 KiB before. */
static int prime(z_stream *stream, const ol_piece_input *input, ol_error *err)
{
	const unsigned bits = input->piece->bits;
	int rc = Z_OK;

	if (bits > 7)
		return ol_fail(err, OL_ECORRUPT, "the piece begins at no bit");
	if (bits > 0) {
		if (stream->avail_in == 0)
			return ol_fail(err, OL_ECORRUPT, "the piece is cut short");
		/* Bits of a byte are used from the lowest on: those left are its highest. */
		rc = inflatePrime(stream, (int)bits, *stream->next_in >> (8 - bits));
		stream->next_in++;
		stream->avail_in--;
	}
	if (rc == Z_OK && input->window.size > 0) {
		if (input->window.size != WINDOW_BYTES)
			return ol_fail(err, OL_ECORRUPT, "the piece's window has %zu bytes",
				input->window.size);
		rc = inflateSetDictionary(
			stream, (const unsigned char *)input->window.data, WINDOW_BYTES);
	}
	return rc == Z_OK ? OL_OK : fail_zlib(stream, rc, err);
}

/* After the member's end: whole members, as a piece that begins with a header. */
static int inflate_rest(z_stream *stream, ol_error *err)
{
	ol_lazy_piece piece = { .kind = OL_PIECE_GZIP, .size = stream->avail_out };
	ol_piece_input rest = { .piece = &piece };

	if (stream->avail_in <= TRAILER_BYTES)
		return ol_fail(err, OL_ECORRUPT, "the piece gives fewer bytes than it should");
	rest.bytes =
		ol_view_from(stream->next_in + TRAILER_BYTES, stream->avail_in - TRAILER_BYTES);
	return ol_piece_inflate(&rest, stream->next_out, err);
}

/* Where the next checkpoint is, this piece is at its end: fewer than 8 bits may be left, in which
 * no byte of output is. More means that a checkpoint is not where it says. */
static int check_end(z_stream *stream, ol_error *err)
{
	unsigned char more;

	stream->next_out = &more;
	stream->avail_out = 1;
	while (stream->avail_in > 0 && stream->avail_out > 0)
		if (inflate(stream, Z_SYNC_FLUSH) != Z_OK)
			break;
	stream->next_out = NULL;
	return stream->avail_out > 0
		       ? OL_OK
		       : ol_fail(err, OL_ECORRUPT, "the piece gives more bytes than it should");
}

int ol_piece_inflate_deflate(const ol_piece_input *input, unsigned char *out, ol_error *err)
{
	/* A piece is far below 4 GiB: base/limits.h. */
	z_stream stream = {
		.next_in = (unsigned char *)(uintptr_t)input->bytes.data, /* it is not written to */
		.avail_in = (unsigned)input->bytes.size,
		.next_out = out,
		.avail_out = (unsigned)input->piece->size,
	};
	int rc, z = inflateInit2(&stream, RAW_DEFLATE);

	if (z != Z_OK)
		return fail_zlib(&stream, z, err);
	rc = prime(&stream, input, err);
	while (rc == OL_OK && stream.avail_out > 0) {
		z = inflate(&stream, Z_SYNC_FLUSH);
		if (z == Z_STREAM_END && stream.avail_out > 0) {
			rc = inflate_rest(&stream, err);
			stream.avail_out = 0;
		} else if (z == Z_BUF_ERROR || (z == Z_OK && stream.avail_in == 0)) {
			break;
		} else if (z != Z_OK && z != Z_STREAM_END) {
			rc = fail_zlib(&stream, z, err);
		}
	}
	if (rc == OL_OK && stream.avail_out > 0)
		rc = ol_fail(err, OL_ECORRUPT, "the piece gives fewer bytes than it should");
	if (rc == OL_OK && z != Z_STREAM_END && !input->is_last)
		rc = check_end(&stream, err);
	(void)inflateEnd(&stream);
	return rc;
}
