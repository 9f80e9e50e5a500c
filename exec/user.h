#pragma once

/*
 * Who a container's process is: the forms of image-spec config.md "User", looked up in the
 * container's own /etc/passwd and /etc/group, as Docker does.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/view.h"

typedef struct ol_user {
	uint32_t uid, gid;
	/* owned; the primary one first, as Docker has it, then the supplementary ones */
	uint32_t *groups;
	size_t group_count;
	char *home; /* owned; "/" where passwd says nothing */
} ol_user;

void ol_user_done(ol_user *user);

/*
 * "", "user", "uid", "user:group", "uid:gid", "uid:group", "user:gid" → numbers. group_add (names
 * or numbers, ended by NULL, or NULL) is --group-add. With a group there are no supplementary
 * groups from the file. Lines of the files that make no sense are passed over. OL_EINVAL: a name
 * that is not there, a number that is not a 32-bit id.
 */
int ol_user_resolve(ol_view passwd, ol_view group, const char *text, const char *const *group_add,
	ol_user *out, ol_error *err);

/* The same with the files of the root at root_fd, where a missing file is an empty one. */
int ol_user_lookup(
	int root_fd, const char *text, const char *const *group_add, ol_user *out, ol_error *err);
