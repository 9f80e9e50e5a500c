#pragma once

/*
 * SOCI's table of contents of an ordinary gzip (or uncompressed) layer: a FlatBuffer (ztoc.fbs)
 * with the tar's members, the places in the gzip stream where inflating can begin (zinfo), and a
 * digest for the compressed bytes between two such places (a span).
 *
 *	blob  │ gzip header │ span 0 │ span 1 │ … │ span n-1 │
 *	tar   │ out_0 = 0 …          │ out_1 …    │ out_n-1 … tar_size
 *
 * Checked as it is parsed: spans follow each other in blob and tar, lie inside them, and each has
 * its digest. Whether a checkpoint is true only its digests' bytes, inflated, can tell.
 */
#include "manifest/toc.h"

typedef struct ol_ztoc {
	bool gzip; /* else the blob is the tar */
	uint64_t blob_size, tar_size;
	uint64_t span_bytes; /* of tar, about, in one span */
	size_t span_count;
	ol_digest *span_digests; /* owned */
	ol_view zinfo;           /* lent, behind its head: records of 32785 bytes */
	bool first_implied;      /* version 1: checkpoint 0 is not among them */
	ol_view bytes;           /* lent: the whole ztoc */
} ol_ztoc;

/* bytes are lent for out's life; the caller verified their digest. OL_ECORRUPT, OL_ELIMIT;
 * OL_EUNSUPPORTED: a version or compression that is not known. */
int ol_ztoc_parse(ol_view bytes, ol_ztoc *out, ol_error *err);
void ol_ztoc_done(ol_ztoc *ztoc);

/* Where span index begins. */
typedef struct ol_ztoc_checkpoint {
	uint64_t in;    /* first whole byte in the blob */
	uint64_t out;   /* in the tar */
	unsigned bits;  /* of the byte before in that are still to be used, 0 to 7 */
	ol_view window; /* 32 KiB of tar before out, or empty at the start of a stream */
} ol_ztoc_checkpoint;
ol_ztoc_checkpoint ol_ztoc_checkpoint_at(const ol_ztoc *ztoc, size_t index);
/* Its bytes in the blob, which its digest is of. */
void ol_ztoc_span(const ol_ztoc *ztoc, size_t index, uint64_t *begin, uint64_t *end);

/* The members in order, each file with the place of its bytes in the tar and no chunks. A negative
 * return of the handler is passed on. OL_ECORRUPT, OL_ELIMIT; OL_EUNSUPPORTED: a sparse file. */
int ol_ztoc_entries(const ol_ztoc *ztoc, const ol_toc_handler *handler, ol_error *err);
