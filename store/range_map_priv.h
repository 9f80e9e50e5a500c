#pragma once

/*
 * Which bytes of an ingest are there: in memory a set of ranges, on disk the file `map`, to which
 * ranges are appended.
 *
 *	 0  8  "orlopmap"
 *	 8  4  version, 1
 *	12  4  0
 *	16  8  size of the whole
 *	24 64  boot id, NUL-padded
 *	88  8  FNV-1a of bytes 0 to 87
 *	96     records of 24 bytes: start, end (exclusive), FNV-1a of both and the record's own
 *	       offset
 *
 * Numbers are little-endian. Records may overlap. A last record that is cut short was being
 * appended when its writer died: it is passed over. Anything else that does not check refuses the
 * whole map.
 */
#include "base/view.h"
#include "store/ingest.h"

#define OL_RANGE_MAP_HEADER_BYTES 96
#define OL_RANGE_MAP_RECORD_BYTES 24
#define OL_RANGE_MAP_BOOT_BYTES   64

/* Sorted, disjoint and never touching ranges. For one owner. */
typedef struct ol_range_set {
	ol_range *ranges; /* owned */
	size_t count, cap;
	uint64_t present; /* bytes in all ranges */
} ol_range_set;

void ol_range_set_done(ol_range_set *set);
/* start < end */
void ol_range_set_add(ol_range_set *set, uint64_t start, uint64_t end);
/* The range that holds byte at; NULL if none does. Lent until the next change. */
const ol_range *ol_range_set_find(const ol_range_set *set, uint64_t at);
/* Takes out a whole range, as ol_range_set_find gave it. */
void ol_range_set_remove(ol_range_set *set, const ol_range *range);
/* Takes out what lies in start..end-1; start < end. */
void ol_range_set_cut(ol_range_set *set, uint64_t start, uint64_t end);
/* Whether all of start..end-1 is in it. */
bool ol_range_set_has(const ol_range_set *set, uint64_t start, uint64_t end);
/* Bytes from 0 on without a gap. */
uint64_t ol_range_set_prefix(const ol_range_set *set);
/* What is missing below size, in order, at most count ranges. Returns how many. */
size_t ol_range_set_missing(const ol_range_set *set, uint64_t size, ol_range *ranges, size_t count);

typedef struct ol_range_map {
	uint64_t size;
	char boot[OL_RANGE_MAP_BOOT_BYTES]; /* terminated */
	ol_range_set set;                   /* owned */
} ol_range_map;

/* OL_ECORRUPT; OL_ELIMIT past OL_RANGE_MAP_BYTES_MAX. *out is given back with
 * ol_range_set_done(&out->set). */
int ol_range_map_parse(ol_view bytes, ol_range_map *out, ol_error *err);
void ol_range_map_header(
	uint64_t size, const char *boot, unsigned char out[OL_RANGE_MAP_HEADER_BYTES]);
/* at: where in the file the record will stand. */
void ol_range_map_record(
	const ol_range *range, uint64_t at, unsigned char out[OL_RANGE_MAP_RECORD_BYTES]);
