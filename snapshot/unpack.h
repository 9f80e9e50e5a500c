#pragma once

/*
 * One layer from its compressed stream to something a driver can mount. Three threads in a
 * pipeline, of which the last is the caller's, each byte touched once a stage:
 *
 *	reader ─▶ hash (blob digest) ─▶ │queue│ ─▶ decode ─▶ │queue│ ─▶ hash (DiffID) ─▶ driver
 *
 * Several may run at once; memory is bounded by the queues (2 MiB) and the builder's budget.
 */
#include "manifest/mediatype.h"
#include "snapshot/driver.h"

/* What all layers unpacked at once share: streams whose zstd window is over 8 MiB pass one by one,
 * so that a pull needs the memory of one such window only. */
typedef struct ol_unpack_gate ol_unpack_gate;
ol_unpack_gate *ol_unpack_gate_new(void);
void ol_unpack_gate_free(ol_unpack_gate *gate);
OL_DEFINE_AUTO(ol_unpack_gate, ol_unpack_gate_free)

typedef struct ol_unpack_options {
	const ol_driver *driver;
	ol_builder_options builder;
	ol_compression compression; /* as the media type says; UNKNOWN: as the bytes say */
	/* Expected, and verified; unset: not known beforehand, found out (as sha256). */
	ol_digest blob;     /* of the compressed bytes */
	uint64_t blob_size; /* means something with blob */
	ol_digest diff_id;
	const ol_cancel *cancel;
	/* Fired at the first failure, or NULL: what feeds the reader looks at it, so that a read
	 * that waits for the network ends too. Not the user's own. */
	ol_cancel *stop;
	/* Of a gzip stream a ztoc is made as well (manifest/ztoc.h), with spans of about so many
	 * bytes, for as long as decoding has to wait for input anyway; 0: none. */
	uint64_t ztoc_span_bytes;
	const char *ztoc_tool;                            /* who makes it; lent */
	ol_unpack_gate *gate;                             /* lent; NULL: nobody to share with */
	void (*progress)(void *ctx, uint64_t blob_bytes); /* from the reading thread; or NULL */
	void *ctx;
} ol_unpack_options;

typedef struct ol_unpacked {
	ol_digest blob, diff_id; /* as they turned out */
	uint64_t blob_size, tar_bytes;
	ol_built built;
	/* the file OL_UNPACK_ZTOC in the builder's folder; unset: there is none */
	ol_digest ztoc;
	uint64_t ztoc_size;
} ol_unpacked;
#define OL_UNPACK_ZTOC "ztoc"

/*
 * reader is lent and read to its end by another thread, which has ended when this returns. On
 * failure the staging folder may hold leftovers, which the caller removes or reuses. The first
 * cause is reported, whichever stage it arose in. OL_ECORRUPT: the blob is not what its digest,
 * size, type or DiffID say, or its tar is damaged. OL_ELIMIT: it inflates beyond all measure.
 * OL_ECANCELED. image-spec layer.md "Change Types", config.md "Layer DiffID".
 */
int ol_unpack(ol_reader *reader, const ol_unpack_options *options, ol_unpacked *out, ol_error *err);
