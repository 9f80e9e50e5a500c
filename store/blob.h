#pragma once

/*
 * Blobs: immutable bytes under their digest, blobs/<algorithm>/<hex>. A blob has a row (digest,
 * size, state) or does not exist; a file without a row is garbage. "No byte is ever served unless
 * it has been verified since it last could have been lost": opening a blob whose row is `written`
 * by an older boot re-hashes it first.
 */
#include "base/str.h"
#include "base/view.h"
#include "store/store.h"

typedef struct ol_blob_info {
	ol_digest digest;
	uint64_t size;
	bool durable;
} ol_blob_info;

/* A blob that was found wrong is *damaged*: its row says so, every function here answers
 * OL_ECORRUPT (ol_blob_exists: false) until put or adopt bring its bytes anew. What nothing reaches
 * is collected: put things under a lease (store/lease.h). */

/* OL_ENOTFOUND without a row; OL_ECORRUPT when it is damaged. Looks at the row alone. */
int ol_blob_stat(ol_store *store, const ol_digest *digest, ol_blob_info *out, ol_error *err);
/* Is it there and proved, so that ol_blob_open will give it? Hashes it first after an
 * unclean boot. */
bool ol_blob_exists(ol_store *store, const ol_digest *digest);
/* A descriptor to read from. OL_ENOTFOUND; OL_ECORRUPT when size or (after an unclean boot) digest
 * are wrong. */
int ol_blob_open(ol_store *store, const ol_digest *digest, int *fd, ol_error *err);
/* A small one whole, its digest verified each time. */
int ol_blob_read(ol_store *store, const ol_digest *digest, size_t max, ol_buf *out, ol_error *err);
/* Keeps small bytes (manifest, config); verifies the digest. There already is OL_OK. durable:
 * fsynced before return. */
int ol_blob_put(
	ol_store *store, const ol_digest *digest, ol_view bytes, bool durable, ol_error *err);
/* Takes a file that is written and verified, named name in dir_fd on the same file system, as this
 * blob. */
int ol_blob_adopt(ol_store *store, const ol_digest *digest, uint64_t size, int dir_fd,
	const char *name, ol_error *err);
/* What this blob refers to: edges keep children from being collected. Replaces what was said
 * before. */
int ol_blob_set_edges(ol_store *store, const ol_digest *parent, const ol_digest *children,
	size_t count, ol_error *err);
/* Calls for every row, in digest order; a negative return stops and is passed on. */
int ol_blob_each(ol_store *store, int (*call)(void *ctx, const ol_blob_info *info, ol_error *err),
	void *ctx, ol_error *err);
