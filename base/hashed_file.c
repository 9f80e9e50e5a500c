#include "base/hashed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"

static int file_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	ol_hashed_file *file = (ol_hashed_file *)sink;

	ol_hasher_update(file->hasher, data, size);
	file->size += size;
	return ol_write_all(file->fd, data, size, err);
}

static void file_close(ol_sink *sink)
{
	(void)sink;
}

int ol_hashed_file_open(int dir_fd, const char *name, ol_hashed_file *out, ol_error *err)
{
	static const ol_sink_ops ops = { file_write, file_close };
	int fd;

	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return ol_fail_sys(err, "%s", name);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ol_fail_sys(err, "%s", name);
	*out = (ol_hashed_file){ .sink = { &ops }, .fd = fd, .hasher = ol_hasher_new(OL_SHA256) };
	return OL_OK;
}

ol_digest ol_hashed_file_digest(ol_hashed_file *file)
{
	return ol_hasher_final(file->hasher);
}

void ol_hashed_file_done(ol_hashed_file *file)
{
	if (!file->hasher)
		return;
	(void)close(file->fd);
	ol_hasher_free(file->hasher);
	*file = (ol_hashed_file){ 0 };
}
