#pragma once

/*
 * One layer from its compressed stream to something a driver can mount. Three threads in a pipeline, each byte touched once:
 *
 *	reader ─▶ hash (blob digest) ─▶ │queue│ ─▶ decode ─▶ │queue│ ─▶ hash (DiffID) ─▶ driver: tar + index, or tree
 *
 * Several may run at once; memory is bounded by the queues (2 MiB) and the builder's budget.
 */
#include "snapshot/driver.h"

typedef struct ol_unpack_options {
	const ol_driver *driver;
	ol_builder_options builder;
	ol_compression compression; /* as the media type says; UNKNOWN: sniff. What the bytes are decides, with OL_ECORRUPT on contradiction */
	ol_digest blob;             /* expected digest of the compressed bytes; verified */
	uint64_t blob_size;
	ol_digest diff_id;          /* expected; verified */
	const ol_cancel *cancel;
	void (*progress)(void *ctx, uint64_t blob_bytes); /* from the reading thread; may be NULL */
	void *ctx;
} ol_unpack_options;

typedef struct ol_unpacked {
	uint64_t tar_bytes;
	ol_built built;
} ol_unpacked;

/* reader is lent. On failure the staging folder may hold leftovers, which the caller removes or reuses. */
int ol_unpack(ol_reader *reader, const ol_unpack_options *options, ol_unpacked *out, ol_error *err);
