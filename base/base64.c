#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
	const char *found = c ? strchr(alphabet, c) : NULL;

	return found ? (int)(found - alphabet) : -1;
}

/* Four characters to *size bytes: 3, or fewer at the end. */
static bool parse_group(const char *text, bool last, unsigned char *bytes, size_t *size)
{
	uint32_t bits = 0;
	size_t pads = 0;

	if (last)
		pads = text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - pads ? value_of(text[i]) : 0;

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
	}
	*size = 3 - pads;
	for (size_t i = 0; i < 3; i++)
		bytes[i] = (unsigned char)(bits >> (16 - 8 * i));
	/* Bits that no byte takes are zero, or two texts would mean the same. */
	return (pads < 1 || bytes[2] == 0) && (pads < 2 || bytes[1] == 0);
}

int ol_base64_parse(ol_view text, ol_buf *out, ol_error *err)
{
	if (text.size % 4 != 0)
		return ol_fail(err, OL_EINVAL,
			"not base64: %zu characters are not a multiple of four", text.size);
	for (size_t i = 0; i < text.size; i += 4) {
		unsigned char bytes[3];
		size_t size;

		if (!parse_group(text.data + i, i + 4 == text.size, bytes, &size))
			return ol_fail(err, OL_EINVAL, "not base64: at byte %zu", i);
		(void)ol_buf_add(out, bytes, size);
	}
	return ol_str_error(out, err);
}

int ol_base64_format(ol_view bytes, ol_str *out)
{
	const unsigned char *p = (const unsigned char *)bytes.data;

	for (size_t i = 0; i < bytes.size; i += 3) {
		size_t left = bytes.size - i;
		uint32_t bits = (uint32_t)p[i] << 16;

		if (left > 1)
			bits |= (uint32_t)p[i + 1] << 8;
		if (left > 2)
			bits |= p[i + 2];
		for (size_t k = 0; k < 4; k++)
			(void)ol_buf_add(
				out, k <= left ? &alphabet[bits >> (18 - 6 * k) & 63] : "=", 1);
	}
	return out->rc;
}
