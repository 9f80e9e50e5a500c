/* The tar reader: any bytes, in pieces whose size the first byte tells. Where that is odd every
 * block gets a checksum that is right first, or hardly any mutation would pass it. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "manifest/tar.h"
#include "tests/fuzz/fuzz.h"

struct seen {
	uint64_t data_size, data_end;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What the header of the reader promises of each name. */
static void check_name(const char *name)
{
	size_t part = 0;

	require(strlen(name) < OL_PATH_MAX && name[0] != '/');
	for (const char *p = name;; p++) {
		if (*p != '/' && *p != '\0') {
			part++;
			continue;
		}
		require(part <= OL_NAME_MAX && (part > 0 || p == name));
		require(part < 1 || strncmp(p - part, ".", part) != 0 || part > 1);
		require(part != 2 || strncmp(p - part, "..", 2) != 0);
		require(part < 4 || strncmp(p - part, ".wh.", 4) != 0);
		if (*p == '\0')
			return;
		require(p[1] != '\0');
		part = 0;
	}
}

static int on_entry(void *ctx, const ol_tar_entry *e, ol_error *err)
{
	struct seen *seen = ctx;
	uint64_t end = 0, sum = 0;

	(void)err;
	require(seen->data_end == seen->data_size);
	check_name(e->name);
	if (e->type == OL_TAR_HARDLINK)
		check_name(e->target);
	require(e->data_offset % 512 == 0 && e->mode <= 07777);
	require(e->uid != UINT32_MAX && e->gid != UINT32_MAX);
	require(e->mtime.tv_sec >= 0 && e->mtime.tv_nsec >= 0 && e->mtime.tv_nsec < 1000000000);
	for (size_t i = 0; i < e->sparse_count; i++) {
		require(e->sparse[i].offset >= end && e->sparse[i].size > 0);
		end = e->sparse[i].offset + e->sparse[i].size;
		sum += e->sparse[i].size;
	}
	require(end <= e->size && (!e->sparse || sum == e->data_size));
	for (size_t i = 0; i < e->xattr_count; i++) {
		require(ol_tar_keeps_xattr(e->xattrs[i].name));
		require(e->xattrs[i].name.data[e->xattrs[i].name.size] == '\0');
		require(i == 0 || strcmp(e->xattrs[i - 1].name.data, e->xattrs[i].name.data) < 0);
	}
	*seen = (struct seen){ .data_size = e->data_size };
	return OL_OK;
}

static int on_data(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	struct seen *seen = ctx;

	(void)err;
	require(offset == seen->data_end && size > 0 && data);
	seen->data_end += size;
	require(seen->data_end <= seen->data_size);
	return OL_OK;
}

static void repair(uint8_t *data, size_t size)
{
	for (uint8_t *block = data; size - (size_t)(block - data) >= 512; block += 512) {
		char text[8];
		unsigned sum = 0;

		memset(block + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += block[i];
		if (sum == 8 * ' ')
			memset(block + 148, 0, 8); /* a block of zeroes stays one */
		else if (snprintf(text, sizeof text, "%06o", sum) > 0)
			memcpy(block + 148, text, 7);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_autofree uint8_t *copy = size ? ol_memdup(data, size) : NULL;
	struct seen seen = { 0 };
	const ol_tar_handler handler = { on_entry, on_data, &seen };
	ol_auto(ol_tar_free) ol_tar *tar = ol_tar_new(&handler);
	size_t step = size ? (size_t)data[0] * 8 + 1 : 1;
	ol_error err;
	int rc = OL_OK;

	if (size > 0 && data[0] % 2)
		repair(copy + 1, size - 1);
	for (size_t at = size ? 1 : 0; rc == OL_OK && at < size; at += step)
		rc = ol_tar_push(tar, copy + at, size - at < step ? size - at : step, &err);
	if (rc == OL_OK)
		rc = ol_tar_finish(tar, &err);
	require(rc == OL_OK || rc == OL_ECORRUPT || rc == OL_ELIMIT || rc == OL_EUNSUPPORTED);
	return 0;
}
