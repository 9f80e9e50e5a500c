#pragma once

/*
 * The one place that starts other programs. Nothing allocates between fork and exec; the child gets
 * the descriptors 0, 1, 2 it is given and no others, default signal handlers and an empty signal
 * mask.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

typedef struct ol_child_options {
	const char *const *argv;            /* argv[0] is looked up in PATH unless it has a slash */
	const char *const *env;             /* NULL: ours */
	int stdin_fd, stdout_fd, stderr_fd; /* lent; -1: /dev/null; use 0, 1, 2 to pass ours on */
	/* in the child before exec: async-signal-safe; a negative return is a failure */
	int (*prepare)(void *ctx);
	void *ctx;
} ol_child_options;

/* OL_ENOTFOUND when there is no such program. */
int ol_child_start(const ol_child_options *options, pid_t *out, ol_error *err);
/* The exit status, or 128 + signal. */
int ol_child_wait(pid_t pid, int *status, ol_error *err);
/* Runs to the end with input on stdin, stdout into out (its cap holds), stderr dropped. */
int ol_child_run(const char *const *argv, ol_view input, ol_buf *out, int *status, ol_error *err);
/* The same for one that may hang: it is killed after timeout_ms, and that is OL_EUNAVAILABLE. */
int ol_child_run_for(const char *const *argv, ol_view input, ol_buf *out, int *status,
	uint64_t timeout_ms, ol_error *err);
