#include "snapshot/gzip_file.h"

#include <zlib.h>

#include "base/alloc.h"
#include "base/file.h"

/* What docker and everybody who uses Go's gzip has: layers are no larger than elsewhere. */
#define LEVEL       6
#define BLOCK_BYTES ((size_t)256 << 10)
/* zlib: gzip's wrapper around the largest window. */
#define WINDOW_BITS (15 + 16)

struct gzip {
	z_stream stream;
	unsigned char *in, *out; /* owned, BLOCK_BYTES each */
	ol_hasher *hasher;       /* owned */
	uint64_t size;
	int fd; /* lent */
};

/* Everything the input gives, out. */
static int squeeze(struct gzip *gzip, int flush, ol_error *err)
{
	int rc = OL_OK;

	do {
		size_t made;

		gzip->stream.next_out = gzip->out;
		gzip->stream.avail_out = (uInt)BLOCK_BYTES;
		if (deflate(&gzip->stream, flush) == Z_STREAM_ERROR)
			return ol_fail(err, OL_ESYSTEM, "zlib does not compress");
		made = BLOCK_BYTES - gzip->stream.avail_out;
		if (made == 0)
			break;
		ol_hasher_update(gzip->hasher, gzip->out, made);
		gzip->size += made;
		rc = ol_write_all(gzip->fd, gzip->out, made, err);
	} while (rc == OL_OK && gzip->stream.avail_out == 0);
	return rc;
}

static int run(struct gzip *gzip, ol_reader *reader, const ol_cancel *cancel, ol_error *err)
{
	size_t got = 1;
	int rc = OL_OK;

	while (rc == OL_OK && got > 0) {
		rc = ol_cancel_check(cancel, err);
		if (rc == OL_OK)
			rc = ol_reader_read(reader, gzip->in, BLOCK_BYTES, &got, err);
		if (rc < 0)
			return rc;
		gzip->stream.next_in = gzip->in;
		gzip->stream.avail_in = (uInt)got;
		rc = squeeze(gzip, got ? Z_NO_FLUSH : Z_FINISH, err);
	}
	return rc;
}

int ol_gzip_file(ol_reader *reader, int fd, const ol_cancel *cancel, ol_gzipped *out, ol_error *err)
{
	ol_autofree unsigned char *in = ol_alloc(BLOCK_BYTES);
	ol_autofree unsigned char *made = ol_alloc(BLOCK_BYTES);
	struct gzip gzip = { .in = in, .out = made, .fd = fd };
	int rc;

	if (deflateInit2(&gzip.stream, LEVEL, Z_DEFLATED, WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) !=
		Z_OK)
		return ol_fail(err, OL_ESYSTEM, "zlib does not start");
	gzip.hasher = ol_hasher_new(OL_SHA256);
	rc = run(&gzip, reader, cancel, err);
	if (rc == OL_OK)
		*out = (ol_gzipped){ ol_hasher_final(gzip.hasher), gzip.size };
	ol_hasher_free(gzip.hasher);
	(void)deflateEnd(&gzip.stream);
	return rc;
}
