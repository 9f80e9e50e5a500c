/*
 * A file is written without a name (O_TMPFILE), so that even kill -9 leaves nothing; at the end it
 * is linked, or, where the name is taken, linked beside and renamed over it. On file systems
 * without nameless files it has a temporary name all along.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/output_priv.h"

#define GATHER_BYTES ((size_t)256 << 10)
#define TRIES_MAX    16

struct ol_output {
	ol_sink sink;
	int fd;                  /* owned */
	int dir_fd;              /* owned: of the file's folder; -1: a stream */
	char *path;              /* owned: as told, for words */
	char *name;              /* owned: in dir_fd */
	char temporary[32];      /* the name it has till the end; "": none */
	unsigned char *gathered; /* owned */
	size_t size;
};

static int flush(ol_output *output, ol_error *err)
{
	int rc = output->size ? ol_write_all(output->fd, output->gathered, output->size, err)
			      : OL_OK;

	output->size = 0;
	return rc < 0 ? ol_wrap(err, rc, "%s", output->path) : OL_OK;
}

static int output_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	ol_output *output = (ol_output *)sink;
	int rc = OL_OK;

	if (size > GATHER_BYTES - output->size)
		rc = flush(output, err);
	if (rc < 0)
		return rc;
	if (size >= GATHER_BYTES) {
		rc = ol_write_all(output->fd, data, size, err);
		return rc < 0 ? ol_wrap(err, rc, "%s", output->path) : OL_OK;
	}
	memcpy(output->gathered + output->size, data, size);
	output->size += size;
	return OL_OK;
}

static void output_close(ol_sink *sink)
{
	(void)sink;
}

static int temporary_name(ol_output *output, ol_error *err)
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
		return ol_fail_sys(err, "getrandom");
	(void)snprintf(output->temporary, sizeof output->temporary, ".tmp-%016llx",
		(unsigned long long)random);
	return OL_OK;
}

static int open_named(ol_output *output, ol_error *err)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		int rc = temporary_name(output, err);

		if (rc < 0)
			return rc;
		output->fd = openat(output->dir_fd, output->temporary,
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (output->fd >= 0)
			return OL_OK;
		output->temporary[0] = '\0';
		if (errno != EEXIST)
			break;
	}
	return ol_fail_sys(err, "%s", output->path);
}

/* In output->dir_fd. */
static int open_in_dir(ol_output *output, ol_error *err)
{
	output->fd = openat(output->dir_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
	if (output->fd >= 0)
		return OL_OK;
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)
		return open_named(output, err);
	return ol_fail_sys(err, "%s", output->path);
}

/* Symbolic links are followed, so that the file they point to is replaced and not they. */
static int open_file(ol_output *output, ol_error *err)
{
	ol_autofree char *real = realpath(output->path, NULL);
	const char *path = real ? real : output->path;
	const char *slash = strrchr(path, '/');
	ol_autofree char *dir = NULL;
	int rc;

	if (slash == path)
		dir = ol_strdup("/");
	else
		dir = slash ? ol_strndup(path, (size_t)(slash - path)) : ol_strdup(".");
	output->name = ol_strdup(slash ? slash + 1 : path);
	rc = ol_dir_open(AT_FDCWD, dir, &output->dir_fd, err);
	return rc < 0 ? rc : open_in_dir(output, err);
}

static int open_output(ol_output *output, const char *path, ol_error *err)
{
	struct stat st;

	if (!path || strcmp(path, "-") == 0) {
		output->path = ol_strdup("standard output");
		output->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return output->fd < 0 ? ol_fail_sys(err, "standard output") : OL_OK;
	}
	output->path = ol_strdup(path);
	if (!*path || path[strlen(path) - 1] == '/' ||
		(stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
		return ol_fail(err, OL_EINVAL, "%s is a folder, not a file", path);
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return open_file(output, err);
	output->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return output->fd < 0 ? ol_fail_sys(err, "%s", path) : OL_OK;
}

static ol_output *make(void)
{
	static const ol_sink_ops ops = { output_write, output_close };
	ol_output *output = ol_alloc(sizeof *output);

	output->sink.ops = &ops;
	output->fd = output->dir_fd = -1;
	output->gathered = ol_alloc(GATHER_BYTES);
	return output;
}

static int give(ol_output *output, int rc, ol_output **out)
{
	if (rc < 0)
		ol_output_free(output);
	else
		*out = output;
	return rc;
}

int ol_output_open(const char *path, ol_output **out, ol_error *err)
{
	ol_output *output = make();

	return give(output, open_output(output, path, err), out);
}

int ol_output_open_at(int dir_fd, const char *name, ol_output **out, ol_error *err)
{
	ol_output *output = make();

	output->dir_fd = dir_fd;
	output->name = ol_strdup(name);
	output->path = ol_strdup(name);
	return give(output, open_in_dir(output, err), out);
}

ol_sink *ol_output_sink(ol_output *output)
{
	return &output->sink;
}

/* A file without a name gets one: its own, or a temporary one where that is taken. */
static int name_file(ol_output *output, ol_error *err)
{
	ol_fd_path from = ol_fd_path_of(output->fd);

	if (linkat(AT_FDCWD, from.text, output->dir_fd, output->name, AT_SYMLINK_FOLLOW) == 0)
		return OL_OK;
	for (int i = 0; errno == EEXIST && i < TRIES_MAX; i++) {
		int rc = temporary_name(output, err);

		if (rc < 0)
			return rc;
		if (linkat(AT_FDCWD, from.text, output->dir_fd, output->temporary,
			    AT_SYMLINK_FOLLOW) == 0)
			return OL_OK;
		output->temporary[0] = '\0';
	}
	return ol_fail_sys(err, "%s", output->path);
}

static int publish(ol_output *output, ol_error *err)
{
	int rc = OL_OK;

	if (fsync(output->fd) < 0)
		return ol_fail_sys(err, "%s", output->path);
	if (!output->temporary[0])
		rc = name_file(output, err);
	if (rc == OL_OK && output->temporary[0]) {
		rc = ol_publish_move(output->dir_fd, output->temporary, output->dir_fd,
			output->name, OL_PUBLISH_REPLACE, err);
		if (rc == OL_OK)
			output->temporary[0] = '\0';
	}
	if (rc == OL_OK && fsync(output->dir_fd) < 0)
		rc = ol_fail_sys(err, "%s", output->path);
	return rc;
}

int ol_output_finish(ol_output *output, ol_error *err)
{
	int rc = flush(output, err);

	return rc < 0 || output->dir_fd < 0 ? rc : publish(output, err);
}

void ol_output_free(ol_output *output)
{
	if (!output)
		return;
	if (output->temporary[0])
		(void)unlinkat(output->dir_fd, output->temporary, 0);
	if (output->fd >= 0)
		(void)close(output->fd);
	if (output->dir_fd >= 0)
		(void)close(output->dir_fd);
	free(output->path);
	free(output->name);
	free(output->gathered);
	free(output);
}
