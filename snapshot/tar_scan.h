#pragma once

/*
 * Looks through a layer's tar for what a lazy image says of it: every member's entry of the table
 * of contents, made as it passes, and the chunks of its files with their digests.
 *
 *	tar ─▶ sha256 ─▶ DiffID
 *	  └──▶ ol_tar ─┬─▶ entry of the table, without places
 *	               └─▶ data ─▶ chunks: of a set size, or cut by content
 *
 * Chunks by content are containers' (pkg/chunked/compressor): a rolling sum over 64 bytes ends one
 * where its low 16 bits are all ones, after 64 KiB on average, and 1 KiB of zeros and more is a
 * hole. So files that are alike share chunks, also with images that podman and buildah made, and
 * who pulls by pieces need not fetch them again.
 */
#include "base/alloc.h"
#include "base/cancel.h"
#include "base/digest.h"
#include "base/str.h"
#include "manifest/tar_raw.h"

/* A chunk that its content ends is made to end here; the odds against it are e^64. */
#define OL_SCAN_CHUNK_BYTES_MAX ((uint64_t)4 << 20)

typedef struct ol_scan_chunk {
	uint64_t offset, size; /* in the file */
	uint8_t sha256[32];
	bool zeros;
} ol_scan_chunk;

typedef struct ol_scan_member {
	const char *name;  /* as it stands */
	const char *clean; /* without "./", doubled and last slashes; "" is the root */
	const char *link;  /* of a hard link: the target, clean; else NULL */
	uint64_t header_offset, data_offset, size; /* in the tar */
	size_t toc_at, toc_size;                   /* of its entry in ol_scan.toc, still open */
	size_t chunk, chunk_count;
	ol_digest digest; /* of its data; a file's */
	uint64_t crc64;   /* of its data; chunks by content only */
	bool file;
} ol_scan_member;

typedef struct ol_scan {
	ol_digest diff_id;
	uint64_t tar_bytes;
	ol_scan_member *members; /* owned */
	size_t count, cap;
	ol_scan_chunk *chunks; /* owned */
	size_t chunk_count, chunk_cap;
	ol_str toc;
	ol_arena *arena; /* owned: names */
	/* "", or why it can have no table of contents: what is above then says little */
	char odd[320];
} ol_scan;

typedef struct ol_scan_options {
	uint64_t chunk_bytes; /* 0: by content */
	bool all_times;       /* ol_toc_put_member's */
	const ol_cancel *cancel;
	void (*progress)(void *ctx, uint64_t bytes); /* since it was last told; or NULL */
	void *ctx;
} ol_scan_options;

/* fd: the tar, lent, read by offset. out is given back with ol_scan_done whatever happens.
 * OL_ECORRUPT, OL_ELIMIT, OL_EUNSUPPORTED: as manifest/tar.h; OL_ECANCELED. */
int ol_tar_scan(int fd, const ol_scan_options *options, ol_scan *out, ol_error *err);
void ol_scan_done(ol_scan *scan);
