#pragma once

/*
 * What became of mounts that the store has rows of. Nothing of orlop stays behind to watch over
 * them: whether one is there is asked of the kernel each time.
 */
#include "snapshot/mountinfo.h"
#include "store/use.h"

typedef enum ol_mount_state {
	OL_MOUNT_MOUNTED,
	OL_MOUNT_HIDDEN,    /* and something else is mounted over it */
	OL_MOUNT_ELSEWHERE, /* in another mount namespace, where we cannot look */
	OL_MOUNT_UNMOUNTED, /* by `orlop umount`, which kept what was written */
	OL_MOUNT_GONE,      /* with a reboot, or by another's umount */
} ol_mount_state;
const char *ol_mount_state_name(ol_mount_state state); /* "mounted" … */

/* The kernel's list, read once. */
typedef struct ol_mount_view {
	ol_buf text; /* owned */
	uint64_t mount_namespace;
	const char *boot_id; /* the store's */
} ol_mount_view;
int ol_mount_view_open(ol_store *store, ol_mount_view *out, ol_error *err);
void ol_mount_view_done(ol_mount_view *view);
ol_mount_state ol_mount_view_state(const ol_mount_view *view, const ol_mount_info *info);

/* What a mount is called in the kernel's list, by its id. */
typedef struct ol_mount_source {
	char text[24];
} ol_mount_source;
ol_mount_source ol_mount_source_of(const char *id);

/* Held while mounts come and go: a row without a mount means something only to its holder. *fd
 * unlocks when it is closed. OL_EBUSY: it is held, and wait is false. Before layers.lock. */
int ol_mounts_lock(ol_store *store, bool wait, int *fd, ol_error *err);
