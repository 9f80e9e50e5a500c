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
 *
 * Invariants:
 *   1. nodes[0] is the root; a node's parent has a smaller index.
 *   2. Names of one folder are linked in order of their bytes; "." and ".." come in between.
 *   3. What is written next always begins at image->position.
 */
#include "snapshot/erofs_image.h"

#include <assert.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "snapshot/erofs_writer_priv.h"

#define BLOCK_BITS 12
#define BLOCK      ((uint64_t)1 << BLOCK_BITS)
#define INODES_AT  (OL_EROFS_SUPER_AT + sizeof(struct ol_erofs_super))
#define NO_BLOCK   UINT32_MAX
/* Of one file: 4 MiB of table. Chunks grow with the file. */
#define CHUNKS_MAX ((uint64_t)1 << 20)

/* A name in a folder. */
struct name {
	const char *text; /* in the arena */
	uint32_t node;
	struct name *next;
};

struct node {
	uint32_t parent, nlink;
	uint32_t mode, uid, gid, rdev;
	struct timespec mtime;
	uint64_t size, at; /* at: offset of the inode */
	uint32_t block;    /* where its blocks begin */
	uint8_t layout, chunk_bits;
	uint32_t part_count;
	ol_sparse *parts;          /* owned: of a file with data: whole chunks, but for its end */
	const char *target;        /* in the arena */
	const char *xattrs;        /* in the arena, as on disk */
	uint32_t xattrs_size;      /* without head */
	struct name *first, *last; /* of a folder */
};

struct ol_erofs_image {
	ol_arena *arena;    /* owned */
	struct node *nodes; /* owned */
	size_t count, cap;
	uint32_t *by_sequence; /* owned: node of an entry */
	size_t sequences, sequence_cap;
	char path[OL_PATH_MAX + 1]; /* of the last folder, which entries may lie in or beside */
	uint32_t folder;            /* its node */
	ol_hasher *hasher;          /* owned: of the entries; the UUID comes from it */
	ol_buf xattrs;
	ol_sink *sink;             /* lent */
	uint64_t position, blocks; /* bytes written; blocks in all */
	uint64_t written;          /* of the data of the file that is being written */
};

ol_erofs_image *ol_erofs_image_new(void)
{
	ol_erofs_image *image = ol_alloc(sizeof *image);

	image->arena = ol_arena_new();
	image->hasher = ol_hasher_new(OL_SHA256);
	image->xattrs = OL_BUF((size_t)256 << 10);
	return image;
}

void ol_erofs_image_free(ol_erofs_image *image)
{
	if (!image)
		return;
	for (size_t i = 0; i < image->count; i++)
		free(image->nodes[i].parts);
	ol_arena_free(image->arena);
	ol_hasher_free(image->hasher);
	ol_buf_done(&image->xattrs);
	free(image->nodes);
	free(image->by_sequence);
	free(image);
}

static uint64_t align_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

static uint64_t blocks_of(uint64_t bytes)
{
	return align_up(bytes, BLOCK) >> BLOCK_BITS;
}

/* ------------------------------------------------------------------------ entries -- */

static uint32_t type_bits(ol_tar_type type)
{
	static const uint32_t bits[] = {
		[OL_TAR_FILE] = S_IFREG,
		[OL_TAR_SYMLINK] = S_IFLNK,
		[OL_TAR_CHAR] = S_IFCHR,
		[OL_TAR_BLOCK] = S_IFBLK,
		[OL_TAR_DIR] = S_IFDIR,
		[OL_TAR_FIFO] = S_IFIFO,
		[OL_TAR_HARDLINK] = 0,
		[OL_TAR_WHITEOUT] = 0,
		[OL_TAR_OPAQUE] = 0,
	};

	return bits[type];
}

static bool is_folder(const struct node *node)
{
	return S_ISDIR(node->mode);
}

/* From the last folder up to the one that path lies in; false if that is not among them. */
static bool find_parent(ol_erofs_image *image, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t size = slash ? (size_t)(slash - path) : 0;

	for (;;) {
		char *last;

		if (strlen(image->path) == size && memcmp(image->path, path, size) == 0)
			return true;
		if (!image->path[0])
			return false;
		last = strrchr(image->path, '/');
		*(last ? last : image->path) = '\0';
		image->folder = image->nodes[image->folder].parent;
	}
}

