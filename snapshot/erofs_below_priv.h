#pragma once

/*
 * What the layers below a layer show at a path, as overlayfs would stack them. Used where a layer
 * leans on them.
 */
#include <sys/stat.h>

#include "snapshot/erofs_driver_priv.h"

/* What one layer says of a path. */
typedef enum ol_erofs_sight {
	OL_EROFS_SEES_NOTHING, /* ask the next one below */
	OL_EROFS_SEES_IT,
	OL_EROFS_SEES_END, /* a whiteout, an opaque directory or a file: nothing below shows */
} ol_erofs_sight;

/* inode is set where it is seen. */
int ol_erofs_see(ol_erofs *index, const char *path, ol_erofs_sight *sight, ol_erofs_inode *inode,
	ol_error *err);

/* All xattrs of an inode, in memory of arena: those a container may have in *out; what the others
 * mean beside them. link is "" or terminated. */
typedef struct ol_erofs_marks {
	bool opaque, implied;
	const char *link;
} ol_erofs_marks;
int ol_erofs_marks_get(ol_erofs *index, const ol_erofs_inode *inode, ol_arena *arena,
	ol_tar_entry *out, ol_erofs_marks *marks, ol_error *err);

typedef struct ol_erofs_below ol_erofs_below;

/* lowers: bottom first; lent. */
ol_erofs_below *ol_erofs_below_new(ol_store *store, const ol_layer_info *lowers, size_t count);
void ol_erofs_below_free(ol_erofs_below *below);
OL_DEFINE_AUTO(ol_erofs_below, ol_erofs_below_free)

/* What was found, and where: an inode of an index, or a file of a tree. */
typedef struct ol_erofs_found {
	size_t layer;
	ol_erofs *index; /* lent until the next search; NULL: a tree */
	ol_erofs_inode inode;
	int fd; /* of a tree's: O_PATH, owned by below until the next search */
	struct stat st;
} ol_erofs_found;

/* The topmost of layers [0, count) that shows path. OL_ENOTFOUND: none does. */
int ol_erofs_below_find(
	ol_erofs_below *below, size_t count, const char *path, ol_erofs_found *out, ol_error *err);
/* The index of a layer, or NULL for a tree. */
int ol_erofs_below_index(ol_erofs_below *below, size_t layer, ol_erofs **out, ol_error *err);
size_t ol_erofs_below_count(const ol_erofs_below *below);
const ol_layer_info *ol_erofs_below_layer(const ol_erofs_below *below, size_t layer);
/* Type, mode, owner, time, device and xattrs of what was found, in memory of arena. Its data are
 * not looked at. */
int ol_erofs_found_entry(
	const ol_erofs_found *found, ol_arena *arena, ol_tar_entry *out, ol_error *err);
