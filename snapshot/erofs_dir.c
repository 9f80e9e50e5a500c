/*
 * Directories of an index. A block is read, checked as a whole, and then used; names are not sorted
 * by anybody but the writer, so a damaged order makes lookups miss, never stray.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "snapshot/erofs_reader_priv.h"

#define ENTRY_BYTES sizeof(struct ol_erofs_dirent)

/* One block of a directory. */
struct block {
	unsigned char data[OL_EROFS_BLOCK];
	size_t used;
	unsigned count;
};

static int corrupt(const ol_erofs_inode *dir, ol_error *err)
{
	return ol_fail(err, OL_ECORRUPT, "index: node %llu: a damaged directory",
		(unsigned long long)dir->node);
}

static uint64_t block_count(const ol_erofs_inode *dir)
{
	return (dir->size + OL_EROFS_BLOCK - 1) / OL_EROFS_BLOCK;
}

static unsigned name_at(const struct block *block, unsigned index)
{
	struct ol_erofs_dirent entry = { 0 };

	memcpy(&entry, block->data + index * ENTRY_BYTES, sizeof entry);
	return ol_get16(entry.name_at);
}

static int block_read(ol_erofs *erofs, const ol_erofs_inode *dir, uint64_t index,
	struct block *block, ol_error *err)
{
	uint64_t start = index * OL_EROFS_BLOCK, left = dir->size - start;
	unsigned names;
	int rc;

	block->used = left < OL_EROFS_BLOCK ? (size_t)left : OL_EROFS_BLOCK;
	if (block->used < ENTRY_BYTES)
		return corrupt(dir, err);
	rc = ol_erofs_bytes(
		erofs, (uint64_t)dir->u * OL_EROFS_BLOCK + start, block->data, block->used, err);
	if (rc < 0)
		return rc;
	names = name_at(block, 0);
	if (names < ENTRY_BYTES || names % ENTRY_BYTES || names >= block->used)
		return corrupt(dir, err);
	block->count = names / (unsigned)ENTRY_BYTES;
	return OL_OK;
}

static int block_entry(const ol_erofs_inode *dir, const struct block *block, unsigned index,
	uint64_t *node, ol_view *name, ol_error *err)
{
	unsigned start = name_at(block, index);
	unsigned end = index + 1 < block->count ? name_at(block, index + 1) : (unsigned)block->used;
	struct ol_erofs_dirent entry = { 0 };

	if (start < block->count * ENTRY_BYTES || start >= end || end > block->used)
		return corrupt(dir, err);
	*name = ol_view_from(block->data + start, end - start);
	if (index + 1 == block->count)
		name->size = strnlen(name->data, name->size);
	if (!name->size || name->size > OL_NAME_MAX || memchr(name->data, '/', name->size) ||
		memchr(name->data, '\0', name->size))
		return corrupt(dir, err);
	memcpy(&entry, block->data + index * ENTRY_BYTES, sizeof entry);
	*node = ol_get64(entry.node);
	return OL_OK;
}

static int view_compare(ol_view a, ol_view b)
{
	int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

	if (order)
		return order;
	return a.size < b.size ? -1 : a.size > b.size;
}

/* The last block whose first name is not after name. */
static int find_block(ol_erofs *erofs, const ol_erofs_inode *dir, ol_view name, struct block *block,
	ol_error *err)
{
	uint64_t low = 0, high = block_count(dir);

	while (low + 1 < high) {
		uint64_t middle = low + (high - low) / 2, node;
		ol_view first = { "", 0 };
		int rc = block_read(erofs, dir, middle, block, err);

		if (rc == OL_OK)
			rc = block_entry(dir, block, 0, &node, &first, err);
		if (rc < 0)
			return rc;
		if (view_compare(first, name) <= 0)
			low = middle;
		else
			high = middle;
	}
	return block_read(erofs, dir, low, block, err);
}

int ol_erofs_lookup(ol_erofs *erofs, const ol_erofs_inode *dir, ol_view name, ol_erofs_inode *out,
	ol_error *err)
{
	struct block block = { .count = 0 };
	int rc;

	if (!S_ISDIR(dir->mode))
		return ol_fail(err, OL_EINVAL, "not a directory");
	if (!dir->size || !name.size)
		return ol_fail(err, OL_ENOTFOUND, "no such name in the index");
	rc = find_block(erofs, dir, name, &block, err);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < block.count; i++) {
		ol_view found = { "", 0 };
		uint64_t node;

		rc = block_entry(dir, &block, i, &node, &found, err);
		if (rc < 0)
			return rc;
		if (found.size == name.size && memcmp(found.data, name.data, name.size) == 0)
			return ol_erofs_inode_get(erofs, node, out, err);
	}
	return ol_fail(err, OL_ENOTFOUND, "no such name in the index");
}

