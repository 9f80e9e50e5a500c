/*
 * Looking through a stack of layers, topmost first. Both kinds of layers say the same things in the
 * same words: a character device 0:0 is a whiteout, an xattr makes a directory opaque.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/erofs_below_priv.h"
#include "snapshot/erofs_format.h"

/* Indexes kept open at a time: each holds windows of up to 256 KiB. */
#define OPEN_MAX_LAYERS 32

struct lower {
	ol_erofs *index; /* owned; NULL until asked */
	int tree_fd;     /* owned; -1 until asked, and for an index */
};

struct ol_erofs_below {
	ol_store *store;
	const ol_layer_info *layers; /* lent */
	struct lower *lowers;        /* owned */
	size_t count, open_count;
	int found_fd; /* owned: what the last search found in a tree */
};

ol_erofs_below *ol_erofs_below_new(ol_store *store, const ol_layer_info *lowers, size_t count)
{
	ol_erofs_below *below = ol_alloc(sizeof *below);

	below->store = store;
	below->layers = lowers;
	below->count = count;
	below->lowers = ol_alloc_array(count, sizeof *below->lowers);
	below->found_fd = -1;
	for (size_t i = 0; i < count; i++)
		below->lowers[i].tree_fd = -1;
	return below;
}

static void close_all(ol_erofs_below *below)
{
	for (size_t i = 0; i < below->count; i++) {
		struct lower *lower = &below->lowers[i];

		ol_erofs_close(lower->index);
		lower->index = NULL;
		if (lower->tree_fd >= 0)
			(void)close(ol_steal_fd(&lower->tree_fd));
	}
	below->open_count = 0;
}

static void drop_found(ol_erofs_below *below)
{
	if (below->found_fd >= 0)
		(void)close(ol_steal_fd(&below->found_fd));
}

void ol_erofs_below_free(ol_erofs_below *below)
{
	if (!below)
		return;
	close_all(below);
	drop_found(below);
	free(below->lowers);
	free(below);
}

size_t ol_erofs_below_count(const ol_erofs_below *below)
{
	return below->count;
}

const ol_layer_info *ol_erofs_below_layer(const ol_erofs_below *below, size_t layer)
{
	return &below->layers[layer];
}

static int open_lower(ol_erofs_below *below, size_t layer, ol_error *err)
{
	const ol_layer_info *info = &below->layers[layer];
	struct lower *lower = &below->lowers[layer];
	const ol_driver *driver;
	int rc;

	if (lower->index || lower->tree_fd >= 0)
		return OL_OK;
	if (below->open_count == OPEN_MAX_LAYERS)
		close_all(below);
	if (strcmp(info->driver, ol_driver_erofs.name) == 0 ||
		strcmp(info->driver, ol_driver_lazy.name) == 0) {
		rc = ol_erofs_layer_open(below->store, info, &lower->index, NULL, err);
	} else {
		driver = ol_driver_named(info->driver);
		if (!driver)
			return ol_fail(err, OL_EUNSUPPORTED, "there is no layer driver \"%s\"",
				info->driver);
		rc = driver->lower(below->store, info, &lower->tree_fd, err);
	}
	if (rc < 0)
		return ol_wrap(err, rc, "layer %s", ol_digest_short(&info->key).text);
	below->open_count++;
	return OL_OK;
}

int ol_erofs_below_index(ol_erofs_below *below, size_t layer, ol_erofs **out, ol_error *err)
{
	int rc = open_lower(below, layer, err);

	if (rc == OL_OK)
		*out = below->lowers[layer].index;
	return rc;
}

static bool is_overlay(ol_view name, const char *what)
{
	return (ol_view_starts(name, "trusted.overlay.") ||
		       ol_view_starts(name, "user.overlay.")) &&
	       ol_view_ends(name, what);
}

int ol_erofs_marks_get(ol_erofs *index, const ol_erofs_inode *inode, ol_arena *arena,
	ol_tar_entry *out, ol_erofs_marks *marks, ol_error *err)
{
	ol_xattr *xattrs = NULL;
	size_t count, kept = 0;
	int rc = ol_erofs_xattrs(index, inode, arena, &xattrs, &count, err);

	if (rc < 0)
		return rc;
	*marks = (ol_erofs_marks){ .link = "" };
	for (size_t i = 0; i < count; i++) {
		ol_view name = xattrs[i].name;

		if (ol_view_is(name, OL_EROFS_XATTR_IMPLIED))
			marks->implied = true;
		else if (ol_view_is(name, OL_EROFS_XATTR_LINK))
			marks->link = xattrs[i].value.data;
		else if (is_overlay(name, ".opaque"))
			marks->opaque = true;
		else if (!is_overlay(name, ""))
			xattrs[kept++] = xattrs[i];
	}
	out->xattrs = xattrs;
	out->xattr_count = kept;
	return OL_OK;
}

