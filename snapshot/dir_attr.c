/*
 * Attributes, in the one order that works: owner (which clears setuid bits and capabilities), mode,
 * xattrs, times.
 *
 * Nothing is done that is right already: most files of most layers are root's with a mode the umask
 * lets through, and then only the times remain.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "snapshot/dir_priv.h"

#define XATTR_LIST_MAX ((size_t)64 << 10) /* XATTR_LIST_MAX of the kernel */

bool ol_dir_attr_waits(ol_view name)
{
	return ol_view_is(name, "system.posix_acl_default");
}

void ol_dir_made(const ol_dir_tree *tree, const ol_dir_slot *parent, mode_t mode, struct stat *out)
{
	*out = (struct stat){ .st_mode = mode & ~tree->umask,
		.st_uid = tree->uid,
		.st_gid = parent->group ? (gid_t)-1 : tree->gid };
	if (parent->group && S_ISDIR(mode))
		out->st_mode |= S_ISGID;
}

/* "/proc/self/fd/N/base": what has no descriptor of its own has its xattrs by path only. The link
 * leads to the parent and the l-calls do not follow base. */
typedef struct proc_path {
	char text[64 + OL_NAME_MAX];
} proc_path;

static proc_path path_of(const ol_dir_place *place)
{
	proc_path path;

	(void)snprintf(
		path.text, sizeof path.text, "/proc/self/fd/%d/%s", place->parent_fd, place->base);
	return path;
}

/* An xattr the file system has no room for in principle, that only the real root may set, or that
 * names users without an id here. */
bool ol_dir_attr_may_lack(const ol_dir_tree *tree, const char *name)
{
	if (errno == ENOTSUP)
		return true;
	if (!tree->userxattr)
		return false;
	return (errno == EPERM && strncmp(name, "user.", 5) != 0) ||
	       (errno == EINVAL && strncmp(name, "system.posix_acl_", 17) == 0);
}

static int set_xattrs(
	const ol_dir_tree *tree, const ol_dir_place *place, const ol_dir_attr *attr, ol_error *err)
{
	for (size_t i = 0; i < attr->xattr_count; i++) {
		const ol_xattr *x = &attr->xattrs[i];
		int rc;

		if (ol_dir_attr_waits(x->name))
			continue;
		rc = place->fd >= 0
			     ? fsetxattr(place->fd, x->name.data, x->value.data, x->value.size, 0)
			     : lsetxattr(path_of(place).text, x->name.data, x->value.data,
				       x->value.size, 0);
		if (rc < 0 && !ol_dir_attr_may_lack(tree, x->name.data))
			return ol_fail_sys(err, "xattr %s", x->name.data);
	}
	return OL_OK;
}

/* Rootless, who has no id here is stood for by root. */
static void choose_owner(const ol_dir_tree *tree, const ol_dir_attr *attr, uid_t *uid, gid_t *gid)
{
	*uid = ol_dir_id(tree->here ? &tree->here->uids : NULL, attr->uid);
	*gid = ol_dir_id(tree->here ? &tree->here->gids : NULL, attr->gid);
	if (tree->lacks && (*uid != attr->uid || *gid != attr->gid))
		tree->lacks->owners++;
}

int ol_dir_attr_set(const ol_dir_tree *tree, const ol_dir_place *place, const ol_dir_attr *attr,
	const struct stat *made, ol_error *err)
{
	const struct timespec times[2] = { attr->mtime, attr->mtime };
	bool chown;
	uid_t uid;
	gid_t gid;
	int rc;

	choose_owner(tree, attr, &uid, &gid);
	chown = made->st_uid != uid || made->st_gid != gid;
	if (chown) {
		rc = place->fd >= 0 ? fchown(place->fd, uid, gid)
				    : fchownat(place->parent_fd, place->base, uid, gid,
					      AT_SYMLINK_NOFOLLOW);
		if (rc < 0)
			return ol_fail_sys(err, "chown to %u:%u", uid, gid);
	}
	if (!S_ISLNK(made->st_mode) &&
		((made->st_mode & 07777) != attr->mode || (chown && attr->mode & 07000))) {
		/* By name only what was just made by mknod in our own directory: no link. */
		rc = place->fd >= 0 ? fchmod(place->fd, attr->mode)
				    : fchmodat(place->parent_fd, place->base, attr->mode, 0);
		if (rc < 0)
			return ol_fail_sys(err, "chmod to %o", attr->mode);
	}
	rc = set_xattrs(tree, place, attr, err);
	if (rc < 0 || S_ISDIR(made->st_mode))
		return rc;
	rc = place->fd >= 0 ? futimens(place->fd, times)
			    : utimensat(place->parent_fd, place->base, times, AT_SYMLINK_NOFOLLOW);
	return rc < 0 ? ol_fail_sys(err, "set the time") : OL_OK;
}

