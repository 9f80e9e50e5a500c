#pragma once

/*
 * What a layer that is not whole yet has beside its index: lazy/<hex of DiffID>/, a folder that is
 * published as one. Its layer has a row of the driver "lazy" and its index where every layer's is
 * (store/layer.h). The compressed bytes that came so far are its blob's ingest (store/ingest.h).
 *
 *	seek     which pieces of the blob give which bytes (snapshot/lazy_table.h)
 *	window   SOCI only: the ztoc, whose checkpoints hold the windows
 *	source   where the blob is fetched from, and how (image/lazy_source_priv.h)
 *	payload  a sparse file: what has been inflated during this boot; a cache
 *
 * A folder whose DiffID no row of driver "lazy" has, neither of a layer nor of a chain, is garbage.
 */
#include "store/store.h"

#define OL_LAZY_DRIVER  "lazy" /* of rows, store/layer.h */
#define OL_LAZY_SEEK    "seek"
#define OL_LAZY_WINDOW  "window"
#define OL_LAZY_SOURCE  "source"
#define OL_LAZY_PAYLOAD "payload"
/* Where in the run dir payloads' states are (snapshot/lazy_state.h); %s: hex of DiffID. */
#define OL_LAZY_RUN_DIR    "lazy"
#define OL_LAZY_STATE_NAME "%s.state"
/* Beside them: what was typed to fetch a layer with (image/lazy_source_priv.h); goes with the
 * folder. */
#define OL_LAZY_CREDS_NAME "%s.creds"

/* Takes "seek" and, where they are there, "window" and "source" of dir_fd, a staging folder on the
 * store's file system, as the layer's. Before its layer's row is put, with the DiffID leased. There
 * already: if seek and window say the same, they stay, with their payload, and only the source is
 * replaced; else all of it goes, its state as well. OL_ENOTFOUND without "seek". */
int ol_lazy_put(ol_store *store, const ol_digest *diff_id, int dir_fd, ol_error *err);
/* OL_ENOTFOUND. */
int ol_lazy_open(ol_store *store, const ol_digest *diff_id, int *dir_fd, ol_error *err);
/* With its payload, the payload's state and credentials. Nothing there is OK. */
int ol_lazy_remove(ol_store *store, const ol_digest *diff_id, ol_error *err);
/* Whether a row of driver "lazy" needs it still: the layer's own, or a chain's with its DiffID. */
bool ol_lazy_is_needed(ol_store *store, const ol_digest *diff_id);
/* Removes the folders that nobody needs; gc does it, too. What is leased stays. Descriptors held
 * open elsewhere do no harm. */
int ol_lazy_sweep(ol_store *store, ol_error *err);