static int is_opaque(ol_erofs *index, const ol_erofs_inode *dir, bool *out, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = NULL;
	ol_tar_entry ignored;
	ol_erofs_marks marks = { 0 };
	int rc = OL_OK;

	if (dir->xattrs_size) {
		arena = ol_arena_new();
		rc = ol_erofs_marks_get(index, dir, arena, &ignored, &marks, err);
	}
	*out = marks.opaque;
	return rc;
}

static bool is_whiteout(uint32_t mode, unsigned dev_major, unsigned dev_minor)
{
	return S_ISCHR(mode) && !dev_major && !dev_minor;
}

int ol_erofs_see(ol_erofs *index, const char *path, ol_erofs_sight *sight, ol_erofs_inode *inode,
	ol_error *err)
{
	bool ends = false;
	ol_erofs_inode here;
	int rc = ol_erofs_root(index, &here, err);

	while (rc == OL_OK && *path) {
		size_t size = strcspn(path, "/");
		bool opaque = false;

		if (!S_ISDIR(here.mode)) {
			*sight = OL_EROFS_SEES_END;
			return OL_OK;
		}
		rc = is_opaque(index, &here, &opaque, err);
		ends = ends || opaque;
		if (rc == OL_OK)
			rc = ol_erofs_lookup(index, &here, ol_view_from(path, size), &here, err);
		if (rc == OL_ENOTFOUND) {
			*sight = ends ? OL_EROFS_SEES_END : OL_EROFS_SEES_NOTHING;
			return OL_OK;
		}
		path += size + (path[size] == '/');
	}
	if (rc < 0)
		return rc;
	*sight = is_whiteout(here.mode, here.dev_major, here.dev_minor) ? OL_EROFS_SEES_END
									: OL_EROFS_SEES_IT;
	*inode = here;
	return OL_OK;
}

static bool tree_is_opaque(int fd)
{
	static const char *const names[] = { "trusted.overlay.opaque", "user.overlay.opaque" };
	char value = 0;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (getxattr(ol_fd_path_of(fd).text, names[i], &value, 1) == 1 && value == 'y')
			return true;
	return false;
}