static int add_name(ol_erofs_image *image, const char *path, uint32_t node, ol_error *err)
{
	const char *slash = strrchr(path, '/'), *text = slash ? slash + 1 : path;
	struct node *folder;
	struct name *name;

	if (!find_parent(image, path))
		return ol_fail(err, OL_EINVAL, "%.300s: comes before its folder", path);
	folder = &image->nodes[image->folder];
	if (folder->last && strcmp(folder->last->text, text) >= 0)
		return ol_fail(err, OL_EINVAL, "%.300s: comes too late", path);
	if (strlen(text) > OL_EROFS_NAME_MAX)
		return ol_fail(err, OL_ELIMIT, "%.300s: the name is too long", path);
	name = ol_arena_alloc(image->arena, sizeof *name);
	*name = (struct name){ .text = ol_arena_strdup(image->arena, text), .node = node };
	if (folder->last)
		folder->last->next = name;
	else
		folder->first = name;
	folder->last = name;
	return OL_OK;
}

static int add_xattrs(
	ol_erofs_image *image, struct node *node, const ol_tar_entry *entry, ol_error *err)
{
	int rc = OL_OK;

	ol_buf_clear(&image->xattrs);
	for (size_t i = 0; rc == OL_OK && i < entry->xattr_count; i++)
		rc = ol_erofs_xattr_encode(
			entry->xattrs[i].name, entry->xattrs[i].value, &image->xattrs, err);
	if (rc == OL_OK && image->xattrs.size > OL_XATTRS_BYTES_MAX)
		rc = ol_fail(err, OL_ELIMIT, "more than %zu bytes of xattrs", OL_XATTRS_BYTES_MAX);
	if (rc < 0)
		return rc;
	node->xattrs_size = (uint32_t)image->xattrs.size;
	if (node->xattrs_size)
		node->xattrs =
			ol_arena_strndup(image->arena, image->xattrs.data, image->xattrs.size);
	return OL_OK;
}

/* Pieces become whole chunks: what lies in a chunk with data is data. */
static void add_parts(struct node *node, const ol_tar_entry *entry)
{
	uint64_t unit;

	node->layout = OL_EROFS_CHUNKED;
	while (node->size >> (BLOCK_BITS + node->chunk_bits) >= CHUNKS_MAX)
		node->chunk_bits++;
	unit = BLOCK << node->chunk_bits;
	node->parts = ol_alloc_array(entry->sparse_count + 1, sizeof *node->parts);
	for (size_t i = 0; i < entry->sparse_count; i++) {
		const ol_sparse *piece = &entry->sparse[i];
		uint64_t start = piece->offset & ~(unit - 1);
		uint64_t end = align_up(piece->offset + piece->size, unit);
		ol_sparse *last = node->part_count ? &node->parts[node->part_count - 1] : NULL;

		if (end > node->size)
			end = node->size;
		if (last && start <= last->offset + last->size) {
			if (end > last->offset + last->size)
				last->size = end - last->offset;
		} else {
			node->parts[node->part_count++] = (ol_sparse){ start, end - start };
		}
	}
}

static int add_node(ol_erofs_image *image, const ol_tar_entry *entry, ol_error *err)
{
	struct node node = {
		.nlink = 1,
		.mode = type_bits(entry->type) | (entry->mode & 07777),
		.uid = entry->uid,
		.gid = entry->gid,
		.rdev = ol_erofs_encode_dev(entry->dev_major, entry->dev_minor),
		.mtime = entry->mtime,
		.size = entry->type == OL_TAR_FILE ? entry->size : 0,
	};
	int rc = add_xattrs(image, &node, entry, err);

	if (rc < 0)
		return ol_wrap(err, rc, "%.300s", entry->name);
	if (entry->type == OL_TAR_SYMLINK) {
		node.target = ol_arena_strdup(image->arena, entry->target);
		node.size = strlen(entry->target);
	}
	if (entry->type == OL_TAR_FILE && entry->sparse) {
		add_parts(&node, entry);
	} else if (node.size && entry->type == OL_TAR_FILE) {
		node.parts = ol_alloc_array(1, sizeof *node.parts);
		node.parts[0] = (ol_sparse){ 0, node.size };
		node.part_count = 1;
	}
	if (is_folder(&node))
		node.nlink = 2;
	OL_GROW(image->nodes, image->count, image->cap);
	image->nodes[image->count++] = node;
	return OL_OK;
}

