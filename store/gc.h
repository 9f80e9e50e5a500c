#pragma once

#include "store/store.h"

typedef struct ol_gc_result {
	uint64_t blobs, layers, ingests, bytes; /* removed, and what they took on disk */
} ol_gc_result;

/* Removes what no name, nameless image, lease, container or mount reaches over edges. Marks in a
 * read snapshot, deletes in small batches; a pull, list or run goes on meanwhile. */
int ol_gc(ol_store *store, const ol_cancel *cancel, ol_gc_result *out, ol_error *err);

/* A finding of check: what is wrong with what. */
typedef struct ol_finding {
	const char *what; /* "blob sha256:…", "layer sha256:…", "row …" */
	const char *why;
	const char *hint;
} ol_finding;

/* Re-hashes every blob and index, compares rows with files, edges with rows. Calls found for each
 * fault; *faults counts them. The verify callback, if any, checks a layer's tree (the dir driver's)
 * which the store itself knows nothing about. */
typedef struct ol_check_options {
	const ol_cancel *cancel;
	const ol_listener *listener;
	void (*found)(void *ctx, const ol_finding *finding);
	int (*verify_tree)(void *ctx, const ol_digest *key, bool is_chain, ol_error *err);
	void *ctx;        /* of found */
	void *verify_ctx; /* of verify_tree */
	bool quick;       /* presence and sizes only */
} ol_check_options;

int ol_check(ol_store *store, const ol_check_options *options, uint64_t *faults, ol_error *err);
