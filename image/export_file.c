/*
 * Holes. File systems tell of them in different ways, and EROFS through overlayfs not at all, so
 * they are looked for: a file is sampled, and one with zeros in a sample is read. What is then all
 * zeros for HOLE_BYTES_MIN or more, in whole blocks, is a hole. So the same tree gives the same
 * bytes, however its layers are kept.
 */
#include <errno.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "image/export_priv.h"

#define BLOCK_BYTES    ((size_t)4 << 10)
#define SAMPLE_BYTES   ((uint64_t)256 << 10)
#define HOLE_BYTES_MIN ((uint64_t)64 << 10)
#define READ_BYTES     ((size_t)128 << 10)

/* The last number of the map says where the file ends. */
#define PIECES_MAX (OL_SPARSE_PIECES_MAX - 1)

static int read_full(int fd, uint64_t offset, void *data, size_t size, ol_error *err)
{
	char *at = data;

	while (size > 0) {
		ssize_t n = pread(fd, at, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ol_fail_sys(err, "read");
		if (n == 0)
			return ol_fail(err, OL_EBUSY, "has become shorter while it was read");
		at += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return OL_OK;
}

static bool is_zero(const unsigned char *data, size_t size)
{
	return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

static int has_zeros(int fd, uint64_t size, bool *out, ol_error *err)
{
	unsigned char block[BLOCK_BYTES];
	int rc = OL_OK;

	*out = false;
	for (uint64_t at = 0; rc == OL_OK && !*out && at + sizeof block <= size;
		at += SAMPLE_BYTES) {
		rc = read_full(fd, at, block, sizeof block, err);
		*out = rc == OL_OK && is_zero(block, sizeof block);
	}
	return rc;
}

struct scan {
	ol_sparse *pieces; /* owned */
	size_t count, cap;
	uint64_t zeros; /* bytes of zeros that the scan has behind it */
};

/* A block with data ends where end is; the zeros before it are a hole or not worth one. */
static void add_data(struct scan *scan, uint64_t at, uint64_t size)
{
	ol_sparse *last = scan->count ? &scan->pieces[scan->count - 1] : NULL;
	uint64_t start = at - scan->zeros, end = at + size;
	bool hole = scan->zeros >= HOLE_BYTES_MIN && scan->count < PIECES_MAX;

	scan->zeros = 0;
	if (last && !hole) {
		last->size = end - last->offset;
		return;
	}
	OL_GROW(scan->pieces, scan->count, scan->cap);
	start = hole ? at : start;
	scan->pieces[scan->count++] = (ol_sparse){ start, end - start };
}

static int scan_file(
	struct scan *scan, int fd, uint64_t size, const ol_cancel *cancel, ol_error *err)
{
	ol_autofree unsigned char *bytes = ol_alloc(READ_BYTES);
	int rc = OL_OK;

	for (uint64_t at = 0; rc == OL_OK && at < size; at += READ_BYTES) {
		size_t n = size - at < READ_BYTES ? (size_t)(size - at) : READ_BYTES;

		rc = ol_cancel_check(cancel, err);
		if (rc == OL_OK)
			rc = read_full(fd, at, bytes, n, err);
		for (size_t i = 0; rc == OL_OK && i < n; i += BLOCK_BYTES) {
			size_t part = n - i < BLOCK_BYTES ? n - i : BLOCK_BYTES;

			if (is_zero(bytes + i, part))
				scan->zeros += part;
			else
				add_data(scan, at + i, part);
		}
	}
	/* Zeros at the end that are too few for a hole are data. */
	if (rc == OL_OK && scan->zeros > 0 && scan->zeros < HOLE_BYTES_MIN)
		add_data(scan, size, 0);
	return rc;
}

int ol_export_pieces(int fd, uint64_t size, const ol_cancel *cancel, ol_sparse **pieces,
	size_t *count, ol_error *err)
{
	struct scan scan = { 0 };
	bool zeros = false;
	int rc = size < SAMPLE_BYTES ? OL_OK : has_zeros(fd, size, &zeros, err);

	*pieces = NULL;
	*count = 0;
	if (rc < 0 || !zeros)
		return rc;
	rc = scan_file(&scan, fd, size, cancel, err);
	if (rc == OL_OK && scan.count == 1 && scan.pieces[0].size == size) {
		free(scan.pieces);
		return OL_OK;
	}
	if (rc < 0) {
		free(scan.pieces);
		return rc;
	}
	*pieces = scan.pieces ? scan.pieces : ol_alloc(sizeof **pieces);
	*count = scan.count;
	return OL_OK;
}

int ol_export_copy(int fd, uint64_t offset, uint64_t size, const ol_cancel *cancel, ol_sink *sink,
	ol_error *err)
{
	ol_autofree unsigned char *bytes = ol_alloc(READ_BYTES);
	int rc = OL_OK;

	while (rc == OL_OK && size > 0) {
		size_t n = size < READ_BYTES ? (size_t)size : READ_BYTES;

		rc = ol_cancel_check(cancel, err);
		if (rc == OL_OK)
			rc = read_full(fd, offset, bytes, n, err);
		if (rc == OL_OK)
			rc = ol_sink_write(sink, bytes, n, err);
		offset += n;
		size -= n;
	}
	return rc;
}
