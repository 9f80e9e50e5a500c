#pragma once

/*
 * Where a command's result goes that may be large: a file that appears whole or not at all, or a
 * stream. Bytes are gathered into large writes.
 */
#include <stdbool.h>

#include "base/own.h"
#include "base/stream.h"

typedef struct ol_output ol_output;

/* path: a file, replaced at the end if it is there (through symbolic links); what is there and is
 * no file (a pipe, a device) is written to as it goes; NULL or "-": standard output. OL_EINVAL: a
 * folder. */
int ol_output_open(const char *path, ol_output **out, ol_error *err);
/* The file name in the folder dir_fd, which it takes, on failure too; a symbolic link of that name
 * is replaced, not followed. */
int ol_output_open_at(int dir_fd, const char *name, ol_output **out, ol_error *err);
ol_sink *ol_output_sink(ol_output *output); /* lent; its close does nothing */
/* Everything is written, and a file on disk and there under its name. */
int ol_output_finish(ol_output *output, ol_error *err);
/* Without finish before, nothing of a file is left. NULL is fine. */
void ol_output_free(ol_output *output);
OL_DEFINE_AUTO(ol_output, ol_output_free)
