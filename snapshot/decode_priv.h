#pragma once

/* A row of the table of decoders, and what a decoder embeds as its first member. */
#include "snapshot/decode.h"

typedef struct ol_decoder_ops {
	ol_compression compression;
	const char *name;
	ol_decoder *(*make)(void); /* NULL: no memory */
	void (*free)(ol_decoder *decoder);
	int (*run)(ol_decoder *decoder, ol_decode_step *step, ol_error *err);
	int (*finish)(ol_decoder *decoder, ol_error *err);
} ol_decoder_ops;

struct ol_decoder {
	const ol_decoder_ops *ops;
	uint64_t window_bytes; /* of what was met so far; 0 where there is none */
};

extern const ol_decoder_ops ol_decoder_gzip;
extern const ol_decoder_ops ol_decoder_zstd;

/* At a block in the middle of a gzip member. */
typedef struct ol_gzip_place {
	unsigned char window[32768]; /* the output before it */
	size_t window_size;
	unsigned bits; /* of last_byte, that are still to be used: its upper ones */
	unsigned char last_byte;
	uint32_t crc, made; /* of the member's output so far */
} ol_gzip_place;
/* decode_gzip.c: goes on from there. OL_ESYSTEM: it cannot. */
int ol_gzip_decoder_at(const ol_gzip_place *place, ol_decoder **out, ol_error *err);

/* n bytes of input were used, m bytes of output made. */
static inline void ol_decode_used(ol_decode_step *step, size_t n)
{
	step->in += n;
	step->in_size -= n;
}

static inline void ol_decode_made(ol_decode_step *step, size_t n)
{
	step->out += n;
	step->out_size -= n;
	step->made += n;
}
