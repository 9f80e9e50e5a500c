/*
 * One block of 512 bytes: is it a header, of which dialect, and what do its fields say?
 *
 * Numbers are octal text, led by spaces and ended by a space, a NUL or the field's end; or, where
 * the first byte has its high bit set, a big-endian two's complement number of the remaining bits
 * (base-256, GNU and star).
 */
#include "manifest/tar_priv.h"

bool ol_tar_block_is_zero(const unsigned char *block)
{
	static const unsigned char zero[OL_TAR_BLOCK_BYTES];

	return block[0] == 0 && memcmp(block, zero, OL_TAR_BLOCK_BYTES) == 0;
}

/* The sum of all bytes, the checksum's own taken as spaces; by the letter of POSIX they are
 * unsigned, to some old tars signed. */
static bool sum_fits(const unsigned char *block, uint64_t want)
{
	uint32_t sum = 0, high = 0;

	for (size_t i = 0; i < OL_TAR_BLOCK_BYTES; i++)
		sum += block[i];
	for (size_t i = 0; i < OL_TAR_CHECKSUM.size; i++)
		sum = sum - block[OL_TAR_CHECKSUM.at + i] + ' ';
	if (sum == want)
		return true;
	for (size_t i = 0; i < OL_TAR_BLOCK_BYTES; i++)
		if (i - OL_TAR_CHECKSUM.at >= OL_TAR_CHECKSUM.size)
			high += block[i] >> 7;
	return (uint64_t)sum == want + (uint64_t)256 * high;
}

static ol_tar_dialect dialect_of(const unsigned char *block)
{
	if (memcmp(block + 257, "ustar\0", 6) == 0)
		return memcmp(block + 508, "tar\0", 4) == 0 ? OL_TAR_STAR : OL_TAR_USTAR;
	if (memcmp(block + 257, "ustar  \0", 8) == 0)
		return OL_TAR_GNU;
	return OL_TAR_V7;
}

int ol_tar_block_check(const unsigned char *block, ol_tar_dialect *out, ol_error *err)
{
	uint64_t want = 0;
	int rc = ol_tar_number(block, OL_TAR_CHECKSUM, "checksum", UINT32_MAX, &want, err);

	if (rc < 0)
		return rc;
	if (!sum_fits(block, want))
		return ol_fail(err, OL_ECORRUPT, "the checksum of the header is wrong");
	*out = dialect_of(block);
	return OL_OK;
}

ol_view ol_tar_text(const unsigned char *block, ol_tar_field field)
{
	const char *text = (const char *)block + field.at;

	return (ol_view){ text, strnlen(text, field.size) };
}

/* The bits after the marker, as two's complement. False past 63 bits. */
static bool base256(const unsigned char *bytes, size_t size, int64_t *out)
{
	bool negative = bytes[0] & 0x40;
	uint64_t value = negative ? UINT64_MAX : 0;

	/* The marker is replaced by the sign it hides. */
	for (size_t i = 0; i < size; i++) {
		uint64_t byte = bytes[i];

		if (i == 0)
			byte = negative ? byte | 0x80 : byte & 0x7f;
		if ((int64_t)value > INT64_MAX >> 8 || (int64_t)value < INT64_MIN >> 8)
			return false;
		value = value << 8 | byte;
	}
	*out = (int64_t)value;
	return true;
}

static bool octal(const unsigned char *bytes, size_t size, int64_t *out)
{
	size_t i = 0;
	uint64_t value = 0;

	while (i < size && (bytes[i] == ' ' || bytes[i] == '\0'))
		i++;
	for (; i < size && bytes[i] >= '0' && bytes[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(bytes[i] - '0'); /* 12 digits are 36 bits */
	if (i < size && bytes[i] != ' ' && bytes[i] != '\0')
		return false;
	*out = (int64_t)value;
	return true;
}

static bool number(const unsigned char *block, ol_tar_field field, int64_t *out)
{
	const unsigned char *bytes = block + field.at;

	return bytes[0] & 0x80 ? base256(bytes, field.size, out) : octal(bytes, field.size, out);
}

int ol_tar_number(const unsigned char *block, ol_tar_field field, const char *what, uint64_t max,
	uint64_t *out, ol_error *err)
{
	int64_t value;

	if (!number(block, field, &value))
		return ol_fail(err, OL_ECORRUPT, "the %s is no number", what);
	if (value < 0)
		return ol_fail(err, OL_ECORRUPT, "the %s is negative", what);
	if ((uint64_t)value > max)
		return ol_fail(err, OL_ECORRUPT, "the %s is too large", what);
	*out = (uint64_t)value;
	return OL_OK;
}

int ol_tar_seconds(
	const unsigned char *block, ol_tar_field field, struct timespec *out, ol_error *err)
{
	int64_t value;

	if (!number(block, field, &value))
		return ol_fail(err, OL_ECORRUPT, "the time is no number");
	if (value < 0)
		value = 0;
	if (value > OL_TIME_MAX)
		value = OL_TIME_MAX;
	*out = (struct timespec){ .tv_sec = value };
	return OL_OK;
}
