#pragma once

/*
 * Inflating one piece of a lazy layer's blob: its compressed bytes in, the bytes of its extents
 * out. What comes out is bounded by the piece's size; whether it is right the digests tell, which
 * the caller holds against it.
 */
#include "base/stream.h"
#include "snapshot/lazy_table.h"

typedef struct ol_piece_input {
	const ol_lazy_piece *piece;
	ol_view bytes;  /* all of piece->begin..end-1 */
	ol_view window; /* DEFLATE: 32 KiB, or empty */
	/* It is the blob's last: a tar may go on behind what tables of contents count. */
	bool is_last;
} ol_piece_input;

/* Writes exactly piece->size bytes to out (room for them). OL_ECORRUPT: it is damaged, or gives
 * fewer, or, DEFLATE that is not the last, more. Else the rest is not looked at. RFC 1951, 1952,
 * 8878. */
int ol_piece_inflate(const ol_piece_input *input, unsigned char *out, ol_error *err);
