#pragma once

/*
 * SOCI's index of an image: a manifest whose layers are ztocs (manifest/ztoc.h), one for each layer
 * of the image that is worth it. soci-snapshotter soci/soci_index.go,
 * docs/soci-index-manifest-v2.md.
 *
 *	version 1   names the image in its subject; who may push may attach one
 *	version 2   the image's manifest names the index by digest, an index lists both:
 *
 *	index ─┬─▶ manifest ── com.amazon.soci.index-digest ──────────┐
 *	       └─▶ SOCI index ◀───────────────────────────────────────┘
 *	           └─ com.amazon.soci.image-manifest-digest ─▶ manifest
 */
#include "manifest/document.h"

#define OL_SOCI_V1 "application/vnd.amazon.soci.index.v1+json" /* as artifactType and config */
#define OL_SOCI_V2 "application/vnd.amazon.soci.index.v2+json"

typedef struct ol_soci_layer {
	ol_digest layer;           /* of the image's layer, compressed */
	const char *layer_type;    /* its media type, or NULL */
	const ol_descriptor *ztoc; /* lent */
	uint64_t span_bytes;       /* of tar in a span; 0: it is not said */
} ol_soci_layer;

typedef struct ol_soci_index {
	unsigned version;      /* 1 or 2 */
	ol_digest subject;     /* version 1: the image's manifest; else unset */
	ol_soci_layer *layers; /* owned */
	size_t layer_count;
	ol_document *document; /* owned: what the others point into */
} ol_soci_index;

/* bytes: verified by the caller. What it lists besides ztocs (prefetch lists) is passed over.
 * OL_EUNSUPPORTED: no index of SOCI, or of another version. OL_ECORRUPT: it contradicts itself;
 * OL_ELIMIT as ol_document_parse. */
int ol_soci_index_parse(ol_view bytes, ol_soci_index *out, ol_error *err);
void ol_soci_index_done(ol_soci_index *index); /* and zeroes it */
/* NULL: this layer has none. */
const ol_soci_layer *ol_soci_layer_of(const ol_soci_index *index, const ol_digest *layer);

/* The index of version 2 that an image's manifest names. OL_ENOTFOUND: it names none. OL_ECORRUPT:
 * what it names is no digest. */
int ol_soci_binding_of(const ol_document *manifest, ol_digest *out, ol_error *err);
/* The entry of an index that is the SOCI index of one of its manifests; NULL: there is none. */
const ol_descriptor *ol_soci_entry_of(const ol_document *index, const ol_digest *manifest);
