#pragma once

#include "image/incoming_priv.h"
#include "image/pull.h"

typedef struct ol_pull_state {
	ol_incoming incoming;
	const ol_pull_options *options;
	ol_registry *registry;
	const ol_driver *driver;
	ol_ref ref;
	_Atomic uint64_t fetched_bytes, resumed_bytes;
} ol_pull_state;

/* pull_layers.c: every layer of all images that the store lacks, largest first, several at once. */
int ol_pull_layers(ol_pull_state *pull, ol_error *err);
