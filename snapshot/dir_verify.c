/*
 * A tree against its tar: the tar is read again into a model of what it makes (dir_model.c), and
 * each directory of the tree is listed and held against the model's. Content is compared with the
 * tar's own bytes.
 *
 * What came from layers below (implied directories, cross-layer links) is looked at for its kind
 * only: another layer's tar tells what it should be. Where the tree was moved to a chain there is
 * nothing to compare.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "snapshot/dir_model.h"
#include "snapshot/dir_priv.h"

#define BLOCK_BYTES ((size_t)256 << 10)

struct check {
	ol_dir_model model;
	ol_source *tar; /* lent */
	const ol_dir_names *names;
	ol_userns *ids; /* owned: those a rootless tree was made with; NULL: all */
	int root_fd;
	unsigned char *want, *got; /* owned: blocks */
	ol_dir_node *todo;         /* directories to be looked at, the last one first */
};

static int on_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	struct check *check = ctx;

	return ol_dir_model_add(&check->model, entry, err);
}

static int read_tar(struct check *check, ol_error *err)
{
	const ol_tar_handler handler = { .entry = on_entry, .ctx = check };
	ol_auto(ol_tar_free) ol_tar *tar = ol_tar_new(&handler);
	int rc = OL_OK;

	for (uint64_t at = 0; rc == OL_OK && at < check->tar->size;) {
		uint64_t left = check->tar->size - at;
		size_t n = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;

		rc = ol_source_read_at(check->tar, at, check->want, n, err);
		if (rc == OL_OK)
			rc = ol_tar_push(tar, check->want, n, err);
		at += n;
	}
	if (rc == OL_OK)
		rc = ol_tar_finish(tar, err);
	ol_dir_model_end(&check->model);
	return rc;
}

static int differs(ol_error *err, const char *what)
{
	return ol_fail(err, OL_ECORRUPT, "its %s not what the layer's tar says", what);
}

/* ---------------------------------------------------------------- content -- */

static int compare_data(
	struct check *check, int fd, uint64_t at, uint64_t tar_at, uint64_t size, ol_error *err)
{
	while (size > 0) {
		size_t n = size < BLOCK_BYTES ? (size_t)size : BLOCK_BYTES;
		int rc = ol_pread_all(fd, check->got, n, at, err);

		if (rc == OL_OK)
			rc = ol_source_read_at(check->tar, tar_at, check->want, n, err);
		if (rc < 0)
			return rc;
		if (memcmp(check->got, check->want, n) != 0)
			return differs(err, "content is");
		at += n;
		tar_at += n;
		size -= n;
	}
	return OL_OK;
}

/* Zeroes from at to end, most of which nobody ever wrote. */
static int compare_hole(struct check *check, int fd, uint64_t at, uint64_t end, ol_error *err)
{
	while (at < end) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		size_t n;
		int rc;

		if (data < 0 && errno == ENXIO)
			return OL_OK;
		if (data < 0)
			return ol_fail_sys(err, "read");
		if ((uint64_t)data >= end)
			return OL_OK;
		at = (uint64_t)data;
		n = end - at < BLOCK_BYTES ? (size_t)(end - at) : BLOCK_BYTES;
		rc = ol_pread_all(fd, check->got, n, at, err);
		if (rc < 0)
			return rc;
		for (size_t i = 0; i < n; i++)
			if (check->got[i] != 0)
				return differs(err, "content is");
		at += n;
	}
	return OL_OK;
}

