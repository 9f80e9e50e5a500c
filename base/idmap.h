#pragma once

/*
 * Id maps: which ids of the host stand for a container's, in a user namespace or an idmapped mount.
 *
 *	idmap   UIDMAP, or UIDMAP:GIDMAP; the groups are mapped as the users are where only one is
 *said MAP     CONTAINER:HOST:SIZE, and more of them behind commas (crun's and podman's --uidmap)
 *
 *	0:100000:65536                     root is 100000, and so on up to 65535
 *	0:100000:1000,1000:1000:1          all but one
 *	0:100000:65536:0:200000:65536      groups elsewhere
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "base/str.h"

typedef struct ol_idmap_extent {
	uint32_t inside, outside, count; /* none of them reaches 2^32 - 1, which is no id */
} ol_idmap_extent;

/* No id stands in two extents, on either side. */
typedef struct ol_idmap_ids {
	ol_idmap_extent extents[OL_IDMAP_EXTENTS_MAX];
	size_t count;
} ol_idmap_ids;

typedef struct ol_idmap {
	ol_idmap_ids uids, gids; /* both empty: nothing is mapped */
} ol_idmap;

/* OL_EINVAL says what was expected and at which byte, OL_ELIMIT that there are too many extents.
 * *out is untouched on failure. */
int ol_idmap_ids_parse(const char *text, ol_idmap_ids *out, ol_error *err);
int ol_idmap_parse(const char *text, ol_idmap *out, ol_error *err);
/* As it is parsed; what has the groups mapped as the users has one map. */
void ol_idmap_ids_format(const ol_idmap_ids *map, ol_str *out);
void ol_idmap_format(const ol_idmap *map, ol_str *out);
/* user_namespaces(7), /proc/PID/uid_map: a line an extent. */
void ol_idmap_ids_lines(const ol_idmap_ids *map, ol_str *out);
/* The id of the host; false where the container's has none. */
bool ol_idmap_ids_outside(const ol_idmap_ids *map, uint32_t inside, uint32_t *out);

static inline bool ol_idmap_is_set(const ol_idmap *map)
{
	return map && map->uids.count > 0;
}
