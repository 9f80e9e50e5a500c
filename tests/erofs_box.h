#pragma once

/*
 * Indexes for tests: hand-made entries in, a file in memory and its text out, one line a path:
 *
 *	/a/b d 0755 1:2 3.000000004 trusted.overlay.opaque=y
 *	/f - 0644 0:0 0.000000000 n=2 1536=1:4096+512,hole+1024
 *
 * n is the number of names; of a file's data, each run has its device, address and size.
 */
#include "base/str.h"
#include "snapshot/erofs_reader.h"
#include "snapshot/erofs_writer.h"
#include "tests/check.h"

#define BOX_BUDGET ((size_t)1 << 20)

typedef struct erofs_box {
	int rc; /* of the first call that refused */
	int fd; /* owned: the index */
	ol_erofs_written written;
	ol_error err;
} erofs_box;

/* Entries with sequence, data offset (4096 and up, in order) and target filled in where they
 * are 0. */
erofs_box box_write(const ol_tar_entry *entries, size_t count, size_t budget);
void box_done(erofs_box *box);
ol_erofs *box_open(const erofs_box *box); /* must open */
ol_str box_text(const erofs_box *box);    /* of the whole tree */
/* Skips nothing and fails if fsck.erofs (1.8 or later, $ORLOP_FSCK_EROFS or on PATH) dislikes it.
 * tar_bytes: size of the tar it points into. False where there is no such program. */
bool box_fsck(const erofs_box *box, uint64_t tar_bytes);
