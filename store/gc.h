#pragma once

#include "store/store.h"

typedef struct ol_gc_result {
	uint64_t blobs, layers, ingests, bytes; /* removed, and what they took on disk */
} ol_gc_result;

/* Removes what no name, nameless image, lease, container or mount reaches over edges. Marks in a
 * read snapshot, deletes in small batches; a pull, list or run goes on meanwhile. */
int ol_gc(ol_store *store, const ol_cancel *cancel, ol_gc_result *out, ol_error *err);
/* The same for what root alone reached, whose last name was just removed: its cost is that of the
 * image, not of the store. What was garbage before, and what crashes left, waits for ol_gc. */
int ol_gc_image(ol_store *store, const ol_digest *root, const ol_cancel *cancel, ol_gc_result *out,
	ol_error *err);
/* What ol_gc would remove of blobs and layers now, and their sizes as the rows have them. */
int ol_gc_preview(ol_store *store, ol_gc_result *out, ol_error *err);

/* A finding of check: what is wrong with what. Lent for the call. */
typedef struct ol_finding {
	const char *kind; /* "blob", "layer", "chain", "row", "edges", "image", "database" */
	ol_digest digest; /* of the blob, layer or chain; else unset */
	const char *path; /* of its file, in the store; or "" */
	const char *what; /* "blob sha256:…", "layer sha256:…", "row …" */
	const char *why;
	const char *hint;
} ol_finding;

/* Re-hashes every blob and index, compares rows with their checksums, with files and with each
 * other. Calls found for each fault, from this thread; *faults counts them. One thread a processor
 * hashes. A check that was stopped, however, goes on where it was when the next begins within a day
 * and the same boot. */
typedef struct ol_check_options {
	const ol_cancel *cancel;
	const ol_listener *listener; /* OL_EVENT_PROGRESS: bytes */
	void (*found)(void *ctx, const ol_finding *finding);
	/* Checks a layer's tree (the dir driver's), which the store itself knows nothing about; or
	 * NULL. OL_EUNAVAILABLE: the blob that it is compared with is damaged, so nothing can be
	 * said; OL_ENOTFOUND: that is not there. Called from several threads. */
	int (*verify_tree)(void *ctx, const ol_digest *key, bool is_chain, ol_error *err);
	/* Checks what a lazy layer has beside its index, or NULL. From several threads as well. */
	int (*verify_lazy)(void *ctx, const ol_digest *diff_id, ol_error *err);
	void *ctx;        /* of found */
	void *verify_ctx; /* of verify_tree and verify_lazy */
	bool quick;       /* presence and sizes only */
	bool restart;     /* all of it, whatever an earlier check has done */
} ol_check_options;

/* OL_ECANCELED. */
int ol_check(ol_store *store, const ol_check_options *options, uint64_t *faults, ol_error *err);
