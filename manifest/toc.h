#pragma once

/*
 * Tables of contents of lazy layers: which files a layer has, and where in its blob the pieces are
 * that each can be verified by itself. Two forms give the same entries: the JSON of eStargz and
 * zstd:chunked (docs/estargz.md "TOC"; containers/storage pkg/chunked/internal), and SOCI's ztoc
 * (manifest/ztoc.h).
 *
 * What is read here is not trusted. Sizes and places are checked against the blob's and the file's;
 * names, types, owners and xattrs are as they stand: whoever uses them makes tar headers of them
 * and lets manifest/tar.h judge, as it does for a layer that is pulled whole.
 */
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/digest.h"
#include "base/view.h"
#include "manifest/tar.h"

/* Part of a file. */
typedef struct ol_toc_chunk {
	uint64_t offset, size; /* in the file; chunks of a file leave no gap and never overlap */
	uint64_t blob_offset;  /* where the compressed piece that holds it begins */
	/* where that piece ends, or 0: where the next greater blob_offset of the table is, or the
	 * table itself */
	uint64_t blob_end;
	uint64_t inner_offset; /* of the chunk in its piece, inflated */
	ol_digest digest;      /* of the chunk; unset for zeros */
	bool zeros;            /* a hole: nothing is in the blob */
} ol_toc_chunk;

#define OL_TOC_NOWHERE UINT64_MAX

/* Lent for the call. */
typedef struct ol_toc_entry {
	ol_tar_type type; /* as written: a whiteout is a file with a name */
	ol_view name, target;
	uint32_t mode, uid, gid, dev_major, dev_minor;
	struct timespec mtime; /* zeros where the table has none */
	uint64_t size;
	/* of its bytes in the tar, where the form says it (ztoc); else OL_TOC_NOWHERE */
	uint64_t data_offset;
	const ol_xattr *xattrs; /* as written; SOCI's are all pax records of the member */
	size_t xattr_count;
	/* of a file that is not empty; NULL where the form has none (ztoc) */
	const ol_toc_chunk *chunks;
	size_t chunk_count;
	/* A name, target or xattr holds U+FFFD: it may have stood for bytes that JSON cannot carry.
	 */
	bool mangled;
} ol_toc_entry;

typedef struct ol_toc_handler {
	int (*entry)(void *ctx, const ol_toc_entry *entry, ol_error *err);
	void *ctx;
} ol_toc_handler;

/* A whole table. json is verified against its digest by the caller; pieces lie before blob_end
 * (where the table begins). A negative return of the handler is passed on. OL_ECORRUPT says at
 * which entry, and what is wrong; OL_ELIMIT past base/limits.h; OL_EUNSUPPORTED: another version.
 */
int ol_toc_json_parse(
	ol_view json, uint64_t blob_end, const ol_toc_handler *handler, ol_error *err);
