#pragma once

#include "image/session.h"

/*
 * Copies of images between registries, layouts, archives and the store:
 *
 *	docker://REF   oci:DIR[:REF]   oci-archive:FILE[:REF]   docker-archive:FILE[:REF]   REF
 *
 * Digests are preserved wherever the source's blobs can be had.
 */
typedef struct ol_copy_options {
	const char *source, *target;  /* as above */
	const ol_platform *platforms; /* none: all that are there, the index as it is */
	size_t platform_count;
	/* a layer whose compressed bytes are nowhere to be had is made anew: digests change */
	bool recompress;
	/* of the target, where it differs from the session's */
	const char *target_creds;
} ol_copy_options;

typedef struct ol_copied {
	ol_digest root; /* as the target has it now */
	bool changed;   /* root is not the source's */
	/* bytes of layers and configs */
	uint64_t uploaded_bytes, mounted_bytes, skipped_bytes;
} ol_copied;

int ol_copy(ol_session *session, const ol_copy_options *options, ol_copied *out, ol_error *err);
/* push REF [DST]: ol_copy from the store to docker://DST. */
int ol_push(ol_session *session, const char *source, const char *target,
	const ol_copy_options *options, ol_copied *out, ol_error *err);
