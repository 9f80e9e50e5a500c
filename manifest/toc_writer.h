#pragma once

/*
 * Writes the tables of contents that manifest/toc.h reads, piece by piece into a text, so that the
 * half that is known early can be made early:
 *
 *	ol_toc_begin
 *	{ put_member   put_spot?   put_close   { put_chunk … }  }…
 *	ol_toc_end
 *
 * and the footers behind them. Texts are UTF-8 (ol_tar_raw.odd says where they are not). What does
 * not fit is told by ol_toc_end. stargz-snapshotter docs/estargz.md "TOC"; containers/storage
 * pkg/chunked/internal/minimal.
 */
#include "base/str.h"
#include "manifest/tar_raw.h"
#include "manifest/toc_footer.h"

void ol_toc_begin(ol_str *out);
/* The member's entry, still open. all_times: its times of access and change too (containers';
 * eStargz has no words for them). */
void ol_toc_put_member(ol_str *out, const ol_tar_raw *member, bool all_times);

/* Where bytes of a file are; what is 0 or unset is left out. */
typedef struct ol_toc_spot {
	const ol_digest *digest; /* of the whole file; or NULL */
	uint64_t blob_offset, blob_end, inner_offset;
	uint64_t chunk_offset, chunk_size;
	const ol_digest *chunk_digest; /* or NULL */
	bool zeros;
} ol_toc_spot;
void ol_toc_put_spot(ol_str *out, const ol_toc_spot *spot);
void ol_toc_put_close(ol_str *out);
/* A further chunk of the file name. */
void ol_toc_put_chunk(ol_str *out, const char *name, const ol_toc_spot *spot);
/* tar_split: its digest, or NULL. OL_ELIMIT: more than out may hold. */
int ol_toc_end(ol_str *out, const ol_digest *tar_split, ol_error *err);

#define OL_ESTARGZ_FOOTER_BYTES 51
void ol_estargz_footer(uint64_t toc_offset, unsigned char out[OL_ESTARGZ_FOOTER_BYTES]);
/* With its skippable frame around it, as that of the others: magic, and the size of what follows.
 */
#define OL_ZSTD_SKIPPABLE_BYTES      8
#define OL_ZSTD_CHUNKED_FOOTER_BYTES (OL_ZSTD_SKIPPABLE_BYTES + 64)
void ol_zstd_skippable(uint32_t size, unsigned char out[OL_ZSTD_SKIPPABLE_BYTES]);
void ol_zstd_chunked_footer(
	const ol_toc_place *place, unsigned char out[OL_ZSTD_CHUNKED_FOOTER_BYTES]);
