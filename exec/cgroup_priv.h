#pragma once

#include "exec/cgroup.h"

/* Writes one value to a file of a group. */
int ol_cgroup_write(const char *dir, const char *file, const char *value, ol_error *err);
/* v2: only the default devices and pseudo terminals can be opened. OL_EUNSUPPORTED where the kernel
 * has no such programs. */
int ol_cgroup_guard_v2(const char *dir, ol_error *err);
/* v1: the same through devices.deny and devices.allow. */
int ol_cgroup_guard_v1(const char *dir, ol_error *err);
