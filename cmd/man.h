#pragma once

/* Manual pages in roff, made from the table of commands. */
#include "base/str.h"
#include "cmd/command.h"

/* orlop(1). */
int ol_man_program(ol_str *out, ol_error *err);
/* orlop-<command>(1). */
int ol_man_command(const ol_command *command, ol_str *out, ol_error *err);
