#pragma once

/*
 * Manifests and indexes: image-spec manifest.md and image-index.md, Docker's manifest-v2-2. One
 * parser for all four types decides which one it is by the bytes, and refuses what could be read as
 * two of them (CVE-2021-41190), what contradicts the media type it came with, and schema 1.
 *
 *	has "manifests"                 an index
 *	has "config" or "layers"        a manifest
 *	both, or neither                refused
 *	a name in another case          refused: Go's reader takes "Layers" for "layers"
 */
#include "manifest/descriptor.h"

typedef enum ol_document_kind {
	OL_DOCUMENT_MANIFEST,
	OL_DOCUMENT_INDEX,
} ol_document_kind;

typedef struct ol_document {
	ol_document_kind kind;
	const char *media_type; /* as the document says, else as it came, else OCI's; never NULL */
	const char *artifact_type; /* or NULL */
	bool has_subject;
	ol_descriptor subject;
	const ol_annotation *annotations;
	size_t annotation_count;
	/* of a manifest */
	ol_descriptor config;
	const ol_descriptor *layers; /* base first */
	size_t layer_count;
	/* of an index */
	const ol_descriptor *manifests;
	size_t manifest_count;
	struct ol_arena *arena; /* owned: holds all of it */
} ol_document;

/* expected_type: from the descriptor or Content-Type, or NULL; one that is not known
 * (application/json) says nothing. The caller verified the bytes' digest, or will. *out owns all it
 * points to. Errors: OL_ECORRUPT for what is not a document, or ambiguous, and says where
 * ("layers[2]: digest is missing"); OL_ELIMIT past OL_MANIFEST_BYTES_MAX, OL_LAYERS_MAX,
 * OL_INDEX_ENTRIES_MAX; OL_EUNSUPPORTED for schema 1, for what is neither manifest nor index, and
 * for a layer or config whose digest cannot be verified. */
int ol_document_parse(ol_view bytes, const char *expected_type, ol_document **out, ol_error *err);
void ol_document_free(ol_document *document);
OL_DEFINE_AUTO(ol_document, ol_document_free)

/* A manifest whose config is an image config, and no attestation: it can be unpacked and run. All
 * else is an artifact. */
bool ol_document_is_image(const ol_document *manifest);
/* An entry made by BuildKit to hold attestations: never a candidate for a platform. */
bool ol_descriptor_is_attestation(const ol_descriptor *entry);

/* The entries of an index that may serve a platform, best first and in order among equals, then
 * those that do not say their platform (nested indexes among them), which are for the caller to
 * open and look. Attestations, artifacts and entries whose digest cannot be verified are passed
 * over. out has room for manifest_count; gives how many there are. */
size_t ol_index_candidates(
	const ol_document *index, const ol_platform *want, const ol_descriptor **out);
/* The first of them. OL_ENOTFOUND lists the platforms there are. */
int ol_index_choose(const ol_document *index, const ol_platform *want, const ol_descriptor **out,
	ol_error *err);
