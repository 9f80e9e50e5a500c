#pragma once

/*
 * Writes an EROFS image of its own, data included, uncompressed, with blocks of 4096: for kernels
 * since 5.15 to mount from a disk. Written from front to back, so that it may go into a pipe; the
 * bytes depend on the entries and their data alone.
 *
 *	new → add* → begin → data* → finish → free
 *
 * Entries come parents first and the names of one folder in order of their bytes; then, in the same
 * order, the data of the files that have any.
 */
#include "base/own.h"
#include "base/stream.h"
#include "manifest/tar.h"

typedef struct ol_erofs_image ol_erofs_image;

ol_erofs_image *ol_erofs_image_new(void);
void ol_erofs_image_free(ol_erofs_image *image);
OL_DEFINE_AUTO(ol_erofs_image, ol_erofs_image_free)
/* The root, named "", comes first. Sequences count from 0. target: of a hard link, the sequence of
 * the entry whose file it is. OL_EINVAL: not in that order. OL_EUNSUPPORTED: EROFS cannot express
 * it, an xattr of an unknown kind; OL_ELIMIT. */
int ol_erofs_image_add(
	ol_erofs_image *image, const ol_tar_entry *entry, uint64_t target, ol_error *err);
/* All entries are known: writes what comes before the data. sink is lent until finish. */
int ol_erofs_image_begin(ol_erofs_image *image, ol_sink *sink, ol_error *err);
/* The parts of a file's data that the image has, in order, for the caller to write with data; a
 * file without holes is one part. NULL, and a count of 0: none. Lent until free. */
const ol_sparse *ol_erofs_image_parts(
	const ol_erofs_image *image, uint64_t sequence, size_t *count);
/* The data of those parts, one file after the other, in pieces of any size. OL_EINVAL: more than
 * there is room for. */
int ol_erofs_image_data(ol_erofs_image *image, const void *data, size_t size, ol_error *err);
/* The file's parts are complete: pads. OL_EINVAL: they are not. */
int ol_erofs_image_end_file(ol_erofs_image *image, uint64_t sequence, ol_error *err);
int ol_erofs_image_finish(ol_erofs_image *image, ol_error *err);
