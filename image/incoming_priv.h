#pragma once

/*
 * Images on their way into the store, wherever they come from: a registry, an archive, a root file
 * system. Their documents are in the store already, their layers come in one by one; then
 *
 *	ol_incoming_chains   what leans on the layers below is completed
 *	ol_incoming_keep     edges, what index.json lists, and last the name: now it is an image
 *
 * All of it stays under the lease until the name is there.
 */
#include "fetch/registry.h"
#include "image/session_priv.h"
#include "store/lease.h"

/* One platform's image. */
typedef struct ol_incoming_image {
	ol_digest manifest;
	ol_document *document; /* owned: the manifest */
	ol_config *config;     /* owned */
	ol_platform platform;
} ol_incoming_image;

typedef struct ol_incoming {
	ol_session *session;  /* lent */
	ol_lease *lease;      /* owned; begun by whoever begins */
	ol_resolved resolved; /* the root: a manifest or an index */
	/* owned when the root is an index; else the one image's own document stands for it */
	ol_document *root;
	ol_incoming_image *images; /* owned */
	size_t count, cap;
} ol_incoming;

/* Where configs come from: *out is the caller's. */
typedef struct ol_incoming_source {
	int (*get_config)(
		void *ctx, const ol_descriptor *descriptor, ol_config **out, ol_error *err);
	void *ctx;
} ol_incoming_source;
/* Takes document, also on failure. An image that is there already is not added again. want: the
 * platform its config must serve, or NULL. OL_ENOTFOUND: it serves another; OL_EUNSUPPORTED: an
 * artifact, or what cannot be unpacked. */
int ol_incoming_add(ol_incoming *incoming, const ol_digest *digest, ol_document *document,
	const ol_platform *want, const ol_incoming_source *source, ol_error *err);

/* incoming.c: a document that is made here becomes a blob, under the lease from before it is there.
 * Takes json. durable: as of ol_blob_put. out: what it is. */
int ol_incoming_put(ol_incoming *incoming, ol_json *json, const char *media_type, bool durable,
	ol_resolved *out, ol_error *err);

/* incoming_chains.c: what leans on the layers below is completed, bottom up. */
int ol_incoming_chains(ol_incoming *incoming, ol_error *err);
/* incoming_derive.c: what index.json lists for the root: the root itself where the store has all
 * its blobs, else manifests over what it has of each layer. */
int ol_incoming_derive(ol_incoming *incoming, ol_resolved *listed, ol_error *err);

/* incoming.c: the edges of all its documents. listed: what ol_incoming_derive answered. */
int ol_incoming_link(ol_incoming *incoming, const ol_digest *listed, ol_error *err);

/* How it is to be known. */
typedef struct ol_keep_as {
	const char *name; /* canonical reference with tag; "" for a nameless image */
	const char *repo; /* canonical repository it was pulled from; "" if none */
	bool imported;    /* it may exist nowhere else: prune leaves it */
	bool pinned;
} ol_keep_as;
/* incoming.c: the last step. May be called several times, for several names. */
int ol_incoming_keep(ol_incoming *incoming, const ol_keep_as *as, ol_error *err);
void ol_incoming_done(ol_incoming *incoming);

/* The layer has all that makes it mountable, and the blob that proves it: its tar, or the
 * compressed one. blob: the compressed blob that must be there as well, or NULL. */
bool ol_layer_is_usable(ol_store *store, const ol_digest *diff_id, const ol_digest *blob);
