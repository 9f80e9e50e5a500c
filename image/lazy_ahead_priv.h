#pragma once

/*
 * What to fetch beside readers while a start goes on, so that the link is never idle between one
 * miss and the next. A read that misses leaves a note: the file it is in, if that is large, else
 * what lies around it, mostly forward. The latest note is followed first.
 *
 *	blob   … │ ◀── backward ── │ what was read │ ── forward ──▶ │ …
 *
 * Plain numbers, with the time as an argument; the worker's lock guards it.
 */
#include "snapshot/lazy_table.h"
#include "store/ingest.h"

#define OL_AHEAD_NOTES 16
/* Around a note so much is fetched before other notes have their turn; four times as much each
 * time. */
#define OL_AHEAD_NEAR_BYTES ((uint64_t)1 << 20)
#define OL_AHEAD_FAR_BYTES  ((uint64_t)1 << 28)

typedef struct ol_ahead_note {
	void *of;                       /* whose blob; NULL: no note */
	ol_range around;                /* of the blob: all that is worth fetching */
	ol_range forward, backward;     /* what was not looked at yet */
	uint64_t given, given_backward; /* bytes of slices so far */
} ol_ahead_note;

typedef struct ol_ahead {
	ol_ahead_note notes[OL_AHEAD_NOTES]; /* the latest first */
	uint64_t noted_at;                   /* the latest; ms, 0: none yet */
	/* bytes of blobs that readers missed; and fetched beside them that nothing else would fetch
	 */
	uint64_t missed, spent;
} ol_ahead;

/* A read of bytes start..end-1 of the payload missed. */
void ol_ahead_add(ol_ahead *ahead, void *of, const ol_lazy_table *table, uint64_t start,
	uint64_t end, uint64_t now_ms);
/* Whether more is to be asked for now, while flying bytes are under way, whoever wants them. */
bool ol_ahead_may(const ol_ahead *ahead, uint64_t flying, uint64_t now_ms);
/* The next slice to look at: the caller asks for what is missing of it. A fifth of them lies before
 * what was read. False: the note is done, or has given most bytes. */
bool ol_ahead_next(ol_ahead_note *note, uint64_t most, ol_range *out);
/* Whether reads still come, so that it is worth looking again in a moment. */
bool ol_ahead_is_awake(const ol_ahead *ahead, uint64_t now_ms);
