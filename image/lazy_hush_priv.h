#pragma once

/*
 * Keeps lines of one kind about one layer from filling the log: some at once, then one a second,
 * and how many were left out. Plain numbers, with the time as an argument; the caller locks.
 */
#include <stdbool.h>
#include <stdint.h>

#define OL_LAZY_HUSH_BURST 8
#define OL_LAZY_HUSH_MS    1000

typedef struct ol_lazy_hush {
	uint64_t full_at; /* when all of a burst may be said again; ms */
	uint64_t left_out;
} ol_lazy_hush;

/* Whether a line may be said now: *left_out is how many were not since the last one that was. If
 * not it is counted. */
bool ol_lazy_hush_pass(ol_lazy_hush *hush, uint64_t now_ms, uint64_t *left_out);
/* How many were left out of late, if that may be said now; 0: none, or not yet. */
uint64_t ol_lazy_hush_rest(ol_lazy_hush *hush, uint64_t now_ms);
