#pragma once

/*
 * Id maps: which ids of the host stand for a container's, in a user namespace or an idmapped mount.
 *
 *	idmap   UIDMAP, or UIDMAP:GIDMAP; one alone is for users and groups
 *	MAP     CONTAINER:HOST:SIZE, and more of them behind commas, as crun's and podman's
 *
 *	0:100000:65536                     root is 100000, and so on up to 65535
 *	0:100000:1000,1000:1000:1          all but one
 *	0:100000:65536:0:200000:65536      groups elsewhere
 */
#include "base/id_map.h"
#include "base/limits.h"

typedef struct ol_idmap {
	ol_id_map uids, gids; /* both empty: nothing is mapped */
} ol_idmap;

/* OL_EINVAL says what was expected and at which byte, OL_ELIMIT that there are more than
 * OL_IDMAP_RANGES_MAX ranges. No id stands in two of them, on either side. *out is untouched on
 * failure. */
int ol_idmap_parse(const char *text, ol_idmap *out, ol_error *err);
int ol_idmap_parse_ids(const char *text, ol_id_map *out, ol_error *err); /* one MAP */
/* A user's ranges of /etc/subuid and /etc/subgid, one behind the other from 0 on. OL_ENOTFOUND: it
 * has none. */
int ol_idmap_of_user(const char *name, ol_idmap *out, ol_error *err);
/* As it is parsed; what has the groups mapped as the users has one map. */
void ol_idmap_format(const ol_idmap *map, ol_str *out);

static inline bool ol_idmap_is_set(const ol_idmap *map)
{
	return map && map->uids.count > 0;
}
