/*
 * The two ways to write an archive, rows of one table of operations; what both need, the list of
 * paths that were written, stands here.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/archive_rows_priv.h"
#include "image/archive_writer_priv.h"

#define COPY_BYTES ((size_t)256 << 10)

void ol_archive_writer_init(ol_archive_writer *writer, const ol_archive_writer_ops *ops)
{
	*writer = (ol_archive_writer){ .ops = ops };
}

/* Where path stands or belongs in the sorted list; *found says which. */
static size_t place_of(const ol_archive_writer *writer, const char *path, bool *found)
{
	size_t low = 0, high = writer->count;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(writer->paths[middle], path);

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool ol_archive_writer_has(const ol_archive_writer *writer, const char *path)
{
	bool found;

	(void)place_of(writer, path, &found);
	return found;
}

bool ol_archive_writer_note(ol_archive_writer *writer, const char *path)
{
	bool found;
	size_t place = place_of(writer, path, &found);

	if (found)
		return false;
	OL_GROW(writer->paths, writer->count, writer->cap);
	memmove(writer->paths + place + 1, writer->paths + place,
		(writer->count - place) * sizeof *writer->paths);
	writer->paths[place] = ol_strdup(path);
	writer->count++;
	return true;
}

/* Passes on exactly size bytes. */
int ol_archive_writer_copy(ol_reader *reader, uint64_t size, ol_sink *sink, ol_error *err)
{
	ol_autofree unsigned char *bytes = ol_alloc(COPY_BYTES);
	uint64_t left = size;

	for (;;) {
		size_t got = 0;
		int rc = ol_reader_read(reader, bytes, COPY_BYTES, &got, err);

		if (rc < 0)
			return rc;
		if (got == 0 && left == 0)
			return OL_OK;
		if (got == 0 || got > left)
			return ol_fail(err, OL_ECORRUPT, "is %s than the %llu bytes it should have",
				got ? "longer" : "shorter", (unsigned long long)size);
		rc = ol_sink_write(sink, bytes, got, err);
		if (rc < 0)
			return rc;
		left -= got;
	}
}

int ol_archive_writer_add(ol_archive_writer *writer, const char *path, uint64_t size,
	ol_reader *reader, ol_error *err)
{
	int rc;

	if (ol_archive_writer_has(writer, path))
		return ol_fail(err, OL_EEXISTS, "%s was written before", path);
	rc = writer->ops->add(writer, path, size, reader, err);
	if (rc < 0)
		return rc;
	(void)ol_archive_writer_note(writer, path);
	return OL_OK;
}

int ol_archive_writer_add_bytes(
	ol_archive_writer *writer, const char *path, ol_view bytes, ol_error *err)
{
	ol_reader *reader = ol_reader_of_memory(bytes.data, bytes.size);
	int rc = ol_archive_writer_add(writer, path, bytes.size, reader, err);

	ol_reader_close(reader);
	return rc;
}

int ol_archive_writer_finish(ol_archive_writer *writer, ol_error *err)
{
	return writer->ops->finish(writer, err);
}

void ol_archive_writer_free(ol_archive_writer *writer)
{
	char **paths;
	size_t count;

	if (!writer)
		return;
	paths = writer->paths;
	count = writer->count;
	writer->ops->free(writer);
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	free(paths);
}