static void hash_entry(ol_erofs_image *image, const ol_tar_entry *entry, const struct node *node)
{
	const uint64_t numbers[] = { entry->type, entry->mode, entry->uid, entry->gid, node->rdev,
		(uint64_t)entry->mtime.tv_sec, (uint64_t)entry->mtime.tv_nsec, entry->size };

	ol_hasher_update(image->hasher, entry->name, strlen(entry->name) + 1);
	ol_hasher_update(image->hasher, entry->target, strlen(entry->target) + 1);
	ol_hasher_update(image->hasher, numbers, sizeof numbers);
	ol_hasher_update(image->hasher, node->xattrs, node->xattrs_size);
}

static int check(
	const ol_erofs_image *image, const ol_tar_entry *entry, uint64_t target, ol_error *err)
{
	bool link = entry->type == OL_TAR_HARDLINK;

	if (entry->sequence != image->sequences || (image->count == 0) != !*entry->name)
		return ol_fail(err, OL_EINVAL, "%.300s: comes out of turn", entry->name);
	if (!link && type_bits(entry->type) == 0)
		return ol_fail(err, OL_EINVAL, "%.300s: a whiteout", entry->name);
	if (image->count == 0 && entry->type != OL_TAR_DIR)
		return ol_fail(err, OL_EINVAL, "a root that is no folder");
	if (link && (target >= image->sequences ||
			    is_folder(&image->nodes[image->by_sequence[target]])))
		return ol_fail(err, OL_EINVAL, "%.300s: a link to nothing", entry->name);
	if (image->sequences >= OL_LAYER_ENTRIES_MAX || entry->size > OL_FILE_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "%.300s: too large, or too many", entry->name);
	return OL_OK;
}

int ol_erofs_image_add(
	ol_erofs_image *image, const ol_tar_entry *entry, uint64_t target, ol_error *err)
{
	int rc = check(image, entry, target, err);
	uint32_t index = (uint32_t)image->count;

	if (rc < 0)
		return rc;
	if (entry->type == OL_TAR_HARDLINK) {
		index = image->by_sequence[target];
		image->nodes[index].nlink++;
	} else {
		rc = add_node(image, entry, err);
	}
	if (rc == OL_OK && *entry->name)
		rc = add_name(image, entry->name, index, err);
	if (rc < 0)
		return rc;
	hash_entry(image, entry, &image->nodes[index]);
	OL_GROW(image->by_sequence, image->sequences, image->sequence_cap);
	image->by_sequence[image->sequences++] = index;
	if (entry->type != OL_TAR_DIR)
		return OL_OK;
	image->nodes[index].parent = image->folder;
	if (index > 0)
		image->nodes[image->folder].nlink++;
	image->folder = index;
	(void)snprintf(image->path, sizeof image->path, "%s", entry->name);
	return OL_OK;
}

/* ------------------------------------------------------------------------- folders -- */

/* One name after the other, "." and ".." where their bytes sort them. */
struct cursor {
	const struct name *next;
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

static uint64_t folder_size(const struct node *folder)
{
	struct cursor cursor = { folder->first, 0 };
	uint64_t full = 0, used = 0;
	const char *text;
	uint32_t target;

	while (next_name(&cursor, &text, 0, 0, &target)) {
		uint64_t more = sizeof(struct ol_erofs_dirent) + strlen(text);

		if (used + more > BLOCK) {
			full += BLOCK;
			used = 0;
		}
		used += more;
	}
	return full + used;
}

/* ------------------------------------------------------------------------ the layout -- */

static uint64_t xattrs_bytes(const struct node *node)
{
	return node->xattrs_size ? sizeof(struct ol_erofs_xattr_head) + node->xattrs_size : 0;
}

static uint64_t chunk_count(const struct node *node)
{
	return node->size ? ((node->size - 1) >> (BLOCK_BITS + node->chunk_bits)) + 1 : 0;
}

/* The target of a link lies behind its inode, within one block, where it can. */
static void place_inline(struct node *node, uint64_t *position)
{
	uint64_t before = sizeof(struct ol_erofs_inode_disk) + xattrs_bytes(node);

	for (uint64_t at = *position; at < *position + BLOCK; at += OL_EROFS_NODE_BYTES)
		if ((at + before) % BLOCK + node->size <= BLOCK) {
			node->layout = OL_EROFS_INLINE;
			node->at = at;
			*position = at + before + node->size;
			return;
		}
}

static void place_inode(struct node *node, uint64_t *position)
{
	*position = align_up(*position, OL_EROFS_NODE_BYTES);
	node->at = *position;
	if (S_ISLNK(node->mode) && node->size < BLOCK) {
		place_inline(node, position);
		if (node->layout == OL_EROFS_INLINE)
			return;
	}
	*position += sizeof(struct ol_erofs_inode_disk) + xattrs_bytes(node);
	if (node->layout == OL_EROFS_CHUNKED)
		*position = align_up(*position, 4) + 4 * chunk_count(node);
}

static uint64_t data_blocks(const struct node *node)
{
	uint64_t blocks = 0;

	if (is_folder(node))
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
		struct node *node = &image->nodes[i];

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
		struct node *node = &image->nodes[i];

		if (is_folder(node))
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
	static const char zeros[BLOCK];
	int rc = OL_OK;

	assert(to >= image->position);
	while (rc == OL_OK && image->position < to) {
		uint64_t left = to - image->position;

		rc = put(image, zeros, left < BLOCK ? (size_t)left : BLOCK, err);
	}
	return rc;
}

static int put_super(ol_erofs_image *image, ol_error *err)
{
	struct ol_erofs_super super = { .block_bits = BLOCK_BITS };
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
static int put_chunks(ol_erofs_image *image, const struct node *node, ol_error *err)
{
	unsigned bits = BLOCK_BITS + node->chunk_bits;
	uint64_t chunks = chunk_count(node), block = node->block;
	size_t part = 0;
	int rc = put_zeros(image, align_up(image->position, 4), err);

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
								     BLOCK_BITS)));
		else
			ol_put32(address, OL_EROFS_HOLE);
		rc = put(image, address, sizeof address, err);
	}
	return rc;
}

