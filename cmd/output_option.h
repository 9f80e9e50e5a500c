#pragma once

/* --output of commands that write an archive: to a file, or to stdout. */
#include "cmd/command.h"

#define OL_OUTPUT_OPTION(words)                                                                    \
	{                                                                                          \
		.name = "output", .letter = 'o', .kind = OL_OPTION_TEXT, .value = "FILE",          \
		.completes = "file", .help = (words), .otherwise = "standard output"               \
	}

/* The archive goes to stdout. False for a command that has no --output. */
bool ol_output_is_stdout(const ol_args *args);
/* OL_EINVAL, in docker's words: it would go to a terminal. */
int ol_output_check(const ol_context *ctx, ol_error *err);