/* The names of all xattrs, one after another; none where the file system has none. */
static int list_xattrs(const ol_dir_place *place, char **out, size_t *size, ol_error *err)
{
	char *list = ol_alloc(XATTR_LIST_MAX);
	ssize_t n = place->fd >= 0 ? flistxattr(place->fd, list, XATTR_LIST_MAX)
				   : llistxattr(path_of(place).text, list, XATTR_LIST_MAX);

	if (n < 0 && errno != ENOTSUP) {
		int rc = ol_fail_sys(err, "list xattrs");

		free(list);
		return rc;
	}
	*out = list;
	*size = n < 0 ? 0 : (size_t)n;
	return OL_OK;
}

int ol_dir_attr_clear(int fd, ol_error *err)
{
	const ol_dir_place place = { .fd = fd };
	ol_autofree char *list = NULL;
	size_t size = 0;
	int rc = list_xattrs(&place, &list, &size, err);

	if (rc < 0)
		return rc;
	for (size_t at = 0; at < size; at += strlen(list + at) + 1)
		if (ol_tar_keeps_xattr(ol_view_of(list + at)) && fremovexattr(fd, list + at) < 0 &&
			errno != ENODATA && errno != ENOTSUP)
			return ol_fail_sys(err, "remove xattr %s", list + at);
	return OL_OK;
}

static int by_name(const void *a, const void *b)
{
	const ol_xattr *left = a, *right = b;

	return strcmp(left->name.data, right->name.data);
}

static int read_value(
	const ol_dir_place *place, const char *name, ol_arena *arena, ol_view *out, ol_error *err)
{
	ol_autofree char *value = ol_alloc(XATTR_LIST_MAX + 1);
	ssize_t n = place->fd >= 0 ? fgetxattr(place->fd, name, value, XATTR_LIST_MAX)
				   : lgetxattr(path_of(place).text, name, value, XATTR_LIST_MAX);
	char *copy;

	if (n < 0)
		return ol_fail_sys(err, "xattr %s", name);
	copy = ol_arena_alloc(arena, (size_t)n + 1);
	memcpy(copy, value, (size_t)n);
	*out = (ol_view){ copy, (size_t)n };
	return OL_OK;
}

int ol_dir_attr_read(
	const ol_dir_place *place, ol_arena *arena, ol_xattr **out, size_t *count, ol_error *err)
{
	ol_autofree char *list = NULL;
	ol_xattr *xattrs;
	size_t size = 0, names = 0;
	int rc = list_xattrs(place, &list, &size, err);

	if (rc < 0)
		return rc;
	for (size_t at = 0; at < size; at += strlen(list + at) + 1)
		names++;
	xattrs = names ? ol_arena_alloc(arena, names * sizeof *xattrs) : NULL;
	names = 0;
	for (size_t at = 0; at < size; at += strlen(list + at) + 1) {
		ol_view name = ol_view_of(list + at);

		if (!ol_tar_keeps_xattr(name))
			continue;
		rc = read_value(place, list + at, arena, &xattrs[names].value, err);
		if (rc < 0)
			return rc;
		xattrs[names++].name =
			(ol_view){ ol_arena_strndup(arena, name.data, name.size), name.size };
	}
	if (names > 1)
		qsort(xattrs, names, sizeof *xattrs, by_name);
	*out = xattrs;
	*count = names;
	return OL_OK;
}
