#pragma once

/*
 * Where save and copy write an archive: a tar (to a file that appears whole, or to a stream) or a
 * folder. Entries are plain files; parents are made as needed; in a tar owners are 0, times 0,
 * modes 0644 and 0755, so that identical input gives identical bytes.
 */
#include "base/str.h"
#include "base/stream.h"

typedef struct ol_archive_writer ol_archive_writer;

/* output: a path; NULL or "-": standard output. A file that is there is replaced at the end; what
 * is no file (a pipe, a device) is written to as it goes. Nothing of a file is left behind even by
 * kill -9, where its file system has O_TMPFILE. OL_ELIMIT at the first entry that is past what a
 * tar holds. */
int ol_archive_writer_tar(const char *output, ol_archive_writer **out, ol_error *err);
/* A folder that appears whole; or one that is there, empty or an OCI layout, in which files under
 * blobs/ appear one by one and those of the top (index.json) at the end: what was there stays, and
 * files of the same name are replaced, but a blob of the same size is believed. OL_EEXISTS: it
 * holds something else. */
int ol_archive_writer_dir(const char *output, ol_archive_writer **out, ol_error *err);
/* reader gives exactly size bytes (OL_ECORRUPT otherwise); lent. path is clean: no "..", no slash
 * at either end. One that was written before is OL_EEXISTS. */
int ol_archive_writer_add(ol_archive_writer *writer, const char *path, uint64_t size,
	ol_reader *reader, ol_error *err);
int ol_archive_writer_add_bytes(
	ol_archive_writer *writer, const char *path, ol_view bytes, ol_error *err);
bool ol_archive_writer_has(const ol_archive_writer *writer, const char *path);
/* Ends it, on disk; only now does the file appear. */
int ol_archive_writer_finish(ol_archive_writer *writer, ol_error *err);
/* Without finish before, nothing is left. NULL is fine. */
void ol_archive_writer_free(ol_archive_writer *writer);
OL_DEFINE_AUTO(ol_archive_writer, ol_archive_writer_free)
