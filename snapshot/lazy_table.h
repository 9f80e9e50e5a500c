#pragma once

/*
 * A lazy layer's seek table: which pieces of its compressed blob give which bytes of its payload,
 * the sparse file that its index points into.
 *
 *	payload  │ extent 0 │ extent 1 │ gap │ extent 2 …      sorted, not overlapping
 *	              └───┬──────┘             │
 *	blob       … piece 0 … │ piece 1 …  ◀──┘               sorted by where they begin
 *
 * The payload is either the layer's tar itself, with holes (OL_LAZY_TAR: SOCI, zstd:chunked with a
 * tar-split), or the files' bytes packed in the order of the table of contents, each file's
 * beginning at a multiple of 512 (OL_LAZY_PACKED: eStargz, old zstd:chunked). Gaps are zeros.
 *
 * On disk (docs/formats.md): little-endian, a sha256 of all before it at the end. It was made here
 * from a table of contents that was verified, yet what is read is checked like any other input:
 * OL_ECORRUPT, OL_ELIMIT.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/own.h"

typedef enum ol_lazy_layout {
	OL_LAZY_TAR = 1,
	OL_LAZY_PACKED = 2,
} ol_lazy_layout;

typedef enum ol_piece_kind {
	OL_PIECE_RAW = 1,     /* not compressed */
	OL_PIECE_GZIP = 2,    /* begins with a gzip header; further members may follow */
	OL_PIECE_DEFLATE = 3, /* begins inside a gzip member, at a checkpoint */
	OL_PIECE_ZSTD = 4,    /* one or more frames */
} ol_piece_kind;

/* What can be fetched, verified and inflated by itself. */
typedef struct ol_lazy_piece {
	uint64_t begin, end; /* its bytes in the blob; DEFLATE's neighbours may share one byte */
	uint64_t size;       /* inflated; bounds what may come out */
	ol_digest digest;    /* of the compressed bytes (SOCI), or unset */
	ol_piece_kind kind;
	unsigned bits;   /* DEFLATE: of byte begin that are still to be used; 0: none, all 8 are */
	uint64_t window; /* DEFLATE: where in the file "window" its 32 KiB are; or
			  * OL_PIECE_NO_WINDOW */
} ol_lazy_piece;
#define OL_PIECE_NO_WINDOW UINT64_MAX

typedef struct ol_lazy_extent {
	uint64_t offset, size; /* in the payload; size > 0 */
	uint64_t inner;        /* of its first byte in the piece, inflated */
	uint32_t piece;        /* index */
	ol_digest digest;      /* of its bytes, or unset: then its piece has one */
} ol_lazy_extent;

/* Says of a layer what does not change; plain values. */
typedef struct ol_lazy_about {
	ol_digest blob, diff_id;
	uint64_t blob_size;
	uint64_t payload_bytes; /* a multiple of 512 */
	ol_lazy_layout layout;
	char format[16]; /* for people: "estargz", "zstd:chunked", "soci" */
	ol_digest
		window; /* of the file "window", if a piece has one: ol_lazy_table_write sets it */
	uint64_t prefetch_end; /* landmark: bytes of the blob before it are worth one request; 0 */
} ol_lazy_about;

typedef struct ol_lazy_table {
	ol_lazy_about about;
	ol_lazy_piece *pieces;   /* owned */
	ol_lazy_extent *extents; /* owned */
	size_t piece_count, extent_count;
} ol_lazy_table;

/* Writes dir_fd/"seek"; the file "window", if there are any, stands beside it already. The table's
 * arrays may be in any order of making: they are sorted here (extents' piece numbers follow).
 * OL_ECORRUPT: what is above does not hold of it: overlaps, pieces outside the blob, an extent with
 * no digest whose piece has none, more than base/limits.h allows.
 */
int ol_lazy_table_write(ol_lazy_table *table, int dir_fd, ol_error *err);
/* Reads and checks all of it. */
int ol_lazy_table_load(int dir_fd, ol_lazy_table *out, ol_error *err);
void ol_lazy_table_done(ol_lazy_table *table); /* and zeroes it */
/* The first piece that ends after offset of the blob; piece_count if none does. */
size_t ol_lazy_table_piece(const ol_lazy_table *table, uint64_t offset);
/* The first extent that ends after offset; extent_count if none does. */
size_t ol_lazy_table_find(const ol_lazy_table *table, uint64_t offset);
