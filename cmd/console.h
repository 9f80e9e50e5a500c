#pragma once

/*
 * The three standard streams as a person or a program sees them: is it a terminal, how wide is it,
 * may it be coloured; and the one door through which results (stdout) and words about them (stderr)
 * leave. What goes to a terminal is made safe there: control characters other than newline and tab,
 * and what is not UTF-8, are shown as \xNN.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "base/str.h"

typedef struct ol_console {
	FILE *out, *err;             /* lent */
	bool out_tty, err_tty;       /* they are terminals */
	bool out_colour, err_colour; /* terminals, and neither NO_COLOR nor TERM=dumb says no */
	int out_errno;               /* of the first write to stdout that failed */
	bool err_bars;               /* stderr understands cursor movement: not TERM=dumb */
	bool utf8;                   /* the locale's characters: bars and ellipses may use them */
} ol_console;

/* Looks at stdin, stdout, stderr and the environment. */
ol_console ol_console_open(void);
/* Columns of the terminal, or otherwise where it is none. */
unsigned ol_console_columns(int fd, unsigned otherwise);
unsigned ol_console_lines(int fd, unsigned otherwise);

/* A result; a failure is told once, by ol_console_close. */
void ol_console_print(ol_console *console, const char *text);
void ol_console_printf(ol_console *console, const char *fmt, ...) OL_PRINTF(2, 3);
void ol_console_print_view(ol_console *console, ol_view text);
/* Flushes stdout. OL_ESYSTEM: results could not be written; sys EPIPE: nobody reads them
 * any more. */
int ol_console_close(ol_console *console, ol_error *err);

/* `orlop: …` and `hint: …`, one line each. */
void ol_console_error(ol_console *console, const ol_error *err);
/* `warning: …`, `note: …`, or any word. */
void ol_console_say(ol_console *console, const char *word, const char *fmt, ...) OL_PRINTF(3, 4);

/* Sequences for emphasis; "" where there are no colours. */
const char *ol_bold(bool colour);
const char *ol_dim(bool colour);
const char *ol_plain(bool colour);
