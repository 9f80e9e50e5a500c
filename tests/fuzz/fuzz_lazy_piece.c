#include <stdlib.h>
#include <string.h>

#include "snapshot/lazy_piece.h"
#include "tests/fuzz/fuzz.h"

#define WINDOW_BYTES 32768

/* 4 bytes say how: kind and bits, whether there is a window, how many bytes to give. The memory is
 * exactly as large as asked for: the sanitizer sees what goes beyond. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char window[WINDOW_BYTES];
	ol_lazy_piece piece = { 0 };
	ol_piece_input input = { .piece = &piece };
	unsigned char *out;

	if (size < 4)
		return 0;
	piece.kind = (ol_piece_kind)(data[0] & 7);
	piece.bits = data[0] >> 4;
	piece.size = data[2] | (uint64_t)data[3] << 8;
	if (data[1] & 1)
		input.window = ol_view_from(window, sizeof window);
	input.bytes = ol_view_from(data + 4, size - 4);
	out = malloc(piece.size ? piece.size : 1);
	if (out)
		(void)ol_piece_inflate(&input, out, NULL);
	free(out);
	return 0;
}