static int compare_content(struct check *check, int parent_fd, const char *base,
	const ol_dir_inode *inode, ol_error *err)
{
	ol_autofd int fd = ol_dir_openat(parent_fd, base, O_RDONLY);
	uint64_t tar_at = inode->data_offset, at = 0;
	int rc = OL_OK;

	if (fd < 0)
		return ol_fail_sys(err, "open");
	if (!inode->sparse)
		return compare_data(check, fd, 0, tar_at, inode->size, err);
	for (size_t i = 0; rc == OL_OK && i < inode->sparse_count; i++) {
		const ol_sparse *piece = &inode->sparse[i];

		rc = compare_hole(check, fd, at, piece->offset, err);
		if (rc == OL_OK)
			rc = compare_data(check, fd, piece->offset, tar_at, piece->size, err);
		tar_at += piece->size;
		at = piece->offset + piece->size;
	}
	return rc == OL_OK ? compare_hole(check, fd, at, inode->size, err) : rc;
}

/* ------------------------------------------------------------- attributes -- */

/* File systems keep fewer digits, or end before the year 9999 (ext4: 2038 or 2446). */
static bool time_fits(const struct timespec *want, const struct timespec *got)
{
	static const int64_t ends[] = { INT32_MAX, INT64_C(15032385535) };

	if (want->tv_sec == got->tv_sec)
		return want->tv_nsec == got->tv_nsec || got->tv_nsec == 0;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (got->tv_sec == ends[i] && want->tv_sec > ends[i])
			return true;
	return false;
}

/* Those that extraction may have had to leave out: see may_lack in dir_attr.c. */
static bool may_lack(const struct check *check, const ol_dir_place *place, ol_view name)
{
	char path[64 + OL_NAME_MAX];

	if (check->names == ol_dir_names_of(true) && !ol_view_starts(name, "user."))
		return true;
	if (place->fd >= 0)
		return fgetxattr(place->fd, name.data, NULL, 0) < 0 && errno == ENOTSUP;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d/%s", place->parent_fd, place->base);
	return lgetxattr(path, name.data, NULL, 0) < 0 && errno == ENOTSUP;
}

