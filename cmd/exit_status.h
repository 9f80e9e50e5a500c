#pragma once

/* Exit statuses: one table, from which help and the man page are written too. */
#include <stdbool.h>

#include "base/error.h"

#define OL_STATUS_USAGE 125 /* a wrong option, as docker */

/* starts_program: of `run`, whose own failures must not look like the program's. */
int ol_exit_status(int code, bool starts_program);

typedef struct ol_status_row {
	const char *status;  /* "125" */
	const char *meaning; /* NULL status ends the table */
} ol_status_row;
const ol_status_row *ol_status_rows(void);
