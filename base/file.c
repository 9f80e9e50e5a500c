#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

int ol_write_all(int fd, const void *data, size_t size, ol_error *err)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ol_fail_sys(err, "write");
		p += n;
		size -= (size_t)n;
	}
	return OL_OK;
}

int ol_pwrite_all(int fd, const void *data, size_t size, uint64_t offset, ol_error *err)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = pwrite(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ol_fail_sys(err, "write at byte %llu", (unsigned long long)offset);
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return OL_OK;
}

int ol_pread_all(int fd, void *data, size_t size, uint64_t offset, ol_error *err)
{
	char *p = data;

	while (size > 0) {
		ssize_t n = pread(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ol_fail_sys(err, "read at byte %llu", (unsigned long long)offset);
		if (n == 0)
			return ol_fail(err, OL_ECORRUPT, "file ends at byte %llu",
				(unsigned long long)offset);
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return OL_OK;
}

int ol_file_read(int dir_fd, const char *path, bool nofollow, ol_buf *out, ol_error *err)
{
	ol_autofd int fd =
		openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (nofollow ? O_NOFOLLOW : 0));

	if (fd < 0)
		return ol_fail_sys(err, "%s", path);
	for (;;) {
		/* One byte more than is allowed tells a file at its cap from one past it. */
		char chunk[16384];
		ssize_t n = read(fd, chunk, sizeof chunk);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ol_fail_sys(err, "%s", path);
		if (n == 0)
			return ol_buf_add(out, "", 0);
		if (ol_buf_add(out, chunk, (size_t)n) < 0)
			return ol_fail(err, OL_ELIMIT, "%s: larger than the %zu bytes allowed",
				path, out->max);
	}
}

int ol_dir_open(int dir_fd, const char *path, int *out, ol_error *err)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ol_fail_sys(err, "%s", path);
	*out = fd;
	return OL_OK;
}

bool ol_dir_is_empty(int dir_fd, const char *path)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool empty = true;

	if (!dir) {
		empty = fd < 0 && errno == ENOENT;
		if (fd >= 0)
			(void)close(fd);
		return empty;
	}
	errno = 0;
	for (struct dirent *entry = readdir(dir); entry && empty; entry = readdir(dir))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	empty = empty && errno == 0;
	(void)closedir(dir);
	return empty;
}

/* Makes one name after the other; those that are there are left as they are. */
int ol_mkdirs(int dir_fd, const char *path, mode_t mode, ol_error *err)
{
	ol_autofree char *copy = ol_strdup(path);

	for (char *p = copy; *p;) {
		char *slash = strchr(p + 1, '/');

		if (slash)
			*slash = '\0';
		if (mkdirat(dir_fd, copy, mode) < 0 && errno != EEXIST)
			return ol_fail_sys(err, "mkdir %s", copy);
		if (!slash)
			break;
		*slash = '/';
		p = slash;
	}
	return OL_OK;
}

/* Random, not made of pid and count: what a killed process left must never be in the way of a later
 * one of the same pid, and in a pid namespace pids are few. */
static void temporary_name(char *name, size_t size)
{
	uint64_t random = 0;

	/* Small requests are never cut short once the kernel has seeded its generator, for which
	 * this waits. */
	while (getrandom(&random, sizeof random, 0) < 0 && errno == EINTR)
		continue;
	(void)snprintf(name, size, ".tmp-%016llx", (unsigned long long)random);
}

static int sync_dir(int dir_fd, const char *name, ol_error *err)
{
	ol_autofree char *copy = ol_strdup(name);
	char *slash = strrchr(copy, '/');
	ol_autofd int fd = -1;
	int rc;

	if (slash)
		*slash = '\0';
	rc = ol_dir_open(dir_fd, slash ? copy : ".", &fd, err);
	if (rc < 0)
		return rc;
	return fsync(fd) < 0 ? ol_fail_sys(err, "fsync %s", copy) : OL_OK;
}

int ol_publish_move(
	int from_fd, const char *from, int dir_fd, const char *name, int flags, ol_error *err)
{
	unsigned how = flags & OL_PUBLISH_REPLACE ? 0 : RENAME_NOREPLACE;

	if (renameat2(from_fd, from, dir_fd, name, how) < 0)
		return ol_fail_sys(err, "%s", name);
	return flags & OL_PUBLISH_SYNC ? sync_dir(dir_fd, name, err) : OL_OK;
}

