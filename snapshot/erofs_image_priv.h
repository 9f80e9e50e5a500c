#pragma once

/*
 * What the two halves of the image's writer share.
 *
 *	erofs_image.c        the entries, as a tree of nodes
 *	erofs_image_write.c  where everything goes, and the bytes
 *
 * Invariants:
 *   1. nodes[0] is the root; a node's parent has a smaller index.
 *   2. Names of one folder are linked in order of their bytes; "." and ".." come in between.
 *   3. What is written next always begins at image->position.
 */
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "snapshot/erofs_image.h"
#include "snapshot/erofs_writer_priv.h"

#define OL_EROFS_IMAGE_BLOCK_BITS 12
#define OL_EROFS_IMAGE_BLOCK      ((uint64_t)1 << OL_EROFS_IMAGE_BLOCK_BITS)

/* A name in a folder. */
typedef struct ol_erofs_image_name {
	const char *text; /* in the arena */
	uint32_t node;
	struct ol_erofs_image_name *next;
} ol_erofs_image_name;

typedef struct ol_erofs_image_node {
	uint32_t parent, nlink;
	uint32_t mode, uid, gid, rdev;
	struct timespec mtime;
	uint64_t size, at; /* at: offset of the inode */
	uint32_t block;    /* where its blocks begin */
	uint8_t layout, chunk_bits;
	uint32_t part_count;
	ol_sparse *parts;     /* owned: of a file with data: whole chunks, but for its end */
	const char *target;   /* in the arena */
	const char *xattrs;   /* in the arena, as on disk */
	uint32_t xattrs_size; /* without head */
	ol_erofs_image_name *first, *last; /* of a folder */
} ol_erofs_image_node;

struct ol_erofs_image {
	ol_arena *arena;            /* owned */
	ol_erofs_image_node *nodes; /* owned */
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

static inline uint64_t ol_erofs_image_align(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}
static inline bool ol_erofs_image_is_folder(const ol_erofs_image_node *node)
{
	return S_ISDIR(node->mode);
}
