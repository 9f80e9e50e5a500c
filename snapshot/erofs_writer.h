#pragma once

/*
 * Writes an EROFS index over a layer's tar: tar entries in, in the order of the tar, one index
 * file out. Memory stays within the budget whatever the number of entries;
 * the bytes depend on the entries alone.
 *
 *	new → add* → finish → free
 *
 * What several entries of one path make of it is layer.md's "existing path" rule: the last one
 * wins, a directory over a directory keeps the children, a whiteout beside an entry means that
 * nothing of the layers below shows through.
 *
 * A layer leans on those below where a directory is implied by its children but not listed (the
 * root excepted), or a hard link names a path that the layer does not have; both are marked
 * (erofs_format.h), for complete() to resolve.
 */
#include "base/digest.h"
#include "base/stream.h"
#include "manifest/tar.h"

typedef struct ol_erofs_writer ol_erofs_writer;

typedef struct ol_erofs_writer_options {
	int index_fd; /* an empty file, readable and writable; lent */
	int temp_fd;  /* a directory whose file system takes what does not fit in memory; lent */
	size_t budget_bytes; /* 0: OL_UNPACK_BUDGET_BYTES */
	bool userxattr;      /* user.overlay.* instead of trusted.overlay.* */
} ol_erofs_writer_options;

/* A tar the index points into. */
typedef struct ol_erofs_device {
	uint64_t bytes;
	ol_digest digest; /* remembered in the index; none for the layer's own */
} ol_erofs_device;

typedef struct ol_erofs_written {
	bool leans;
	uint64_t bytes;   /* of the index */
	ol_digest digest; /* sha256 of the index */
} ol_erofs_written;

ol_erofs_writer *ol_erofs_writer_new(const ol_erofs_writer_options *options);
void ol_erofs_writer_free(ol_erofs_writer *writer);
OL_DEFINE_AUTO(ol_erofs_writer, ol_erofs_writer_free)
/* device: the tar that holds the file's data, from 1. Sequences rise from call to call.
 * OL_EUNSUPPORTED: an index cannot express this entry, err says why; the writer is then of no more
 * use. OL_ECORRUPT, OL_ELIMIT. */
int ol_erofs_writer_add(
	ol_erofs_writer *writer, const ol_tar_entry *entry, unsigned device, ol_error *err);
/* A regular file whose data becomes part of the index: all of data, which is lent for the call. */
int ol_erofs_writer_add_embedded(
	ol_erofs_writer *writer, const ol_tar_entry *entry, ol_source *data, ol_error *err);
/* devices: device 1 first, at most OL_EROFS_DEVICES_MAX. OL_EUNSUPPORTED as above; OL_ECORRUPT: a
 * hard link to a directory. */
int ol_erofs_writer_finish(ol_erofs_writer *writer, const ol_erofs_device *devices, size_t count,
	ol_erofs_written *out, ol_error *err);
