#pragma once

/*
 * Where a lazy layer's blob keeps its table of contents: the last bytes of the blob say it
 * (eStargz, stargz, zstd:chunked in both dialects), or annotations of its descriptor do
 * (containers' zstd:chunked, which alone is bound to the manifest by digest). stargz-snapshotter
 * docs/estargz.md "Footer"; containers/storage pkg/chunked.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/view.h"
#include "manifest/descriptor.h"

typedef enum ol_toc_format {
	OL_TOC_NONE,
	OL_TOC_ESTARGZ,          /* a gzip member with a tar that holds stargz.index.json */
	OL_TOC_ESTARGZ_EXTERNAL, /* in another image, <ref>-esgztoc */
	OL_TOC_ZSTD_CHUNKED,     /* a skippable frame with JSON in zstd */
} ol_toc_format;

/* Bytes of a blob. */
typedef struct ol_toc_range {
	uint64_t offset, size;
} ol_toc_range;

typedef struct ol_toc_place {
	ol_toc_format format;
	ol_toc_range toc;      /* compressed; inside the blob */
	uint64_t toc_raw_size; /* zstd:chunked: as inflated; else 0 */
	/* containers' zstd:chunked: tar-split, compressed and inflated; size 0: there is none */
	ol_toc_range tar_split;
	uint64_t tar_split_raw_size;
} ol_toc_place;

/* As much of a blob's end as every footer fits into. */
#define OL_TOC_FOOTER_BYTES_MAX 72

/* tail: the blob's last bytes, at least OL_TOC_FOOTER_BYTES_MAX of them or all. OL_ENOTFOUND: no
 * footer that is known. OL_ECORRUPT: one whose places do not lie inside the blob. */
int ol_toc_footer_parse(ol_view tail, uint64_t blob_size, ol_toc_place *out, ol_error *err);

/* What binds a table of contents to the manifest. */
typedef struct ol_toc_binding {
	ol_toc_format format;
	ol_digest toc;
	bool toc_is_raw; /* toc is of the JSON as inflated, else of its compressed bytes */
	/* from annotations, where they say it; else format is set and place.toc.size is 0: the
	 * footer says where */
	ol_toc_place place;
} ol_toc_binding;

/* A layer's descriptor. OL_ENOTFOUND: nothing binds a table of contents to it. OL_ECORRUPT:
 * annotations that cannot be read, or point outside of the blob. */
int ol_toc_binding_of(const ol_descriptor *layer, ol_toc_binding *out, ol_error *err);
