#pragma once

/*
 * A container's control groups: one below each hierarchy of cgroup v1, or one of v2, always
 * "orlop/<id>". On a hybrid host, where v1 has the controllers, the group in v2 only has the name,
 * as with Docker.
 *
 *	new      makes the groups and sets the limits
 *	enter    moves the first process in
 *	free     kills what is left, and removes them
 */
#include <stdbool.h>
#include <sys/types.h>

#include "exec/bundle_priv.h"

typedef enum ol_cgroup_kind {
	OL_CGROUP_NONE, /* nothing is mounted, or nothing can be made */
	OL_CGROUP_V1,
	OL_CGROUP_V2,
} ol_cgroup_kind;

typedef struct ol_cgroup ol_cgroup;

/* What the host has, from /proc/self/mountinfo; *hybrid when v1 has company of v2. */
int ol_cgroup_detect(ol_cgroup_kind *out, bool *hybrid, ol_error *err);

/*
 * Makes the groups and sets the bundle's limits. Where none can be made and no limit is asked for,
 * this is OL_OK with kind OL_CGROUP_NONE and the reason in note; with a limit it is
 * OL_EUNSUPPORTED. In a user namespace none is made.
 */
int ol_cgroup_new(
	const ol_bundle *bundle, ol_cgroup **out, char *note, size_t note_size, ol_error *err);
void ol_cgroup_free(ol_cgroup *cgroup);
OL_DEFINE_AUTO(ol_cgroup, ol_cgroup_free)

/* Takes away the groups of this id, whoever made them; what runs in them is killed. */
void ol_cgroup_remove(const char *id);
/* Takes away the empty parents that another runtime leaves behind. */
void ol_cgroup_sweep(void);

ol_cgroup_kind ol_cgroup_is(const ol_cgroup *cgroup);
/* Whether devices are kept from the container by its group; if not, the launcher has to do it by
 * other means. */
bool ol_cgroup_guards_devices(const ol_cgroup *cgroup);
int ol_cgroup_enter(const ol_cgroup *cgroup, pid_t pid, ol_error *err);

/* The hierarchies of v1, for the container's view of itself. */
typedef struct ol_cgroup_view {
	const char *name; /* below /sys/fs/cgroup: "memory", "cpu,cpuacct" */
	const char *dir;  /* the container's own group, on the host */
} ol_cgroup_view;
const ol_cgroup_view *ol_cgroup_views(const ol_cgroup *cgroup, size_t *count);
