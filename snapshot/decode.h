#pragma once

/*
 * Decoders: compressed bytes in, tar bytes out, streaming. One row each for gzip (ISA-L;
 * concatenated members, NUL padding after the last), zstd (many frames, skippable frames, windows
 * up to 128 MiB) and none.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "manifest/mediatype.h"

typedef struct ol_decoder ol_decoder;

/* What the first bytes (at least 4, or all there are) say. Never UNKNOWN: what is neither gzip nor
 * zstd is NONE. */
ol_compression ol_compression_sniff(const void *data, size_t size);
int ol_decoder_new(ol_compression compression, ol_decoder **out, ol_error *err);
void ol_decoder_free(ol_decoder *decoder);
OL_DEFINE_AUTO(ol_decoder, ol_decoder_free)

typedef struct ol_decode_step {
	const unsigned char *in;
	size_t in_size; /* lowered by what was used; in advances */
	unsigned char *out;
	size_t out_size; /* room; lowered by what was made; out advances */
	size_t made;     /* by this run */
} ol_decode_step;
/* Works until the input is used up, the room is full, or a window larger than any before and than
 * OL_ZSTD_WINDOW_LOG_EASY was announced: then it returns before the memory is taken, to be called
 * again. A full room may mean that more comes without input. OL_ECORRUPT. OL_ELIMIT: window too
 * large. After a failure only free is allowed. */
int ol_decoder_run(ol_decoder *decoder, ol_decode_step *step, ol_error *err);
/* After the last byte. OL_ECORRUPT when the stream is not complete. */
int ol_decoder_finish(ol_decoder *decoder, ol_error *err);
/* The largest zstd window announced so far, in bytes; 0 for the others. */
uint64_t ol_decoder_window_bytes(const ol_decoder *decoder);
