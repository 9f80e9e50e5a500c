#pragma once

/* What commands ask of the holder, and find out when there is none. */
#include "store/layer.h"

/* Is one there that serves this run dir? */
bool ol_lazy_is_held(ol_store *store);
/* Its engine's name; OL_ENOTFOUND without a holder. */
int ol_lazy_engine_of(ol_store *store, char name[16], ol_error *err);
/* A connection to the holder, which does not end by itself while one is open. OL_EUNAVAILABLE:
 * there is none: ol_lazy_start (image/lazy.h) first. */
int ol_lazy_connect(ol_store *store, int *fd, ol_error *err);
/* The layer's payload, made if needed, is watched from now on; *device_fd is what EROFS is to be
 * mounted over. payload_bytes: as the index says. OL_EUNAVAILABLE: no holder. */
int ol_lazy_watch(ol_store *store, const ol_digest *diff_id, uint64_t payload_bytes, int *device_fd,
	ol_error *err);
/* A mount of it ended: once nobody has it open it is not watched any more. Not watched, or no
 * holder, is fine. */
int ol_lazy_unwatch(ol_store *store, const ol_digest *diff_id, ol_error *err);
/* lazy/lock: held while a payload or its state is made, and while a loss is found out; closing *out
 * unlocks. */
int ol_lazy_lock(ol_store *store, int *out, ol_error *err);
/* Has the worker look for lazy layers; without a holder nothing happens (false). */
bool ol_lazy_wake(ol_store *store);

/* A layer that was mounted and incomplete when its holder was lost, and who used it. */
typedef struct ol_lazy_loss {
	ol_digest diff_id;
	const char *user_id; /* a container's or mount's; lent */
	bool zeros; /* what it read since may be zeros (fanotify); else reading fails (fuse) */
} ol_lazy_loss;
/* A holder of this boot is gone, and no worker goes on for it, while incomplete layers were
 * mounted. Detaches those mounts, drops what is cached, and calls with each container or mount that
 * uses one; then it is forgotten here. Nothing lost: no call. */
int ol_lazy_lost(ol_store *store, void (*call)(void *ctx, const ol_lazy_loss *loss), void *ctx,
	ol_error *err);
