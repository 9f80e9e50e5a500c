/* The decoders: the first byte chooses compression and steps; the same bytes in other steps must
 * give the same. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "snapshot/decode.h"
#include "tests/fuzz/fuzz.h"

#define MADE_MAX ((size_t)4 << 20) /* a bomb is cut short here */

struct result {
	int rc;
	size_t made;
	uint64_t sum;
};

static struct result run(
	ol_compression compression, const uint8_t *data, size_t size, size_t in, size_t out)
{
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	ol_autofree unsigned char *room = ol_alloc(out);
	struct result result = { .rc = ol_decoder_new(compression, &decoder, NULL), .sum = 1 };

	for (size_t at = 0; result.rc == OL_OK && at < size; at += in) {
		ol_decode_step step = { .in = data + at,
			.in_size = size - at < in ? size - at : in };

		do {
			step.out = room;
			step.out_size = out;
			result.rc = ol_decoder_run(decoder, &step, NULL);
			for (size_t i = 0; i < step.made; i++)
				result.sum = result.sum * 31 + room[i];
			result.made += step.made;
			if (result.made > MADE_MAX)
				return (struct result){ 0 };
		} while (result.rc == OL_OK && (step.in_size > 0 || step.made == out));
	}
	if (result.rc == OL_OK)
		result.rc = ol_decoder_finish(decoder, NULL);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ol_compression compressions[] = { OL_COMPRESSION_GZIP, OL_COMPRESSION_ZSTD,
		OL_COMPRESSION_NONE };
	ol_compression compression;
	struct result whole, pieces;

	if (size == 0)
		return 0;
	compression = compressions[data[0] % 3];
	whole = run(compression, data + 1, size - 1, size, (size_t)64 << 10);
	pieces = run(compression, data + 1, size - 1, data[0] / 3 % 16 + 1, 1000);
	if (whole.made > 0 && pieces.made > 0 && whole.rc == OL_OK &&
		(pieces.rc != OL_OK || whole.made != pieces.made || whole.sum != pieces.sum))
		abort();
	return 0;
}
