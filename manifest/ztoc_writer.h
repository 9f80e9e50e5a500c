#pragma once

/*
 * Writes SOCI's table of contents of a layer (manifest/ztoc.h reads it): its members as they pass,
 * then where inflating can begin. Readers other than ours compare each member with its header in
 * the tar as Go's archive/tar reads it, so members are written as they stand there, and those that
 * Go would read otherwise than we do are refused.
 *
 *	new  add*  finish
 */
#include "base/stream.h"
#include "manifest/tar.h"
#include "manifest/ztoc.h"

/* One checkpoint on disk: i64 in, i64 out, u8 bits, window. */
#define OL_ZTOC_WINDOW_BYTES     32768
#define OL_ZTOC_CHECKPOINT_BYTES (8 + 8 + 1 + OL_ZTOC_WINDOW_BYTES)

/* A window that is shorter stands at the end of its place. */
void ol_ztoc_checkpoint_pack(
	const ol_ztoc_checkpoint *checkpoint, unsigned char out[OL_ZTOC_CHECKPOINT_BYTES]);

typedef struct ol_ztoc_writer ol_ztoc_writer;

ol_ztoc_writer *ol_ztoc_writer_new(void);
void ol_ztoc_writer_free(ol_ztoc_writer *writer);
OL_DEFINE_AUTO(ol_ztoc_writer, ol_ztoc_writer_free)

/* The next member of the tar. OL_EUNSUPPORTED: a ztoc cannot say it, and why in one clause.
 * OL_ELIMIT: more than a ztoc may have. */
int ol_ztoc_writer_add(ol_ztoc_writer *writer, const ol_tar_member *member, ol_error *err);

typedef struct ol_ztoc_facts {
	const char *tool; /* who made it */
	bool gzip;        /* else the blob is the tar */
	uint64_t blob_size, tar_size;
	uint64_t span_bytes; /* of tar, about, in one span */
	const ol_digest *span_digests;
	size_t span_count;      /* not 0 */
	ol_reader *checkpoints; /* gzip: as many, packed; lent, and read to its end */
} ol_ztoc_facts;

/* Writes all of it to sink, which is lent; nothing may be added then. OL_ELIMIT: it would be larger
 * than anybody reads. */
int ol_ztoc_writer_finish(
	ol_ztoc_writer *writer, const ol_ztoc_facts *facts, ol_sink *sink, ol_error *err);
