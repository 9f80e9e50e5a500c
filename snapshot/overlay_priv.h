#pragma once

/*
 * One overlay mount from descriptors of its directories.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/idmap.h"

typedef struct ol_overlay_options {
	const int *lowers; /* lent; top first; directories open for reading, not O_PATH */
	size_t count;      /* at least 1, at most 500; without an upper at least 2 */
	int upper, work;   /* lent; -1: read-only */
	bool read_only;    /* in spite of an upper */
	bool guarded;      /* nosuid, nodev */
	bool userxattr;
	bool old_mount;     /* mount(2) at once */
	const char *source; /* what the mount is called; NULL: "orlop" */
	const char *target;
} ol_overlay_options;

/* OL_EUNSUPPORTED: the kernel has no overlayfs, or takes none of these directories (EINVAL). */
int ol_overlay_mount(const ol_overlay_options *options, ol_error *err);
/* The same without a place: *fd is its root, and it goes with it. The target is used in between
 * where the kernel knows only mount(2). */
int ol_overlay_make(const ol_overlay_options *options, int *fd, ol_error *err);
/*
 * The same, with owners as the map has them, of lowers, of the upper, and of what is written. upper
 * and work are the directories upper_name and "work" of place_fd. OL_EUNSUPPORTED: the hint says
 * what it takes; OL_EINVAL: the kernel does not take the map.
 */
int ol_overlay_mount_mapped(const ol_overlay_options *options, int place_fd, const char *upper_name,
	const ol_idmap *map, ol_error *err);
