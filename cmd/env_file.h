#pragma once

/*
 * Files of environment variables, as docker reads them: KEY=VALUE lines verbatim (no quotes, no
 * escapes), KEY alone takes ours, lines that start with # and empty ones are passed over, white
 * space before the key too. UTF-8, with or without a byte order mark.
 */
#include "base/alloc.h"
#include "base/view.h"

typedef struct ol_env_list {
	const char **entries; /* in the arena, ended by NULL: "KEY=VALUE" or "KEY" */
	size_t count, cap;
	ol_arena *arena; /* lent */
} ol_env_list;

void ol_env_list_add(ol_env_list *list, const char *entry);
/* Adds the entries of a file's text. OL_EINVAL says which line and why. */
int ol_env_file_parse(ol_view text, ol_env_list *list, ol_error *err);
/* The same for a file, at most OL_ENV_FILE_BYTES_MAX. */
int ol_env_file_read(const char *path, ol_env_list *list, ol_error *err);
