#pragma once

/*
 * A layer's tar as zstd:chunked in containers' dialect (containers/storage pkg/chunked): the tar as
 * it is, cut into zstd frames where files and their chunks begin and end, and behind it three
 * skippable frames: the table of contents, a tar-split, the footer.
 *
 *	headers │ chunk │ chunk │ headers │ chunk … │ end │ table │ tar-split │ footer
 *
 * Who pulls by pieces holds the table against the tar-split, which is all of the tar but the files'
 * data, and so comes to the same DiffID.
 */
#include "base/stream.h"
#include "manifest/toc_footer.h"
#include "snapshot/frame_pool.h"
#include "snapshot/tar_scan.h"

typedef struct ol_zstd_chunked ol_zstd_chunked;

/* scan: of the tar in options->fd, with chunks by content; not odd. options: their plan and codec
 * are not looked at. scan and what options point to are lent for the writer's life. */
int ol_zstd_chunked_new(const ol_scan *scan, const ol_frame_pool_options *options,
	ol_zstd_chunked **out, ol_error *err);
void ol_zstd_chunked_free(ol_zstd_chunked *self);
OL_DEFINE_AUTO(ol_zstd_chunked, ol_zstd_chunked_free)
/* The blob, from its first byte on; read once. Closing it frees nothing else. OL_ELIMIT: its table
 * of contents would be larger than others read. */
ol_reader *ol_zstd_chunked_reader(ol_zstd_chunked *self);
/* Once the reader has come to its end: the digest of the table, compressed, and where things are.
 */
const ol_digest *ol_zstd_chunked_toc(const ol_zstd_chunked *self);
const ol_toc_place *ol_zstd_chunked_place(const ol_zstd_chunked *self);
