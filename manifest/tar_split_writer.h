#pragma once

/*
 * tar-split: all of a tar but its files' bytes, as lines of JSON (github.com/vbatts/tar-split,
 * tar/storage Entry): a segment for what stands before a member's data, headers and the padding
 * before them, then the file with the CRC-64 of its data.
 */
#include <stdint.h>

#include "base/str.h"
#include "base/view.h"

/* position counts the lines from 0. What does not fit out is told by ol_str_error. */
void ol_tar_split_segment(ol_str *out, uint64_t position, ol_view bytes);
/* name: UTF-8, as it stands in the tar. crc64: ECMA-182's "ISO" polynomial, as Go's hash/crc64 has
 * it; not looked at where size is 0. */
void ol_tar_split_file(
	ol_str *out, uint64_t position, const char *name, uint64_t size, uint64_t crc64);
