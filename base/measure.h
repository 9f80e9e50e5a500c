#pragma once

#include <stdint.h>

#include "base/error.h"

typedef struct ol_measure {
	uint64_t files; /* all but folders */
	uint64_t bytes; /* their sizes */
	uint64_t disk;  /* what they and the folders take on disk: st_blocks */
} ol_measure;

/* Adds what is beneath dir_fd at path, which may be a file, without following links or crossing
 * into another file system. What vanishes meanwhile, or is nested deeper than anybody would, is
 * left out. OL_ENOTFOUND: there is nothing at path. */
int ol_measure_tree(int dir_fd, const char *path, ol_measure *sum, ol_error *err);
