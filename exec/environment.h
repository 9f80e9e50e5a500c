#pragma once

/*
 * A process's environment, in Docker's order: PATH, HOSTNAME and, with a terminal, TERM; then the
 * image's; then what the user asks for, each replacing what has its name; HOME last where nobody
 * set it.
 */
#include "base/alloc.h"
#include "base/error.h"

#define OL_PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

typedef struct ol_environment_input {
	const char *hostname;
	const char *home;
	const char *const *image; /* "KEY=VALUE", ended by NULL; or NULL */
	const char *const *asked; /* "KEY=VALUE", or "KEY": ours, and none when we have none */
	const char *(*ours)(const char *name); /* NULL: getenv */
	int tty;
} ol_environment_input;

/* *out, ended by NULL, is the arena's. OL_EINVAL: an entry without a name. OL_ELIMIT: more than the
 * kernel would take. */
int ol_environment_make(
	const ol_environment_input *input, ol_arena *arena, const char *const **out, ol_error *err);
/* The value of a variable in such a list, or NULL. */
const char *ol_environment_get(const char *const *env, const char *name);
