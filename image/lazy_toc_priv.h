#pragma once

/*
 * The table of contents of one layer, fetched and verified. Where it is looked for, in this order:
 *
 *	zstd:chunked, eStargz   what an annotation of the layer binds: in the blob, or for an
 *	                        eStargz that says so in the image <ref>-esgztoc
 *	our own                 attached to the DiffID when the layer was here before, or when
 *	                        `orlop index` made it
 *	SOCI                    a ztoc of the image's SOCI index: lazy_soci.c
 */
#include "base/spill.h"
#include "image/lazy_blob_priv.h"
#include "image/lazy_external_priv.h"
#include "manifest/soci.h"
#include "manifest/toc_footer.h"
#include "snapshot/lazy_build.h"

/* A layer's, or what an image's manifest and referrers say of it. */
typedef struct ol_toc_ask {
	ol_pull_state *pull; /* lent */
	const ol_descriptor *blob;
	ol_digest diff_id;
	const ol_descriptor *ztoc;  /* of the image's SOCI index; NULL: none */
	ol_lazy_external *external; /* lent; only ol_toc_get needs it */
} ol_toc_ask;

/* How it is bound. */
typedef struct ol_toc_choice {
	enum { OL_TOC_BOUND, OL_TOC_OURS, OL_TOC_SOCI } kind;
	ol_toc_binding binding; /* OL_TOC_BOUND */
	ol_digest ours;         /* OL_TOC_OURS: a blob of the store */
} ol_toc_choice;

typedef struct ol_toc_got {
	ol_lazy_toc toc;        /* points into these, and to the whole: it does not move */
	ol_spill *main, *split; /* what is inflated; owned; NULL where there is none */
} ol_toc_got;

/* Without asking anybody. OL_ENOTFOUND: nothing binds a table to it; OL_ECORRUPT: annotations that
 * cannot be meant. */
int ol_toc_choose(const ol_toc_ask *ask, ol_toc_choice *out, ol_error *err);
/* Compressed bytes that will be fetched and inflated, as far as is known: to keep memory in bounds.
 */
uint64_t ol_toc_weight(const ol_toc_ask *ask, const ol_toc_choice *choice);
/* The part of ol_toc_get that takes time on a slow link, for OL_TOC_BOUND: brings its bytes. */
int ol_toc_fetch(const ol_toc_binding *binding, ol_lazy_blob *blob, ol_error *err);
/* OL_ECORRUPT, OL_ELIMIT, OL_EUNSUPPORTED, OL_ENOTFOUND: it is of no use, and why; all else: it
 * could not be fetched. */
int ol_toc_get(const ol_toc_ask *ask, const ol_toc_choice *choice, ol_lazy_blob *blob,
	ol_toc_got *out, ol_error *err);
void ol_toc_got_done(ol_toc_got *got);
/* The JSON in an eStargz' table, which is a tar. OL_ECORRUPT: there is none. */
int ol_toc_json_of_tar(ol_view tar, ol_view *out, ol_error *err);