int ol_publish(int dir_fd, const char *name, ol_view content, mode_t mode, int flags, ol_error *err)
{
	ol_autofree char *temporary = NULL;
	const char *slash = strrchr(name, '/');
	char base[64];
	ol_autofd int fd = -1;
	int rc;

	temporary_name(base, sizeof base);
	temporary = slash ? ol_text("%.*s/%s", (int)(slash - name), name, base) : ol_strdup(base);
	fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return ol_fail_sys(err, "%s", temporary);
	rc = ol_write_all(fd, content.data, content.size, err);
	/* The mode asked for, whatever the umask. */
	if (rc == OL_OK && fchmod(fd, mode) < 0)
		rc = ol_fail_sys(err, "chmod");
	if (rc == OL_OK && flags & OL_PUBLISH_SYNC && fsync(fd) < 0)
		rc = ol_fail_sys(err, "fsync");
	if (rc < 0)
		rc = ol_wrap(err, rc, "%s", name);
	else
		rc = ol_publish_move(dir_fd, temporary, dir_fd, name, flags, err);
	if (rc < 0)
		(void)unlinkat(dir_fd, temporary, 0);
	return rc;
}

/*
 * Removal goes down a tree with one descriptor a level. What lies deeper than LEVELS_MAX, which a
 * container may have made on purpose, is first moved up to the top of the tree, where a later round
 * finds it.
 */
#define LEVELS_MAX 64

struct removal {
	int top_fd; /* lent */
	dev_t dev;
	unsigned moved; /* how many were moved up, for names */
};

static int empty_dir(struct removal *removal, int fd, unsigned level, ol_error *err);

static int remove_sub(
	struct removal *removal, int fd, const char *name, unsigned level, ol_error *err)
{
	ol_autofd int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int rc;

	if (sub < 0 || fstat(sub, &st) < 0)
		return ol_fail_sys(err, "remove %s", name);
	if (st.st_dev != removal->dev)
		return ol_fail(err, OL_EBUSY, "remove %s: something is mounted there", name);
	if (level == LEVELS_MAX) {
		char up[64];

		(void)snprintf(up, sizeof up, ".deep-%u", removal->moved++);
		return renameat2(fd, name, removal->top_fd, up, RENAME_NOREPLACE) < 0
			       ? ol_fail_sys(err, "move %s", name)
			       : OL_OK;
	}
	rc = empty_dir(removal, ol_steal_fd(&sub), level + 1, err);
	if (rc == OL_OK && unlinkat(fd, name, AT_REMOVEDIR) < 0)
		rc = ol_fail_sys(err, "remove %s", name);
	return rc;
}

/* Takes fd. */
static int empty_dir(struct removal *removal, int fd, unsigned level, ol_error *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int rc = OL_OK;

	if (!dir) {
		rc = ol_fail_sys(err, "open");
		(void)close(fd);
		return rc;
	}
	while (rc == OL_OK &&
		(entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno == EISDIR || errno == EPERM)
			rc = remove_sub(removal, fd, entry->d_name, level, err);
		else
			rc = ol_fail_sys(err, "remove %s", entry->d_name);
	}
	(void)closedir(dir);
	return rc;
}

int ol_remove_tree(int dir_fd, const char *path, ol_error *err)
{
	struct removal removal = { 0 };
	ol_autofd int top = -1;
	struct stat st;
	int rc;

	if (unlinkat(dir_fd, path, 0) == 0 || errno == ENOENT)
		return OL_OK;
	if (errno != EISDIR && errno != EPERM)
		return ol_fail_sys(err, "remove %s", path);
	top = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0 || fstat(top, &st) < 0)
		return errno == ENOENT ? OL_OK : ol_fail_sys(err, "remove %s", path);
	removal.top_fd = top;
	removal.dev = st.st_dev;
	for (;;) {
		/* A descriptor of its own each round: the stream's position goes with it. */
		int round = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		unsigned moved = removal.moved;

		rc = round < 0 ? ol_fail_sys(err, "open") : empty_dir(&removal, round, 0, err);
		if (rc < 0)
			return ol_wrap(err, rc, "%s", path);
		if (unlinkat(dir_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return OL_OK;
		if ((errno != ENOTEMPTY && errno != EEXIST) || removal.moved == moved)
			return ol_fail_sys(err, "remove %s", path);
	}
}

ol_fd_path ol_fd_path_of(int fd)
{
	ol_fd_path path;

	(void)snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
	return path;
}

int ol_flock(int fd, bool exclusive, bool wait, ol_error *err)
{
	int how = (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB);

	while (flock(fd, how) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EWOULDBLOCK)
			return ol_fail(err, OL_EBUSY, "locked by another process");
		return ol_fail_sys(err, "flock");
	}
	return OL_OK;
}
