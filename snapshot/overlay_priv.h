#pragma once

/*
 * One overlay mount from descriptors of its directories.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct ol_overlay_options {
	const int *lowers; /* lent; top first; directories open for reading, not O_PATH */
	size_t count;      /* at least 1, at most 500; without an upper at least 2 */
	int upper, work;   /* lent; -1: read-only */
	bool read_only;    /* in spite of an upper */
	bool guarded;      /* nosuid, nodev */
	bool userxattr;
	bool old_mount; /* mount(2) at once */
	const char *target;
} ol_overlay_options;

/* OL_EUNSUPPORTED: the kernel has no overlayfs, or takes none of these directories (EINVAL). */
int ol_overlay_mount(const ol_overlay_options *options, ol_error *err);
