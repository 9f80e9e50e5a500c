#pragma once

#include "image/session.h"
#include "store/lease.h"

/*
 * Archives in: docker-archive (old and new layouts), oci-archive, an OCI layout folder, docker's
 * combined layout; plain or wrapped in gzip, zstd, xz or bzip2. One pass, no temporary copy:
 * what is written is what is kept.
 */
typedef struct ol_load_options {
	const char *input; /* a file or folder; NULL or "-": standard input */
	/* Images for none of these are passed over, but one must be for each. None: every platform
	 * that is there whole. */
	const ol_platform *platforms;
	size_t platform_count;
	/* -t: the name for the image that the archive does not name; where it names its only image
	 * that has this name, too. OL_EINVAL: it could mean several. */
	const char *tag;
	const char *select; /* only the image of this name; NULL: all. OL_ENOTFOUND lists them */
	/* No name is given, nothing is listed: for what goes on to somewhere else. lease is set
	 * then: it keeps what was loaded until the caller ends it. */
	bool nameless;
	ol_lease **lease;
	bool pin;
} ol_load_options;

/* An image that is in the store now; lent for the call. */
typedef struct ol_loaded {
	const char *name; /* canonical reference, "" where it has none */
	ol_digest root, config;
} ol_loaded;

/* All images of the archive, or none where one of them is damaged: OL_ECORRUPT names what is
 * wrong, OL_ENOTFOUND what is absent, from the archive and from the store. What platforms other
 * than the host's and attestations need may be absent, but not wrong. All is on disk before an
 * image is listed, and call hears of it then, once for each name, or once for one without. */
int ol_load(ol_session *session, const ol_load_options *options,
	void (*call)(void *ctx, const ol_loaded *loaded), void *ctx, ol_error *err);