/* ol_erofs_see for a tree; *fd is what is seen. */
static int see_tree(int tree_fd, const char *path, ol_erofs_sight *sight, int *fd, struct stat *st,
	ol_error *err)
{
	ol_autofd int here = openat(tree_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool ends = false;

	if (here < 0 || fstat(here, st) < 0)
		return ol_fail_sys(err, "tree");
	while (*path) {
		char name[OL_NAME_MAX + 1];
		size_t size = strcspn(path, "/");
		int next;

		if (!S_ISDIR(st->st_mode)) {
			*sight = OL_EROFS_SEES_END;
			return OL_OK;
		}
		if (size > OL_NAME_MAX)
			return ol_fail(err, OL_ELIMIT, "name of %zu bytes", size);
		ends = ends || tree_is_opaque(here);
		memcpy(name, path, size);
		name[size] = '\0';
		next = openat(here, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && errno == ENOENT) {
			*sight = ends ? OL_EROFS_SEES_END : OL_EROFS_SEES_NOTHING;
			return OL_OK;
		}
		if (next < 0)
			return ol_fail_sys(err, "tree: %s", name);
		(void)close(here);
		here = next;
		if (fstat(here, st) < 0)
			return ol_fail_sys(err, "tree: %s", name);
		path += size + (path[size] == '/');
	}
	*sight = is_whiteout(st->st_mode, major(st->st_rdev), minor(st->st_rdev))
			 ? OL_EROFS_SEES_END
			 : OL_EROFS_SEES_IT;
	*fd = ol_steal_fd(&here);
	return OL_OK;
}

static int see_layer(ol_erofs_below *below, size_t layer, const char *path, ol_erofs_sight *sight,
	ol_erofs_found *out, ol_error *err)
{
	struct lower *lower = &below->lowers[layer];
	int rc = open_lower(below, layer, err);

	if (rc < 0)
		return rc;
	*out = (ol_erofs_found){ .layer = layer, .index = lower->index, .fd = -1 };
	if (lower->index)
		return ol_erofs_see(lower->index, path, sight, &out->inode, err);
	drop_found(below);
	rc = see_tree(lower->tree_fd, path, sight, &below->found_fd, &out->st, err);
	out->fd = below->found_fd;
	return rc;
}

int ol_erofs_below_find(
	ol_erofs_below *below, size_t count, const char *path, ol_erofs_found *out, ol_error *err)
{
	for (size_t i = count; i-- > 0;) {
		ol_erofs_sight sight = OL_EROFS_SEES_NOTHING;
		ol_erofs_found found;
		int rc = see_layer(below, i, path, &sight, &found, err);

		if (rc < 0)
			return rc;
		if (sight == OL_EROFS_SEES_END)
			break;
		if (sight == OL_EROFS_SEES_IT) {
			*out = found;
			return OL_OK;
		}
	}
	return ol_fail(err, OL_ENOTFOUND, "no layer below shows this path");
}

static int tree_xattr(
	const char *path, const char *name, ol_arena *arena, ol_xattr *out, ol_error *err)
{
	ssize_t size = getxattr(path, name, NULL, 0);
	char *value;

	if (size < 0 || (size_t)size > OL_XATTRS_BYTES_MAX)
		return ol_fail_sys(err, "xattr %s", name);
	value = ol_arena_alloc(arena, (size_t)size + 1);
	size = getxattr(path, name, value, (size_t)size);
	if (size < 0)
		return ol_fail_sys(err, "xattr %s", name);
	*out = (ol_xattr){ .name = ol_view_of(ol_arena_strdup(arena, name)),
		.value = ol_view_from(value, (size_t)size) };
	return OL_OK;
}

static int compare_xattrs(const void *pa, const void *pb)
{
	const ol_xattr *a = pa, *b = pb;

	return strcmp(a->name.data, b->name.data);
}

static int tree_xattrs(int fd, ol_arena *arena, ol_tar_entry *out, ol_error *err)
{
	ol_autofree char *names = ol_alloc(OL_XATTRS_BYTES_MAX);
	ol_fd_path path = ol_fd_path_of(fd);
	ssize_t size = listxattr(path.text, names, OL_XATTRS_BYTES_MAX);
	size_t count = 0;
	ol_xattr *xattrs;

	if (size < 0)
		return ol_fail_sys(err, "xattrs");
	xattrs = ol_arena_alloc(arena, ((size_t)size + 1) * sizeof *xattrs);
	for (const char *name = names; name < names + size; name += strlen(name) + 1) {
		int rc = OL_OK;

		if (ol_tar_keeps_xattr(ol_view_of(name)))
			rc = tree_xattr(path.text, name, arena, &xattrs[count++], err);
		if (rc < 0)
			return rc;
	}
	qsort(xattrs, count, sizeof *xattrs, compare_xattrs);
	out->xattrs = xattrs;
	out->xattr_count = count;
	return OL_OK;
}

static int tree_entry(
	const ol_erofs_found *found, ol_arena *arena, ol_tar_entry *out, ol_error *err)
{
	const struct stat *st = &found->st;
	char target[OL_PATH_MAX + 1];
	ssize_t size;

	*out = (ol_tar_entry){ .type = ol_tar_type_of(st->st_mode),
		.name = "",
		.target = "",
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim,
		.dev_major = major(st->st_rdev),
		.dev_minor = minor(st->st_rdev) };
	if (out->type == OL_TAR_SYMLINK) {
		size = readlinkat(found->fd, "", target, sizeof target);
		if (size < 0 || (size_t)size >= sizeof target)
			return ol_fail_sys(err, "symbolic link");
		out->target = ol_arena_strndup(arena, target, (size_t)size);
		return OL_OK; /* xattrs of a link cannot be asked through /proc */
	}
	return tree_xattrs(found->fd, arena, out, err);
}

int ol_erofs_found_entry(
	const ol_erofs_found *found, ol_arena *arena, ol_tar_entry *out, ol_error *err)
{
	const ol_erofs_inode *inode = &found->inode;
	char target[OL_PATH_MAX + 1];
	ol_erofs_marks marks;
	int rc = OL_OK;

	if (!found->index)
		return tree_entry(found, arena, out, err);
	*out = (ol_tar_entry){ .type = ol_tar_type_of(inode->mode),
		.name = "",
		.target = "",
		.mode = inode->mode & 07777,
		.uid = inode->uid,
		.gid = inode->gid,
		.mtime = inode->mtime,
		.dev_major = inode->dev_major,
		.dev_minor = inode->dev_minor };
	if (out->type == OL_TAR_SYMLINK) {
		rc = ol_erofs_readlink(found->index, inode, target, err);
		if (rc < 0)
			return rc;
		out->target = ol_arena_strdup(arena, target);
	}
	return ol_erofs_marks_get(found->index, inode, arena, out, &marks, err);
}
