#pragma once

/*
 * What the files of the filler share:
 *
 *	lazy_fill.c         who fills what: a caller claims the pieces it needs, or waits
 *	lazy_fill_map.c     which extents, and so which blocks, are there
 *	lazy_fill_piece.c   one piece: read, verify, inflate, verify, write
 *	lazy_fill_fetch.c   ranges of the blob: merged, asked for with patience
 *
 * A piece:   ABSENT ──claimed──▶ BUSY ──▶ THERE
 *	         ▲                 │
 *	         └── asked again ─ FAILED
 *
 * One lock guards all; nothing is fetched, inflated or written under it. No other lock is taken
 * under it.
 */
#include <pthread.h>

#include "snapshot/lazy_fill.h"

#define OL_FILL_RANGES_MAX 8 /* of one get() */

typedef enum ol_fill_is {
	OL_FILL_ABSENT,
	OL_FILL_BUSY,
	OL_FILL_THERE,
	OL_FILL_FAILED,
} ol_fill_is;

/* Why a piece failed, for those who waited for it; kept until it is tried again. */
typedef struct ol_fill_failure {
	struct ol_fill_failure *next;
	uint32_t piece;
	int rc;
	ol_error error;
} ol_fill_failure;

struct ol_filler {
	ol_filler_options options;  /* lent things as there */
	const ol_lazy_table *table; /* lent */

	pthread_mutex_t lock; /* guards all below, but for what is never changed */
	pthread_cond_t changed;
	unsigned char *is;         /* owned; ol_fill_is of each piece */
	unsigned char *there;      /* owned; 1: the extent's bytes are in the payload */
	uint32_t *first;           /* owned, never changed: of each piece, in of_piece */
	uint32_t *of_piece;        /* owned, never changed: extents, piece by piece */
	ol_fill_failure *failures; /* owned */
	bool stalled, poisoned;
	uint64_t stalled_since_ms;
	char words[OL_LAZY_WORDS_BYTES]; /* why it is poisoned */
	bool windows_known;              /* the file of windows was held against its digest */
	int windows_rc;
};

/* lazy_fill_map.c */

void ol_fill_map_init(ol_filler *filler);
void ol_fill_map_done(ol_filler *filler);
/* With the lock held: whether the extent's bytes are there. */
bool ol_fill_map_has(ol_filler *filler, size_t extent);
/* With the lock held: all extents of the piece were written. Their blocks are there, as far as
 * their neighbours are. */
void ol_fill_map_add(ol_filler *filler, uint32_t piece);

/* lazy_fill_piece.c */

/* Brings the piece, whose bytes were fetched, into the payload; fetches it again if they are wrong.
 * The piece is the caller's. */
int ol_fill_piece(ol_filler *filler, uint32_t piece, ol_lazy_cause cause, uint64_t deadline_ms,
	ol_error *err);

/* lazy_fill_fetch.c */

/* Ranges of pieces that follow each other, as they are asked for. */
typedef struct ol_fill_ranges {
	ol_range list[OL_FILL_RANGES_MAX];
	size_t count;
	uint64_t bytes;
} ol_fill_ranges;
/* Adds begin..end-1, which begins no earlier than what was added before. False: no room. */
bool ol_fill_ranges_add(ol_fill_ranges *ranges, uint64_t begin, uint64_t end);
/* Makes them be in the ingest; patient until deadline_ms (ol_now_ms). OL_EUNAVAILABLE. */
int ol_fill_fetch(ol_filler *filler, const ol_fill_ranges *ranges, ol_lazy_cause cause,
	uint64_t deadline_ms, ol_error *err);
/* Says that it is stalled, or goes on. */
void ol_fill_say(ol_filler *filler, bool stalled, const char *words);
