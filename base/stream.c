#include "base/stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

struct fd_reader {
	ol_reader reader;
	int fd; /* owned */
};

static int fd_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct fd_reader *self = (struct fd_reader *)reader;
	ssize_t n;

	do
		n = read(self->fd, data, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ol_fail_sys(err, "read");
	*got = (size_t)n;
	return OL_OK;
}

static void fd_close(ol_reader *reader)
{
	(void)close(((struct fd_reader *)reader)->fd);
	free(reader);
}

ol_reader *ol_reader_of_fd(int fd)
{
	static const ol_reader_ops ops = { fd_read, fd_close };
	struct fd_reader *self = ol_alloc(sizeof *self);

	self->reader.ops = &ops;
	self->fd = fd;
	return &self->reader;
}

struct memory_reader {
	ol_reader reader;
	ol_view rest;
};

static int memory_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct memory_reader *self = (struct memory_reader *)reader;

	(void)err;
	*got = size < self->rest.size ? size : self->rest.size;
	if (*got)
		memcpy(data, self->rest.data, *got);
	self->rest = ol_view_from(self->rest.data + *got, self->rest.size - *got);
	return OL_OK;
}

static void memory_close(ol_reader *reader)
{
	free(reader);
}

ol_reader *ol_reader_of_memory(const void *data, size_t size)
{
	static const ol_reader_ops ops = { memory_read, memory_close };
	struct memory_reader *self = ol_alloc(sizeof *self);

	self->reader.ops = &ops;
	self->rest = ol_view_from(data, size);
	return &self->reader;
}

struct fd_source {
	ol_source source;
	int fd; /* owned */
};

static int fd_read_at(ol_source *source, uint64_t offset, void *data, size_t size, ol_error *err)
{
	return ol_pread_all(((struct fd_source *)source)->fd, data, size, offset, err);
}

static void fd_source_close(ol_source *source)
{
	(void)close(((struct fd_source *)source)->fd);
	free(source);
}

ol_source *ol_source_of_fd(int fd, uint64_t size)
{
	static const ol_source_ops ops = { fd_read_at, fd_source_close };
	struct fd_source *self = ol_alloc(sizeof *self);

	self->source.ops = &ops;
	self->source.size = size;
	self->fd = fd;
	return &self->source;
}

struct memory_source {
	ol_source source;
	const char *data;
};

static int memory_read_at(
	ol_source *source, uint64_t offset, void *data, size_t size, ol_error *err)
{
	if (offset > source->size || size > source->size - offset)
		return ol_fail(err, OL_ECORRUPT, "ends before byte %llu",
			(unsigned long long)offset + size);
	if (size)
		memcpy(data, ((struct memory_source *)source)->data + offset, size);
	return OL_OK;
}

static void memory_source_close(ol_source *source)
{
	free(source);
}

ol_source *ol_source_of_memory(const void *data, size_t size)
{
	static const ol_source_ops ops = { memory_read_at, memory_source_close };
	struct memory_source *self = ol_alloc(sizeof *self);

	self->source.ops = &ops;
	self->source.size = size;
	self->data = data;
	return &self->source;
}
