#pragma once

/* What a command reads that may be long: a file, or a pipe from another program. */
#include "base/cancel.h"
#include "base/own.h"
#include "base/stream.h"

/* Reads from fd, which is lent; waits for bytes, and for the user's wish to stop. */
ol_reader *ol_input_reader(int fd, const ol_cancel *cancel);
