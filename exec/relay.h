#pragma once

/*
 * What passes between the user and a running container: bytes, signals, the terminal's size. One
 * loop over poll:
 *
 *	our stdin ──▶ container's stdin      signal to us ──▶ process 1
 *	container's stdout, stderr ──▶ ours  SIGWINCH     ──▶ size of its terminal
 */
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

typedef struct ol_relay {
	int pid_fd;      /* process 1 */
	int signal_fd;   /* what ol_relay_block made */
	int terminal_fd; /* near end; -1 without one. Then: */
	/* to write the container's stdin; -1: it has none. The relay closes it at end of file */
	int stdin_fd;
	int stdout_fd, stderr_fd; /* to read. The relay closes them when nobody reads ours */
	bool read_stdin;
	int log_fd; /* -1, or what gets all output too */
} ol_relay;

/* Blocks what is to be forwarded and gives a signalfd for it. *before is for ol_relay_unblock. */
int ol_relay_block(sigset_t *before, int *signal_fd, ol_error *err);
/* Back to before. A SIGPIPE of our own making, from a reader of our output that went away, is
 * dropped. */
void ol_relay_unblock(const sigset_t *before);
/* Until process 1 has ended and all it wrote has been passed on. */
int ol_relay_run(ol_relay *relay, ol_error *err);
