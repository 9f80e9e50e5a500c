#pragma once

/*
 * The last stage of a container's start is a small program of its own (exec/stage/), run from a
 * sealed memory file: at the moment the image's program is started, /proc/self/exe is that file and
 * never orlop. Otherwise an image whose entry point is /proc/self/exe, as a symlink, an interpreter
 * or a loader, would get hold of the host's orlop (CVE-2019-5736).
 *
 * The plan is what it is to become, in one piece of memory: this struct, then at once behind each
 * other
 *
 *	uint32_t groups[group_count]
 *	struct sock_filter filter[filter_count]
 *	arg_count strings, env_count strings, each ended by a NUL
 */
#include <stdint.h>

#define OL_STAGE_PLAN_FD   3
#define OL_STAGE_REPORT_FD 4
#define OL_STAGE_MAGIC     0x6f6c7031U /* "olp1" */

enum {
	OL_STAGE_INIT = 1, /* stay as process 1: forward signals, reap */
	OL_STAGE_NO_NEW_PRIVILEGES = 2,
	OL_STAGE_KEEP_GROUPS = 4, /* a user namespace that forbids setgroups */
};

typedef struct ol_stage_plan {
	uint32_t magic, flags;
	uint32_t uid, gid;
	uint32_t group_count, filter_count, arg_count, env_count;
	uint64_t bounding;  /* capabilities */
	uint64_t permitted; /* and effective; for uid 0 */
} ol_stage_plan;

/* What comes back over the report pipe when the container's program could not be started. */
typedef struct ol_stage_report {
	int32_t status; /* 125: ours; 126, 127: as docker has them */
	int32_t sys;    /* errno, or 0 */
	char text[240]; /* ended by a NUL */
} ol_stage_report;

_Static_assert(sizeof(ol_stage_plan) == 48, "no padding");
_Static_assert(sizeof(ol_stage_report) == 248, "a pipe takes it in one piece");
