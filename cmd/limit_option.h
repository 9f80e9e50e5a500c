#pragma once

/* --ulimit, --cpus and other limits as docker writes them. */
#include "base/alloc.h"
#include "image/run.h"

/* "nofile=1024:2048", "core=-1" (no limit); hard is soft where it is not said. The name lies in the
 * arena. */
int ol_ulimit_parse(const char *text, ol_arena *arena, ol_ulimit *out, ol_error *err);
/* "1.5" is 1500000000; at most nine decimals. */
int ol_cpus_parse(const char *text, uint64_t *nano_cpus, ol_error *err);
/* A whole number from min to max; flag is what the error names. */
int ol_integer_parse(
	const char *flag, const char *text, int64_t min, int64_t max, int64_t *out, ol_error *err);
