#pragma once

/*
 * What a lazy pull needs for certain, asked for while it still waits for the config: the tables of
 * contents that a manifest binds, into their blobs' ingests, and the SOCI index that the image's
 * index or manifest names, with the profile of its start, into the store. Who needs them finds them
 * there; what did not come, and why, it learns by asking itself.
 */
#include "image/pull_priv.h"

/* Once for each manifest, before its config is asked for (image has none yet); makes pull->early.
 * Layers that an image of the store has are left out. Nothing of image is used afterwards. */
void ol_lazy_early_begin(ol_pull_state *pull, const ol_incoming_image *image);
/* Until nobody fetches of that blob any more. early may be NULL. */
void ol_lazy_early_wait(ol_lazy_early *early, const ol_digest *blob);
/* The same of indexes and profiles. */
void ol_lazy_early_wait_indexes(ol_lazy_early *early);
/* Waits for all. */
void ol_lazy_early_end(ol_lazy_early *early);
