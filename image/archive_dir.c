/*
 * An archive as a folder. A new one is made beside its place under a temporary name and renamed at
 * the end. In one that is there what lies in folders of its own (blobs) is added file by file, what
 * stands at the top last of all: an index.json never speaks of blobs that are not there. When it
 * fails, what was added goes again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/archive_rows_priv.h"
#include "image/output_priv.h"

/* A file of the top, complete but for its name. */
struct top {
	char *name;        /* owned */
	ol_output *output; /* owned */
};

struct dir_archive {
	ol_archive_writer writer;
	char *path;            /* owned: as told */
	char *name;            /* owned: in parent_fd */
	char temporary[32];    /* of a new folder, in parent_fd; "": it was there before */
	int parent_fd, dir_fd; /* owned */
	struct top *tops;      /* owned */
	size_t top_count, top_cap;
	char **added; /* owned: files made in a folder that was there */
	size_t added_count, added_cap;
	bool finished;
};

/* The folder that path lies in, made if need be; no symbolic link is followed. */
static int open_parent(const struct dir_archive *archive, const char *path, int *out, ol_error *err)
{
	ol_autofd int fd = fcntl(archive->dir_fd, F_DUPFD_CLOEXEC, 3);
	const char *slash;

	if (fd < 0)
		return ol_fail_sys(err, "%s", archive->path);
	for (; (slash = strchr(path, '/')); path = slash + 1) {
		ol_autofree char *part = ol_strndup(path, (size_t)(slash - path));
		int next;

		if (mkdirat(fd, part, 0755) < 0 && errno != EEXIST)
			return ol_fail_sys(err, "%s: mkdir %s", archive->path, part);
		next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return ol_fail_sys(err, "%s: %s", archive->path, part);
		(void)close(fd);
		fd = next;
	}
	*out = ol_steal_fd(&fd);
	return OL_OK;
}

static bool is_there(int dir_fd, const char *name, uint64_t size)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == size;
}

static int dir_add(ol_archive_writer *writer, const char *path, uint64_t size, ol_reader *reader,
	ol_error *err)
{
	struct dir_archive *archive = (struct dir_archive *)writer;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	ol_auto(ol_output_free) ol_output *output = NULL;
	int parent_fd = -1, rc = open_parent(archive, path, &parent_fd, err);

	if (rc < 0)
		return rc;
	if (slash && is_there(parent_fd, name, size)) {
		(void)close(parent_fd);
		return OL_OK;
	}
	rc = ol_output_open_at(parent_fd, name, &output, err);
	if (rc == OL_OK)
		rc = ol_archive_writer_copy(reader, size, ol_output_sink(output), err);
	if (rc < 0)
		return rc;
	if (!slash) {
		OL_GROW(archive->tops, archive->top_count, archive->top_cap);
		archive->tops[archive->top_count++] =
			(struct top){ ol_strdup(name), ol_steal(&output) };
		return OL_OK;
	}
	rc = ol_output_finish(output, err);
	if (rc < 0)
		return rc;
	OL_GROW(archive->added, archive->added_count, archive->added_cap);
	archive->added[archive->added_count++] = ol_strdup(path);
	return OL_OK;
}

/* index.json is what makes a layout of it, and comes last. */
static int finish_tops(struct dir_archive *archive, bool index, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < archive->top_count; i++)
		if ((strcmp(archive->tops[i].name, "index.json") == 0) == index)
			rc = ol_output_finish(archive->tops[i].output, err);
	return rc;
}

static int dir_finish(ol_archive_writer *writer, ol_error *err)
{
	struct dir_archive *archive = (struct dir_archive *)writer;
	int rc = finish_tops(archive, false, err);

	if (rc == OL_OK)
		rc = finish_tops(archive, true, err);
	if (rc == OL_OK && *archive->temporary)
		rc = ol_publish_move(archive->parent_fd, archive->temporary, archive->parent_fd,
			archive->name, OL_PUBLISH_SYNC, err);
	archive->finished = rc == OL_OK;
	return rc;
}

static void dir_free(ol_archive_writer *writer)
{
	struct dir_archive *archive = (struct dir_archive *)writer;

	for (size_t i = 0; i < archive->top_count; i++) {
		free(archive->tops[i].name);
		ol_output_free(archive->tops[i].output);
	}
	for (size_t i = 0; i < archive->added_count; i++) {
		if (!archive->finished && !*archive->temporary)
			(void)unlinkat(archive->dir_fd, archive->added[i], 0);
		free(archive->added[i]);
	}
	if (!archive->finished && *archive->temporary)
		(void)ol_remove_tree(archive->parent_fd, archive->temporary, NULL);
	if (archive->dir_fd >= 0)
		(void)close(archive->dir_fd);
	if (archive->parent_fd >= 0)
		(void)close(archive->parent_fd);
	free(archive->tops);
	free(archive->added);
	free(archive->path);
	free(archive->name);
	free(archive);
}

static int make_dir(struct dir_archive *archive, ol_error *err)
{
	char *slash = strrchr(archive->path, '/');
	ol_autofree char *parent = NULL;
	uint64_t random = 0;
	int rc;

	if (slash && slash > archive->path)
		parent = ol_strndup(archive->path, (size_t)(slash - archive->path));
	else
		parent = ol_strdup(slash ? "/" : ".");
	archive->name = ol_strdup(slash ? slash + 1 : archive->path);
	rc = ol_dir_open(AT_FDCWD, parent, &archive->parent_fd, err);
	if (rc < 0)
		return rc;
	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		return ol_fail_sys(err, "getrandom");
	(void)snprintf(archive->temporary, sizeof archive->temporary, ".tmp-%016llx",
		(unsigned long long)random);
	if (mkdirat(archive->parent_fd, archive->temporary, 0755) < 0) {
		archive->temporary[0] = '\0';
		return ol_fail_sys(err, "%s", archive->path);
	}
	return ol_dir_open(archive->parent_fd, archive->temporary, &archive->dir_fd, err);
}

static bool is_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned count = 0;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	while (readdir(dir)) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		count++;
	(void)closedir(dir);
	return count == 2; /* "." and ".." */
}

/* OCI layouts are added to, and empty folders are filled. */
static int use_dir(const struct dir_archive *archive, ol_error *err)
{
	if (faccessat(archive->dir_fd, "oci-layout", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
		is_empty(archive->dir_fd))
		return OL_OK;
	return ol_fail(err, OL_EEXISTS, "%s is not empty, and no OCI layout", archive->path);
}

static int open_dir(struct dir_archive *archive, ol_error *err)
{
	archive->dir_fd = open(archive->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (archive->dir_fd >= 0)
		return use_dir(archive, err);
	return errno == ENOENT ? make_dir(archive, err) : ol_fail_sys(err, "%s", archive->path);
}

int ol_archive_writer_dir(const char *output, ol_archive_writer **out, ol_error *err)
{
	static const ol_archive_writer_ops ops = { dir_add, dir_finish, dir_free };
	struct dir_archive *archive = ol_alloc(sizeof *archive);
	size_t size = strlen(output);
	int rc;

	ol_archive_writer_init(&archive->writer, &ops);
	archive->dir_fd = archive->parent_fd = -1;
	while (size > 1 && output[size - 1] == '/')
		size--;
	archive->path = ol_strndup(output, size);
	rc = size ? open_dir(archive, err) : ol_fail(err, OL_EINVAL, "the folder's name is empty");
	if (rc < 0) {
		ol_archive_writer_free(&archive->writer);
		return rc;
	}
	*out = &archive->writer;
	return OL_OK;
}
