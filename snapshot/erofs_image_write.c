/*
 * The image, front to back:
 *
 *	0      nothing
 *	1024   superblock
 *	1152   inodes, the root's first: core, xattrs, then the target of a link or chunk addresses
 *	…      blocks: directories, long targets, files
 *
 * A file with holes is chunked: a table of 4 bytes a chunk, where a chunk without data is a hole;
 * all others lie in one run of blocks. Everything's place follows from the entries, so it is laid
 * out first (place) and then written without looking back.
 */
#include <assert.h>

#include "snapshot/erofs_image_priv.h"

#define INODES_AT (OL_EROFS_SUPER_AT + sizeof(struct ol_erofs_super))
#define NO_BLOCK  UINT32_MAX

static uint64_t blocks_of(uint64_t bytes)
{
	return ol_erofs_image_align(bytes, OL_EROFS_IMAGE_BLOCK) >> OL_EROFS_IMAGE_BLOCK_BITS;
}

/* ------------------------------------------------------------------------- folders -- */

/* One name after the other, "." and ".." where their bytes sort them. */
struct cursor {
	const ol_erofs_image_name *next;
	unsigned dots;
};

static bool next_name(
	struct cursor *cursor, const char **text, uint32_t node, uint32_t parent, uint32_t *target)
{
	static const char *const dots[] = { ".", ".." };

	if (cursor->dots < 2 &&
		(!cursor->next || strcmp(dots[cursor->dots], cursor->next->text) < 0)) {
		*text = dots[cursor->dots];
		*target = cursor->dots++ ? parent : node;
		return true;
	}
	if (!cursor->next)
		return false;
	*text = cursor->next->text;
	*target = cursor->next->node;
	cursor->next = cursor->next->next;
	return true;
}

static uint64_t folder_size(const ol_erofs_image_node *folder)
{
	struct cursor cursor = { folder->first, 0 };
	uint64_t full = 0, used = 0;
	const char *text;
	uint32_t target;

	while (next_name(&cursor, &text, 0, 0, &target)) {
		uint64_t more = sizeof(struct ol_erofs_dirent) + strlen(text);

		if (used + more > OL_EROFS_IMAGE_BLOCK) {
			full += OL_EROFS_IMAGE_BLOCK;
			used = 0;
		}
		used += more;
	}
	return full + used;
}

/* ------------------------------------------------------------------------ the layout -- */

static uint64_t xattrs_bytes(const ol_erofs_image_node *node)
{
	return node->xattrs_size ? sizeof(struct ol_erofs_xattr_head) + node->xattrs_size : 0;
}

static uint64_t chunk_count(const ol_erofs_image_node *node)
{
	return node->size ? ((node->size - 1) >> (OL_EROFS_IMAGE_BLOCK_BITS + node->chunk_bits)) + 1
			  : 0;
}

/* The target of a link lies behind its inode, within one block, where it can. */
static void place_inline(ol_erofs_image_node *node, uint64_t *position)
{
	uint64_t before = sizeof(struct ol_erofs_inode_disk) + xattrs_bytes(node);

	for (uint64_t at = *position; at < *position + OL_EROFS_IMAGE_BLOCK;
		at += OL_EROFS_NODE_BYTES)
		if ((at + before) % OL_EROFS_IMAGE_BLOCK + node->size <= OL_EROFS_IMAGE_BLOCK) {
			node->layout = OL_EROFS_INLINE;
			node->at = at;
			*position = at + before + node->size;
			return;
		}
}

static void place_inode(ol_erofs_image_node *node, uint64_t *position)
{
	*position = ol_erofs_image_align(*position, OL_EROFS_NODE_BYTES);
	node->at = *position;
	if (S_ISLNK(node->mode) && node->size < OL_EROFS_IMAGE_BLOCK) {
		place_inline(node, position);
		if (node->layout == OL_EROFS_INLINE)
			return;
	}
	*position += sizeof(struct ol_erofs_inode_disk) + xattrs_bytes(node);
	if (node->layout == OL_EROFS_CHUNKED)
		*position = ol_erofs_image_align(*position, 4) + 4 * chunk_count(node);
}

