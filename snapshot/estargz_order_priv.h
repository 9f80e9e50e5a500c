#pragma once

/* Which members an eStargz has, and in which order. */
#include "snapshot/tar_scan.h"

#define OL_LANDMARK_PREFETCH ".prefetch.landmark"
#define OL_LANDMARK_NONE     ".no.prefetch.landmark"

typedef struct ol_estargz_order {
	size_t *members; /* owned: numbers in the scan */
	size_t count;
	size_t first; /* of them come first, before the landmark */
} ol_estargz_order;

/* paths: what is to come first, ended by NULL, or NULL; each with the folders it lies in, and a
 * hard link behind what it links to, as stargz-snapshotter's sortEntries has it. found: set for the
 * paths that are there. */
void ol_estargz_order_make(
	ol_estargz_order *order, const ol_scan *scan, const char *const *paths, bool *found);
void ol_estargz_order_done(ol_estargz_order *order);
