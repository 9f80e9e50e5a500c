#pragma once

/* runtime-spec's mount options: flags of the mount, propagation, and what is left for the file
 * system itself. */
#include <stdbool.h>
#include <stdint.h>

typedef enum ol_mount_option_kind {
	OL_MOUNT_ATTRIBUTE,   /* set or clear bits of MOUNT_ATTR_* */
	OL_MOUNT_PROPAGATION, /* MS_PRIVATE or MS_SLAVE */
	OL_MOUNT_BIND,        /* recursive or not */
	OL_MOUNT_DATA,        /* the file system's own */
} ol_mount_option_kind;

typedef struct ol_mount_flags {
	uint64_t set, clear, propagation;
	bool recursive;
} ol_mount_flags;

/* Adds one option to the flags, and says what it was; OL_MOUNT_DATA leaves them alone. */
ol_mount_option_kind ol_mount_flags_add(ol_mount_flags *flags, const char *option);
/* All of a list. */
ol_mount_flags ol_mount_flags_of(const char *const *options);
