#pragma once

#include <stdbool.h>

#include "base/error.h"

/*
 * ORLOP_TRACE=fetch,store turns on lines on stderr per folder ("all" for all); off otherwise. Never
 * pass a secret: what may hold one goes through ol_redact first.
 */
bool ol_trace_on(const char *folder);
void ol_trace(const char *folder, const char *fmt, ...) OL_PRINTF(2, 3);
