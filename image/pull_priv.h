#pragma once

#include "fetch/short_name.h"
#include "image/incoming_priv.h"
#include "image/pull.h"

typedef struct ol_pull_state {
	ol_incoming incoming;
	const ol_pull_options *options;
	ol_registry *registry;
	const ol_driver *driver;
	ol_name_choices choices; /* what the name may be */
	ol_ref ref;              /* what it is */
	_Atomic uint64_t fetched_bytes, resumed_bytes;
} ol_pull_state;

/* pull_layers.c: every layer of all images that the store lacks, largest first, several at once. */
int ol_pull_layers(ol_pull_state *pull, ol_error *err);
/* One layer alone, as if it were missing from an image: what is damaged of it (tar, index or tree;
 * with keep_blobs its compressed bytes too) is replaced. The state needs session, lease, options,
 * registry, driver and ref. Nothing is fetched where nothing is wrong. */
int ol_layer_refetch(
	ol_pull_state *pull, const ol_descriptor *layer, const ol_digest *diff_id, ol_error *err);
