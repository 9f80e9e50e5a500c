#pragma once

/* Help, made from the table of commands. */
#include "cmd/command.h"

/* All commands, by group; group: a word of Docker's ("image") whose spellings alone are shown, or
 * NULL. */
void ol_help_program(ol_console *console, const char *group);
void ol_help_command(ol_console *console, const ol_command *command);

/* All options of a command but the global ones, sorted by name, those that are refused left out;
 * owned (free). */
const ol_option **ol_sorted_options(const ol_command *command, size_t *count);
