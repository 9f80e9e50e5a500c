#pragma once

/* What a command reads that may be long: a file, or a pipe from another program. */
#include <sys/stat.h>

#include "base/cancel.h"
#include "base/own.h"
#include "base/stream.h"

/* path NULL or "-": standard input. *out is owned; *st is zero for standard input, whose type and
 * size say nothing of what is left in it. OL_ESYSTEM. */
int ol_input_open(const char *path, int *out, struct stat *st, ol_error *err);
bool ol_input_is_stdin(const char *path);
const char *ol_input_name(const char *path); /* for words; lent */

/* Reads from fd, which is lent; waits for bytes, and for the user's wish to stop. */
ol_reader *ol_input_reader(int fd, const ol_cancel *cancel);
