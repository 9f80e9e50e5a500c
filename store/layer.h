#pragma once

/*
 * Layers: what a driver made of a layer so that it can be mounted. The key is a DiffID, or, for
 * what leans on the layers below, a ChainID: layers/<hex>/ or chains/<hex>/, holding index.erofs or
 * fs/.
 */
#include "store/store.h"

typedef struct ol_layer_info {
	ol_digest key; /* DiffID or ChainID */
	bool is_chain;
	ol_digest diff_id; /* of the layer itself */
	char driver[16];   /* "erofs", "dir"; "lazy": store/lazy.h */
	bool leans; /* a DiffID layer that must be completed for a chain before it can be mounted */
	uint64_t tar_bytes;  /* uncompressed size: what `images` adds up */
	uint64_t disk_bytes; /* of index or tree */
	uint64_t entries;
	ol_digest blob; /* the compressed blob it came from (kept or not), for repair */
	uint64_t blob_size;
	char media_type[96];    /* of that blob, as its descriptor said */
	ol_digest index_digest; /* of index.erofs; unset for a tree */
	char origin[512];       /* reference it was pulled from, for repair; "" if none */
	bool durable;
} ol_layer_info;

/* OL_ENOTFOUND without a row. OL_ECORRUPT: damaged, as with blobs. After an unclean boot an index
 * is hashed first; an extracted tree that was not synced before cannot be proved and is damaged:
 * make it anew from its blob, ol_layer_put then replaces it. */
int ol_layer_get(
	ol_store *store, const ol_digest *key, bool is_chain, ol_layer_info *out, ol_error *err);
/* What is recorded of it, whatever its state: for repair. OL_ENOTFOUND; OL_ECORRUPT: the row itself
 * cannot be believed. */
int ol_layer_recorded(
	ol_store *store, const ol_digest *key, bool is_chain, ol_layer_info *out, ol_error *err);
bool ol_layer_exists(ol_store *store, const ol_digest *key, bool is_chain);
/* Publishes name in dir_fd (a file becomes index.erofs, a directory fs/) as the layer's, and writes
 * the row. There already: OL_OK, ours goes; but a row of driver "lazy" is replaced by any other
 * driver's. OL_EINVAL: text that is not printable ASCII, or numbers
 * past base/limits.h. */
int ol_layer_put(
	ol_store *store, const ol_layer_info *info, int dir_fd, const char *name, ol_error *err);
/* The layer's folder, opened. */
int ol_layer_open(ol_store *store, const ol_digest *key, bool is_chain, int *dir_fd, ol_error *err);
int ol_layer_each(ol_store *store, int (*call)(void *ctx, const ol_layer_info *info, ol_error *err),
	void *ctx, ol_error *err);
