#pragma once

/*
 * The filler answers "bytes a..b of this payload": which pieces of the blob hold them, their
 * compressed bytes (from the ingest, else fetched), verified, inflated, verified, written, present.
 *
 *	engine ─▶ ol_filler_fill ─▶ extents ─▶ pieces ─▶ missing ranges, merged ─▶ fetch (lent)
 *	                                                    └─▶ inflate ─▶ payload ─▶ state
 *
 * A piece is fetched and inflated once however many wait for it. Whole blocks of 4096 bytes are
 * filled, with the neighbours' bytes in them: the kernel caches whole pages. Nothing is written
 * that was not verified. Threads: any number call at once.
 * Of the state it keeps blocks, phase (FILLING, STALLED), waiting and refetched.
 */
#include "base/cancel.h"
#include "base/stream.h"
#include "snapshot/lazy_state.h"
#include "snapshot/lazy_table.h"
#include "store/ingest.h"

typedef struct ol_filler ol_filler;

/* How compressed bytes come; called from the threads that fill. */
typedef struct ol_lazy_fetch {
	/* Makes ranges (sorted, apart) be in the ingest: returns when they are; what is there or
	 * under way it does not ask for again. It counts what it asks for (the state's requests,
	 * bytes, fetching, blob_bytes). OL_EUNAVAILABLE and the like: not now; it is asked again
	 * until timeout_ms is over. OL_ESYSTEM (a full disk) and OL_ECANCELED are passed on. */
	int (*get)(void *ctx, const ol_range *ranges, size_t count, ol_lazy_cause cause,
		ol_error *err);
	/* The bytes of this range were wrong: they are forgotten, and whoever gave them is not
	 * asked again if there is somebody else. False: there is not, asking again is of little
	 * use. */
	bool (*blame)(void *ctx, uint64_t begin, uint64_t end);
	void *ctx;
} ol_lazy_fetch;

typedef struct ol_filler_options {
	const ol_lazy_table *table; /* lent */
	int window_fd;              /* lent; -1: the table has no windows */
	int payload_fd;             /* lent, writable, opened before it was marked; -1: none is
				     * mounted, only the ingest is filled */
	ol_lazy_state *state;       /* lent */
	ol_source *blob;            /* lent: the ingest's bytes, ol_ingest_source */
	ol_lazy_fetch fetch;
	uint64_t timeout_ms;     /* how long a reader may wait for a registry */
	const char *name;        /* of image and layer, for error lines; lent */
	const ol_cancel *cancel; /* lent: ends waits */
	/* a line for the log, about faults */
	void (*log)(void *ctx, const char *line);
	void *log_ctx;
} ol_filler_options;

/* Blocks that the table says are zeros are there from now on, those that the state has are not
 * filled again. */
ol_filler *ol_filler_new(const ol_filler_options *options);
void ol_filler_free(ol_filler *filler); /* no call may be under way */
OL_DEFINE_AUTO(ol_filler, ol_filler_free)

/* Returns when bytes start..end-1 of the payload are there, in whole blocks. OL_EUNAVAILABLE: the
 * registry did not give them in time; OL_ECORRUPT: what it gives is wrong, err names image, layer
 * and chunk; OL_ESYSTEM with sys ENOSPC …; OL_ECANCELED. Asking again later is always allowed. */
int ol_filler_fill(
	ol_filler *filler, uint64_t start, uint64_t end, ol_lazy_cause cause, ol_error *err);
/* Makes the pieces of the blob that lie in begin..end-1 be in the ingest, without inflating. */
int ol_filler_prefetch(
	ol_filler *filler, uint64_t begin, uint64_t end, ol_lazy_cause cause, ol_error *err);
/* Brings one piece, whose bytes have come, before somebody reads it; one that is there, under way
 * or failed is left as it is. What goes wrong is told when it is read. */
void ol_filler_piece(ol_filler *filler, uint32_t piece, ol_lazy_cause cause);
/* The layer turned out to be another than its table says: every fill from now on is OL_ECORRUPT. */
void ol_filler_poison(ol_filler *filler, const char *why);
