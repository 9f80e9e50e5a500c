#pragma once

/*
 * Idmapped mounts (mount_setattr(2), MOUNT_ATTR_IDMAP): a directory whose files show other owners
 * than are written on the disk, and take them back when they are made. Linux 5.19 stacks them with
 * overlayfs.
 */
#include "base/idmap.h"

/* A user namespace with the map, for nothing but the kernel to read it from: *fd keeps it.
 * OL_EUNSUPPORTED: no user namespaces here; OL_EINVAL: the kernel takes no such map. */
int ol_idmap_namespace(const ol_idmap *map, int *fd, ol_error *err);
/* A mount of the directory dir_fd that shows its files' owners as the namespace's ids are outside:
 * *tree is its root (O_PATH), mounted nowhere, and goes when the descriptor is closed unless it was
 * moved to a place. OL_EUNSUPPORTED: the kernel, or the directory's file system, has no such
 * mounts. */
int ol_idmap_tree(int dir_fd, int namespace_fd, int *tree, ol_error *err);
