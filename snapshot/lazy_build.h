#pragma once

/*
 * From a layer's table of contents to what makes it mountable before it is here: its index, and its
 * seek table. The entries become tar headers and go through manifest/tar.h, as a layer's do that is
 * pulled whole: so names, whiteouts, xattrs and limits are judged in one place, and both views
 * agree.
 *
 *	toc ─▶ tar headers ─▶ ol_tar ─▶ ol_erofs_writer ─▶ index.erofs
 *	  └──▶ pieces, extents ─▶ ol_lazy_table_write ─▶ seek
 */
#include "base/view.h"
#include "manifest/toc_footer.h"
#include "snapshot/driver.h"
#include "snapshot/lazy_table.h"

typedef enum ol_lazy_format {
	OL_LAZY_ESTARGZ,
	OL_LAZY_ZSTD_CHUNKED,
	OL_LAZY_SOCI,
} ol_lazy_format;

/* All of it is verified against digests that the manifest binds; lent for the call. */
typedef struct ol_lazy_toc {
	ol_lazy_format format;
	/* eStargz: the tar with stargz.index.json, as inflated (an external one: bytes the blob
	 * does not have, and the tree shows no such file); zstd:chunked: the JSON; SOCI: the ztoc
	 */
	ol_view bytes;
	ol_toc_range place; /* in the blob, compressed; size 0: it is elsewhere */
	ol_view tar_split;  /* zstd:chunked: JSON lines as inflated, or empty */
	/* Called with ctx now and then while they are read in one go: what was read so far need not
	 * stay in memory. May be NULL. */
	void (*relax)(void *ctx);
	void *ctx;
} ol_lazy_toc;

typedef struct ol_lazy_build_options {
	ol_builder_options builder; /* dir_fd gets "index.erofs", "seek", and SOCI's "window" */
	ol_digest blob, diff_id;
	uint64_t blob_size;
} ol_lazy_build_options;

typedef struct ol_lazy_built {
	ol_built built;     /* driver "lazy"; has_tar false; disk_bytes with the seek table's */
	uint64_t tar_bytes; /* of the layer as inflated, as far as the table says: what `images`
			       adds up */
	ol_lazy_about about;
} ol_lazy_built;

/* OL_EUNSUPPORTED: this layer cannot be lazy, and why in one clause ("a name holds bytes that its
 * table of contents cannot carry"): pull it whole. OL_ECORRUPT, OL_ELIMIT: the table is wrong, at
 * which entry. What dir_fd holds then is the caller's to remove. */
int ol_lazy_build(const ol_lazy_build_options *options, const ol_lazy_toc *toc, ol_lazy_built *out,
	ol_error *err);
