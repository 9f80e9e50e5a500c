/*
 * Whiteouts and opaque directories as overlayfs reads them, and orlop's own notes.
 *
 * A whiteout is a character device 0:0. It says what becomes of the layers below and nothing of its
 * own layer: where the layer has a file of that name, that hides them already; where it has a
 * directory, the directory is made opaque; and where one comes later, it takes the whiteout's place
 * in the same way. An opaque directory has no whiteouts.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "snapshot/dir_priv.h"

#define NAMES(ns)                                                                                  \
	{                                                                                          \
		ns ".overlay.opaque", ns ".overlay.origin", ns ".orlop.tree", ns ".orlop.implied", \
			ns ".orlop.cross", ns ".orlop.ids"                                         \
	}

const ol_dir_names *ol_dir_names_of(bool userxattr)
{
	static const ol_dir_names names[2] = { NAMES("trusted"), NAMES("user") };

	return &names[userxattr];
}

const ol_dir_names *ol_dir_names_in(int root_fd)
{
	const ol_dir_names *rootless = ol_dir_names_of(true);

	return fgetxattr(root_fd, rootless->tree, NULL, 0) > 0 ? rootless : ol_dir_names_of(false);
}

bool ol_dir_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

bool ol_dir_is_opaque(int fd, const ol_dir_names *names)
{
	char value;

	return fgetxattr(fd, names->opaque, &value, 1) == 1 && value == 'y';
}

static int remove_whiteouts(int dir_fd, ol_error *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = OL_OK;

	if (!dir) {
		rc = ol_fail_sys(err, "list the directory");
		ol_fd_p(&fd);
		return rc;
	}
	while (rc == OL_OK && (errno = 0, entry = readdir(dir))) {
		struct stat st;

		if (entry->d_type != DT_CHR && entry->d_type != DT_UNKNOWN)
			continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			(ol_dir_is_whiteout(&st) && unlinkat(fd, entry->d_name, 0) < 0))
			rc = ol_fail_sys(err, "remove a whiteout");
	}
	if (rc == OL_OK && errno)
		rc = ol_fail_sys(err, "list the directory");
	(void)closedir(dir);
	return rc;
}

int ol_dir_make_opaque(ol_dir_tree *tree, int fd, ol_error *err)
{
	if (fsetxattr(fd, tree->names->opaque, "y", 1, 0) < 0)
		return ol_fail_sys(err, "xattr %s", tree->names->opaque);
	for (size_t i = 0; i < OL_DIR_SLOTS; i++)
		tree->slots[i].opaque_known = tree->slots[i].origin = false;
	if (fremovexattr(fd, tree->names->origin) == 0)
		return remove_whiteouts(fd, err);
	if (errno != ENODATA)
		return ol_fail_sys(err, "xattr %s", tree->names->origin);
	return OL_OK;
}

/* Something stands where a whiteout is to be. */
static int beside_whiteout(
	ol_dir_tree *tree, const ol_dir_slot *parent, const char *base, ol_error *err)
{
	ol_autofd int fd = ol_dir_openat(parent->fd, base, O_RDONLY | O_DIRECTORY);

	if (fd >= 0)
		return ol_dir_make_opaque(tree, fd, err);
	return errno == ENOTDIR || errno == ELOOP ? OL_OK : ol_fail_sys(err, "open");
}

int ol_dir_make_whiteout(ol_dir_tree *tree, const char *path, ol_error *err)
{
	ol_dir_slot *parent;
	const char *base;
	int rc = ol_dir_parent_get(tree, path, &parent, &base, err);

	if (rc < 0)
		return rc;
	if (!parent->opaque_known)
		parent->opaque = ol_dir_is_opaque(parent->fd, tree->names);
	parent->opaque_known = true;
	if (parent->opaque)
		return OL_OK;
	if (mknodat(parent->fd, base, S_IFCHR, makedev(0, 0)) < 0)
		return errno == EEXIST ? beside_whiteout(tree, parent, base, err)
				       : ol_fail_sys(err, "make a whiteout");
	if (!parent->origin && fsetxattr(parent->fd, tree->names->origin, "", 0, 0) < 0)
		return ol_fail_sys(err, "xattr %s", tree->names->origin);
	parent->origin = true;
	return OL_OK;
}

int ol_dir_note_lean(ol_dir_tree *tree, char kind, const char *path, ol_error *err)
{
	ol_auto_buf ol_buf line = OL_BUF(OL_PATH_MAX + 2);

	if (tree->leans_fd < 0)
		tree->leans_fd = openat(tree->root_fd, OL_DIR_LEANS,
			O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (tree->leans_fd < 0)
		return ol_fail_sys(err, OL_DIR_LEANS);
	(void)ol_str_addc(&line, kind);
	(void)ol_buf_add(&line, path, strlen(path) + 1);
	return ol_write_all(tree->leans_fd, line.data, line.size, err);
}

int ol_dir_leans_open(int root_fd, ol_dir_leans *out, ol_error *err)
{
	int fd = openat(root_fd, OL_DIR_LEANS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return ol_fail_sys(err, OL_DIR_LEANS);
	*out = (ol_dir_leans){ .fd = fd, .text = OL_BUF((size_t)4 * OL_PATH_MAX) };
	return OL_OK;
}

void ol_dir_leans_close(ol_dir_leans *leans)
{
	ol_fd_p(&leans->fd);
	ol_buf_done(&leans->text);
}

/* What is left moves to the front, and more comes behind it. */
static int read_leans(ol_dir_leans *leans, ol_error *err)
{
	size_t left = leans->text.size - leans->at;
	char *room;
	ssize_t n;

	if (left > 0)
		memmove(leans->text.data, leans->text.data + leans->at, left);
	leans->text.size = left;
	leans->at = 0;
	room = ol_buf_room(&leans->text, (size_t)2 * OL_PATH_MAX);
	if (!room)
		return ol_fail(err, OL_ECORRUPT, OL_DIR_LEANS " has a line that does not end");
	do
		n = read(leans->fd, room, (size_t)2 * OL_PATH_MAX);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ol_fail_sys(err, OL_DIR_LEANS);
	leans->text.size += (size_t)n;
	leans->end = n == 0;
	return OL_OK;
}

int ol_dir_leans_next(ol_dir_leans *leans, char *kind, const char **path, ol_error *err)
{
	for (;;) {
		size_t left = leans->text.size - leans->at;
		const char *line = left ? leans->text.data + leans->at : NULL;
		const char *end = left ? memchr(line, '\0', left) : NULL;
		int rc;

		if (end && end > line) {
			*kind = line[0];
			*path = line + 1;
			leans->at += (size_t)(end - line) + 1;
			return OL_OK;
		}
		if (end || (leans->end && left > 0))
			return ol_fail(err, OL_ECORRUPT, OL_DIR_LEANS " is damaged");
		if (leans->end) {
			*path = NULL;
			return OL_OK;
		}
		rc = read_leans(leans, err);
		if (rc < 0)
			return rc;
	}
}
