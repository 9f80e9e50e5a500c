#pragma once

/* What a bundle says, for those who write it (bundle.c), print it (bundle_json.c) and live it
 * (launch.c and its parts). */
#include <sys/types.h>

#include "base/alloc.h"
#include "exec/bundle.h"
#include "exec/rlimit.h"
#include "exec/seccomp.h"
#include "exec/user.h"

typedef struct ol_bundle_mount {
	const char *target; /* absolute, in the container */
	const char *type;   /* "proc", "tmpfs", "bind", "cgroup", … */
	const char *source;
	const char *const
		*options; /* as runtime-spec has them: "nosuid", "ro", "mode=755"; ended by NULL */
	bool asked;       /* by the user, not by default */
} ol_bundle_mount;

typedef struct ol_bundle_device {
	const char *path; /* below /dev */
	char type;        /* 'c' or 'b' */
	unsigned major, minor;
	mode_t mode;
	uint32_t uid, gid;
} ol_bundle_device;

typedef struct ol_bundle_limits {
	uint64_t memory_bytes, memory_swap_bytes; /* 0: none; swap counts both, UINT64_MAX: any */
	uint64_t nano_cpus, cpu_shares;           /* 0: none */
	int64_t pids;                             /* 0: none */
} ol_bundle_limits;

struct ol_bundle {
	ol_arena *arena; /* owned; all text below is its, or static */
	const char *id, *rootfs_path, *hostname, *files_dir, *cwd;
	const char *const *args;
	const char *const *env;
	ol_user user;          /* owned */
	uint64_t capabilities; /* the bounding set; permitted and effective too when uid is 0 */
	ol_seccomp *seccomp;   /* owned; NULL: unconfined */
	ol_rlimit *rlimits;    /* the arena's */
	size_t rlimit_count;
	ol_bundle_mount *mounts; /* owned; in the order they are made */
	size_t mount_count, mount_cap;
	ol_bundle_device *devices; /* owned; beside the default ones */
	size_t device_count, device_cap;
	/* the user namespace orlop itself is in: the arena's; NULL: the initial one */
	const struct ol_userns *here;
	const char *ping_groups; /* net.ipv4.ping_group_range of a network of its own */
	const char *note;        /* NULL, or what is done without, in one line */
	ol_bundle_limits limits;
	ol_network network;
	const ol_idmap *idmap; /* the arena's; NULL: no user namespace */
	bool tty, interactive, init, read_only, privileged, no_new_privileges;
	bool for_runtime; /* --init needs a file then */
};

/* Docker's masked and read-only paths; ended by NULL. */
extern const char *const ol_bundle_masked[];
extern const char *const ol_bundle_read_only[];
/* The devices every container has, ended by a NULL path. */
extern const ol_bundle_device ol_bundle_default_devices[];
