#pragma once

/*
 * The minimal launcher: namespaces, mounts, pivot_root, capabilities, seccomp, limits, cgroup,
 * terminal, signals. And the other way: handing the same bundle to an OCI runtime.
 */
#include "base/event.h"
#include "exec/bundle.h"

typedef struct ol_launch_options {
	const char *id;
	const char *rootfs_path; /* absolute, already mounted (in this mount namespace) */
	const char *bundle_path; /* absolute: folder with config.json and the files */
	const char *run_dir;     /* absolute: for a runtime's state (--root) and sockets */
	const char *runtime;     /* NULL: ours; else "crun", "runc", or a path */
	bool tty, interactive;
	int log_fd; /* -1, or what gets the container's output too; not with a runtime */
	const ol_listener *listener; /* hears what is done without: no cgroup, say; may be NULL */
} ol_launch_options;

/* Runs to the end in the foreground: forwards signals, the terminal and its size, stdin. *status is
 * the exit status as docker shows it (128 + signal); a program that cannot be started is 126 or 127
 * with OL_OK and the reason in err. A failure of ours is negative. */
int ol_launch(
	const ol_bundle *bundle, const ol_launch_options *options, int *status, ol_error *err);

/* Takes away what a launcher that was killed left behind for this id: its cgroups, with every
 * process in them. */
void ol_launch_clean(const char *id);
