#pragma once

/*
 * The dir driver: a layer extracted into the directory "fs", as overlayfs wants its lower layers.
 *
 *	dir_driver.c    the row of operations, probe, lower, root
 *	dir_builder.c   tar in, tree out
 *	dir_extract.c   one entry into the tree
 *	dir_tree.c      parents, found beneath the root and kept open; implied ones
 *	dir_times.c     times of directories, and the end of it all
 *	dir_marks.c     whiteouts, opaque directories, and what orlop notes
 *	dir_attr.c      owner, mode, xattrs, times
 *	dir_lowers.c    a path looked up in the layers below
 *	dir_complete.c  what a layer takes from the layers below
 *	dir_verify.c    a tree against its tar
 *	dir_model.c     what the tree should be, in memory
 *
 * Marks in the tree; NS is trusted, or user for rootless use:
 *
 *	NS.overlay.opaque "y"   the directory hides what lies below
 *	NS.overlay.origin ""    it holds a whiteout: overlayfs then keeps it out of listings
 *	NS.orlop.tree           of fs itself: "listed" when the tar lists the root, else "bare"
 *	user.orlop.ids          of fs itself, rootless: the ids that it could be given; what belongs
 *	                        to others in the tar is root's here (base/userns.h has the text)
 *	NS.orlop.implied ""     the tar does not list this directory; see dir_complete.c
 *	NS.orlop.cross ""       a file that stands for a hard link into a layer below, and holds
 *	                        the target's path
 *
 * Rootless, an empty file stands for a device node, which nobody but the real root can make.
 *
 * Of these implied and cross are gone from a tree that overlayfs is given. While a tree leans,
 * the file .wh..wh.orlop in fs tells where they are: "d" or "l", the path, a NUL, for each (or for
 * one that was). No layer can make a file of that name. A single "m" says that the tree was moved.
 */
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "base/sorter.h"
#include "base/str.h"
#include "base/userns.h"
#include "snapshot/driver.h"

#define OL_DIR_TREE  "fs"
#define OL_DIR_LEANS ".wh..wh.orlop"

typedef struct ol_dir_names {
	const char *opaque, *origin, *tree, *implied, *cross, *ids;
} ol_dir_names;
const ol_dir_names *ol_dir_names_of(bool userxattr);
/* Those that the tree whose root is given was made with. */
const ol_dir_names *ol_dir_names_in(int root_fd);

/* A directory kept open. */
typedef struct ol_dir_slot {
	int fd;     /* -1: free */
	bool group; /* setgid: what is made in it takes its group */
	bool opaque_known, opaque, origin;
	uint64_t used; /* the higher the later */
	size_t size;
	char path[OL_PATH_MAX];
} ol_dir_slot;

#define OL_DIR_SLOTS 8
/* The mark of a tree's ids: with the tree's other xattrs it must fit into a block of 4096 bytes. */
#define OL_DIR_IDS_BYTES_MAX 1024

/* A tree under construction. */
typedef struct ol_dir_tree {
	int root_fd; /* owned */
	const ol_dir_names *names;
	bool userxattr;
	ol_userns *here; /* owned: which ids can be given; NULL: all */
	ol_lacks *lacks; /* lent; or NULL */
	mode_t umask;    /* the process's */
	uid_t uid;       /* of what is made here */
	gid_t gid;
	int leans_fd;     /* owned: OL_DIR_LEANS, or -1 */
	ol_sorter *times; /* owned: times of directories, set at the end */
	bool replaced;    /* something was removed: a path of times may mean something else now */
	uint64_t disk_bytes;
	uint64_t clock;
	ol_dir_slot slots[OL_DIR_SLOTS];
} ol_dir_tree;

/* Makes "fs" in dir_fd. tree is of zeroes. */
int ol_dir_tree_make(
	ol_dir_tree *tree, int dir_fd, bool userxattr, size_t budget_bytes, ol_error *err);
/* Opens the one that is there. */
int ol_dir_tree_open(ol_dir_tree *tree, int dir_fd, size_t budget_bytes, ol_error *err);
void ol_dir_tree_done(ol_dir_tree *tree);
/* Sets the times of directories, and tells whether the tree leans on layers below. */
int ol_dir_tree_finish(ol_dir_tree *tree, bool *leans, ol_error *err);

/* The directory with that path ("" is the root), whose missing or wrong components are made:
 * implied. The slot is lent until six others were asked for. */
int ol_dir_slot_get(
	ol_dir_tree *tree, const char *path, size_t size, ol_dir_slot **out, ol_error *err);
/* The same, but OL_ENOTFOUND where there is none. */
int ol_dir_slot_find(
	ol_dir_tree *tree, const char *path, size_t size, ol_dir_slot **out, ol_error *err);
/* The directory that holds path; *base is the last component, within path. */
int ol_dir_parent_get(
	ol_dir_tree *tree, const char *path, ol_dir_slot **out, const char **base, ol_error *err);
int ol_dir_parent_find(
	ol_dir_tree *tree, const char *path, ol_dir_slot **out, const char **base, ol_error *err);
/* Forgets path and all beneath it: it was replaced, or its attributes were. */
void ol_dir_slots_drop(ol_dir_tree *tree, const char *path);
/* Whatever stands at base in parent goes. */
int ol_dir_clear(ol_dir_tree *tree, const ol_dir_slot *parent, const char *base, const char *path,
	ol_error *err);

/* Notes that this directory's time is to be set at the end, and what has to wait with it. */
int ol_dir_note_time(ol_dir_tree *tree, const char *path, const struct timespec *time,
	ol_view default_acl, ol_error *err);
