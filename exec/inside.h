#pragma once

/*
 * Paths that are meant inside a container's root: every one is resolved by openat2 with
 * RESOLVE_IN_ROOT, so that neither
 * "..", nor an absolute symlink, nor a race with someone who changes the tree can lead outside.
 */
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

/*
 * Opens path beneath root_fd; flags are open's, O_CLOEXEC is added. With no_symlinks, a symlink
 * anywhere on the way is refused. *out is the caller's. OL_ENOTFOUND when it is not there.
 */
int ol_inside_open(
	int root_fd, const char *path, int flags, bool no_symlinks, int *out, ol_error *err);

typedef enum ol_inside_kind {
	OL_INSIDE_DIRECTORY,
	OL_INSIDE_FILE, /* made empty, mode 0644 */
	OL_INSIDE_ANY,  /* what is there; a directory if nothing is */
} ol_inside_kind;

/*
 * The same with O_PATH, making what is missing (directories with mode 0755); symlinks, dangling
 * ones included, are followed as the container would. OL_EINVAL when what is there is of another
 * kind. Allocates nothing.
 */
int ol_inside_make(int root_fd, const char *path, ol_inside_kind kind, int *out, ol_error *err);

/*
 * A regular file's bytes, at most out->max of them (OL_ELIMIT past it). What is not there is
 * OL_ENOTFOUND; what is not a regular file is refused without being opened, because opening a
 * device can do things.
 */
int ol_inside_read(int root_fd, const char *path, ol_buf *out, ol_error *err);
