#pragma once

/*
 * Uses: containers and mounts, rows that keep an image from being collected and say which layers
 * are mounted.
 */
#include <sys/types.h>

#include "store/store.h"

typedef enum ol_container_state {
	OL_CONTAINER_CREATED,
	OL_CONTAINER_RUNNING,
	OL_CONTAINER_EXITED,
} ol_container_state;

/* Strings are owned by the struct when it came from the store; lent when it goes in. */
typedef struct ol_container_info {
	char *id;                           /* 64 hex digits */
	char *name;                         /* unique */
	char *image;                        /* as the user typed it */
	ol_digest root, config;             /* manifest, and image ID */
	char *command;                      /* for ps */
	int64_t created, started, finished; /* Unix seconds, 0 if not yet */
	/* a RUNNING row whose process is gone is shown as EXITED with status 255 */
	ol_container_state state;
	int exit_status;
	pid_t pid; /* of the supervising orlop */
	/* its start time in clock ticks since boot, so that a reused pid is not taken for it */
	uint64_t pid_start;
	char *boot_id;
	bool remove_on_exit;
} ol_container_info;

int ol_container_add(ol_store *store, const ol_container_info *info,
	ol_error *err); /* OL_EEXISTS: the name is taken */
int ol_container_update(ol_store *store, const ol_container_info *info, ol_error *err);
/* By id, unique id prefix, or name. OL_ENOTFOUND; OL_EINVAL when a prefix means several. */
int ol_container_get(ol_store *store, const char *name, ol_container_info *out, ol_error *err);
void ol_container_info_done(ol_container_info *info);
int ol_container_remove(ol_store *store, const char *id,
	ol_error *err); /* the row; the caller removed the folder */
/* Newest first. */
int ol_container_each(ol_store *store,
	int (*call)(void *ctx, const ol_container_info *info, ol_error *err), void *ctx,
	ol_error *err);
/* The container's folder containers/<id>/, made if needed. */
int ol_container_dir(ol_store *store, const char *id, int *dir_fd, ol_error *err);
bool ol_process_alive(pid_t pid, uint64_t start);
uint64_t ol_process_start(pid_t pid); /* 0 if there is none */

/* A mount: an image made visible at a path for others. */
typedef struct ol_mount_info {
	char *id;     /* 64 hex digits: its folder is containers/<id>/ */
	char *target; /* absolute */
	char *image;
	ol_digest root, config;
	bool writable;
	bool bundle;   /* the root file system of a bundle */
	int64_t users; /* how often it was asked for and not given up; 0: ended, what was written is
			  kept */
	int64_t created;
	char *boot_id;
	uint64_t mount_namespace; /* inode of the namespace it is mounted in; 0: not known */
	char *idmap; /* ol_idmap_format of how owners are shown; "" or NULL: as they are */
} ol_mount_info;

/* OL_EEXISTS: another mount has the target. */
int ol_mount_add(ol_store *store, const ol_mount_info *info, ol_error *err);
/* Users, boot, namespace, idmap: what changes of a mount. OL_ENOTFOUND. */
int ol_mount_update(ol_store *store, const ol_mount_info *info, ol_error *err);
int ol_mount_get(ol_store *store, const char *target_or_image, ol_mount_info *out, ol_error *err);
void ol_mount_info_done(ol_mount_info *info);
int ol_mount_remove(ol_store *store, const char *id, ol_error *err);
int ol_mount_each(ol_store *store, int (*call)(void *ctx, const ol_mount_info *info, ol_error *err),
	void *ctx, ol_error *err);

/* Which layers a container or mount holds mounted under the run root: the last user's end unmounts
 * them. */
int ol_use_add(
	ol_store *store, const char *user_id, const ol_digest *keys, size_t count, ol_error *err);
/* Calls with each user of a layer, until one refuses. */
int ol_use_each(ol_store *store, const ol_digest *key,
	int (*call)(void *ctx, const char *user_id, ol_error *err), void *ctx, ol_error *err);
/* Drops the user's rows; unused lists the keys that nobody uses any more (at most count; returns
 * how many). */
int ol_use_end(
	ol_store *store, const char *user_id, ol_digest **unused, size_t *count, ol_error *err);
