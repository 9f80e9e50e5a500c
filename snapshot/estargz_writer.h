#pragma once

/*
 * A layer's tar as eStargz (stargz-snapshotter docs/estargz.md): an ordinary gzip of an ordinary
 * tar, cut so that every file can be had by itself, with a table of contents as its last file.
 *
 *	member  landmark's header │ landmark, header │ file, header │ file … │ table, end │ footer
 *
 * A gzip member begins with the data of each file, and of each chunk of a file. Headers stay byte
 * for byte what they were; what changes is the order where files are asked to come first, a
 * landmark behind those (or in front, if there are none), and the table at the end. A table of
 * contents or a landmark that the layer has from before goes.
 */
#include "base/stream.h"
#include "snapshot/frame_pool.h"
#include "snapshot/tar_scan.h"

#define OL_ESTARGZ_CHUNK_BYTES ((uint64_t)4 << 20) /* as stargz-snapshotter has it */

typedef struct ol_estargz_options {
	ol_frame_pool_options frames; /* their plan and codec are not looked at */
	uint64_t min_chunk_bytes; /* a member takes in files until it holds as much; 0: one each */
	/* paths that come first, in their order, ended by NULL; or NULL. *found[i] is set for those
	 * that are there */
	const char *const *first;
	bool *found;
} ol_estargz_options;

typedef struct ol_estargz ol_estargz;

/* scan: of the tar in options->frames.fd, made with chunk_bytes; not odd. scan and what options
 * point to are lent for the writer's life. */
int ol_estargz_new(
	const ol_scan *scan, const ol_estargz_options *options, ol_estargz **out, ol_error *err);
void ol_estargz_free(ol_estargz *self);
OL_DEFINE_AUTO(ol_estargz, ol_estargz_free)
/* The blob, from its first byte on; read once. Closing it frees nothing else. OL_ELIMIT: its table
 * of contents would be larger than others read. */
ol_reader *ol_estargz_reader(ol_estargz *self);
/* Once the reader has come to its end: of the table as inflated. */
const ol_digest *ol_estargz_toc(const ol_estargz *self);
