#pragma once

#include "image/session.h"

/*
 * Copies of images between registries, layouts, archives and the store:
 *
 *	docker://REF   oci:DIR[:REF]   oci-archive:FILE[:REF]   docker-archive:FILE[:REF]   REF
 *
 * REF alone, or store:REF, is the store. Digests are preserved wherever the source's blobs can be
 * had.
 */

/* How to talk to one end's registry. Zero is the default of everything. */
typedef struct ol_copy_side {
	const char *creds, *cert_dir, *authfile;
	bool plain_http, skip_tls_verify;
} ol_copy_side;

typedef struct ol_copy_options {
	const char *source, *target; /* as above */
	/* one, or NULL: all that are there, an index as it is */
	const ol_platform *platform;
	/* a layer whose compressed bytes are nowhere to be had is made anew: digests change */
	bool recompress;
	/* NULL: as the session talks to registries. What of an image in the store has to be fetched
	 * is the source's. */
	const ol_copy_side *source_side, *target_side;
} ol_copy_options;

typedef struct ol_copied {
	ol_digest root; /* as the target has it now */
	uint64_t size;  /* bytes of its document */
	bool changed;   /* root is not the source's: something had to be made anew */
	/* bytes of layers and configs */
	uint64_t sent_bytes, mounted_bytes, existing_bytes;
} ol_copied;

/* OL_EINVAL: a name that no transport has. OL_ENOTFOUND: no such image; or bytes of it are nowhere
 * to be had. Else as ol_registry_put_blob, ol_pull, ol_load, ol_save. The target's name comes last.
 */
int ol_copy_image(
	ol_session *session, const ol_copy_options *options, ol_copied *out, ol_error *err);
/* push REF [DST]: from the store to docker://DST (NULL: REF's own name). options: what it says of
 * source and target is not looked at. */
int ol_push(ol_session *session, const char *source, const char *target,
	const ol_copy_options *options, ol_copied *out, ol_error *err);
/* All names of the store in the repository of ref (--all-tags): calls for each one's canonical
 * reference. OL_ENOTFOUND: none. */
int ol_push_tags(ol_session *session, const char *repository,
	int (*call)(void *ctx, const char *name, ol_error *err), void *ctx, ol_error *err);
