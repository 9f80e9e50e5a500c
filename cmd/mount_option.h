#pragma once

/* -v, --mount and --tmpfs as docker has them. Strings of the result lie in the arena, or are lent
 * from text. */
#include "base/alloc.h"
#include "image/run.h"

/* "HOST:CTR[:ro,…]". OL_EUNSUPPORTED with a hint: named and anonymous volumes. */
int ol_volume_parse(const char *text, ol_arena *arena, ol_mount_option *out, ol_error *err);
/* "type=bind,src=…,dst=…,readonly": a line of CSV. */
int ol_mount_parse(const char *text, ol_arena *arena, ol_mount_option *out, ol_error *err);
/* "PATH[:opts]". */
int ol_tmpfs_parse(const char *text, ol_arena *arena, ol_mount_option *out, ol_error *err);
