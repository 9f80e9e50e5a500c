#pragma once

/* What the targets of the lazy formats share: a table of contents becomes an index and a seek
 * table, in a folder of this process; what was made of it can be read. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "snapshot/erofs_reader.h"
#include "snapshot/lazy_build.h"
#include "tests/fuzz/fuzz.h"

#define LAZY_FUZZ_BLOB_BYTES ((uint64_t)1 << 20)

static char lazy_fuzz_dir[] = "/tmp/lazy-fuzz-XXXXXX";

static void lazy_fuzz_end(void)
{
	(void)ol_remove_tree(AT_FDCWD, lazy_fuzz_dir, NULL);
}

static int lazy_fuzz_open(void)
{
	static int fd = -1;

	if (fd < 0) {
		if (!mkdtemp(lazy_fuzz_dir))
			abort();
		(void)atexit(lazy_fuzz_end);
		fd = open(lazy_fuzz_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd;
}

/* Every file of the tree lies in the payload. */
static int lazy_fuzz_visit(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	ol_erofs *erofs = ctx;
	ol_erofs_extent extent;

	if ((visit->inode.mode & 0170000) != 0100000 || visit->inode.size == 0)
		return OL_OK;
	if (ol_erofs_extent_at(erofs, &visit->inode, 0, &extent, err) < 0 || extent.device != 1 ||
		extent.address + extent.size > ol_erofs_device_bytes(erofs, 1))
		abort();
	return OL_OK;
}

static void lazy_fuzz(const ol_lazy_toc *toc)
{
	const int dir_fd = lazy_fuzz_open();
	const ol_lazy_build_options options = {
		.builder = { .dir_fd = dir_fd, .budget_bytes = (size_t)1 << 20 },
		.blob = ol_digest_of(OL_SHA256, "blob", 4),
		.diff_id = ol_digest_of(OL_SHA256, "diff", 4),
		.blob_size = LAZY_FUZZ_BLOB_BYTES,
	};
	ol_lazy_built built;
	ol_lazy_table table;
	ol_erofs *erofs;
	int fd;

	if (ol_lazy_build(&options, toc, &built, NULL) < 0)
		return;
	if (ol_lazy_table_load(dir_fd, &table, NULL) < 0 || table.about.payload_bytes % 512)
		abort();
	ol_lazy_table_done(&table);
	fd = openat(dir_fd, "index.erofs", O_RDONLY | O_CLOEXEC);
	if (ol_erofs_open(ol_source_of_fd(fd, (uint64_t)lseek(fd, 0, SEEK_END)), &erofs, NULL) < 0)
		abort();
	/* A leaning layer's is read by complete() alone. */
	if (!built.built.leans && ol_erofs_walk(erofs, lazy_fuzz_visit, erofs, NULL) < 0)
		abort();
	ol_erofs_close(erofs);
}
