#pragma once

/*
 * Manifests and indexes: image-spec manifest.md and image-index.md, Docker's manifest-v2-2. One parser for all
 * four types decides which one it is by the bytes, and refuses what could be read as two of them
 * (CVE-2021-41190), what contradicts the media type it came with, and schema 1.
 */
#include "manifest/descriptor.h"

typedef enum ol_document_kind {
	OL_DOCUMENT_MANIFEST,
	OL_DOCUMENT_INDEX,
} ol_document_kind;

typedef struct ol_document {
	ol_document_kind kind;
	const char *media_type;    /* as the document says, else as it came */
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

/* expected_type: from the descriptor or Content-Type, or NULL. The caller verified the bytes' digest, or will. */
int ol_document_parse(ol_view bytes, const char *expected_type, ol_document **out, ol_error *err);
void ol_document_free(ol_document *document);
OL_DEFINE_AUTO(ol_document, ol_document_free)

/* A manifest whose config is an image config: it can be unpacked and run. Everything else is an artifact. */
bool ol_document_is_image(const ol_document *manifest);
/* An entry made by BuildKit to hold attestations: never a candidate for a platform. */
bool ol_descriptor_is_attestation(const ol_descriptor *entry);

/* The entry of an index that serves a platform best, first in order among equals; nested indexes count as
 * entries without a platform and are for the caller to open. OL_ENOTFOUND lists the platforms there are. */
int ol_index_choose(
	const ol_document *index, const ol_platform *want, const ol_descriptor **out, ol_error *err);
