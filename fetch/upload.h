#pragma once

/*
 * Writing to a registry: distribution-spec "Push". Blobs first, then the manifests that name them.
 * As with all of a registry handle, calls block and any number of threads may call at once.
 */
#include <stdatomic.h>

#include "base/stream.h"
#include "fetch/registry.h"

/* OL_ENOTFOUND: the repository has no such blob, or does not say. */
int ol_registry_has_blob(
	ol_registry *registry, const ol_ref *ref, const ol_digest *digest, ol_error *err);

typedef struct ol_upload {
	ol_digest digest;
	uint64_t size;
	/* a repository of the same registry that may have the blob: "library/alpine"; or NULL */
	const char *mount_from;
	/* Called once, when it is sure that the bytes are needed. *out is the registry's from then
	 * on, and read on its transfer thread: read_at must not wait. */
	int (*open)(void *ctx, ol_source **out, ol_error *err);
	/* For sources that still grow: waits until at least want bytes behind from are there. *to
	 * is the end of what is of use, and becomes the end of what is there. NULL: all is. */
	int (*ready)(void *ctx, uint64_t from, uint64_t want, uint64_t *to, ol_error *err);
	/* Bytes that are on their way; they may go back. On the transfer thread; or NULL. */
	void (*progress)(void *ctx, uint64_t done);
	void *ctx;
	const atomic_bool *stop; /* becomes true: nobody wants it any more; or NULL */
} ol_upload;

typedef enum ol_upload_end {
	OL_UPLOAD_EXISTED, /* nothing was to be done */
	OL_UPLOAD_MOUNTED, /* from mount_from: no byte moved */
	OL_UPLOAD_SENT,
} ol_upload_end;

/* Brings a blob into the repository: looks whether it is there, tries to mount it, uploads it, in
 * one piece or in several. Goes on where it was cut, re-authenticates and retries by itself; memory
 * is bounded. OL_EAUTH; OL_EUNAVAILABLE; OL_ELIMIT: too large for the registry; OL_ECORRUPT: the
 * registry found that the bytes have another digest; what open and ready answer. */
int ol_registry_put_blob(ol_registry *registry, const ol_ref *ref, const ol_upload *want,
	ol_upload_end *out, ol_error *err);

typedef struct ol_manifest_put {
	const char *tag; /* NULL: it is known by its digest alone */
	ol_digest digest;
	const char *media_type;
	ol_view bytes; /* exactly as they are to be served */
} ol_manifest_put;

/* Pushes a manifest or an index. Where it has a subject and the registry keeps no referrers by
 * itself, the subject's referrers tag is brought up to date: "Pushing Manifests with Subject".
 * OL_ECORRUPT: the registry keeps it by another digest. */
int ol_registry_put_manifest(
	ol_registry *registry, const ol_ref *ref, const ol_manifest_put *manifest, ol_error *err);

/* Calls for each tag of ref's repository, in the registry's order; a negative return stops and is
 * passed on. OL_ENOTFOUND: no such repository. "Listing Tags". */
int ol_registry_list_tags(ol_registry *registry, const ol_ref *ref,
	int (*call)(void *ctx, const char *tag, ol_error *err), void *ctx, ol_error *err);

/* The target of `<…>; rel="next"` in a Link header, lent from it: RFC 8288 section 3. OL_ENOTFOUND
 * where no link is next, or none can be read. */
int ol_link_next(ol_view header, ol_view *out, ol_error *err);
