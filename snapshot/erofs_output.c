/*
 * The index file as it grows: one buffer, written from front to back. What is only known later (the
 * size of a directory, the links of an inode) is patched, in the buffer while it is there and in
 * the file after that.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/erofs_writer_priv.h"

#define BUFFER_BYTES ((size_t)256 << 10)

void ol_erofs_output_init(ol_erofs_output *output, int fd)
{
	*output = (ol_erofs_output){ .fd = fd, .mixed = { 0x6f726c6f70ULL, 0x65726f6673ULL } };
	output->buffer = ol_alloc(BUFFER_BYTES);
}

void ol_erofs_output_done(ol_erofs_output *output)
{
	free(output->buffer);
	output->buffer = NULL;
}

/* Not a hash to rely on: it tells indexes apart. */
static void mix(ol_erofs_output *output)
{
	uint64_t a = output->mixed[0], b = output->mixed[1];

	for (size_t i = 0; i + 8 <= output->used; i += 8) {
		uint64_t word;

		memcpy(&word, output->buffer + i, sizeof word);
		a = (a ^ word) * 0x9e3779b97f4a7c15ULL;
		a ^= a >> 29;
		b = (b + a) * 0xbf58476d1ce4e5b9ULL;
		b ^= b >> 32;
	}
	output->mixed[0] = a;
	output->mixed[1] = b;
}

int ol_erofs_output_flush(ol_erofs_output *output, ol_error *err)
{
	int rc;

	mix(output);
	rc = ol_pwrite_all(output->fd, output->buffer, output->used, output->base, err);
	if (rc < 0)
		return ol_wrap(err, rc, "index");
	output->base += output->used;
	output->used = 0;
	return OL_OK;
}

int ol_erofs_output_add(ol_erofs_output *output, const void *data, size_t size, ol_error *err)
{
	const char *p = data;

	while (size) {
		size_t room = BUFFER_BYTES - output->used;
		size_t n = size < room ? size : room;
		int rc = OL_OK;

		memcpy(output->buffer + output->used, p, n);
		output->used += n;
		output->position += n;
		p += n;
		size -= n;
		if (output->used == BUFFER_BYTES)
			rc = ol_erofs_output_flush(output, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

int ol_erofs_output_zeros(ol_erofs_output *output, uint64_t size, ol_error *err)
{
	static const char zeros[OL_EROFS_BLOCK];
	int rc = OL_OK;

	while (rc == OL_OK && size) {
		size_t n = size < sizeof zeros ? (size_t)size : sizeof zeros;

		rc = ol_erofs_output_add(output, zeros, n, err);
		size -= n;
	}
	return rc;
}

int ol_erofs_output_align(ol_erofs_output *output, uint64_t unit, ol_error *err)
{
	return ol_erofs_output_zeros(output, -output->position & (unit - 1), err);
}

int ol_erofs_output_copy(
	ol_erofs_output *output, int fd, uint64_t offset, uint64_t size, ol_error *err)
{
	char block[16 << 10];
	int rc = OL_OK;

	while (rc == OL_OK && size) {
		size_t n = size < sizeof block ? (size_t)size : sizeof block;

		rc = ol_pread_all(fd, block, n, offset, err);
		if (rc == OL_OK)
			rc = ol_erofs_output_add(output, block, n, err);
		offset += n;
		size -= n;
	}
	return rc;
}

int ol_erofs_output_patch(
	ol_erofs_output *output, uint64_t at, const void *data, size_t size, ol_error *err)
{
	const char *p = data;

	if (at < output->base) {
		uint64_t before = output->base - at;
		size_t n = size < before ? size : (size_t)before;
		int rc = ol_pwrite_all(output->fd, p, n, at, err);

		if (rc < 0)
			return ol_wrap(err, rc, "index");
		at += n;
		p += n;
		size -= n;
	}
	if (size)
		memcpy(output->buffer + (at - output->base), p, size);
	return OL_OK;
}
