#pragma once

/*
 * The small interfaces through which folders meet.
 *
 *   ol_sink    bytes pushed in, in order:            write* then close
 *   ol_reader  bytes pulled out, in order, blocking: read* until 0, then close
 *   ol_source  a size, and reading at an offset:     read_at*, then close
 *
 * Each is a struct an implementation embeds as its first member, with a table of operations.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"

typedef struct ol_sink ol_sink;
typedef struct ol_sink_ops {
	int (*write)(ol_sink *sink, const void *data, size_t size, ol_error *err);
	void (*close)(ol_sink *sink);
} ol_sink_ops;
struct ol_sink {
	const ol_sink_ops *ops;
};

typedef struct ol_reader ol_reader;
typedef struct ol_reader_ops {
	/* Up to size bytes; *got == 0 only at the end. */
	int (*read)(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err);
	void (*close)(ol_reader *reader);
} ol_reader_ops;
struct ol_reader {
	const ol_reader_ops *ops;
};

typedef struct ol_source ol_source;
typedef struct ol_source_ops {
	/* Exactly size bytes from offset, or an error (OL_ECORRUPT past the end). */
	int (*read_at)(ol_source *source, uint64_t offset, void *data, size_t size, ol_error *err);
	void (*close)(ol_source *source);
} ol_source_ops;
struct ol_source {
	const ol_source_ops *ops;
	uint64_t size;
};

static inline int ol_sink_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	return sink->ops->write(sink, data, size, err);
}
static inline void ol_sink_close(ol_sink *sink)
{
	if (sink)
		sink->ops->close(sink);
}
static inline int ol_reader_read(
	ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	return reader->ops->read(reader, data, size, got, err);
}
static inline void ol_reader_close(ol_reader *reader)
{
	if (reader)
		reader->ops->close(reader);
}
OL_DEFINE_AUTO(ol_reader, ol_reader_close)
static inline int ol_source_read_at(
	ol_source *source, uint64_t offset, void *data, size_t size, ol_error *err)
{
	return source->ops->read_at(source, offset, data, size, err);
}
static inline void ol_source_close(ol_source *source)
{
	if (source)
		source->ops->close(source);
}

/* Ready-made ones. All take what they are given and free themselves in close. */
ol_reader *ol_reader_of_fd(int fd); /* takes ownership of fd; reads from its position */
ol_reader *ol_reader_of_memory(const void *data, size_t size); /* lends: data outlives the reader */
ol_source *ol_source_of_fd(int fd, uint64_t size);             /* takes ownership of fd; pread */
ol_source *ol_source_of_memory(const void *data, size_t size); /* lends */