static uint32_t data_field(const struct node *node)
{
	if (S_ISCHR(node->mode) || S_ISBLK(node->mode))
		return node->rdev;
	if (node->layout == OL_EROFS_CHUNKED)
		return node->chunk_bits;
	return node->layout == OL_EROFS_INLINE || !node->size ? 0 : node->block;
}

static int put_inode(ol_erofs_image *image, const struct node *node, ol_error *err)
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
	struct ol_erofs_dirent entries[BLOCK / sizeof(struct ol_erofs_dirent)];
	uint16_t name_at[BLOCK / sizeof(struct ol_erofs_dirent)];
	char names[BLOCK];
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
	return rc < 0 ? rc : put_zeros(image, align_up(image->position, BLOCK), err);
}

static int put_folder(ol_erofs_image *image, uint32_t index, struct dir_block *block, ol_error *err)
{
	const struct node *folder = &image->nodes[index];
	struct cursor cursor = { folder->first, 0 };
	const char *text;
	uint32_t target;
	int rc = OL_OK;

	while (rc == OL_OK && next_name(&cursor, &text, index, folder->parent, &target)) {
		size_t size = strlen(text);
		struct ol_erofs_dirent *entry;

		if ((block->count + 1) * sizeof *entry + block->name_bytes + size > BLOCK)
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
		const struct node *node = &image->nodes[i];

		if (is_folder(node)) {
			assert(image->position == (uint64_t)node->block << BLOCK_BITS);
			rc = put_folder(image, (uint32_t)i, block, err);
		} else if (S_ISLNK(node->mode) && node->layout != OL_EROFS_INLINE) {
			rc = put(image, node->target, node->size, err);
			if (rc == OL_OK)
				rc = put_zeros(image, align_up(image->position, BLOCK), err);
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
		rc = put_zeros(image, align_up(image->position, BLOCK), err);
	return rc < 0 ? rc : put_folders(image, err);
}

const ol_sparse *ol_erofs_image_parts(const ol_erofs_image *image, uint64_t sequence, size_t *count)
{
	const struct node *node;

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
	const struct node *node;
	uint64_t expected = 0, end;

	assert(sequence < image->sequences);
	node = &image->nodes[image->by_sequence[sequence]];
	for (size_t i = 0; i < node->part_count; i++)
		expected += node->parts[i].size;
	end = ((uint64_t)node->block + data_blocks(node)) << BLOCK_BITS;
	if (image->written != expected || image->position > end)
		return ol_fail(err, OL_EINVAL, "%llu bytes of data, not %llu",
			(unsigned long long)image->written, (unsigned long long)expected);
	image->written = 0;
	return put_zeros(image, end, err);
}

int ol_erofs_image_finish(ol_erofs_image *image, ol_error *err)
{
	if (image->position != image->blocks << BLOCK_BITS)
		return ol_fail(err, OL_EINVAL, "the image ends at byte %llu, not %llu",
			(unsigned long long)image->position,
			(unsigned long long)(image->blocks << BLOCK_BITS));
	return OL_OK;
}
