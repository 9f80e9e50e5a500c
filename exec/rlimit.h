#pragma once

/* Resource limits: --ulimit's names, and which of them can be had. */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "exec/options.h"

typedef struct ol_rlimit {
	const char *name; /* "RLIMIT_NOFILE"; static */
	int resource;
	uint64_t soft, hard; /* UINT64_MAX: unlimited */
} ol_rlimit;

/*
 * "nofile" and two numbers → what setrlimit takes. OL_EINVAL, by name: no such limit, soft above
 * hard, or a hard limit above our own, which only a process with CAP_SYS_RESOURCE may raise.
 */
int ol_rlimit_choose(const ol_ulimit *asked, ol_rlimit *out, ol_error *err);
