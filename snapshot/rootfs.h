#pragma once

/*
 * Root file systems: layers stacked with overlayfs.
 *
 * A layer in use has one mount, <run dir>/layers/<key>, made by its first user and shared by the others (only so they share the
 * page cache); the last user removes it, else the next command or gc does. Users are rows in store/use.h.
 */
#include "snapshot/driver.h"

typedef struct ol_rootfs_options {
	const ol_layer_info *layers; /* bottom first; may be none */
	size_t count;
	const char *user_id; /* container or mount id: recorded as user of the layers */
	int state_fd;        /* containers/<id>/: holds upper/ and work/ (writable), or root/ (read-only); lent */
	bool writable;
	bool userxattr;
	const char *target;  /* absolute path of a directory to mount on */
} ol_rootfs_options;

/* Mounts. upper/ (or root/) gets the attributes the layers give to "/". *note (or NULL) is one owned line worth telling, e.g. that upper
 * and work lie on a tmpfs because the store's file system takes no overlay upper. */
int ol_rootfs_mount(ol_store *store, const ol_rootfs_options *options, char **note, ol_error *err);
/* Makes sure all layers are mounted under the run root and recorded, without the overlay: to be done in the host's mount namespace before
 * a private one is entered. ol_rootfs_mount does it too if it was not done. */
int ol_rootfs_hold(ol_store *store, const ol_rootfs_options *options, ol_error *err);
/* Unmounts target (which may be gone already) and gives up the layers; those nobody uses are unmounted. */
int ol_rootfs_unmount(ol_store *store, const char *user_id, const char *target, ol_error *err);
/* Unmounts layers under the run root that no live user holds: after crashes. Called by gc and at the start of commands that mount. */
int ol_rootfs_sweep(ol_store *store, ol_error *err);
