#pragma once

#include "image/expose.h"
#include "image/run.h"
#include "image/session_priv.h"
#include "snapshot/rootfs.h"

/* 64 random hex digits and a NUL. */
typedef struct ol_use_id {
	char text[65];
} ol_use_id;
int ol_use_id_new(ol_use_id *out, ol_error *err);
/* A name for people, "steady_capstan", made from the id. */
char *ol_container_name_of(const char *id);

/* An image's layers, ready to be mounted, and the folder of whoever mounts them. */
typedef struct ol_staging {
	ol_layer_stack stack;
	int dir_fd;            /* containers/<id>/ */
	char *dir;             /* owned: its absolute path */
	char *rootfs;          /* owned: where the root is mounted */
	bool held;             /* the layers are mounted under the run root, in our name */
	const char *source;    /* lent; what the mount is called, NULL: as containers' are */
	const ol_idmap *idmap; /* lent; how owners are shown, NULL: as they are */
} ol_staging;
/* rootfs NULL: <dir>/rootfs. */
int ol_staging_open(ol_session *session, const char *id, const ol_config *config,
	const char *rootfs, ol_staging *out, ol_error *err);
/* mode: writable or not. The note, if any, is told to the listener. */
int ol_staging_hold(
	ol_session *session, ol_staging *stage, const char *id, bool writable, ol_error *err);
int ol_staging_mount(
	ol_session *session, ol_staging *stage, const char *id, bool writable, ol_error *err);
void ol_staging_done(ol_staging *stage);
/* A mount namespace of our own: nothing that is mounted from here on is seen outside, or left
 * behind. *host_fd leads back, and leave takes it. */
int ol_staging_enter(int *host_fd, ol_error *err);
int ol_staging_leave(int host_fd, ol_error *err);

/* A mount that was made: its row, and what lies under it. */
typedef struct ol_mounted {
	ol_mount_info info; /* owned strings */
	ol_staging staging;
} ol_mounted;
void ol_mounted_done(ol_mounted *mounted);
/* Makes an image visible at options->dir, a directory that exists or whose parent does, and records
 * it. Under ol_mounts_lock, as is the next one. */
int ol_mount_image(ol_session *session, const ol_image *image, const ol_expose_options *options,
	bool bundle, ol_mounted *out, ol_error *err);
/* Unmounts, and forgets all of it unless it was written into and remove is not asked for. */
int ol_unmount_image(ol_session *session, const ol_mount_info *info, ol_mount_state state,
	bool remove, ol_error *err);
/* Whether its upper holds anything; when in doubt it does. */
bool ol_mount_was_written(ol_session *session, const ol_mount_info *info);
