#pragma once

#include "image/pull.h"
#include "image/session_priv.h"
#include "store/lease.h"

/* One platform's image on its way in. */
typedef struct ol_pull_image {
	ol_digest manifest;
	ol_document *document; /* owned */
	ol_config *config;     /* owned */
	ol_platform platform;
} ol_pull_image;

typedef struct ol_pull_state {
	ol_session *session;
	const ol_pull_options *options;
	ol_registry *registry;
	const ol_driver *driver;
	ol_ref ref;
	ol_resolved resolved; /* what the reference means: the root */
	/* owned when it is an index; else the image's own document stands for it */
	ol_document *root;
	ol_lease *lease;       /* owned */
	ol_pull_image *images; /* owned */
	size_t count, cap;
	_Atomic uint64_t fetched_bytes, resumed_bytes;
} ol_pull_state;

/* pull_layers.c: every layer of all images that the store lacks, largest first, several at once. */
int ol_pull_layers(ol_pull_state *pull, ol_error *err);
/* pull_chains.c: what leans on the layers below is completed, bottom up. */
int ol_pull_chains(ol_pull_state *pull, ol_error *err);
/* derive.c: what index.json lists for the root, where the compressed layers were not kept:
 * manifests over the layer tars. */
int ol_pull_derive(ol_pull_state *pull, ol_resolved *listed, ol_error *err);
/* The blob that proves a layer: its tar, or the compressed blob kept instead. Is what the row needs
 * there? */
bool ol_layer_is_usable(ol_pull_state *pull, const ol_digest *diff_id);