static bool same(ol_view a, ol_view b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static int compare_xattrs(
	struct check *check, const ol_dir_place *place, const ol_dir_inode *inode, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	bool rootless = check->names == ol_dir_names_of(true);
	ol_xattr *got;
	size_t count, at = 0;
	int rc = ol_dir_attr_read(place, arena, &got, &count, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < inode->xattr_count; i++) {
		const ol_xattr *want = &inode->xattrs[i];

		while (rootless && at < count && !ol_view_starts(got[at].name, "user."))
			at++;
		if (at < count && same(got[at].name, want->name) &&
			same(got[at].value, want->value))
			at++;
		else if (!may_lack(check, place, want->name))
			return differs(err, "xattrs are");
	}
	while (rootless && at < count && !ol_view_starts(got[at].name, "user."))
		at++;
	return at < count ? differs(err, "xattrs are") : OL_OK;
}

static mode_t format_of(ol_tar_type type)
{
	switch (type) {
	case OL_TAR_FILE:
	case OL_TAR_HARDLINK:
		break;
	case OL_TAR_SYMLINK:
		return S_IFLNK;
	case OL_TAR_CHAR:
	case OL_TAR_WHITEOUT:
		return S_IFCHR;
	case OL_TAR_BLOCK:
		return S_IFBLK;
	case OL_TAR_FIFO:
		return S_IFIFO;
	case OL_TAR_DIR:
	case OL_TAR_OPAQUE:
		return S_IFDIR;
	}
	return S_IFREG;
}

static int compare_kind(const struct check *check, int parent_fd, const ol_dir_node *node,
	const struct stat *st, ol_error *err)
{
	const ol_dir_inode *inode = node->inode;
	char target[OL_PATH_MAX];
	ssize_t n;

	if (check->ids && (inode->type == OL_TAR_CHAR || inode->type == OL_TAR_BLOCK) &&
		S_ISREG(st->st_mode) && st->st_size == 0)
		return OL_OK; /* the file that stands for a device */
	if ((st->st_mode & S_IFMT) != format_of(inode->type))
		return differs(err, "type is");
	if ((S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) &&
		st->st_rdev != makedev(inode->dev_major, inode->dev_minor))
		return differs(err, "device number is");
	if (inode->type == OL_TAR_FILE && (uint64_t)st->st_size != inode->size)
		return differs(err, "size is");
	if (inode->type != OL_TAR_SYMLINK)
		return OL_OK;
	n = readlinkat(parent_fd, node->name, target, sizeof target);
	if (n < 0)
		return ol_fail_sys(err, "readlink");
	return same((ol_view){ target, (size_t)n }, ol_view_of(inode->target))
		       ? OL_OK
		       : differs(err, "target is");
}

static int compare_inode(struct check *check, const ol_dir_place *place, const ol_dir_inode *inode,
	const struct stat *st, ol_error *err)
{
	if (st->st_uid != ol_dir_id(check->ids ? &check->ids->uids : NULL, inode->uid) ||
		st->st_gid != ol_dir_id(check->ids ? &check->ids->gids : NULL, inode->gid))
		return differs(err, "owner is");
	if (inode->type != OL_TAR_SYMLINK && (st->st_mode & 07777) != inode->mode)
		return differs(err, "mode is");
	if (!time_fits(&inode->mtime, &st->st_mtim))
		return differs(err, "time is");
	if (inode->type != OL_TAR_DIR && st->st_nlink != inode->links)
		return differs(err, "link count is");
	return compare_xattrs(check, place, inode, err);
}

static int compare_node(struct check *check, int parent_fd, ol_dir_node *node, ol_error *err)
{
	const ol_dir_place place = { .fd = -1, .parent_fd = parent_fd, .base = node->name };
	ol_dir_inode *inode = node->inode;
	struct stat st;
	int rc;

	if (fstatat(parent_fd, node->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ol_fail_sys(err, "stat");
	if (node->dir) {
		if (!S_ISDIR(st.st_mode))
			return differs(err, "type is");
		node->waiting = check->todo;
		check->todo = node;
		return OL_OK;
	}
	if (!inode) /* a link into a layer below, or its target */
		return S_ISDIR(st.st_mode) ? differs(err, "type is") : OL_OK;
	rc = compare_kind(check, parent_fd, node, &st, err);
	if (rc == OL_OK && inode->type != OL_TAR_WHITEOUT)
		rc = compare_inode(check, &place, inode, &st, err);
	if (rc == OL_OK && inode->type == OL_TAR_FILE && !inode->compared)
		rc = compare_content(check, parent_fd, node->name, inode, err);
	inode->compared = true;
	return rc;
}

/* -------------------------------------------------------------------- tree -- */

static int at_node(int rc, const ol_dir_node *node, const char *name, ol_error *err)
{
	ol_autofree char *path = ol_dir_model_path(node);
	ol_autofree char *whole =
		name ? ol_text("%s%s%s", path, path[0] ? "/" : "", name) : ol_strdup(path);

	return ol_dir_wrap(rc, whole, err);
}

static int compare_listing(
	struct check *check, int fd, ol_dir_node *dir, DIR *listing, ol_error *err)
{
	struct dirent *found;

	while ((errno = 0, found = readdir(listing))) {
		const char *name = found->d_name;
		ol_dir_node *node;
		int rc;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
			(dir == check->model.root && strcmp(name, OL_DIR_LEANS) == 0))
			continue;
		node = ol_dir_model_child(&check->model, dir, name);
		if (!node) {
			rc = ol_fail(err, OL_ECORRUPT, "the layer's tar does not have it");
			return at_node(rc, dir, name, err);
		}
		rc = compare_node(check, fd, node, err);
		if (rc < 0)
			return at_node(rc, dir, name, err);
		node->seen = true;
	}
	return errno ? ol_fail_sys(err, "list a directory") : OL_OK;
}

static DIR *open_listing(int dir_fd)
{
	ol_autofd int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd < 0 ? NULL : fdopendir(fd);

	if (listing)
		(void)ol_steal_fd(&fd); /* it is the listing's now */
	return listing;
}

static int compare_dir(struct check *check, ol_dir_node *dir, ol_error *err)
{
	ol_autofree char *path = ol_dir_model_path(dir);
	ol_autofd int fd = ol_dir_openat(check->root_fd, path, O_RDONLY | O_DIRECTORY);
	const ol_dir_place place = { .fd = fd };
	bool whiteouts = false;
	struct stat st;
	DIR *listing;
	int rc = OL_OK;

	if (fd < 0 || fstat(fd, &st) < 0)
		return ol_fail_sys(err, "open");
	if (dir->inode)
		rc = compare_inode(check, &place, dir->inode, &st, err);
	if (rc == OL_OK && ol_dir_is_opaque(fd, check->names) != dir->opaque)
		rc = differs(err, "opaqueness is");
	if (rc < 0)
		return at_node(rc, dir, NULL, err);
	listing = open_listing(fd);
	if (!listing)
		return ol_fail_sys(err, "list a directory");
	rc = compare_listing(check, fd, dir, listing, err);
	(void)closedir(listing);
	for (const ol_dir_node *node = dir->children; rc == OL_OK && node; node = node->next) {
		if (node->dead)
			continue;
		if (!node->seen && !node->optional)
			rc = at_node(ol_fail(err, OL_ECORRUPT, "it is missing"), node, NULL, err);
		whiteouts = whiteouts || (node->inode && node->inode->type == OL_TAR_WHITEOUT);
	}
	if (rc == OL_OK && whiteouts && fgetxattr(fd, check->names->origin, NULL, 0) < 0)
		rc = at_node(differs(err, "mark of whiteouts is"), dir, NULL, err);
	return rc;
}

static int compare_tree(struct check *check, ol_error *err)
{
	int rc = OL_OK;

	check->todo = check->model.root;
	while (rc == OL_OK && check->todo) {
		ol_dir_node *dir = check->todo;

		check->todo = dir->waiting;
		rc = compare_dir(check, dir, err);
	}
	return rc;
}

/* Its own mark says what a rootless tree could be given, whatever can be given now. */
static int read_ids(struct check *check, ol_error *err)
{
	char text[OL_DIR_IDS_BYTES_MAX];
	ssize_t n;
	int rc;

	if (check->names != ol_dir_names_of(true))
		return OL_OK;
	n = fgetxattr(check->root_fd, check->names->ids, text, sizeof text);
	if (n < 0)
		return ol_fail(err, OL_ECORRUPT, "it does not say for which ids it was made");
	check->ids = ol_alloc(sizeof *check->ids);
	rc = ol_userns_parse(ol_view_from(text, (size_t)n), check->ids, err);
	return rc < 0 ? ol_wrap(err, OL_ECORRUPT, "xattr %s", check->names->ids) : OL_OK;
}

int ol_dir_verify(ol_store *store, const ol_layer_info *layer, ol_source *tar, ol_error *err)
{
	ol_autofd int layer_fd = -1, root_fd = -1;
	struct check check = { .tar = tar };
	int rc = ol_layer_open(store, &layer->key, layer->is_chain, &layer_fd, err);

	if (rc < 0)
		return rc;
	root_fd = openat(layer_fd, OL_DIR_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root_fd < 0)
		return ol_fail_sys(err, OL_DIR_TREE);
	if (ol_dir_is_moved(root_fd))
		return OL_OK;
	check.root_fd = root_fd;
	check.names = ol_dir_names_in(root_fd);
	check.want = ol_alloc(BLOCK_BYTES);
	check.got = ol_alloc(BLOCK_BYTES);
	ol_dir_model_init(&check.model);
	rc = read_ids(&check, err);
	if (rc == OL_OK)
		rc = read_tar(&check, err);
	if (rc == OL_OK)
		rc = compare_tree(&check, err);
	ol_dir_model_done(&check.model);
	free(check.ids);
	free(check.want);
	free(check.got);
	return rc;
}
