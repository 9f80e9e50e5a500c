#pragma once

/*
 * What a container has to do without, and does otherwise, where orlop itself is in a user
 * namespace:
 *
 *	users and groups   those with a place in the mapping
 *	groups             none but the primary one where setgroups is forbidden
 *	limits             none: without root there is no cgroup to set them in
 *	devices            the host's, bound: nodes cannot be made
 *	/sys               the host's, bound, with the host's network: it can be mounted anew only
 *	                   for a network of one's own
 */
#include "exec/bundle_priv.h"

/* Reads the namespace into bundle->here: NULL in the initial one, where all of this does nothing.
 */
int ol_unprivileged_begin(ol_bundle *bundle, ol_error *err);
/* After the user is chosen. OL_EINVAL: it, its group or one of --group-add has no place. */
int ol_unprivileged_user(ol_bundle *bundle, const ol_container_options *options, ol_error *err);
/* After the limits are: takes them away, and says so in bundle->note. */
void ol_unprivileged_limits(ol_bundle *bundle);
/* Can this mount option be used? devpts' gid=5 cannot where the group has no place. */
bool ol_unprivileged_takes(const ol_bundle *bundle, const char *option);
