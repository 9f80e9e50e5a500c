/*
 * A tree as entries. One folder is open at a time; on the way back up a folder is opened again, by
 * openat2 beneath the root and without symbolic links: a container that is running may exchange
 * folders for links to the host while it is read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "image/export_priv.h"

/* The kernel's bound on a list of names, and on one value. */
#define XATTR_BYTES_MAX ((size_t)64 << 10)

/* A folder on the way down. */
struct frame {
	char **names; /* owned, sorted */
	size_t count, cap, next;
	size_t path_size; /* of its own path */
};

struct walking {
	const ol_export_walk *walk;
	ol_export_links *links; /* owned */
	struct frame *frames;   /* owned */
	size_t count, cap;
	char path[OL_PATH_MAX + 1];
	int dir_fd; /* of the innermost frame; owned */
	uint64_t device, sequence;
	char target[OL_PATH_MAX + 1];
	ol_arena *arena;  /* owned: of the entry's xattrs; NULL: none */
	ol_xattr *xattrs; /* owned */
	size_t xattr_count, xattr_cap;
	char *list, *value; /* owned; XATTR_BYTES_MAX */
};

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void frame_done(struct frame *frame)
{
	for (size_t i = 0; i < frame->count; i++)
		free(frame->names[i]);
	free(frame->names);
}

static int open_dir(struct walking *w, ol_error *err)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	const char *path = w->path[0] ? w->path : ".";
	int fd = (int)syscall(SYS_openat2, w->walk->root_fd, path, &how, sizeof how);

	if (fd < 0)
		return ol_fail_sys(err, "%.300s", path);
	if (w->dir_fd >= 0)
		(void)close(w->dir_fd);
	w->dir_fd = fd;
	return OL_OK;
}

static int list_dir(const struct walking *w, struct frame *frame, ol_error *err)
{
	int fd = openat(w->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		int rc = ol_fail_sys(err, "%.300s", w->path);

		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	errno = 0;
	while ((entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		OL_GROW(frame->names, frame->count, frame->cap);
		frame->names[frame->count++] = ol_strdup(entry->d_name);
		errno = 0;
	}
	fd = errno;
	(void)closedir(dir);
	errno = fd;
	if (fd != 0)
		return ol_fail_sys(err, "%.300s", w->path);
	if (frame->count)
		qsort(frame->names, frame->count, sizeof *frame->names, by_bytes);
	return OL_OK;
}

/* The folder that path names becomes the innermost. */
static int enter(struct walking *w, ol_error *err)
{
	struct frame frame = { .path_size = strlen(w->path) };
	int rc = open_dir(w, err);

	if (rc == OL_OK && w->count > OL_PATH_DEPTH_MAX)
		rc = ol_fail(err, OL_ELIMIT, "%.300s: folders are more than %d deep", w->path,
			OL_PATH_DEPTH_MAX);
	if (rc == OL_OK)
		rc = list_dir(w, &frame, err);
	if (rc < 0) {
		frame_done(&frame);
		return rc;
	}
	OL_GROW(w->frames, w->count, w->cap);
	w->frames[w->count++] = frame;
	return OL_OK;
}

/* Back to the folder above. */
static int leave(struct walking *w, ol_error *err)
{
	frame_done(&w->frames[--w->count]);
	if (w->count == 0)
		return OL_OK;
	w->path[w->frames[w->count - 1].path_size] = '\0';
	return open_dir(w, err);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const ol_xattr *)a)->name.data, ((const ol_xattr *)b)->name.data);
}

/* Those an image's layer may have; what an ordinary user may not read is not there for him. */
static int read_xattrs(struct walking *w, const char *fd_path, ol_error *err)
{
	ssize_t size = listxattr(fd_path, w->list, XATTR_BYTES_MAX);

	w->xattr_count = 0;
	if (size < 0)
		return errno == ENOTSUP || errno == EPERM
			       ? OL_OK
			       : ol_fail_sys(err, "%.300s: xattrs", w->path);
	for (const char *name = w->list; name < w->list + size; name += strlen(name) + 1) {
		ssize_t got;

		if (!ol_tar_keeps_xattr(ol_view_of(name)))
			continue;
		got = getxattr(fd_path, name, w->value, XATTR_BYTES_MAX);
		if (got < 0 && (errno == ENODATA || errno == EPERM))
			continue;
		if (got < 0)
			return ol_fail_sys(err, "%.300s: %s", w->path, name);
		OL_GROW(w->xattrs, w->xattr_count, w->xattr_cap);
		w->xattrs[w->xattr_count++] = (ol_xattr){
			ol_view_of(ol_arena_strdup(w->arena, name)),
			ol_view_from(
				ol_arena_strndup(w->arena, w->value, (size_t)got), (size_t)got),
		};
	}
	if (w->xattr_count)
		qsort(w->xattrs, w->xattr_count, sizeof *w->xattrs, by_name);
	return OL_OK;
}

static int read_target(struct walking *w, int fd, ol_error *err)
{
	ssize_t size = readlinkat(fd, "", w->target, OL_PATH_MAX);

	if (size < 0)
		return ol_fail_sys(err, "%.300s", w->path);
	if (size >= OL_PATH_MAX)
		return ol_fail(err, OL_ELIMIT, "%.300s: its target is too long", w->path);
	w->target[size] = '\0';
	return OL_OK;
}

