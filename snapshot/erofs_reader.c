/*
 * The superblock and inodes of an index. Bytes come through a few windows, so that reading an index
 * from front to back costs few reads and looking up a path costs little more.
 */
#include "snapshot/erofs_reader.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "snapshot/erofs_reader_priv.h"

#define WINDOWS      16
#define WINDOW_BYTES ((size_t)16 << 10)

struct window {
	char *data; /* owned */
	uint64_t at;
	size_t size; /* 0: empty */
};

struct slot {
	ol_digest digest;
	uint64_t bytes;
};

struct ol_erofs {
	ol_source *source; /* owned */
	uint64_t root;
	unsigned device_count;
	struct slot *slots; /* owned */
	struct window windows[WINDOWS];
};

static int window_fill(ol_erofs *erofs, struct window *window, uint64_t at, ol_error *err)
{
	uint64_t left = erofs->source->size - at;
	size_t size = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
	int rc;

	if (!window->data)
		window->data = ol_alloc(WINDOW_BYTES);
	window->size = 0;
	rc = ol_source_read_at(erofs->source, at, window->data, size, err);
	if (rc < 0)
		return ol_wrap(err, rc, "index");
	window->at = at;
	window->size = size;
	return OL_OK;
}

bool ol_erofs_inside(const ol_erofs *erofs, uint64_t at, uint64_t size)
{
	return at <= erofs->source->size && size <= erofs->source->size - at;
}

uint64_t ol_erofs_size(const ol_erofs *erofs)
{
	return erofs->source->size;
}

int ol_erofs_bytes(ol_erofs *erofs, uint64_t at, void *data, size_t size, ol_error *err)
{
	char *to = data;

	if (!ol_erofs_inside(erofs, at, size))
		return ol_fail(err, OL_ECORRUPT, "index ends before byte %llu",
			(unsigned long long)at + size);
	while (size) {
		uint64_t start = at / WINDOW_BYTES * WINDOW_BYTES;
		struct window *window = &erofs->windows[at / WINDOW_BYTES % WINDOWS];
		size_t skip = (size_t)(at - start), n;
		int rc = OL_OK;

		if (!window->size || window->at != start)
			rc = window_fill(erofs, window, start, err);
		if (rc < 0)
			return rc;
		n = window->size - skip < size ? window->size - skip : size;
		memcpy(to, window->data + skip, n);
		to += n;
		at += n;
		size -= n;
	}
	return OL_OK;
}

void ol_erofs_close(ol_erofs *erofs)
{
	if (!erofs)
		return;
	for (size_t i = 0; i < WINDOWS; i++)
		free(erofs->windows[i].data);
	free(erofs->slots);
	ol_source_close(erofs->source);
	free(erofs);
}

/* A digest's bytes are followed by zeros; see erofs_format.h. */
static ol_digest digest_of_tag(const uint8_t tag[64])
{
	static const uint8_t zeros[32];
	ol_digest digest = { 0 };

	if (memcmp(tag + 32, zeros, sizeof zeros) != 0)
		digest.algorithm = OL_SHA512;
	else if (memcmp(tag, zeros, sizeof zeros) != 0)
		digest.algorithm = OL_SHA256;
	memcpy(digest.bytes, tag, sizeof digest.bytes);
	return digest;
}

static int read_slots(ol_erofs *erofs, const struct ol_erofs_super *super, ol_error *err)
{
	uint64_t at = (uint64_t)ol_get16(super->device_slot) * sizeof(struct ol_erofs_slot);
	unsigned count = ol_get16(super->devices);

	if (count > OL_EROFS_DEVICES_MAX)
		return ol_fail(err, OL_ECORRUPT, "index with %u devices", count);
	erofs->slots = ol_alloc_array(count, sizeof *erofs->slots);
	for (unsigned i = 0; i < count; i++) {
		struct ol_erofs_slot slot = { 0 };
		int rc = ol_erofs_bytes(erofs, at + i * sizeof slot, &slot, sizeof slot, err);

		if (rc < 0)
			return rc;
		erofs->slots[i].digest = digest_of_tag(slot.tag);
		erofs->slots[i].bytes = (uint64_t)ol_get32(slot.blocks) * OL_EROFS_BLOCK;
	}
	erofs->device_count = count;
	return OL_OK;
}

static int read_super(ol_erofs *erofs, ol_error *err)
{
	struct ol_erofs_super super = { 0 };
	ol_erofs_inode root = { 0 };
	int rc = ol_erofs_bytes(erofs, OL_EROFS_SUPER_AT, &super, sizeof super, err);

	if (rc < 0)
		return rc;
	if (ol_get32(super.magic) != OL_EROFS_MAGIC)
		return ol_fail(err, OL_ECORRUPT, "not an EROFS index");
	if (super.block_bits != OL_EROFS_BLOCK_BITS || super.dir_block_bits ||
		ol_get32(super.meta_block) ||
		ol_get32(super.incompat) & ~(OL_EROFS_INCOMPAT_CHUNKED | OL_EROFS_INCOMPAT_DEVICES))
		return ol_fail(err, OL_EUNSUPPORTED, "an EROFS image that orlop did not write");
	rc = read_slots(erofs, &super, err);
	if (rc < 0)
		return rc;
	erofs->root = ol_get16(super.root_node);
	rc = ol_erofs_root(erofs, &root, err);
	if (rc == OL_OK && !S_ISDIR(root.mode))
		rc = ol_fail(err, OL_ECORRUPT, "index whose root is not a directory");
	return rc;
}

