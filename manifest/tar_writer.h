#pragma once

/*
 * Writes tars, the same bytes from the same entries: POSIX ustar, with a pax header (x) for what it
 * has no room for: long names and targets, large numbers, fractions of seconds, xattrs, holes (GNU
 * sparse 1.0). All it writes manifest/tar.h reads back as it was; so do GNU tar, bsdtar and Go.
 *
 *	add(entry)  data*  …  add(entry)  data*  …  finish
 */
#include "base/stream.h"
#include "manifest/tar.h"

typedef struct ol_tar_writer ol_tar_writer;

/* sink is lent for the writer's life, and not closed. */
ol_tar_writer *ol_tar_writer_new(ol_sink *sink);
void ol_tar_writer_free(ol_tar_writer *writer);
OL_DEFINE_AUTO(ol_tar_writer, ol_tar_writer_free)

/* A member's headers; entry->data_size bytes of data then follow (0 but for files). Offsets and
 * sequence of the entry are not looked at; of a file without pieces size is data_size. OL_EINVAL: a
 * name, target or number that no tar can hold, or the data of the member before are not complete;
 * OL_ELIMIT: past what the reader takes. A sink's refusal is passed on. */
int ol_tar_writer_add(ol_tar_writer *writer, const ol_tar_entry *entry, ol_error *err);
/* OL_EINVAL: more than the member has. */
int ol_tar_writer_data(ol_tar_writer *writer, const void *data, size_t size, ol_error *err);
/* As if size bytes of data had been written, which reach whoever is behind the sink on another way:
 * what pads them is written. OL_EINVAL as above. */
int ol_tar_writer_pass(ol_tar_writer *writer, uint64_t size, ol_error *err);
/* Pax records that the next member has besides what its entry says, keys as they stand
 * ("SCHILY.xattr.user.a"); where both say something, these count. Lent until it was added.
 * OL_EINVAL: a key that no record can have. */
int ol_tar_writer_records(
	ol_tar_writer *writer, const ol_xattr *records, size_t count, ol_error *err);
/* The end. OL_EINVAL when data are missing. */
int ol_tar_writer_finish(ol_tar_writer *writer, ol_error *err);
