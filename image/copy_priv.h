#pragma once

/*
 * A copy from an origin to a destination:
 *
 *	copy_plan.c    which documents there are, and which blobs they name
 *	copy_blobs.c   the blobs, several at once
 *	copy_plan.c    the documents, children first; those whose layers had to be made anew say so
 */
#include "image/transport_priv.h"

/* A config or a layer. */
typedef struct ol_copy_item {
	ol_descriptor blob; /* strings lent from its document */
	bool is_layer;
	bool remake;    /* a plain tar of a manifest that is ours: it goes compressed */
	unsigned index; /* among the layers, for events */
	/* what it became; unset: itself */
	ol_digest became;
	uint64_t became_size;
	const char *became_type;
} ol_copy_item;

/* A manifest or index. */
typedef struct ol_copy_node {
	ol_resolved is, becomes;
	ol_buf bytes;          /* owned */
	ol_document *document; /* owned */
} ol_copy_node;

typedef struct ol_copy_plan {
	ol_copy *copy; /* lent, as what follows */
	ol_origin *origin;
	ol_destination *destination;
	ol_copy_node *nodes; /* owned; children before those that name them, the root last */
	size_t node_count, node_cap;
	ol_copy_item *items; /* owned; each blob once */
	size_t item_count, item_cap;
	unsigned layers;
	size_t document_bytes;
} ol_copy_plan;

int ol_copy_plan_make(ol_copy_plan *plan, const ol_resolved *root, ol_error *err);
void ol_copy_plan_done(ol_copy_plan *plan);
/* copy_blobs.c. OL_ENOTFOUND: bytes that are nowhere to be had. */
int ol_copy_blobs(ol_copy_plan *plan, ol_error *err);
int ol_copy_documents(ol_copy_plan *plan, ol_error *err);

/* What makes an origin of the source's own, which it takes, also on failure. */
typedef struct ol_copy_wrap {
	int (*wrap)(void *ctx, ol_copy *copy, ol_origin *base, ol_origin **out, ol_error *err);
	void *ctx;
} ol_copy_wrap;
/* copy.c: as ol_copy_image, to a registry. */
int ol_copy_wrapped(ol_session *session, const ol_copy_options *options, const ol_copy_wrap *wrap,
	ol_copied *out, ol_error *err);