static uint64_t data_blocks(const ol_erofs_image_node *node)
{
	uint64_t blocks = 0;

	if (ol_erofs_image_is_folder(node))
		return blocks_of(node->size);
	if (S_ISLNK(node->mode))
		return node->layout == OL_EROFS_INLINE ? 0 : blocks_of(node->size);
	for (size_t i = 0; i < node->part_count; i++)
		blocks += blocks_of(node->parts[i].size);
	return blocks;
}

/* Folders and targets come before files. */
static int place_blocks(ol_erofs_image *image, bool files, uint64_t *block, ol_error *err)
{
	for (size_t i = 0; i < image->count; i++) {
		ol_erofs_image_node *node = &image->nodes[i];

		if (S_ISREG(node->mode) != files)
			continue;
		node->block = (uint32_t)*block;
		*block += data_blocks(node);
		if (*block >= NO_BLOCK)
			return ol_fail(
				err, OL_EUNSUPPORTED, "the image would be larger than 16 TiB");
	}
	return OL_OK;
}

static int place(ol_erofs_image *image, ol_error *err)
{
	uint64_t position = INODES_AT, block;
	int rc;

	for (size_t i = 0; i < image->count; i++) {
		ol_erofs_image_node *node = &image->nodes[i];

		if (ol_erofs_image_is_folder(node))
			node->size = folder_size(node);
		place_inode(node, &position);
	}
	block = blocks_of(position);
	rc = place_blocks(image, false, &block, err);
	if (rc == OL_OK)
		rc = place_blocks(image, true, &block, err);
	image->blocks = block;
	return rc;
}

/* --------------------------------------------------------------------------- writing -- */

static int put(ol_erofs_image *image, const void *data, size_t size, ol_error *err)
{
	int rc = size ? ol_sink_write(image->sink, data, size, err) : OL_OK;

	image->position += size;
	return rc;
}

/* Zeros up to an offset. */
static int put_zeros(ol_erofs_image *image, uint64_t to, ol_error *err)
{
	static const char zeros[OL_EROFS_IMAGE_BLOCK];
	int rc = OL_OK;

	assert(to >= image->position);
	while (rc == OL_OK && image->position < to) {
		uint64_t left = to - image->position;

		rc = put(image, zeros,
			left < OL_EROFS_IMAGE_BLOCK ? (size_t)left : OL_EROFS_IMAGE_BLOCK, err);
	}
	return rc;
}

static int put_super(ol_erofs_image *image, ol_error *err)
{
	struct ol_erofs_super super = { .block_bits = OL_EROFS_IMAGE_BLOCK_BITS };
	const ol_digest digest = ol_hasher_final(image->hasher);

	ol_put32(super.magic, OL_EROFS_MAGIC);
	ol_put32(super.compat, OL_EROFS_COMPAT_MTIME);
	ol_put32(super.incompat, OL_EROFS_INCOMPAT_CHUNKED);
	ol_put16(super.root_node, (uint16_t)(image->nodes[0].at / OL_EROFS_NODE_BYTES));
	ol_put64(super.inodes, image->count);
	ol_put32(super.blocks, (uint32_t)image->blocks);
	memcpy(super.uuid, digest.bytes, sizeof super.uuid);
	super.uuid[6] = (uint8_t)((super.uuid[6] & 0x0f) |
				  0x80); /* RFC 9562: version 8, made as one likes */
	super.uuid[8] = (uint8_t)((super.uuid[8] & 0x3f) | 0x80);
	return put(image, &super, sizeof super, err);
}

/* Addresses of a chunked file: parts are whole chunks, one after the other in its blocks. */
static int put_chunks(ol_erofs_image *image, const ol_erofs_image_node *node, ol_error *err)
{
	unsigned bits = OL_EROFS_IMAGE_BLOCK_BITS + node->chunk_bits;
	uint64_t chunks = chunk_count(node), block = node->block;
	size_t part = 0;
	int rc = put_zeros(image, ol_erofs_image_align(image->position, 4), err);

	for (uint64_t i = 0; rc == OL_OK && i < chunks; i++) {
		uint64_t start = i << bits;
		uint8_t address[4];

		while (part < node->part_count &&
			start >= node->parts[part].offset + node->parts[part].size) {
			block += blocks_of(node->parts[part].size);
			part++;
		}
		if (part < node->part_count && start >= node->parts[part].offset)
			ol_put32(address, (uint32_t)(block + ((start - node->parts[part].offset) >>
								     OL_EROFS_IMAGE_BLOCK_BITS)));
		else
			ol_put32(address, OL_EROFS_HOLE);
		rc = put(image, address, sizeof address, err);
	}
	return rc;
}

