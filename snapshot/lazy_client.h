#pragma once

/* What commands ask of the holder, and find out when there is none. */
#include "store/layer.h"

/* Is one there that serves this run dir? */
bool ol_lazy_is_held(ol_store *store);
/* Its engine's name; OL_ENOTFOUND without a holder. */
int ol_lazy_engine_of(ol_store *store, char name[16], ol_error *err);
/* The layer's payload, made if needed, is watched from now on; *device_fd is what EROFS is to be
 * mounted over. OL_EUNAVAILABLE: no holder: ol_lazy_start (image/lazy.h) first. */
int ol_lazy_watch(ol_store *store, const ol_digest *diff_id, int *device_fd, ol_error *err);
/* Nothing of it is mounted any more. Not watched, or no holder, is fine. */
int ol_lazy_unwatch(ol_store *store, const ol_digest *diff_id, ol_error *err);
/* Has the worker look for lazy layers; without a holder nothing happens (false). */
bool ol_lazy_wake(ol_store *store);

/* A holder of this boot is gone while incomplete layers were mounted: what read them since may have
 * seen zeros. Detaches those mounts, drops what is cached, and calls with each container's or
 * mount's id that uses one; then it is forgotten here. Nothing lost: no call. */
int ol_lazy_lost(ol_store *store,
	void (*call)(void *ctx, const ol_digest *diff_id, const char *user_id), void *ctx,
	ol_error *err);
