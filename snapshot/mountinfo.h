#pragma once

/*
 * The mounts of this mount namespace, as /proc/self/mountinfo lists them (proc(5)): whether what a
 * row of the store says is mounted still is.
 */
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

typedef struct ol_mount_line {
	uint64_t id, parent;
	ol_view target; /* escaped: spaces, tabs, newlines and backslashes as \ooo */
	ol_view type;
	ol_view source; /* escaped */
} ol_mount_line;

typedef enum ol_mount_seen {
	OL_MOUNT_ABSENT,
	OL_MOUNT_THERE,
	OL_MOUNT_COVERED, /* there, and something else is mounted on it */
} ol_mount_seen;

/* The whole list. OL_ELIMIT: past 64 MiB. */
int ol_mountinfo_read(ol_buf *out, ol_error *err);
#define OL_MOUNTINFO_BYTES_MAX ((size_t)64 << 20) /* 100,000 mounts of 500 bytes */
/* The next line of *rest, which moves behind it; lines that make no sense are passed over. false at
 * the end. Views point into the text. */
bool ol_mountinfo_next(ol_view *rest, ol_mount_line *out);
/* Whether an overlay called source is mounted exactly on target. */
ol_mount_seen ol_mountinfo_find(ol_view text, const char *target, const char *source);
/* The inode of this process's mount namespace, which tells namespaces apart while they last; 0 if
 * it cannot be known. */
uint64_t ol_mount_namespace(void);
