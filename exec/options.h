#pragma once

/* What a user asks of a container: the flags of `run` that shape a bundle, parsed by cmd/, read by
 * exec/bundle.c. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/idmap.h"

typedef struct ol_mount_option {
	const char *type;   /* "bind", "tmpfs" */
	const char *source; /* absolute, for bind */
	const char *target; /* absolute, in the container */
	bool read_only;
	/* more mount options, comma separated: "rprivate,size=64m,mode=1777"; or "" */
	const char *options;
	bool create_source; /* -v makes a missing source directory, --mount refuses it */
} ol_mount_option;

typedef struct ol_ulimit {
	const char *name;    /* "nofile" */
	uint64_t soft, hard; /* UINT64_MAX: unlimited */
} ol_ulimit;

typedef enum ol_network {
	OL_NETWORK_NONE, /* a namespace with loopback up */
	OL_NETWORK_HOST,
} ol_network;

/* All lent. Lists of strings are ended by NULL; NULL is an empty list. */
typedef struct ol_container_options {
	const char *const *args; /* command after the image, or NULL: the image's */
	/* --entrypoint: one word, or {""} to clear the image's; NULL: the image's */
	const char *const *entrypoint;
	const char *const *env; /* "KEY=VALUE", or "KEY": ours; --env-file came first */
	const char *user;       /* -u, or NULL */
	const char *const *group_add;
	const char *working_dir; /* -w, or NULL */
	const char *hostname;    /* or NULL: the short id */
	bool tty, interactive, init, read_only, privileged, no_new_privileges;
	const char *const *cap_add, *const *cap_drop; /* "NET_ADMIN", "CAP_NET_ADMIN", "ALL" */
	/* --security-opt seccomp=: "unconfined", a profile's path, or NULL: ours */
	const char *seccomp;
	const char *const *security_opts; /* as typed, for what is refused by name */
	const ol_mount_option *mounts;
	size_t mount_count;
	const ol_ulimit *ulimits;
	size_t ulimit_count;
	uint64_t memory_bytes, memory_swap_bytes; /* 0: no limit */
	uint64_t nano_cpus;                       /* --cpus 1.5 = 1500000000; 0: no limit */
	uint64_t cpu_shares;
	int64_t pids_limit; /* 0: not said; -1: no limit */
	uint64_t shm_bytes; /* 0: 64 MiB */
	ol_network network;
	/* a user namespace with these ids, for another runtime to make: NULL: none */
	const ol_idmap *idmap;
} ol_container_options;
