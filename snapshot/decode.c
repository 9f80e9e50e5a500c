/*
 * The table of decoders, and the one that does nothing.
 */
#include "snapshot/decode.h"

#include <string.h>

#include "base/alloc.h"
#include "snapshot/decode_priv.h"

ol_compression ol_compression_sniff(const void *data, size_t size)
{
	static const unsigned char gzip[2] = { 0x1f, 0x8b };
	static const unsigned char zstd[4] = { 0x28, 0xb5, 0x2f, 0xfd };
	static const unsigned char skippable[3] = { 0x2a, 0x4d, 0x18 }; /* after 0x50 … 0x5f */
	const unsigned char *bytes = data;

	if (size >= 2 && memcmp(bytes, gzip, sizeof gzip) == 0)
		return OL_COMPRESSION_GZIP;
	if (size >= 4 && memcmp(bytes, zstd, sizeof zstd) == 0)
		return OL_COMPRESSION_ZSTD;
	if (size >= 4 && (bytes[0] & 0xf0) == 0x50 &&
		memcmp(bytes + 1, skippable, sizeof skippable) == 0)
		return OL_COMPRESSION_ZSTD;
	return OL_COMPRESSION_NONE;
}

static ol_decoder *none_make(void)
{
	return ol_alloc(sizeof(ol_decoder));
}

static void none_free(ol_decoder *decoder)
{
	free(decoder);
}

static int none_run(ol_decoder *decoder, ol_decode_step *step, ol_error *err)
{
	size_t size = step->in_size < step->out_size ? step->in_size : step->out_size;

	(void)decoder;
	(void)err;
	if (size > 0)
		memcpy(step->out, step->in, size);
	ol_decode_used(step, size);
	ol_decode_made(step, size);
	return OL_OK;
}

static int none_finish(ol_decoder *decoder, ol_error *err)
{
	(void)decoder;
	(void)err;
	return OL_OK;
}

static const ol_decoder_ops decoder_none = {
	.compression = OL_COMPRESSION_NONE,
	.name = "none",
	.make = none_make,
	.free = none_free,
	.run = none_run,
	.finish = none_finish,
};

int ol_decoder_new(ol_compression compression, ol_decoder **out, ol_error *err)
{
	static const ol_decoder_ops *const rows[] = { &decoder_none, &ol_decoder_gzip,
		&ol_decoder_zstd };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ol_decoder *decoder;

		if (rows[i]->compression != compression)
			continue;
		decoder = rows[i]->make();
		if (!decoder)
			return ol_fail(
				err, OL_ESYSTEM, "no memory for a %s decoder", rows[i]->name);
		decoder->ops = rows[i];
		*out = decoder;
		return OL_OK;
	}
	return ol_fail(err, OL_EINVAL, "no decoder for an unknown compression: sniff it first");
}

void ol_decoder_free(ol_decoder *decoder)
{
	if (decoder)
		decoder->ops->free(decoder);
}

int ol_decoder_run(ol_decoder *decoder, ol_decode_step *step, ol_error *err)
{
	step->made = 0;
	return decoder->ops->run(decoder, step, err);
}

int ol_decoder_finish(ol_decoder *decoder, ol_error *err)
{
	return decoder->ops->finish(decoder, err);
}

uint64_t ol_decoder_window_bytes(const ol_decoder *decoder)
{
	return decoder->window_bytes;
}
