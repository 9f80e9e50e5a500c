#pragma once

/*
 * The container's mounts, made in its own mount namespace before its root becomes "/". Every mount
 * is first made detached (fsopen, open_tree) and then moved onto a target opened beneath the root,
 * so no path is ever looked up twice. Called between clone and exec: nothing here allocates.
 */
#include "exec/bundle_priv.h"
#include "exec/cgroup.h"

typedef struct ol_mounts_input {
	const ol_bundle *bundle;
	const ol_cgroup *cgroup;
	int root_fd;     /* the root, mounted in this namespace */
	bool no_devices; /* nothing else guards devices: none of the root's may be opened */
} ol_mounts_input;

/* All of the bundle's mounts, in order. *pts_fd: the new devpts, -1 where the bundle has none; the
 * caller's. */
int ol_mounts_make(const ol_mounts_input *input, int *pts_fd, ol_error *err);
/* Docker's masked and read-only paths, the read-only root; after the last file of the root was
 * made. */
int ol_mounts_close(const ol_mounts_input *input, ol_error *err);
/* The terminal's far end at /dev/console. */
int ol_mounts_console(const ol_mounts_input *input, int terminal_fd, ol_error *err);