int ol_erofs_open(ol_source *source, ol_erofs **out, ol_error *err)
{
	ol_auto(ol_erofs_close) ol_erofs *erofs = ol_alloc(sizeof *erofs);
	int rc;

	erofs->source = source;
	rc = read_super(erofs, err);
	if (rc == OL_OK)
		*out = ol_steal(&erofs);
	return rc;
}

unsigned ol_erofs_device_count(const ol_erofs *erofs)
{
	return erofs->device_count;
}

ol_digest ol_erofs_device_digest(const ol_erofs *erofs, unsigned device)
{
	return device && device <= erofs->device_count ? erofs->slots[device - 1].digest
						       : (ol_digest){ 0 };
}

uint64_t ol_erofs_device_bytes(const ol_erofs *erofs, unsigned device)
{
	if (!device)
		return erofs->source->size;
	return device <= erofs->device_count ? erofs->slots[device - 1].bytes : 0;
}

int ol_erofs_root(ol_erofs *erofs, ol_erofs_inode *out, ol_error *err)
{
	return ol_erofs_inode_get(erofs, erofs->root, out, err);
}

static int corrupt_inode(uint64_t node, const char *what, ol_error *err)
{
	return ol_fail(err, OL_ECORRUPT, "index: node %llu: %s", (unsigned long long)node, what);
}

/* What an inode's data may be, so that nobody has to ask again. */
static int check_data(const ol_erofs *erofs, const ol_erofs_inode *inode, ol_error *err)
{
	uint64_t behind = inode->node * OL_EROFS_NODE_BYTES + sizeof(struct ol_erofs_inode_disk) +
			  inode->xattrs_size;
	bool is_link = S_ISLNK(inode->mode);

	if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode) && !is_link)
		return inode->size ? corrupt_inode(inode->node, "a special file with data", err)
				   : OL_OK;
	if (inode->size > INT64_MAX || (is_link && (!inode->size || inode->size > OL_PATH_MAX)))
		return corrupt_inode(inode->node, "its size is out of bounds", err);
	switch (inode->layout) {
	case OL_EROFS_PLAIN:
		if (ol_erofs_inside(erofs, (uint64_t)inode->u * OL_EROFS_BLOCK, inode->size))
			return OL_OK;
		break;
	case OL_EROFS_INLINE:
		if (!is_link)
			return ol_fail(err, OL_EUNSUPPORTED, "index with inline data");
		if (ol_erofs_inside(erofs, behind, inode->size))
			return OL_OK;
		break;
	default: {
		unsigned bits = OL_EROFS_BLOCK_BITS + (inode->u & OL_EROFS_CHUNK_BITS_MASK);
		uint64_t chunks = inode->size ? ((inode->size - 1) >> bits) + 1 : 0;

		if (!S_ISREG(inode->mode) ||
			inode->u & ~(OL_EROFS_CHUNK_INDEXES | OL_EROFS_CHUNK_BITS_MASK) ||
			!(inode->u & OL_EROFS_CHUNK_INDEXES) || chunks > OL_CHUNKS_MAX)
			return corrupt_inode(inode->node, "chunks of a wrong kind", err);
		behind = (behind + 7) & ~(uint64_t)7;
		if (ol_erofs_inside(erofs, behind, chunks * sizeof(struct ol_erofs_chunk)))
			return OL_OK;
	}
	}
	return corrupt_inode(inode->node, "its data lie outside the index", err);
}

int ol_erofs_inode_get(ol_erofs *erofs, uint64_t node, ol_erofs_inode *out, ol_error *err)
{
	struct ol_erofs_inode_disk core = { 0 };
	ol_erofs_inode inode = { .node = node };
	unsigned format, units;
	uint32_t rdev;
	int rc;

	if (node > erofs->source->size / OL_EROFS_NODE_BYTES)
		return corrupt_inode(node, "outside the index", err);
	rc = ol_erofs_bytes(erofs, node * OL_EROFS_NODE_BYTES, &core, sizeof core, err);
	if (rc < 0)
		return rc;
	format = ol_get16(core.format);
	inode.layout = OL_EROFS_LAYOUT(format);
	if (!(format & OL_EROFS_EXTENDED) || format & ~0xFU ||
		(inode.layout != OL_EROFS_PLAIN && inode.layout != OL_EROFS_INLINE &&
			inode.layout != OL_EROFS_CHUNKED))
		return corrupt_inode(node, "an inode of a kind that orlop does not write", err);
	units = ol_get16(core.xattr_count);
	inode.xattrs_size =
		units ? (uint32_t)sizeof(struct ol_erofs_xattr_head) + 4 * (units - 1) : 0;
	if (!ol_erofs_inside(erofs, node * OL_EROFS_NODE_BYTES + sizeof core, inode.xattrs_size))
		return corrupt_inode(node, "its xattrs lie outside the index", err);
	inode.mode = ol_get16(core.mode);
	inode.uid = ol_get32(core.uid);
	inode.gid = ol_get32(core.gid);
	inode.nlink = ol_get32(core.nlink);
	inode.size = ol_get64(core.size);
	inode.u = ol_get32(core.u);
	inode.mtime.tv_sec = (time_t)ol_get64(core.mtime);
	inode.mtime.tv_nsec = ol_get32(core.mtime_nsec) % 1000000000;
	if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode)) {
		rdev = inode.u;
		inode.dev_major = (rdev & 0xfff00) >> 8;
		inode.dev_minor = (rdev & 0xff) | (rdev >> 12 & 0xfff00);
	} else if (!S_ISREG(inode.mode) && !S_ISDIR(inode.mode) && !S_ISLNK(inode.mode) &&
		   !S_ISFIFO(inode.mode)) {
		return corrupt_inode(node, "no such type of file", err);
	}
	rc = check_data(erofs, &inode, err);
	if (rc == OL_OK)
		*out = inode;
	return rc;
}
