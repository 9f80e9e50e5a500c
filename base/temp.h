#pragma once

/* Files without a name, for what does not fit in memory: they end with their last descriptor, or
 * with the process. */
#include "base/error.h"

/* A new empty file on dir_fd's file system, readable and writable. */
int ol_temp_open(int dir_fd, int *out, ol_error *err);
