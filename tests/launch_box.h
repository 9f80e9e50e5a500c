#pragma once

/* A tiny root file system of busybox, and containers in it, each in a process of its own with pipes
 * or a terminal. */
#include <stdbool.h>
#include <sys/types.h>

#include "exec/launch.h"

typedef struct launch_box {
	char path[64]; /* holds root/ and bundle/ */
	int dir_fd, root_fd;
	const char *runtime; /* NULL: ours */
} launch_box;

typedef struct launch_run {
	pid_t pid; /* the process that calls ol_launch */
	/* to its stdin; from its stdout and stderr. With a terminal both are its near end */
	int in, out;
	char text[65536]; /* what it said so far */
	size_t size;
	int status; /* after launch_end: 125 when ol_launch failed */
} launch_run;

/* False when it cannot be: no root, no busybox. Says which. */
bool launch_box_init(launch_box *box);
void launch_box_done(launch_box *box);
/* Starts sh -c SCRIPT, or options->args where they are given. */
void launch_begin(const launch_box *box, const ol_container_options *options, const char *script,
	bool terminal, launch_run *run);
/* Reads until the text holds these words (fails the test when it ends before). */
void launch_await(launch_run *run, const char *words);
/* Closes stdin, reads to the end, waits. */
void launch_end(launch_run *run);
/* All in one, without a terminal. */
void launch_sh(const launch_box *box, const ol_container_options *options, const char *script,
	launch_run *run);
