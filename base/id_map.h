#pragma once

/*
 * User and group ids across user namespaces: which id inside is which outside, as the kernel
 * (user_namespaces(7), /proc/PID/uid_map) and subuid(5) say it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

#define OL_ID_RANGES_MAX 340 /* what the kernel takes in one map since Linux 4.15 */

/* Ids inside … inside + count - 1 are outside … outside + count - 1. Neither end passes 2^32 - 1,
 * and count is not 0. */
typedef struct ol_id_range {
	uint32_t inside, outside, count;
} ol_id_range;

typedef struct ol_id_map {
	ol_id_range ranges[OL_ID_RANGES_MAX];
	size_t count;
} ol_id_map;

/* The text of uid_map or gid_map: lines of three numbers, blanks between them. OL_EINVAL names the
 * line; OL_ELIMIT. */
int ol_id_map_parse(ol_view text, ol_id_map *out, ol_error *err);
/* One line for each range, as the parser reads it. */
void ol_id_map_format(const ol_id_map *map, ol_str *out);

/* Has this id inside a place outside, and which? */
bool ol_id_map_has(const ol_id_map *map, uint32_t inside);
bool ol_id_map_outside(const ol_id_map *map, uint32_t inside, uint32_t *outside);
/* Every id to itself: the namespace that the system was started with. */
bool ol_id_map_is_all(const ol_id_map *map);
/* Each id of part is in map, and is the same outside. */
bool ol_id_map_covers(const ol_id_map *map, const ol_id_map *part);
/* The ids that have a place, each as itself: ranges in order, those that meet made one. */
void ol_id_map_inside(const ol_id_map *map, ol_id_map *out);
/* The highest id up to which all from 0 are there. The map has 0. */
uint32_t ol_id_map_last(const ol_id_map *map);
/* The range from id inside, which must be above all that are there. OL_ELIMIT: no more fit. */
int ol_id_map_add(ol_id_map *map, uint32_t inside, uint32_t outside, uint32_t count, ol_error *err);

/* Adds a user's lines of /etc/subuid or /etc/subgid ("name:first:count", or the id in place of the
 * name) to a map, one behind the other from the first id inside that is free. What belongs to
 * others is not looked at. OL_EINVAL: a line of the user's own makes no sense, by its number. */
int ol_subid_parse(ol_view text, const char *name, uint32_t uid, ol_id_map *map, ol_error *err);
