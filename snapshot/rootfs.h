#pragma once

/*
 * Root file systems: layers stacked with overlayfs.
 *
 *	upper, or read-only an empty directory   with what the layers say of "/" itself
 *	layer n … layer k                        k: the topmost one with an opaque root, else 1
 *
 * A layer in use has one mount, which all its users share: snapshot/layer_mount.h.
 */
#include "base/idmap.h"
#include "snapshot/driver.h"

typedef struct ol_rootfs_options {
	const ol_layer_info *layers; /* bottom first, all mountable; may be none */
	size_t count;
	const char *user_id; /* container or mount id: recorded as user of the layers */
	int state_fd; /* containers/<id>/, lent: holds upper/ and work/, or root/ (read-only) */
	bool writable;
	bool userxattr;
	const char *target; /* absolute path of a directory to mount on */
	/* ol_rootfs_hold was done: no row is written, and a private mount namespace may have been
	 * entered since */
	bool held;
	bool guarded;       /* nosuid and nodev: for a mount that others than a container see */
	const char *source; /* what the mount is called in mountinfo; NULL: "orlop" */
	const ol_idmap
		*idmap; /* owners are shown, and what is written kept, so; NULL: as they are */
	bool old_mount; /* mount(2) even where the kernel has the newer calls: for tests */
} ol_rootfs_options;

/*
 * Mounts on target, in the caller's mount namespace. A new upper/ (or root/) gets the attributes
 * the layers give to "/"; one that is there is used as it is. *note (or NULL) is one owned line
 * worth telling: that upper and work lie on a tmpfs because the store's file system takes no
 * overlay upper. On failure nothing is left mounted or recorded but what a hold before did.
 * OL_EUNSUPPORTED: no overlayfs here, or no idmapped mounts.
 */
int ol_rootfs_mount(ol_store *store, const ol_rootfs_options *options, char **note, ol_error *err);
/* Makes sure all layers are mounted under the run dir and recorded, without the overlay: to be done
 * in the host's mount namespace before a private one is entered, for that is where later commands
 * look. ol_rootfs_mount does it unless told that it was done. */
int ol_rootfs_hold(ol_store *store, const ol_rootfs_options *options, ol_error *err);
/* Unmounts target (NULL, or gone already, is fine) and gives up the layers; those nobody uses are
 * unmounted. */
int ol_rootfs_unmount(ol_store *store, const char *user_id, const char *target, ol_error *err);
/* Gives up the layers of containers and mounts that are gone, and unmounts what nobody uses: after
 * crashes. Called by gc and at the start of commands that mount. */
int ol_rootfs_sweep(ol_store *store, ol_error *err);
