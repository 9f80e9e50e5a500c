#pragma once

/*
 * The user namespace that an ordinary user's commands work in. In it they are root: files get their
 * owners from the user's ranges of subordinate ids, file systems can be mounted, and nobody outside
 * sees or suffers it.
 *
 *	ordinary user   ids of the host, no capabilities    ol_userns_enter
 *	  └─▶ inside    id 0 is the user, 1 … are the user's ranges of /etc/subuid and
 *	                /etc/subgid; without any, id 0 is all there is
 *
 * The process itself goes in: its number, terminal, group, descriptors and signals stay.
 */
#include <stdbool.h>
#include <sys/types.h>

#include "base/id_map.h"

typedef struct ol_userns {
	ol_id_map uids, gids;
	bool is_initial; /* the one the system was started with: here root is root */
	bool has_groups; /* setgroups(2) is allowed */
} ol_userns;

/* The one this process is in, from /proc/self. */
int ol_userns_read(ol_userns *out, ol_error *err);
/* Both maps as text, users first, with an empty line between them. */
void ol_userns_format(const ol_userns *ns, ol_str *out);
/* Sets the maps and nothing else. OL_EINVAL. */
int ol_userns_parse(ol_view text, ol_userns *out, ol_error *err);
/* Is this process not in the initial one? False too when that cannot be known. Cheap: two small
 * reads. */
bool ol_userns_is_inside(void);
/* Is this process the system's root? Root of another user namespace is an ordinary user, with that
 * one's files, store and settings. */
bool ol_userns_is_root(void);
/* The user as the host knows it: the effective id, or what it stands for outside. */
uid_t ol_userns_owner(void);

/* How ol_userns_enter came by its ids. */
typedef struct ol_userns_entry {
	bool ranged;   /* with the user's subordinate ids */
	char why[256]; /* in one line, where they come from or why there are none */
} ol_userns_entry;

/*
 * Moves this process, which must have no threads, into a new user namespace and a new mount
 * namespace. Ranges are given by newuidmap and newgidmap; where there are none, or these programs
 * fail, id 0 is the only one and groups cannot be set. OL_EUNSUPPORTED: the system does not let
 * ordinary users do this; the hint says what would.
 */
int ol_userns_enter(ol_userns_entry *out, ol_error *err);