static uint32_t data_field(const ol_erofs_image_node *node)
{
	if (S_ISCHR(node->mode) || S_ISBLK(node->mode))
		return node->rdev;
	if (node->layout == OL_EROFS_CHUNKED)
		return node->chunk_bits;
	return node->layout == OL_EROFS_INLINE || !node->size ? 0 : node->block;
}

static int put_inode(ol_erofs_image *image, const ol_erofs_image_node *node, ol_error *err)
{
	static const struct ol_erofs_xattr_head xattr_head;
	struct ol_erofs_inode_disk core = { 0 };
	int rc = put_zeros(image, node->at, err);

	ol_put16(core.format, (uint16_t)(OL_EROFS_EXTENDED | (unsigned)node->layout << 1));
	ol_put16(core.xattr_count, (uint16_t)(node->xattrs_size ? node->xattrs_size / 4 + 1 : 0));
	ol_put16(core.mode, (uint16_t)node->mode);
	ol_put64(core.size, node->size);
	ol_put32(core.u, data_field(node));
	ol_put32(core.number, (uint32_t)(node - image->nodes) + 1);
	ol_put32(core.uid, node->uid);
	ol_put32(core.gid, node->gid);
	ol_put64(core.mtime, (uint64_t)node->mtime.tv_sec);
	ol_put32(core.mtime_nsec, (uint32_t)node->mtime.tv_nsec);
	ol_put32(core.nlink, node->nlink);
	if (rc == OL_OK)
		rc = put(image, &core, sizeof core, err);
	if (rc == OL_OK && node->xattrs_size)
		rc = put(image, &xattr_head, sizeof xattr_head, err);
	if (rc == OL_OK)
		rc = put(image, node->xattrs, node->xattrs_size, err);
	if (rc == OL_OK && node->layout == OL_EROFS_INLINE)
		rc = put(image, node->target, node->size, err);
	if (rc == OL_OK && node->layout == OL_EROFS_CHUNKED)
		rc = put_chunks(image, node, err);
	return rc;
}

static uint8_t dirent_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return OL_EROFS_TYPE_DIR;
	case S_IFLNK:
		return OL_EROFS_TYPE_SYMLINK;
	case S_IFCHR:
		return OL_EROFS_TYPE_CHAR;
	case S_IFBLK:
		return OL_EROFS_TYPE_BLOCK;
	case S_IFIFO:
		return OL_EROFS_TYPE_FIFO;
	default: /* no other is added */
		return OL_EROFS_TYPE_FILE;
	}
}

/* A block of a folder under construction: entries grow from its front, their names are gathered
 * beside. */
struct dir_block {
	struct ol_erofs_dirent entries[OL_EROFS_IMAGE_BLOCK / sizeof(struct ol_erofs_dirent)];
	uint16_t name_at[OL_EROFS_IMAGE_BLOCK / sizeof(struct ol_erofs_dirent)];
	char names[OL_EROFS_IMAGE_BLOCK];
	size_t count, name_bytes;
};

static int put_dir_block(ol_erofs_image *image, struct dir_block *block, ol_error *err)
{
	size_t names = block->count * sizeof block->entries[0];
	int rc;

	for (size_t i = 0; i < block->count; i++)
		ol_put16(block->entries[i].name_at, (uint16_t)(names + block->name_at[i]));
	rc = put(image, block->entries, names, err);
	if (rc == OL_OK)
		rc = put(image, block->names, block->name_bytes, err);
	block->count = block->name_bytes = 0;
	return rc < 0 ? rc
		      : put_zeros(image,
				ol_erofs_image_align(image->position, OL_EROFS_IMAGE_BLOCK), err);
}

