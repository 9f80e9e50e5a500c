#pragma once

/*
 * What the two writers of archives share: archive_tar.c and archive_dir.c. The paths written so far
 * are noted by archive_writer.c; a row notes the folders it made on the way.
 */
#include "image/archive_writer_priv.h"

typedef struct ol_archive_writer_ops {
	int (*add)(ol_archive_writer *writer, const char *path, uint64_t size, ol_reader *reader,
		ol_error *err);
	int (*finish)(ol_archive_writer *writer, ol_error *err);
	void (*free)(ol_archive_writer *writer); /* all but the paths */
} ol_archive_writer_ops;

/* A row embeds it as its first member. */
struct ol_archive_writer {
	const ol_archive_writer_ops *ops;
	char **paths; /* owned, sorted; folders end with a slash */
	size_t count, cap;
};

void ol_archive_writer_init(ol_archive_writer *writer, const ol_archive_writer_ops *ops);
/* false: it was noted before. */
bool ol_archive_writer_note(ol_archive_writer *writer, const char *path);
/* Passes on exactly size bytes; OL_ECORRUPT. */
int ol_archive_writer_copy(ol_reader *reader, uint64_t size, ol_sink *sink, ol_error *err);
