#pragma once

/* A sink into a new file, hashed as it is written. */
#include "base/digest.h"
#include "base/stream.h"

typedef struct ol_hashed_file {
	ol_sink sink;      /* first: written to, and never closed by others */
	int fd;            /* owned */
	ol_hasher *hasher; /* owned */
	uint64_t size;
} ol_hashed_file;

/* A file of this name in dir_fd is replaced. *out stands where it is until ol_hashed_file_done. */
int ol_hashed_file_open(int dir_fd, const char *name, ol_hashed_file *out, ol_error *err);
/* Of all that was written; once. */
ol_digest ol_hashed_file_digest(ol_hashed_file *file);
/* The file stays. A zeroed one is fine. */
void ol_hashed_file_done(ol_hashed_file *file);
