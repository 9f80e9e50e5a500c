#pragma once

/*
 * A tar-split: a tar without the data of its files, as lines of JSON (vbatts/tar-split
 * tar/storage). With the files' data between its segments it gives the tar byte for byte.
 *
 *	{"type":2,"payload":"…base64…","position":0}                  a segment: bytes of the tar
 *	{"type":1,"name":"a","size":5,"payload":"…crc64…","position":1}   here come a's data
 *
 * A member without data has its line too, and a hard link may say a size though nothing follows.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/view.h"

typedef struct ol_tar_split ol_tar_split;

typedef struct ol_tar_split_item {
	bool is_file;
	ol_view segment; /* lent until the next call; not empty */
	ol_view name;    /* of a file: its bytes as in the tar, terminated; lent likewise */
	uint64_t size;
} ol_tar_split_item;

/* lines are lent for its life, and verified by the caller. For one thread at a time. */
ol_tar_split *ol_tar_split_new(ol_view lines);
void ol_tar_split_free(ol_tar_split *split);
OL_DEFINE_AUTO(ol_tar_split, ol_tar_split_free)
/* The next of them; *more is false at the end. OL_ECORRUPT says in which line; OL_ELIMIT past
 * base/limits.h. After a failure only free is allowed. */
int ol_tar_split_next(ol_tar_split *split, ol_tar_split_item *out, bool *more, ol_error *err);
