#pragma once

/* What the files of a piece's inflating share. */
#include "snapshot/lazy_piece.h"

/* lazy_piece_deflate.c: from a checkpoint. As ol_piece_inflate. */
int ol_piece_inflate_deflate(const ol_piece_input *input, unsigned char *out, ol_error *err);
