#pragma once

/*
 * What the builders of lazy layers share.
 *
 *	lazy_build.c          the frame: opens, runs the format's row, writes seek table and index
 *	lazy_build_maker.c    members become entries of the index, pieces and extents
 *	lazy_build_json.c     eStargz, and zstd:chunked without a tar-split: packed
 *	lazy_build_split.c    zstd:chunked with a tar-split: the tar
 *	lazy_build_soci.c     SOCI: the tar
 */
#include "base/limits.h"
#include "base/str.h"
#include "manifest/tar_writer.h"
#include "manifest/toc.h"
#include "snapshot/erofs_writer.h"
#include "snapshot/lazy_build.h"

/* The member that the tar reader told of last. */
typedef struct ol_lazy_member {
	bool is_there;         /* it told of one since that was cleared */
	bool is_data;          /* a file that is not empty */
	uint64_t offset, size; /* of its data in the payload */
} ol_lazy_member;

typedef struct ol_lazy_maker {
	const ol_lazy_build_options *options; /* lent */
	const ol_lazy_toc *toc;               /* lent */
	ol_sink headers;                      /* where the tar writer's bytes go: into tar */
	ol_tar *tar;                          /* owned */
	ol_tar_writer *tar_writer;            /* owned */
	ol_erofs_writer *index;               /* owned */
	int index_fd;                         /* owned */
	ol_lazy_table table;                  /* owned */
	size_t piece_cap, extent_cap;
	ol_lazy_member member;
	/* Where the data of the next member are in the payload; OL_TOC_NOWHERE: where they are in
	 * the tar. */
	uint64_t place;
	uint64_t entries;
	uint64_t tar_bytes;  /* pushed and passed so far */
	uint64_t tar_length; /* of the layer, where the table says it; else 0 */
	uint64_t data_end;   /* in the payload: of the data that reach furthest */
} ol_lazy_maker;

/* Bytes of the layer's tar. */
int ol_lazy_maker_push(ol_lazy_maker *maker, ol_view bytes, ol_error *err);
int ol_lazy_maker_pass(ol_lazy_maker *maker, uint64_t size, ol_error *err);
/* A member by its entry in a table of contents: its headers are made up and pushed, its data
 * passed. records: pax records it has beside; may be NULL. */
int ol_lazy_maker_add(ol_lazy_maker *maker, const ol_toc_entry *entry, const ol_xattr *records,
	size_t record_count, ol_error *err);
/* OL_ELIMIT past base/limits.h. *number: of the piece or extent. */
int ol_lazy_maker_piece(
	ol_lazy_maker *maker, const ol_lazy_piece *piece, uint32_t *number, ol_error *err);
int ol_lazy_maker_extent(ol_lazy_maker *maker, const ol_lazy_extent *extent, ol_error *err);
/* The chunks of the member: an extent and a piece each. Pieces that begin at the same byte become
 * one in ol_lazy_maker_join. */
int ol_lazy_maker_chunks(
	ol_lazy_maker *maker, const ol_toc_chunk *chunks, size_t count, ol_error *err);
/* All pieces are there: makes one of those that begin at the same byte, and lets each end where the
 * next one begins, or at blob_end, if nothing said that it ends before. */
int ol_lazy_maker_join(ol_lazy_maker *maker, uint64_t blob_end, ol_error *err);

/* Reads the table: members and pieces of all of it. */
int ol_lazy_read_json(ol_lazy_maker *maker, ol_error *err);
int ol_lazy_read_split(ol_lazy_maker *maker, ol_error *err);
int ol_lazy_read_soci(ol_lazy_maker *maker, ol_error *err);
