/* The index reader: whatever the bytes, every path of the tree is visited and asked for all it has.
 * Seeds are indexes as the writer makes them (tests/erofs_box.h), and such with a byte changed. */
#include <sys/stat.h>

#include "snapshot/erofs_reader.h"
#include "tests/fuzz/fuzz.h"

#define EXTENTS_MAX 64 /* of one file: hostile inodes may share one large table */
#define VISITS_MAX  2000

struct visits {
	ol_erofs *erofs;
	unsigned left;
};

static int visit(void *ctx, const ol_erofs_visit *seen, ol_error *err)
{
	struct visits *visits = ctx;
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	char target[OL_PATH_MAX + 1];
	ol_xattr *xattrs;
	ol_erofs_inode found;
	ol_erofs_extent extent;
	uint64_t at = 0;
	size_t count;

	if (!visits->left--)
		return OL_ELIMIT;
	(void)ol_erofs_find(visits->erofs, seen->path, &found, err);
	(void)ol_erofs_xattrs(visits->erofs, &seen->inode, arena, &xattrs, &count, err);
	(void)ol_erofs_readlink(visits->erofs, &seen->inode, target, err);
	for (int i = 0; i < EXTENTS_MAX; i++) {
		if (ol_erofs_extent_at(visits->erofs, &seen->inode, at, &extent, err) < 0)
			break;
		at += extent.size;
	}
	return OL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct visits visits = { .left = VISITS_MAX };
	ol_error err;

	if (ol_erofs_open(ol_source_of_memory(data, size), &visits.erofs, &err) < 0)
		return 0;
	for (unsigned i = 0; i <= ol_erofs_device_count(visits.erofs); i++)
		(void)ol_erofs_device_digest(visits.erofs, i);
	(void)ol_erofs_walk(visits.erofs, visit, &visits, &err);
	ol_erofs_close(visits.erofs);
	return 0;
}
