#pragma once

/*
 * Images made visible at a path, for programs that are not orlop: `mount`, `umount`, `mounts`, and
 * the root file systems of bundles. Nothing of orlop keeps running for a mount; the kernel holds it
 * until it is ended, or the machine is.
 */
#include "base/idmap.h"
#include "image/session.h"
#include "snapshot/mount_state.h"

typedef struct ol_expose_options {
	const char *image;
	const char *dir; /* a directory that exists; NULL: one under the run root */
	const ol_platform *platform;
	const ol_idmap *idmap; /* NULL or empty: owners as they are */
	bool writable;
} ol_expose_options;

/*
 * mount IMAGE [DIR]: *path (owned) is where. An image that is there already, in the same way, gets
 * one more user. A writable mount that was ended, or went with a reboot, goes on with what was
 * written. OL_EBUSY: something else of orlop's is at dir.
 */
int ol_expose(ol_session *session, const ol_expose_options *options, char **path, ol_error *err);

typedef struct ol_unexpose_options {
	bool force;  /* whoever else uses it */
	bool remove; /* what was written goes too; of a bundle it always does */
} ol_unexpose_options;
/* By target, id, the bundle's folder or the image's name. One user less; with the last one, or
 * force, it is unmounted. *left: how many users there still are. OL_ENOTFOUND, OL_EBUSY. */
int ol_unexpose(ol_session *session, const char *name, const ol_unexpose_options *options,
	int64_t *left, ol_error *err);

/* Newest first. */
int ol_list_mounts(ol_session *session,
	int (*call)(void *ctx, const ol_mount_info *info, ol_mount_state state, ol_error *err),
	void *ctx, ol_error *err);
/* Forgets mounts that are gone, except for those somebody wrote into; then gives up the layers of
 * users that are gone. Waits for nobody. */
int ol_sweep_mounts(ol_session *session, ol_error *err);
