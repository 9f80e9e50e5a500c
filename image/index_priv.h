#pragma once

#include "image/index.h"
#include "image/session_priv.h"
#include "store/lease.h"

#define OL_INDEX_TOOL "orlop " ORLOP_VERSION

/* What the store keeps by (store/attached.h): of a manifest its SOCI index, of a DiffID its ztoc.
 */
#define OL_INDEX_KIND "soci"
typedef struct ol_ztoc_kind {
	char text[8 + OL_DIGEST_TEXT_MAX]; /* "ztoc sha256:…" */
} ol_ztoc_kind;
ol_ztoc_kind ol_ztoc_kind_of(const ol_digest *blob);

/* index_subject.c: one platform's image, to be indexed. */
typedef struct ol_index_subject {
	ol_digest manifest;
	ol_buf bytes;          /* owned: of the manifest */
	ol_document *document; /* owned */
	ol_config *config;     /* owned */
	ol_buf config_bytes;   /* owned */
	bool in_store;
	ol_ref ref; /* where its layers may be had; has no domain where that is not known */
} ol_index_subject;
/* OL_ENOTFOUND, OL_EUNSUPPORTED: an artifact. */
int ol_index_subject_find(ol_session *session, const char *text, const ol_platform *platform,
	ol_index_subject *out, ol_error *err);
void ol_index_subject_done(ol_index_subject *subject);
/* One of its layers as a stream, from the store where it was kept, else from a registry. ref is
 * what it is had from, and outlives the reader. */
int ol_index_layer_open(ol_session *session, const ol_index_subject *subject, size_t layer,
	ol_ref *ref, ol_reader **out, ol_error *err);

/* index_keep.c: the SOCI index of what was made, under the lease, and that it stays. */
int ol_index_keep(ol_session *session, const ol_index_subject *subject,
	const ol_index_options *options, ol_indexed *indexed, ol_lease *lease, ol_error *err);
/* A SOCI index without ztocs, for a start profile alone; what it needs is put under the lease. */
int ol_index_blank(ol_store *store, ol_lease *lease, ol_json **out, ol_error *err);
static inline uint64_t ol_index_span_bytes(const ol_index_options *options)
{
	return options->span_bytes ? options->span_bytes : OL_INDEX_SPAN_BYTES;
}
/* Drops what keeps the index of an image that is not in the store. OL_ENOTFOUND: nothing does. */
int ol_index_unkeep(ol_session *session, const ol_digest *manifest, ol_error *err);
/* A kept lease's reason; text, as the image was asked for, is lent from why. False: it is of
 * something else. */
bool ol_index_why_parse(const char *why, ol_digest *manifest, const char **text);
