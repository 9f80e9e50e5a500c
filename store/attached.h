#pragma once

/*
 * Blobs that belong to another without being named by it: a layer's own table of contents, the
 * profile of an image's start. They live as long as their subject is reached.
 */
#include "store/store.h"

/* subject: a DiffID or a manifest's digest. kind: printable ASCII, at most 127 characters:
 * "profile", "ztoc " + the compressed blob's digest. Replaces what was attached as this kind; the
 * blob is there already (OL_ENOTFOUND), and reached or leased until the subject is: gc takes what
 * is attached to nothing that lives. OL_EINVAL. */
int ol_attach(ol_store *store, const ol_digest *subject, const char *kind, const ol_digest *blob,
	ol_error *err);
/* OL_ENOTFOUND; OL_ECORRUPT: the row is damaged. The blob itself is not looked at. */
int ol_attached(
	ol_store *store, const ol_digest *subject, const char *kind, ol_digest *out, ol_error *err);
/* Nothing there is OK. */
int ol_detach(ol_store *store, const ol_digest *subject, const char *kind, ol_error *err);
