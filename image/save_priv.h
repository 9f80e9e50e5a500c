#pragma once

/*
 * What a save is about to write, found out before the first byte goes out: so what is not whole is
 * refused while nothing was made yet, and all sizes are known.
 *
 *	save.c            the story
 *	save_plan.c       images, platforms, layers: where the bytes of each will come from
 *	save_documents.c  manifests and indexes, as they came or derived
 *	save_listing.c    index.json, manifest.json, repositories, oci-layout
 */
#include "image/blob_path_priv.h"
#include "image/save.h"
#include "image/session_priv.h"
#include "manifest/mediatype.h"
#include "store/layer.h"

/* A blob of the archive. */
typedef struct ol_save_blob {
	ol_digest digest; /* its name there */
	uint64_t size;
	char *bytes; /* owned: a document; else it comes from the store: */
	ol_digest source;
	bool decode; /* else it goes out as it is */
	char *what;  /* owned: "layer 2 of 3 of debian:12", for words */
} ol_save_blob;

/* As a manifest or index names it. */
typedef struct ol_save_descriptor {
	ol_digest digest;
	uint64_t size;
	char media_type[96];
} ol_save_descriptor;

/* A layer as the archive will have it. */
typedef struct ol_save_layer {
	ol_save_descriptor is;
	ol_digest diff_id;
	ol_digest source;
	bool decode;
} ol_save_layer;

/* One platform's image. */
typedef struct ol_save_image {
	ol_digest manifest;        /* in the store */
	ol_document *document;     /* owned */
	ol_config *config;         /* owned */
	ol_save_layer *layers;     /* owned; as many as config has DiffIDs */
	bool raw;                  /* the manifest and its blobs go out as they came */
	ol_save_descriptor listed; /* the manifest in the archive */
} ol_save_image;

/* What was asked for by one name. */
typedef struct ol_save_root {
	char *name;     /* owned: canonical reference with tag, or "" */
	char *familiar; /* owned: the same as people write it, or the text that was asked by */
	ol_digest root;
	ol_digest only;        /* one manifest of it, where an ID said so */
	ol_save_image *images; /* owned */
	size_t count, cap;
	ol_save_descriptor listed; /* what index.json lists */
} ol_save_root;

typedef struct ol_save_plan {
	ol_session *session;            /* lent */
	const ol_save_options *options; /* lent */
	ol_save_root *roots;            /* owned; sorted by name */
	size_t count, cap;
	ol_digest *since; /* owned: DiffIDs and layer blobs that the receiver has */
	size_t since_count, since_cap;
	ol_save_blob *blobs; /* owned */
	size_t blob_count, blob_cap;
} ol_save_plan;

/* save_plan.c. OL_ENOTFOUND, OL_ECORRUPT name what is absent or damaged. */
int ol_save_plan_make(
	ol_session *session, const ol_save_options *options, ol_save_plan *out, ol_error *err);
void ol_save_plan_done(ol_save_plan *plan);
/* Takes bytes and what. A blob that is there already is not added again. */
void ol_save_plan_add(ol_save_plan *plan, ol_save_blob blob);
bool ol_save_plan_has(const ol_save_plan *plan, const ol_digest *digest);

/* save_documents.c: manifests, configs and indexes of a root become blobs of the plan; what each
 * is listed as is said. */
int ol_save_documents(ol_save_plan *plan, ol_save_root *root, ol_error *err);
ol_json *ol_save_descriptor_json(const ol_save_descriptor *descriptor);

/* save_listing.c. existing: the layout's own index.json that is added to, or NULL; lent. */
int ol_save_index(const ol_save_plan *plan, const ol_json *existing, ol_str *out, ol_error *err);
/* docker's, of the images in this archive. */
int ol_save_manifest(const ol_save_plan *plan, ol_str *out, ol_error *err);
int ol_save_repositories(const ol_save_plan *plan, ol_str *out, ol_error *err);