/* Appends to OL_DIR_LEANS. kind is 'd' or 'l'. */
int ol_dir_note_lean(ol_dir_tree *tree, char kind, const char *path, ol_error *err);
/* The lines of OL_DIR_LEANS, again and again until *path is NULL (lent). OL_ENOTFOUND when there is
 * no such file. */
typedef struct ol_dir_leans {
	int fd;
	ol_buf text;
	size_t at;
	bool end;
} ol_dir_leans;
int ol_dir_leans_open(int root_fd, ol_dir_leans *out, ol_error *err);
void ol_dir_leans_close(ol_dir_leans *leans);
int ol_dir_leans_next(ol_dir_leans *leans, char *kind, const char **path, ol_error *err);

/* openat2 beneath dir_fd: no symlink, magic link or mount point on the way, none at the end. Gives
 * errno. */
int ol_dir_openat(int dir_fd, const char *path, int flags);

bool ol_dir_is_whiteout(const struct stat *st);
bool ol_dir_is_opaque(int fd, const ol_dir_names *names);
/* Makes the directory opaque; whiteouts in it go. */
int ol_dir_make_opaque(ol_dir_tree *tree, int fd, ol_error *err);
int ol_dir_make_whiteout(ol_dir_tree *tree, const char *path, ol_error *err);

/* What an object is to be given. */
typedef struct ol_dir_attr {
	uint32_t mode, uid, gid;
	struct timespec mtime;
	const ol_xattr *xattrs;
	size_t xattr_count;
} ol_dir_attr;
/* Where an object is: by its own descriptor, or as base in parent_fd, for what cannot be opened. */
typedef struct ol_dir_place {
	int fd, parent_fd;
	const char *base;
} ol_dir_place;

/* Owner, then mode, then xattrs, then (not for directories) times. made_mode is the mode it was
 * created with and keeps_group tells that it has the tree's own ids, so that what is right already
 * is not done again. */
int ol_dir_attr_set(const ol_dir_tree *tree, const ol_dir_place *place, const ol_dir_attr *attr,
	const struct stat *made, ol_error *err);
/* What an object was made with: by the tree's ids and umask, in that directory. */
void ol_dir_made(const ol_dir_tree *tree, const ol_dir_slot *parent, mode_t mode, struct stat *out);
/* The id that stands for this one in a tree made with those ids (NULL: all): itself, or root's. */
static inline uint32_t ol_dir_id(const ol_id_map *ids, uint32_t id)
{
	return !ids || ol_id_map_has(ids, id) ? id : 0;
}
/* Removes xattrs that a layer may have set. */
int ol_dir_attr_clear(int fd, ol_error *err);
/* All xattrs that a layer may have, sorted by name; what they point to is the arena's. Those the
 * file system cannot tell are none. */
int ol_dir_attr_read(
	const ol_dir_place *place, ol_arena *arena, ol_xattr **out, size_t *count, ol_error *err);
/* The default ACL waits until the directory is full: else what is made in it inherits it. */
bool ol_dir_attr_waits(ol_view name);
/* After a set that failed: may this xattr be left out? errno tells. */
bool ol_dir_attr_may_lack(const ol_dir_tree *tree, const char *name);

/* "layer entry <name>", for errors. */
int ol_dir_wrap(int rc, const char *name, ol_error *err);

/* The layers below, as far as they are looked at. */
typedef struct ol_dir_lowers {
	ol_store *store;
	const ol_layer_info *layers; /* bottom first */
	size_t count;
	int *fds; /* owned; -1: not open yet */
} ol_dir_lowers;
void ol_dir_lowers_init(
	ol_dir_lowers *lowers, ol_store *store, const ol_layer_info *layers, size_t count);
void ol_dir_lowers_done(ol_dir_lowers *lowers);
/* What overlayfs would show at path: *parent_fd is the directory that holds it (owned by the
 * caller), *base within path, *st what it is. OL_ENOTFOUND. */
int ol_dir_lowers_find(ol_dir_lowers *lowers, const char *path, int *parent_fd, const char **base,
	struct stat *st, ol_error *err);

/* The operations. */
int ol_dir_begin(const ol_builder_options *options, ol_builder **out, ol_error *err);
int ol_dir_push(ol_builder *builder, const void *data, size_t size, ol_error *err);
int ol_dir_finish(ol_builder *builder, ol_built *out, ol_error *err);
void ol_dir_free(ol_builder *builder);
int ol_dir_complete(ol_store *store, const ol_layer_info *layer, const ol_layer_info *lowers,
	size_t count, int dir_fd, ol_built *out, ol_error *err);
/* Was the tree of a leaning layer moved to a chain, so that only the note of it is here? */
bool ol_dir_is_moved(int root_fd);
int ol_dir_verify(ol_store *store, const ol_layer_info *layer, ol_source *tar, ol_error *err);
/* One entry: dir_extract.c. *file_fd is a regular file's, to be filled and then ended by
 * ol_dir_end_file; else -1. */
typedef struct ol_dir_file {
	int fd; /* owned; -1: none */
	struct stat made;
	ol_dir_attr attr; /* xattrs are copies, in the arena */
	ol_arena *arena;
} ol_dir_file;
int ol_dir_extract(ol_dir_tree *tree, const ol_tar_entry *entry, ol_dir_file *file, ol_error *err);
int ol_dir_end_file(ol_dir_tree *tree, ol_dir_file *file, ol_error *err);