static int put_folder(ol_erofs_image *image, uint32_t index, struct dir_block *block, ol_error *err)
{
	const ol_erofs_image_node *folder = &image->nodes[index];
	struct cursor cursor = { folder->first, 0 };
	const char *text;
	uint32_t target;
	int rc = OL_OK;

	while (rc == OL_OK && next_name(&cursor, &text, index, folder->parent, &target)) {
		size_t size = strlen(text);
		struct ol_erofs_dirent *entry;

		if ((block->count + 1) * sizeof *entry + block->name_bytes + size >
			OL_EROFS_IMAGE_BLOCK)
			rc = put_dir_block(image, block, err);
		entry = &block->entries[block->count];
		*entry = (struct ol_erofs_dirent){ .type = dirent_type(image->nodes[target].mode) };
		ol_put64(entry->node, image->nodes[target].at / OL_EROFS_NODE_BYTES);
		block->name_at[block->count++] = (uint16_t)block->name_bytes;
		memcpy(block->names + block->name_bytes, text, size);
		block->name_bytes += size;
	}
	return rc < 0 ? rc : put_dir_block(image, block, err);
}

static int put_folders(ol_erofs_image *image, ol_error *err)
{
	ol_autofree struct dir_block *block = ol_alloc(sizeof *block);
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < image->count; i++) {
		const ol_erofs_image_node *node = &image->nodes[i];

		if (ol_erofs_image_is_folder(node)) {
			assert(image->position == (uint64_t)node->block
							  << OL_EROFS_IMAGE_BLOCK_BITS);
			rc = put_folder(image, (uint32_t)i, block, err);
		} else if (S_ISLNK(node->mode) && node->layout != OL_EROFS_INLINE) {
			rc = put(image, node->target, node->size, err);
			if (rc == OL_OK)
				rc = put_zeros(image,
					ol_erofs_image_align(image->position, OL_EROFS_IMAGE_BLOCK),
					err);
		}
	}
	return rc;
}

int ol_erofs_image_begin(ol_erofs_image *image, ol_sink *sink, ol_error *err)
{
	int rc;

	if (image->count == 0)
		return ol_fail(err, OL_EINVAL, "an image without a root");
	rc = place(image, err);
	if (rc < 0)
		return rc;
	image->sink = sink;
	rc = put_zeros(image, OL_EROFS_SUPER_AT, err);
	if (rc == OL_OK)
		rc = put_super(image, err);
	for (size_t i = 0; rc == OL_OK && i < image->count; i++)
		rc = put_inode(image, &image->nodes[i], err);
	if (rc == OL_OK)
		rc = put_zeros(
			image, ol_erofs_image_align(image->position, OL_EROFS_IMAGE_BLOCK), err);
	return rc < 0 ? rc : put_folders(image, err);
}

const ol_sparse *ol_erofs_image_parts(const ol_erofs_image *image, uint64_t sequence, size_t *count)
{
	const ol_erofs_image_node *node;

	*count = 0;
	if (sequence >= image->sequences)
		return NULL;
	node = &image->nodes[image->by_sequence[sequence]];
	*count = node->part_count;
	return node->parts;
}

int ol_erofs_image_data(ol_erofs_image *image, const void *data, size_t size, ol_error *err)
{
	image->written += size;
	return put(image, data, size, err);
}

int ol_erofs_image_end_file(ol_erofs_image *image, uint64_t sequence, ol_error *err)
{
	const ol_erofs_image_node *node;
	uint64_t expected = 0, end;

	assert(sequence < image->sequences);
	node = &image->nodes[image->by_sequence[sequence]];
	for (size_t i = 0; i < node->part_count; i++)
		expected += node->parts[i].size;
	end = ((uint64_t)node->block + data_blocks(node)) << OL_EROFS_IMAGE_BLOCK_BITS;
	if (image->written != expected || image->position > end)
		return ol_fail(err, OL_EINVAL, "%llu bytes of data, not %llu",
			(unsigned long long)image->written, (unsigned long long)expected);
	image->written = 0;
	return put_zeros(image, end, err);
}

int ol_erofs_image_finish(ol_erofs_image *image, ol_error *err)
{
	uint64_t end = image->blocks << OL_EROFS_IMAGE_BLOCK_BITS;

	if (image->position != end)
		return ol_fail(err, OL_EINVAL, "the image ends at byte %llu, not %llu",
			(unsigned long long)image->position, (unsigned long long)end);
	return OL_OK;
}
