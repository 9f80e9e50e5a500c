#pragma once

/* The rows of the table of engines, and what they have in common. */
#include "snapshot/lazy_engine.h"

struct ol_engine {
	const ol_lazy_engine *ops;
};

extern const ol_lazy_engine ol_engine_fanotify;
extern const ol_lazy_engine ol_engine_fuse;

/* Tries an engine out, end to end: mounts an index over a payload that is one hole, and reads. */
int ol_engine_probe(const ol_lazy_engine *ops, int dir_fd, ol_error *err);
/* Is all of it there? Counted as a hit or a miss. */
bool ol_engine_has(const ol_engine_layer *layer, uint64_t start, uint64_t end);
