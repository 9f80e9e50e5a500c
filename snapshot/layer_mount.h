#pragma once

/*
 * The mounts of layers under the run dir, <run dir>/layers/<hex of key>, which their users share. A
 * driver that has to mount something for lower() mounts it exactly there, unless it is there
 * already, and gives out a descriptor of its root. Who uses it is recorded here, and the last
 * user's end unmounts it.
 *
 * Invariants:
 *   1. A user's rows come before its mounts and go before they are taken away: a crash leaves rows
 *      without mounts or mounts without rows, never a user without rows. A sweep removes both.
 *   2. Adding, ending and sweeping happen under one lock of the run dir.
 *   3. A mount taken away under a running container does no harm: overlayfs keeps its own. Only
 *      sharing is lost.
 */
#include "snapshot/driver.h"

/* "layers/<hex>", relative to ol_store_run_fd. */
typedef struct ol_layer_mount_name {
	char text[8 + OL_DIGEST_TEXT_MAX];
} ol_layer_mount_name;
ol_layer_mount_name ol_layer_mount_name_of(const ol_digest *key);

typedef struct ol_layer_mount_options {
	const ol_layer_info *layers; /* all mountable: those that lean are there as chains */
	size_t count;
	const char *user_id;
	bool held; /* user_id has its rows already */
} ol_layer_mount_options;

/* Records user_id as user of the layers, mounts those that are not mounted, and gives a descriptor
 * of each layer's root: fds has room for count, and the caller closes them (-1 on failure, and then
 * the user has no rows). fds may be NULL. */
int ol_layer_mounts_begin(
	ol_store *store, const ol_layer_mount_options *options, int *fds, ol_error *err);
/* Drops the user's rows and unmounts what nobody else uses. A user without rows is fine. */
int ol_layer_mounts_end(ol_store *store, const char *user_id, ol_error *err);
/* Takes a layer's mount away whoever uses it, so that the next user gets a new one. */
int ol_layer_mount_drop(ol_store *store, const ol_digest *key, ol_error *err);
/* Drops the rows of users that are gone, and unmounts what nobody uses. */
int ol_layer_mounts_sweep(ol_store *store, ol_error *err);
