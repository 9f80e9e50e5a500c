#pragma once

/*
 * What the files of the reader share.
 *
 *	erofs_reader.c   the superblock, inodes, bytes
 *	erofs_dir.c      directories: lookup, listing, walking
 *	erofs_data.c     xattrs, links, where a file's bytes are
 */
#include "snapshot/erofs_format.h"
#include "snapshot/erofs_reader.h"

/* Exactly size bytes at an offset of the index. OL_ECORRUPT past its end. */
int ol_erofs_bytes(ol_erofs *erofs, uint64_t at, void *data, size_t size, ol_error *err);
/* Bytes that an inode may refer to. */
bool ol_erofs_inside(const ol_erofs *erofs, uint64_t at, uint64_t size);
uint64_t ol_erofs_size(const ol_erofs *erofs);
