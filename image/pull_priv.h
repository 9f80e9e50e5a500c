#pragma once

#include "fetch/short_name.h"
#include "image/incoming_priv.h"
#include "image/pull.h"

/* One of the layers of all images that are pulled: each DiffID once, in the order they stand. */
typedef struct ol_pull_layer {
	const ol_descriptor *blob; /* lent */
	ol_digest diff_id, manifest;
	bool lazy;        /* a row of the driver lazy stands for it: nothing is fetched now */
	uint64_t present; /* of a lazy one: bytes of its blob that came with its table */
} ol_pull_layer;

typedef struct ol_lazy_early ol_lazy_early;

typedef struct ol_pull_state {
	ol_incoming incoming;
	const ol_pull_options *options;
	ol_registry *registry;
	const ol_driver *driver;
	ol_name_choices choices; /* what the name may be */
	ol_ref ref;              /* what it is */
	ol_buf root;             /* owned: the bytes of what it means, if they came with that */
	ol_lazy_early *early;    /* owned; NULL: nothing is asked for early */
	ol_pull_layer *layers;   /* owned; ol_pull_plan makes them */
	size_t layer_count;
	_Atomic uint64_t fetched_bytes, resumed_bytes;
} ol_pull_state;

/* pull_layers.c: lists the layers. */
void ol_pull_plan(ol_pull_state *pull);

/* pull_layers.c: every planned layer that is not lazy and that the store lacks, largest first,
 * several at once. */
int ol_pull_layers(ol_pull_state *pull, ol_error *err);
/* pull_lazy.c: makes rows, indexes and seek tables for the planned layers that can be lazy, and
 * says of the others why they are pulled whole. */
int ol_pull_lazy(ol_pull_state *pull, ol_error *err);
/* As ol_incoming_chains. Lazy layers that others cannot lean on are pulled whole. */
int ol_pull_lazy_chains(ol_pull_state *pull, ol_error *err);
/* All of the planned layers is wanted: those that were pulled with --no-fill are filled as well. */
int ol_pull_lazy_want(ol_pull_state *pull, ol_error *err);
/* Counts what is lazy into out, and starts who fills it. */
int ol_pull_lazy_begin(ol_pull_state *pull, ol_pull_result *out, ol_error *err);
/* The layer is mountable, whole or lazily. */
bool ol_layer_is_lazy(ol_store *store, const ol_digest *diff_id);
/* One layer alone, as if it were missing from an image: what is damaged of it (tar, index or tree;
 * with keep_blobs its compressed bytes too) is replaced. The state needs session, lease, options,
 * registry, driver and ref. Nothing is fetched where nothing is wrong. */
int ol_layer_refetch(
	ol_pull_state *pull, const ol_descriptor *layer, const ol_digest *diff_id, ol_error *err);
