/* What hangs on an inode of an index: xattrs, the target of a link, where a file's bytes are. */
#include <sys/stat.h>

#include "base/alloc.h"
#include "snapshot/erofs_reader_priv.h"

static uint64_t behind_core(const ol_erofs_inode *inode)
{
	return inode->node * OL_EROFS_NODE_BYTES + sizeof(struct ol_erofs_inode_disk);
}

static const char *prefix_text(unsigned prefix)
{
	static const char *const texts[] = { [OL_EROFS_XATTR_USER] = "user.",
		[OL_EROFS_XATTR_ACL_ACCESS] = "system.posix_acl_access",
		[OL_EROFS_XATTR_ACL_DEFAULT] = "system.posix_acl_default",
		[OL_EROFS_XATTR_TRUSTED] = "trusted.",
		[OL_EROFS_XATTR_SECURITY] = "security." };

	return prefix < sizeof texts / sizeof *texts ? texts[prefix] : NULL;
}

/* The entry at *p: its name and value in arena, *p behind it. */
static int take_xattr(
	const char **p, const char *end, ol_arena *arena, ol_xattr *out, ol_error *err)
{
	struct ol_erofs_xattr_entry head;
	size_t left = (size_t)(end - *p), value_size, size, prefix_size;
	const char *prefix;
	char *name;

	memcpy(&head, *p, sizeof head);
	value_size = ol_get16(head.value_size);
	size = sizeof head + head.name_size + value_size;
	prefix = prefix_text(head.prefix);
	if (!prefix || size > left)
		return ol_fail(err, OL_ECORRUPT, "index: damaged xattrs");
	prefix_size = strlen(prefix);
	name = ol_arena_alloc(arena, prefix_size + head.name_size + 1);
	memcpy(name, prefix, prefix_size);
	memcpy(name + prefix_size, *p + sizeof head, head.name_size);
	out->name = ol_view_from(name, prefix_size + head.name_size);
	out->value = ol_view_from(
		ol_arena_strndup(arena, *p + sizeof head + head.name_size, value_size), value_size);
	size = (size + 3) & ~(size_t)3;
	*p += size < left ? size : left;
	return OL_OK;
}

int ol_erofs_xattrs(ol_erofs *erofs, const ol_erofs_inode *inode, ol_arena *arena, ol_xattr **out,
	size_t *count, ol_error *err)
{
	const size_t head = sizeof(struct ol_erofs_xattr_head);
	size_t size = inode->xattrs_size, found = 0;
	const char *p, *end;
	char *bytes;
	int rc;

	*count = 0;
	if (size <= head)
		return OL_OK;
	bytes = ol_arena_alloc(arena, size);
	rc = ol_erofs_bytes(erofs, behind_core(inode), bytes, size, err);
	if (rc < 0)
		return rc;
	if (bytes[offsetof(struct ol_erofs_xattr_head, shared_count)])
		return ol_fail(err, OL_EUNSUPPORTED, "index with shared xattrs");
	end = bytes + size;
	*out = ol_arena_alloc(arena, (size - head) / 4 * sizeof **out);
	for (p = bytes + head; rc == OL_OK && p < end; found++)
		rc = take_xattr(&p, end, arena, &(*out)[found], err);
	if (rc == OL_OK)
		*count = found;
	return rc;
}

int ol_erofs_readlink(
	ol_erofs *erofs, const ol_erofs_inode *inode, char target[OL_PATH_MAX + 1], ol_error *err)
{
	uint64_t at = (uint64_t)inode->u * OL_EROFS_BLOCK;
	int rc;

	if (!S_ISLNK(inode->mode))
		return ol_fail(err, OL_EINVAL, "not a symbolic link");
	if (inode->layout == OL_EROFS_INLINE)
		at = behind_core(inode) + inode->xattrs_size;
	rc = ol_erofs_bytes(erofs, at, target, (size_t)inode->size, err);
	if (rc < 0)
		return rc;
	target[inode->size] = '\0';
	if (strlen(target) != inode->size)
		return ol_fail(err, OL_ECORRUPT, "index: a link with a NUL in it");
	return OL_OK;
}

struct run {
	bool hole;
	unsigned device;
	uint64_t block;
};

static int read_chunk(ol_erofs *erofs, const ol_erofs_inode *inode, uint64_t index, struct run *out,
	ol_error *err)
{
	uint64_t table = (behind_core(inode) + inode->xattrs_size + 7) & ~(uint64_t)7;
	struct ol_erofs_chunk chunk = { 0 };
	int rc = ol_erofs_bytes(erofs, table + index * sizeof chunk, &chunk, sizeof chunk, err);

	if (rc < 0)
		return rc;
	*out = (struct run){ .device = ol_get16(chunk.device), .block = ol_get32(chunk.block) };
	if (out->block == OL_EROFS_HOLE)
		*out = (struct run){ .hole = true };
	return OL_OK;
}

static bool continues(const struct run *first, const struct run *next, uint64_t blocks)
{
	if (first->hole || next->hole)
		return first->hole && next->hole;
	return first->device == next->device && next->block == first->block + blocks;
}

static int chunked_extent(ol_erofs *erofs, const ol_erofs_inode *inode, uint64_t offset,
	ol_erofs_extent *out, ol_error *err)
{
	unsigned bits = OL_EROFS_BLOCK_BITS + (inode->u & OL_EROFS_CHUNK_BITS_MASK);
	uint64_t index = offset >> bits, chunks = ((inode->size - 1) >> bits) + 1, next = index + 1;
	uint64_t skip = offset - (index << bits), end, device_bytes;
	struct run first = { 0 }, run = { 0 };
	int rc = read_chunk(erofs, inode, index, &first, err);

	for (; rc == OL_OK && next < chunks; next++) {
		rc = read_chunk(erofs, inode, next, &run, err);
		if (rc < 0 ||
			!continues(&first, &run, (next - index) << (bits - OL_EROFS_BLOCK_BITS)))
			break;
	}
	if (rc < 0)
		return rc;
	end = next << bits < inode->size ? next << bits : inode->size;
	*out = (ol_erofs_extent){ .hole = first.hole, .size = end - offset };
	if (first.hole)
		return OL_OK;
	out->device = first.device;
	out->address = first.block * OL_EROFS_BLOCK + skip;
	device_bytes = ol_erofs_device_bytes(erofs, first.device);
	if (out->address > device_bytes || out->size > device_bytes - out->address)
		return ol_fail(err, OL_ECORRUPT, "index: node %llu: its data lie outside the tar",
			(unsigned long long)inode->node);
	return OL_OK;
}

int ol_erofs_extent_at(ol_erofs *erofs, const ol_erofs_inode *inode, uint64_t offset,
	ol_erofs_extent *out, ol_error *err)
{
	if (!S_ISREG(inode->mode) || offset >= inode->size)
		return ol_fail(err, OL_EINVAL, "not a place in a file");
	if (inode->layout == OL_EROFS_CHUNKED)
		return chunked_extent(erofs, inode, offset, out, err);
	*out = (ol_erofs_extent){ .address = (uint64_t)inode->u * OL_EROFS_BLOCK + offset,
		.size = inode->size - offset };
	return OL_OK;
}
