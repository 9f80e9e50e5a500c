/*
 * The entries become a tree of nodes, whose folders list their names as they come. Nothing is
 * written before all are known: erofs_image_write.c.
 */
#include "snapshot/erofs_image.h"

#include <stdio.h>

#include "snapshot/erofs_image_priv.h"

/* Of one file: 4 MiB of table. Chunks grow with the file. */
#define CHUNKS_MAX ((uint64_t)1 << 20)

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
	ol_erofs_image_node *folder;
	ol_erofs_image_name *name;

	if (!find_parent(image, path))
		return ol_fail(err, OL_EINVAL, "%.300s: comes before its folder", path);
	folder = &image->nodes[image->folder];
	if (folder->last && strcmp(folder->last->text, text) >= 0)
		return ol_fail(err, OL_EINVAL, "%.300s: comes too late", path);
	if (strlen(text) > OL_EROFS_NAME_MAX)
		return ol_fail(err, OL_ELIMIT, "%.300s: the name is too long", path);
	name = ol_arena_alloc(image->arena, sizeof *name);
	*name = (ol_erofs_image_name){ .text = ol_arena_strdup(image->arena, text), .node = node };
	if (folder->last)
		folder->last->next = name;
	else
		folder->first = name;
	folder->last = name;
	return OL_OK;
}

static int add_xattrs(
	ol_erofs_image *image, ol_erofs_image_node *node, const ol_tar_entry *entry, ol_error *err)
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
static void add_parts(ol_erofs_image_node *node, const ol_tar_entry *entry)
{
	uint64_t unit;

	node->layout = OL_EROFS_CHUNKED;
	while (node->size >> (OL_EROFS_IMAGE_BLOCK_BITS + node->chunk_bits) >= CHUNKS_MAX)
		node->chunk_bits++;
	unit = OL_EROFS_IMAGE_BLOCK << node->chunk_bits;
	node->parts = ol_alloc_array(entry->sparse_count + 1, sizeof *node->parts);
	for (size_t i = 0; i < entry->sparse_count; i++) {
		const ol_sparse *piece = &entry->sparse[i];
		uint64_t start = piece->offset & ~(unit - 1);
		uint64_t end = ol_erofs_image_align(piece->offset + piece->size, unit);
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
	ol_erofs_image_node node = {
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
	if (ol_erofs_image_is_folder(&node))
		node.nlink = 2;
	OL_GROW(image->nodes, image->count, image->cap);
	image->nodes[image->count++] = node;
	return OL_OK;
}

static void hash_entry(
	ol_erofs_image *image, const ol_tar_entry *entry, const ol_erofs_image_node *node)
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
			    ol_erofs_image_is_folder(&image->nodes[image->by_sequence[target]])))
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
