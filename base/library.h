#pragma once

/*
 * Libraries that only some commands need, loaded at their first use: linking libcurl alone makes
 * every start of the program some 6 ms longer, for the forty libraries it brings along. A folder
 * that uses one has a file of forwarding functions with the library's own names; nothing else
 * knows.
 */
#include <stddef.h>

#include "base/error.h"

typedef struct ol_library_symbol {
	const char *name;
	void **at; /* what is set to its address */
} ol_library_symbol;

/* Loads a library by its soname and looks every symbol up. It stays until the process ends.
 * package: the Debian package that has it, for the hint. Once a library: call it under
 * pthread_once. OL_EUNSUPPORTED: it is not there, or lacks a symbol; then nothing was set. */
int ol_library_load(const char *soname, const char *package, const ol_library_symbol *symbols,
	size_t count, ol_error *err);