int ol_erofs_find(ol_erofs *erofs, const char *path, ol_erofs_inode *out, ol_error *err)
{
	ol_erofs_inode inode = { 0 };
	int rc = ol_erofs_root(erofs, &inode, err);

	while (rc == OL_OK && *path) {
		size_t size = strcspn(path, "/");
		ol_erofs_inode child = { 0 };

		if (!S_ISDIR(inode.mode))
			return ol_fail(err, OL_ENOTFOUND, "no such path in the index");
		rc = ol_erofs_lookup(erofs, &inode, ol_view_from(path, size), &child, err);
		inode = child;
		path += size + (path[size] == '/');
	}
	if (rc == OL_OK)
		*out = inode;
	return rc;
}

int ol_erofs_dir_next(ol_erofs *erofs, const ol_erofs_inode *dir, ol_erofs_cursor *cursor,
	ol_erofs_entry *out, bool *more, ol_error *err)
{
	if (!S_ISDIR(dir->mode))
		return ol_fail(err, OL_EINVAL, "not a directory");
	for (; cursor->block < block_count(dir); cursor->block++, cursor->index = 0) {
		struct block block = { .count = 0 };
		int rc = block_read(erofs, dir, cursor->block, &block, err);

		if (rc < 0)
			return rc;
		while (cursor->index < block.count) {
			ol_view name = { "", 0 };

			rc = block_entry(dir, &block, cursor->index++, &out->node, &name, err);
			if (rc < 0)
				return rc;
			if (ol_view_is(name, ".") || ol_view_is(name, ".."))
				continue;
			memcpy(out->name, name.data, name.size);
			out->name[name.size] = '\0';
			*more = true;
			return OL_OK;
		}
	}
	*more = false;
	return OL_OK;
}

/* A directory on the way down. */
struct frame {
	ol_erofs_inode dir;
	ol_erofs_cursor cursor;
	size_t path_size;
};

struct walk {
	struct frame *frames; /* owned */
	size_t count, cap;
	char path[OL_PATH_MAX + 1];
	uint64_t left; /* entries there can be at most */
};

static void enter(struct walk *walk, const ol_erofs_inode *dir, size_t path_size)
{
	OL_GROW(walk->frames, walk->count, walk->cap);
	walk->frames[walk->count++] = (struct frame){ .dir = *dir, .path_size = path_size };
}

/* The next entry of the innermost directory; its path goes into walk->path. */
static int step(
	struct walk *walk, ol_erofs *erofs, ol_erofs_inode *inode, bool *more, ol_error *err)
{
	struct frame *frame = &walk->frames[walk->count - 1];
	ol_erofs_entry entry = { 0 };
	size_t size, at = frame->path_size;
	int rc = ol_erofs_dir_next(erofs, &frame->dir, &frame->cursor, &entry, more, err);

	if (rc < 0 || !*more)
		return rc;
	size = strlen(entry.name);
	/* An entry takes up more than 12 bytes: there are more only where directories hold each
	 * other. */
	if (!walk->left-- || walk->count > OL_PATH_DEPTH_MAX || at + 1 + size > OL_PATH_MAX)
		return ol_fail(err, OL_ECORRUPT, "index: directories that hold each other");
	if (at)
		walk->path[at++] = '/';
	memcpy(walk->path + at, entry.name, size + 1);
	return ol_erofs_inode_get(erofs, entry.node, inode, err);
}

int ol_erofs_walk(ol_erofs *erofs,
	int (*call)(void *ctx, const ol_erofs_visit *visit, ol_error *err), void *ctx,
	ol_error *err)
{
	struct walk walk = { .left = ol_erofs_size(erofs) / ENTRY_BYTES };
	ol_erofs_visit visit = { .path = walk.path };
	int rc = ol_erofs_root(erofs, &visit.inode, err);

	if (rc == OL_OK)
		rc = call(ctx, &visit, err);
	if (rc == OL_OK)
		enter(&walk, &visit.inode, 0);
	while (rc == OL_OK && walk.count) {
		bool more = false;

		rc = step(&walk, erofs, &visit.inode, &more, err);
		if (rc == OL_OK && !more) {
			walk.count--;
			continue;
		}
		if (rc == OL_OK)
			rc = call(ctx, &visit, err);
		if (rc == OL_OK && S_ISDIR(visit.inode.mode))
			enter(&walk, &visit.inode, strlen(walk.path));
	}
	free(walk.frames);
	return rc;
}
