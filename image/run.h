#pragma once

#include "exec/options.h"
#include "image/session.h"
#include "store/use.h"

typedef enum ol_pull_policy {
	OL_PULL_MISSING,
	OL_PULL_ALWAYS,
	OL_PULL_NEVER,
} ol_pull_policy;

typedef struct ol_run_options {
	const char *image;
	const ol_platform *platform; /* NULL: the host's */
	ol_pull_policy pull;
	const struct ol_lazy_options *lazy; /* if it is pulled: image/lazy.h; or NULL */
	bool remove;                        /* --rm */
	bool record;         /* --record: what a lazy image's start reads becomes its profile */
	const char *name;    /* --name, or NULL: made up */
	const char *runtime; /* NULL: ours */
	const char *cidfile; /* --cidfile: the id is written there; it must not exist. NULL: none */
	ol_container_options container;
} ol_run_options;

/* Runs to the end. *status as in exec/launch.h: 125 is ours and comes as a negative return. */
int ol_run(ol_session *session, const ol_run_options *options, int *status, ol_error *err);

/* ps: newest first. */
int ol_list_containers(ol_session *session, bool all,
	int (*call)(void *ctx, const ol_container_info *info, ol_error *err), void *ctx,
	ol_error *err);
/* `inspect` of a container, in Docker's shape. */
int ol_inspect_container(ol_session *session, const char *name, ol_json **out, ol_error *err);
/* rm: OL_EBUSY when it runs, unless force (which kills it). */
int ol_remove_container(ol_session *session, const char *name, bool force, ol_error *err);

/* bundle REF DIR: config.json and rootfs (mounted, writable) for any OCI runtime; `umount DIR` ends
 * it. */
int ol_make_bundle(
	ol_session *session, const ol_run_options *options, const char *dir, ol_error *err);
