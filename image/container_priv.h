#pragma once

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
	int dir_fd;   /* containers/<id>/ */
	char *dir;    /* owned: its absolute path */
	char *rootfs; /* owned: where the root is mounted */
	bool held;    /* the layers are mounted under the run root, in our name */
	bool guarded; /* nosuid and nodev: others than a container see it */
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

/* Makes an image visible at target (an existing directory, or made) and records it; *stage is the
 * caller's to end, info too. */
int ol_mount_image(ol_session *session, const ol_image *image, const char *text, const char *target,
	bool writable, ol_mount_info *out, ol_staging *stage, ol_error *err);
int ol_unmount_image(ol_session *session, const ol_mount_info *info, ol_error *err);
