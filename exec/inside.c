#include "exec/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"

/* As many as the kernel follows. */
#define SYMLINKS_MAX 40

static int open_in(int root_fd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.mode = flags & O_CREAT ? 0644 : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
	};
	long fd;

	do {
		/* EAGAIN: something was renamed while the kernel looked. */
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return (int)fd;
}

static int fail_open(ol_error *err, const char *path)
{
	int saved = errno;

	(void)ol_fail_sys(err, "%s", path);
	return saved == ENOENT || saved == ENOTDIR ? OL_ENOTFOUND : OL_ESYSTEM;
}

int ol_inside_open(
	int root_fd, const char *path, int flags, bool no_symlinks, int *out, ol_error *err)
{
	int fd = open_in(root_fd, path, flags, no_symlinks ? RESOLVE_NO_SYMLINKS : 0);

	if (fd < 0 && errno == ELOOP && no_symlinks)
		return ol_fail(err, OL_EINVAL, "%s is a symlink, or lies behind one", path);
	if (fd < 0)
		return fail_open(err, path);
	*out = fd;
	return OL_OK;
}

/* A walk down the root: what is resolved so far, and what is still to come. */
typedef struct walk {
	char done[PATH_MAX]; /* "/a/b", without symlinks; "" is the root */
	char rest[PATH_MAX]; /* "c/d" */
	char name[NAME_MAX + 1];
	int symlinks;
} walk;

static void go_up(walk *w)
{
	char *slash = strrchr(w->done, '/');

	if (slash)
		*slash = '\0';
}

/* Takes the next name off the rest: false when there is none. */
static bool next_name(walk *w, int *rc, ol_error *err)
{
	size_t skip = strspn(w->rest, "/"), size = strcspn(w->rest + skip, "/");

	*rc = OL_OK;
	if (size == 0)
		return false;
	if (size > NAME_MAX) {
		*rc = ol_fail(err, OL_EINVAL, "a name is longer than %d bytes", NAME_MAX);
		return false;
	}
	memcpy(w->name, w->rest + skip, size);
	w->name[size] = '\0';
	memmove(w->rest, w->rest + skip + size, strlen(w->rest + skip + size) + 1);
	return true;
}

/* A symlink's target goes in front of the rest. */
static int follow(walk *w, int link_fd, ol_error *err)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t size = readlinkat(link_fd, "", target, sizeof target - 1);

	if (size < 0)
		return ol_fail_sys(err, "%s", w->done);
	if (++w->symlinks > SYMLINKS_MAX)
		return ol_fail(err, OL_EINVAL, "%s: too many symlinks", w->done);
	target[size] = '\0';
	if (snprintf(rest, sizeof rest, "%s/%s", target, w->rest) >= (int)sizeof rest)
		return ol_fail(err, OL_EINVAL, "%s: the path becomes too long", w->done);
	memcpy(w->rest, rest, strlen(rest) + 1);
	if (target[0] == '/')
		w->done[0] = '\0';
	else
		go_up(w);
	return OL_OK;
}

static const char *relative(const walk *w)
{
	return w->done[0] ? w->done : "/";
}

/* The name just taken is not there: makes it in its parent. */
static int make_missing(int root_fd, const walk *w, bool file, ol_error *err)
{
	walk parent = *w;
	ol_autofd int dir = -1, made = -1;

	go_up(&parent);
	dir = open_in(root_fd, relative(&parent), O_PATH | O_DIRECTORY, 0);
	if (dir < 0)
		return fail_open(err, relative(&parent));
	if (!file && mkdirat(dir, w->name, 0755) < 0 && errno != EEXIST)
		return ol_fail_sys(err, "cannot make directory %s in the root", w->done);
	if (!file)
		return OL_OK;
	made = openat(dir, w->name, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (made < 0 && errno != EEXIST)
		return ol_fail_sys(err, "cannot make file %s in the root", w->done);
	return OL_OK;
}

static bool is_last(const walk *w)
{
	return w->rest[strspn(w->rest, "/")] == '\0';
}

static int step(int root_fd, walk *w, ol_inside_kind kind, ol_error *err)
{
	ol_autofd int fd = -1;
	struct stat st;
	size_t used;

	if (strcmp(w->name, ".") == 0)
		return OL_OK;
	if (strcmp(w->name, "..") == 0) {
		go_up(w);
		return OL_OK;
	}
	used = strlen(w->done);
	if ((size_t)snprintf(w->done + used, sizeof w->done - used, "/%s", w->name) >=
		sizeof w->done - used)
		return ol_fail(err, OL_EINVAL, "the path becomes too long");
	fd = open_in(root_fd, w->done, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0 && errno == ENOENT)
		return make_missing(root_fd, w, kind == OL_INSIDE_FILE && is_last(w), err);
	if (fd < 0)
		return fail_open(err, w->done);
	if (fstat(fd, &st) < 0)
		return ol_fail_sys(err, "%s", w->done);
	return S_ISLNK(st.st_mode) ? follow(w, fd, err) : OL_OK;
}

int ol_inside_make(int root_fd, const char *path, ol_inside_kind kind, int *out, ol_error *err)
{
	ol_autofd int fd = -1;
	walk w = { .symlinks = 0 };
	struct stat st;
	int rc;

	if (strlen(path) >= sizeof w.rest)
		return ol_fail(err, OL_EINVAL, "a path is longer than %d bytes", PATH_MAX);
	memcpy(w.rest, path, strlen(path) + 1);
	while (next_name(&w, &rc, err)) {
		rc = step(root_fd, &w, kind, err);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		return rc;
	/* Whatever happened to the tree meanwhile: this cannot leave the root. */
	fd = open_in(root_fd, relative(&w), O_PATH, 0);
	if (fd < 0)
		return fail_open(err, relative(&w));
	if (fstat(fd, &st) < 0)
		return ol_fail_sys(err, "%s", path);
	if (kind == OL_INSIDE_DIRECTORY && !S_ISDIR(st.st_mode))
		return ol_fail(err, OL_EINVAL, "%s is not a directory in the image", path);
	if (kind == OL_INSIDE_FILE && S_ISDIR(st.st_mode))
		return ol_fail(err, OL_EINVAL, "%s is a directory in the image", path);
	*out = ol_steal_fd(&fd);
	return OL_OK;
}

int ol_inside_read(int root_fd, const char *path, ol_buf *out, ol_error *err)
{
	ol_autofd int handle = -1, fd = -1;
	struct stat st;
	int rc;

	rc = ol_inside_open(root_fd, path, O_PATH, false, &handle, err);
	if (rc < 0)
		return rc;
	if (fstat(handle, &st) < 0)
		return ol_fail_sys(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return ol_fail(err, OL_EINVAL, "%s is not a regular file", path);
	fd = open(ol_fd_path_of(handle).text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ol_fail_sys(err, "%s", path);
	for (;;) {
		char chunk[16384];
		ssize_t got = read(fd, chunk, sizeof chunk);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ol_fail_sys(err, "%s", path);
		if (got == 0)
			return OL_OK;
		if (ol_buf_add(out, chunk, (size_t)got) < 0)
			return ol_fail(
				err, OL_ELIMIT, "%s is larger than %zu bytes", path, out->max);
	}
}
