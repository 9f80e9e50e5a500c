#pragma once

/*
 * Lazy layers for tests, built from a table of contents and, beside them, from the whole tar; their
 * trees as text, a line a path, with a digest of each file's bytes as read through the index.
 */
#include "base/str.h"
#include "snapshot/lazy_build.h"
#include "tests/check.h"

typedef struct lazy_box {
	char dir[64]; /* a folder of its own, removed by done */
	int dir_fd;   /* owned */
	int rc;       /* of the build */
	ol_error err;
	ol_lazy_built built;
	ol_lazy_table table; /* owned: read back */
	int payload_fd;      /* owned; all zeros until filled */
} lazy_box;

/* The layer of a blob, as its table says; what was built is read back. */
lazy_box lazy_box_build(const ol_lazy_toc *toc, ol_view blob);
/* The same tar, pulled whole: "index.erofs" in a box, its payload is the tar, unless rc says why it
 * could not be. */
lazy_box lazy_box_eager(ol_view tar);
void lazy_box_done(lazy_box *box);

/* Inflates every piece of the blob by zlib and libzstd, holds the bytes of every extent against the
 * digests, and writes them to the payload. */
void lazy_box_fill(lazy_box *box, ol_view blob);
/* The tree. coarse: without what tables in JSON do not carry, which are fractions of seconds and
 * empty xattrs. */
ol_str lazy_box_text(const lazy_box *box, bool coarse);
/* Bytes of "index.erofs". */
ol_buf lazy_box_index(const lazy_box *box);
