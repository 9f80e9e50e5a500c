#pragma once

/*
 * Mending the database, before anything else of the store is looked at. A store that is opened with
 * a mender (ol_store_options) is first made readable, by the least that does it:
 *
 *	one bit of a row is wrong       found by search and turned back
 *	more of a row is wrong          the row goes; blobs, layers, edges and names are made again
 *	SQLite cannot read the file     it is moved aside; what rows of it prove themselves are
 *	(or it is not there)            copied, the others are made again
 *
 * What is to be made again from files the store finds itself (blobs) or image/ (names, edges,
 * layers: ol_store_is_rebuilding). Until ol_store_rebuilt says that all is done, nobody else can
 * open the store, index.json stays as it is and gc refuses: a repair that was killed is begun
 * again.
 */
#include "store/name.h"
#include "store/store.h"

/* What was done about one thing. */
typedef struct ol_mended {
	const char *what; /* "row of names for …", "blob sha256:…" */
	const char *how;  /* what was done, or, where nothing could be, what to do */
	bool mended;
} ol_mended;

typedef struct ol_mender {
	void (*told)(void *ctx, const ol_mended *mended);
	void *ctx;
} ol_mender;

/* Rows were lost: names, edges and layers have to be made again before ol_store_rebuilt. */
bool ol_store_is_rebuilding(ol_store *store);
/* All is made again that could be: the store is everybody's. Publishes index.json. */
int ol_store_rebuilt(ol_store *store, ol_error *err);
/* Rows of names that are not there yet, one transaction (on disk with ol_store_rebuilt); index.json
 * stays as it is. *added (or NULL): how many. */
int ol_name_restore(
	ol_store *store, const ol_name_info *infos, size_t count, size_t *added, ol_error *err);
/* A damaged blob or layer that nothing needs: its row and its files go. OL_ENOTFOUND; OL_EBUSY: it
 * is not damaged. */
int ol_blob_forget(ol_store *store, const ol_digest *digest, ol_error *err);
int ol_layer_forget(ol_store *store, const ol_digest *key, bool is_chain, ol_error *err);
/* Edges whose parent is gone. *count (or NULL): how many went. */
int ol_edges_prune(ol_store *store, int64_t *count, ol_error *err);
/* Publishes index.json if it is not what the rows of names give. */
int ol_store_relist(ol_store *store, bool *changed, ol_error *err);
