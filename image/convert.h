#pragma once

#include "image/session.h"

/*
 * An image of the store made anew so that others can pull it lazily: the same files, configuration
 * and history, with a table of contents in each layer.
 */
typedef enum ol_convert_format {
	OL_CONVERT_ESTARGZ,      /* stargz-snapshotter's, gzip: the layers' DiffIDs change */
	OL_CONVERT_ZSTD_CHUNKED, /* containers', with tar-split: they stay */
} ol_convert_format;

#define OL_CONVERT_GZIP_LEVEL_MAX 9
#define OL_CONVERT_ZSTD_LEVEL_MAX 19
/* Chunks larger than this are more than anybody wants to wait for. */
#define OL_CONVERT_CHUNK_BYTES_MAX ((uint64_t)128 << 20)

typedef struct ol_convert_options {
	const char *source; /* as ol_image_find takes it */
	const char *target; /* the new image's name */
	ol_convert_format format;
	int level; /* of the compression; 0: 6 for gzip, 3 for zstd */
	/* eStargz: 0 for the defaults; snapshot/estargz_writer.h */
	uint64_t chunk_bytes, min_chunk_bytes;
	const char *const *first; /* eStargz: paths that a start needs, ended by NULL; or NULL */
	/* of the source's; none: the one that a run would take */
	const ol_platform *platforms;
	size_t platform_count;
	bool all_platforms; /* all that are in the store */
} ol_convert_options;

typedef struct ol_converted {
	ol_digest root;
	uint64_t bytes;       /* of all layers, compressed */
	size_t layers, plain; /* how many there are; of them, without a table of contents */
} ol_converted;

/* The compressed layers are kept, so that push, copy and save give exactly them. The same source
 * gives the same digests. A layer that has what no table of contents can say goes without one, and
 * the listener is told. OL_ENOTFOUND: no such image, or platform; OL_EINVAL: a target that is no
 * name. On failure nothing is kept. */
int ol_convert(
	ol_session *session, const ol_convert_options *options, ol_converted *out, ol_error *err);
