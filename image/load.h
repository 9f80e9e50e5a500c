#pragma once

#include "image/session.h"

/*
 * Archives in: docker-archive (old and new layouts), oci-archive, an OCI layout folder, docker's
 * combined layout; plain or wrapped in gzip, zstd, xz or bzip2. One pass, no temporary copy:
 * what is written is what is kept.
 */
typedef struct ol_load_options {
	const char *input; /* a file or folder; NULL or "-": standard input */
	/* none: every platform that is there whole */
	const ol_platform *platforms;
	size_t platform_count;
	/* -t: the name for an image that the archive does not name; OL_EINVAL with several such */
	const char *tag;
	const char *select; /* only the image of this name; NULL: all */
	bool nameless;      /* no name is given: for what goes on to somewhere else */
	bool pin;
} ol_load_options;

/* An image that is in the store now; lent for the call. */
typedef struct ol_loaded {
	const char *name; /* canonical reference, "" where it has none */
	ol_digest root, config;
} ol_loaded;

/* Every image the archive holds, or none of those that are damaged: OL_ECORRUPT names the first
 * thing that is wrong or absent; images that were whole before it stay. All is on disk before call
 * hears of an image. What other platforms and attestations need may be absent. */
int ol_load(ol_session *session, const ol_load_options *options,
	void (*call)(void *ctx, const ol_loaded *loaded), void *ctx, ol_error *err);