static ol_tar_entry entry_of(const struct walking *w, const struct stat *st)
{
	ol_tar_entry entry = {
		.type = ol_tar_type_of(st->st_mode),
		.name = w->path,
		.target = "",
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime = st->st_mtim,
		.sequence = w->sequence,
	};

	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		entry.dev_major = major(st->st_rdev);
		entry.dev_minor = minor(st->st_rdev);
	}
	if (S_ISREG(st->st_mode))
		entry.size = entry.data_size = (uint64_t)st->st_size;
	return entry;
}

/* A second name of a file that was given out. */
static bool is_link(struct walking *w, const struct stat *st, ol_tar_entry *entry, uint64_t *target)
{
	const char *path = w->path;

	*target = w->sequence;
	if (S_ISDIR(st->st_mode) || st->st_nlink < 2 ||
		!ol_export_links_seen(w->links, st->st_dev, st->st_ino, &path, target))
		return false;
	entry->type = OL_TAR_HARDLINK;
	entry->target = path;
	entry->size = entry->data_size = 0;
	entry->dev_major = entry->dev_minor = 0;
	return true;
}

static int give(struct walking *w, int fd, const struct stat *st, ol_error *err)
{
	ol_tar_entry entry = entry_of(w, st);
	ol_export_entry out = { .entry = &entry, .fd = -1 };
	ol_fd_path fd_path = ol_fd_path_of(fd);
	ol_autofd int data = -1;
	int rc = OL_OK;

	if (is_link(w, st, &entry, &out.target)) {
		w->sequence++;
		return w->walk->call(w->walk->ctx, &out, err);
	}
	rc = read_xattrs(w, fd_path.text, err);
	entry.xattrs = w->xattrs;
	entry.xattr_count = w->xattr_count;
	if (rc == OL_OK && S_ISLNK(st->st_mode)) {
		rc = read_target(w, fd, err);
		entry.target = w->target;
	}
	if (rc == OL_OK && S_ISREG(st->st_mode)) {
		/* The very inode that was looked at. */
		data = open(fd_path.text, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (data < 0)
			rc = ol_fail_sys(err, "%.300s", w->path);
	}
	if (rc < 0)
		return rc;
	out.fd = data;
	w->sequence++;
	return w->walk->call(w->walk->ctx, &out, err);
}

static const char *why_skipped(const struct walking *w, const struct stat *st)
{
	if (st->st_dev != w->device && S_ISDIR(st->st_mode))
		return "another file system";
	if (S_ISSOCK(st->st_mode))
		return "a socket";
	if (S_ISCHR(st->st_mode) && st->st_rdev == 0)
		return "device 0:0, a whiteout";
	return NULL;
}

/* What path names. */
static int visit(struct walking *w, int fd, ol_error *err)
{
	const char *why;
	struct stat st;
	int rc;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return ol_fail_sys(err, "%.300s", w->path);
	why = why_skipped(w, &st);
	if (why) {
		w->walk->skipped(w->walk->ctx, w->path, why);
		return OL_OK;
	}
	w->arena = ol_arena_new();
	rc = give(w, fd, &st, err);
	ol_arena_free(ol_steal(&w->arena));
	if (rc == OL_OK && S_ISDIR(st.st_mode))
		rc = enter(w, err);
	return rc;
}

static int visit_name(struct walking *w, const char *name, ol_error *err)
{
	size_t at = w->frames[w->count - 1].path_size, size = strlen(name);
	ol_autofd int fd = -1;
	size_t depth = w->count;
	int rc = ol_cancel_check(w->walk->cancel, err);

	if (rc < 0)
		return rc;
	if (at + 1 + size >= OL_PATH_MAX)
		return ol_fail(err, OL_ELIMIT, "%.300s…: a path of more than %d bytes", w->path,
			OL_PATH_MAX);
	if (at)
		w->path[at++] = '/';
	memcpy(w->path + at, name, size + 1);
	fd = openat(w->dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		rc = errno == ENOENT ? OL_OK : ol_fail_sys(err, "%.300s", w->path);
	else
		rc = visit(w, fd, err);
	if (rc == OL_OK && w->count == depth)
		w->path[w->frames[depth - 1].path_size] = '\0';
	return rc;
}

static int walk_all(struct walking *w, ol_error *err)
{
	ol_autofd int root = openat(w->walk->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int rc;

	if (root < 0 || fstat(root, &st) < 0)
		return ol_fail_sys(err, "the root");
	w->device = st.st_dev;
	rc = visit(w, root, err);
	while (rc == OL_OK && w->count) {
		struct frame *frame = &w->frames[w->count - 1];

		if (frame->next < frame->count)
			rc = visit_name(w, frame->names[frame->next++], err);
		else
			rc = leave(w, err);
	}
	return rc;
}

int ol_export_each(const ol_export_walk *walk, ol_error *err)
{
	struct walking w = { .walk = walk, .dir_fd = -1 };
	int rc;

	w.links = ol_export_links_new();
	w.list = ol_alloc(XATTR_BYTES_MAX);
	w.value = ol_alloc(XATTR_BYTES_MAX);
	rc = walk_all(&w, err);
	while (w.count)
		frame_done(&w.frames[--w.count]);
	if (w.dir_fd >= 0)
		(void)close(w.dir_fd);
	ol_export_links_free(w.links);
	free(w.frames);
	free(w.xattrs);
	free(w.list);
	free(w.value);
	return rc;
}
