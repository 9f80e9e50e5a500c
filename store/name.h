#pragma once

/*
 * Images: what is kept for its own sake. A row has a root digest (of a manifest or index as pulled)
 * and a name, or no name ("<none>": it lost its last one, or was pulled by digest).
 */
#include "store/store.h"

typedef struct ol_name_info {
	const char *name; /* canonical reference with tag; "" for <none> */
	const char *repo; /* canonical repository it was pulled from, for RepoDigests; "" if none */
	ol_digest root;   /* manifest or index, as the registry serves it */
	const char *media_type; /* of root */
	int64_t created; /* when it came into the store; Unix seconds; 0 in ol_name_set: now */
	bool pinned;     /* never pruned, removed by force only */
	/* it came from an archive or an import: what it needs may exist nowhere else */
	bool imported;
	/* what image/ wants to know of root at once, in its own words; "" or NULL: nothing */
	const char *summary;
	/* What index.json lists in place of root, because not all of root's blobs are kept (a
	 * derived manifest); unset: root itself. Its size and media type (NULL: root's) stand
	 * beside it. */
	ol_digest listed;
	uint64_t listed_size;
	const char *listed_media_type;
} ol_name_info;

/* One transaction: the name (or a nameless row, name "") now means root. If it meant another image
 * before, and that one has no name left, a nameless row keeps it. A root with a name needs no
 * nameless row, and has none. Then index.json follows (at once, or, where it is long, a little
 * later and when the store is closed), as after all functions here that change names. OL_EINVAL:
 * text that is not printable ASCII or too long. */
int ol_name_set(ol_store *store, const ol_name_info *info, ol_error *err);
/* pinned and imported are true of a root: a new row has them also where another row of the root
 * has, and this sets pinned on all of them. OL_ENOTFOUND. */
int ol_name_pin(ol_store *store, const ol_digest *root, bool pinned, ol_error *err);
/* What index.json lists for a root from now on, in all its rows; these stay what they are.
 * OL_EINVAL: text that is not printable ASCII or too long. OL_ENOTFOUND. */
typedef struct ol_name_listing {
	ol_digest digest;
	uint64_t size;
	const char *media_type;
} ol_name_listing;
int ol_name_relist(
	ol_store *store, const ol_digest *root, const ol_name_listing *listed, ol_error *err);
/* OL_ENOTFOUND. The strings are copied into *out and freed with ol_name_info_done. */
int ol_name_get(ol_store *store, const char *name, ol_name_info *out, ol_error *err);
void ol_name_info_done(ol_name_info *info);
/* Removes a name. keep: an image that loses its last one stays as <none>. */
int ol_name_remove(ol_store *store, const char *name, bool keep, ol_error *err);
/* Removes every row of a root: names and <none>. */
int ol_name_remove_root(ol_store *store, const ol_digest *root, ol_error *err);
/* In name order, nameless last. info is lent for the call. */
int ol_name_each(ol_store *store, int (*call)(void *ctx, const ol_name_info *info, ol_error *err),
	void *ctx, ol_error *err);
/* The same for the rows of one root. */
int ol_name_each_of(ol_store *store, const ol_digest *root,
	int (*call)(void *ctx, const ol_name_info *info, ol_error *err), void *ctx, ol_error *err);
