#pragma once

/* What the files of gc share: gc.c (rows), gc_files.c (files that no row knows). */
#include "store/gc.h"
#include "store/store_priv.h"

typedef struct ol_victim {
	int64_t id;
	ol_digest digest;
	uint64_t bytes;
	bool is_layer, is_chain;
} ol_victim;

typedef struct ol_victims {
	const ol_digest *below; /* lent: only what this reaches is looked at; NULL: everything */
	ol_victim *list;        /* owned */
	size_t count, cap;
} ol_victims;

/* The victim's row, and its edges if nothing else has its digest. */
int ol_gc_delete_row(ol_db *db, const ol_victim *victim, ol_error *err);
/* Unlinks the files of victims that have no row (any more): invariant 2. Counts them in *out. */
int ol_gc_unlink(
	ol_store *store, const ol_victim *victims, size_t count, ol_gc_result *out, ol_error *err);
/* Files and folders of blobs/, layers/ and chains/ that have no row, and old scratch names
 * everywhere. */
int ol_gc_orphans(ol_store *store, const ol_cancel *cancel, ol_gc_result *out, ol_error *err);
/* Ingests that nobody holds and nobody will resume. */
int ol_gc_ingests(ol_store *store, const ol_cancel *cancel, ol_gc_result *out, ol_error *err);
/* attached.c: attachments whose subject or blob is gone; who leases a subject is about to bring it.
 */
int ol_attached_prune(ol_store *store, int64_t *count, ol_error *err);
/* Folders of lazy/ that nobody needs. */
int ol_gc_lazy(ol_store *store, uint64_t *freed_bytes, ol_error *err);
/* Things being made, or thrown away, by processes that are gone, are removed. True: the name is one
 * of these. */
bool ol_gc_scratch(int dir_fd, const char *name);
/* Folders in containers/ without a row. */
int ol_gc_containers(ol_store *store, ol_error *err);

/* Calls for each name of a folder but "." and ".."; names that vanish meanwhile may be told. */
int ol_each_name(int dir_fd, int (*call)(void *ctx, const char *name, ol_error *err), void *ctx,
	ol_error *err);
/* blobs/: "<hex>"; false for what is no such name. */
bool ol_name_is_key(const char *name, ol_algorithm algorithm, ol_digest *out);
