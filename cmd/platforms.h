#pragma once

/* --platform of commands that take several. */
#include <stddef.h>

#include "base/error.h"
#include "manifest/platform.h"

#define OL_PLATFORMS_MAX 32

/* lists: ended by NULL, each one platform or several with commas. out has room for
 * OL_PLATFORMS_MAX; OL_ELIMIT past that, OL_EINVAL. */
int ol_platforms_parse(const char *const *lists, ol_platform *out, size_t *count, ol_error *err);
