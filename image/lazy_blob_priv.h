#pragma once

/*
 * Parts of a layer's blob, fetched into its ingest: what a table of contents costs is not fetched
 * again when the layer is filled. Nothing here is verified: the caller knows the digests.
 */
#include "base/stream.h"
#include "image/pull_priv.h"
#include "store/ingest.h"

typedef struct ol_lazy_blob {
	ol_pull_state *pull;       /* lent */
	const ol_descriptor *blob; /* lent */
	ol_ingest *ingest;         /* owned */
	ol_source *source;         /* owned: the ingest's bytes */
	bool stale;                /* some of them are from an earlier time */
} ol_lazy_blob;

/* While somebody else fetches it: as of ol_ingest_options. */
typedef struct ol_lazy_blob_wait {
	unsigned index; /* of the layer, for events */
	bool never;     /* OL_EBUSY then */
	bool (*done)(void *ctx);
	void *ctx;
} ol_lazy_blob_wait;

/* OL_EEXISTS: somebody else did what was wanted. OL_EBUSY: somebody else does. */
int ol_lazy_blob_open(ol_lazy_blob *blob, ol_pull_state *pull, const ol_descriptor *descriptor,
	const ol_lazy_blob_wait *wait, ol_error *err);
void ol_lazy_blob_close(ol_lazy_blob *blob);
/* Makes bytes offset..offset+size-1 be there; one request where none of them is. */
int ol_lazy_blob_need(ol_lazy_blob *blob, uint64_t offset, uint64_t size, ol_error *err);
/* What came was wrong: it is forgotten. False: nobody else can be asked. */
bool ol_lazy_blob_blame(ol_lazy_blob *blob);
