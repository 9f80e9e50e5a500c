/*
 * Times of directories are set when all is made, since what is made in a directory changes them;
 * default ACLs as well, since what is made inherits them. Until then they wait in a sorter, by
 * path; of two for one path the later counts. A path that is no directory any more was replaced,
 * and what it is now has its own time.
 */
#include <fcntl.h>
#include <sys/xattr.h>

#include "snapshot/dir_priv.h"

struct waiting {
	int64_t seconds;
	int64_t nanoseconds;
};

int ol_dir_note_time(ol_dir_tree *tree, const char *path, const struct timespec *time,
	ol_view default_acl, ol_error *err)
{
	const struct waiting waiting = { time->tv_sec, time->tv_nsec };
	ol_auto_buf ol_buf value = OL_BUF(sizeof waiting + OL_XATTRS_BYTES_MAX);

	if (default_acl.size == 0)
		return ol_sorter_add(
			tree->times, ol_view_of(path), ol_view_from(&waiting, sizeof waiting), err);
	(void)ol_buf_add(&value, &waiting, sizeof waiting);
	(void)ol_buf_add(&value, default_acl.data, default_acl.size);
	return ol_sorter_add(tree->times, ol_view_of(path), ol_buf_view(&value), err);
}

static int set_waiting(ol_dir_tree *tree, const char *path, ol_view value, ol_error *err)
{
	struct waiting waiting;
	struct timespec times[2];
	ol_autofd int fd = -1;

	memcpy(&waiting, value.data, sizeof waiting);
	times[0] = times[1] = (struct timespec){ .tv_sec = (time_t)waiting.seconds,
		.tv_nsec = (long)waiting.nanoseconds };
	/* Where nothing was replaced every path is the directory it was, and no link can be on the
	 * way. */
	if (!tree->replaced && path[0] && value.size == sizeof waiting) {
		if (utimensat(tree->root_fd, path, times, AT_SYMLINK_NOFOLLOW) < 0)
			return ol_fail_sys(err, "set the time");
		return OL_OK;
	}
	fd = ol_dir_openat(tree->root_fd, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return OL_OK;
	if (fd < 0)
		return ol_fail_sys(err, "open");
	if (value.size > sizeof waiting &&
		fsetxattr(fd, "system.posix_acl_default", value.data + sizeof waiting,
			value.size - sizeof waiting, 0) < 0 &&
		!ol_dir_attr_may_lack(tree, "system.posix_acl_default"))
		return ol_fail_sys(err, "xattr system.posix_acl_default");
	if (futimens(fd, times) < 0)
		return ol_fail_sys(err, "set the time");
	return OL_OK;
}

/* Is anything left of what was noted to lean? Directories may have been listed later, links
 * replaced. */
static int still_leans(ol_dir_tree *tree, bool *leans, ol_error *err)
{
	ol_dir_leans notes;
	const char *path;
	char kind;
	int rc = ol_dir_leans_open(tree->root_fd, &notes, err);

	*leans = false;
	if (rc < 0)
		return rc;
	while (!*leans && (rc = ol_dir_leans_next(&notes, &kind, &path, err)) == OL_OK && path) {
		const char *mark = kind == 'd' ? tree->names->implied : tree->names->cross;
		ol_autofd int fd = ol_dir_openat(tree->root_fd, path,
			O_RDONLY | O_NONBLOCK | (kind == 'd' ? O_DIRECTORY : 0));

		*leans = fd >= 0 && fgetxattr(fd, mark, NULL, 0) >= 0;
	}
	ol_dir_leans_close(&notes);
	return rc;
}

int ol_dir_tree_finish(ol_dir_tree *tree, bool *leans, ol_error *err)
{
	ol_view key, value;
	bool more = true;
	int rc = OL_OK;

	*leans = false;
	ol_dir_slots_drop(tree, "");
	if (tree->leans_fd >= 0) {
		rc = still_leans(tree, leans, err);
		if (rc == OL_OK && !*leans && unlinkat(tree->root_fd, OL_DIR_LEANS, 0) < 0)
			rc = ol_fail_sys(err, OL_DIR_LEANS);
	}
	if (rc == OL_OK)
		rc = ol_sorter_sort(tree->times, err);
	while (rc == OL_OK) {
		ol_autofree char *path = NULL;

		rc = ol_sorter_next(tree->times, &key, &value, &more, err);
		if (rc < 0 || !more)
			break;
		path = ol_strndup(key.data, key.size);
		rc = set_waiting(tree, path, value, err);
		if (rc < 0)
			return ol_dir_wrap(rc, path, err);
	}
	return rc;
}
