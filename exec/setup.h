#pragma once

/*
 * What the child does between clone and exec: from a process in new namespaces to the last stage
 * inside the container's root. Nothing here allocates; whatever fails is told over the report pipe.
 */
#include <sys/ioctl.h>

#include "exec/bundle_priv.h"
#include "exec/cgroup.h"

typedef struct ol_setup {
	const ol_bundle *bundle;
	const ol_cgroup *cgroup;
	const char *rootfs_path;
	int go_fd;     /* one byte: the parent is done with its part */
	int report_fd; /* struct ol_stage_report, or nothing once the program runs */
	int stage_fd, plan_fd;
	int terminal_fd; /* a socket that takes the near end of the terminal; -1 without one */
	int stdio[3];    /* ends of pipes, or /dev/null; not looked at with a terminal */
	struct winsize size;
	bool no_devices;
} ol_setup;

/* Never returns. */
void ol_setup_run(const ol_setup *setup) __attribute__((noreturn));
