#pragma once

/*
 * A layer's compressed bytes in, its ztoc out (manifest/ztoc.h), in one pass: nothing of the layer
 * is kept.
 *
 *	reader ─▶ hash (blob) ─▶ inflate, spans ─▶ hash (DiffID) ─▶ members ─▶ ztoc
 */
#include "base/cancel.h"
#include "base/digest.h"
#include "base/stream.h"
#include "manifest/mediatype.h"

typedef struct ol_ztoc_make_options {
	ol_compression compression; /* as the media type says; UNKNOWN: as the bytes say */
	ol_digest blob, diff_id;    /* both are verified */
	uint64_t blob_size;
	uint64_t span_bytes; /* of tar, about, in one span; not 0 */
	const char *tool;    /* who makes it */
	int temp_fd;         /* a folder for a temporary file without a name; lent */
	const ol_cancel *cancel;
	void (*progress)(void *ctx, uint64_t blob_bytes); /* now and then; or NULL */
	void *ctx;
} ol_ztoc_make_options;

/* reader is lent and read in the caller's thread. sink, lent too, gets bytes only once all is
 * verified. OL_EUNSUPPORTED: this layer can have no ztoc, and why in one clause; the rest of it was
 * not read. OL_ECORRUPT: it is not what digests, size or type say. OL_ELIMIT, OL_ECANCELED. */
int ol_ztoc_make(
	ol_reader *reader, const ol_ztoc_make_options *options, ol_sink *sink, ol_error *err);
