#pragma once

/*
 * The SOCI index of an image that is pulled, if it has one. Version 2 is bound to the image's
 * manifest, or stands in the index by which it was pulled; version 1 is only said to belong to it,
 * by whoever pushed it, and is asked for with --lazy-unbound alone.
 */
#include "image/pull_priv.h"
#include "manifest/soci.h"

typedef struct ol_soci_found {
	bool sought, found;
	ol_soci_index index; /* owned */
	ol_digest digest;
} ol_soci_found;

/* Which index of version 2 is the image's, without asking anybody. OL_ENOTFOUND; OL_ECORRUPT: what
 * its manifest names is no digest. */
int ol_lazy_soci_named(
	const ol_pull_state *pull, const ol_incoming_image *image, ol_digest *out, ol_error *err);

/* The bytes of an index: from the store, or from the registry and then kept there under the pull's
 * lease. */
int ol_lazy_soci_bytes(ol_pull_state *pull, const ol_digest *digest, ol_buf *out, ol_error *err);

/* Nothing found is OK, as is an index that is of no use: that is warned of. Negative: the registry
 * could not be asked. */
int ol_lazy_soci_find(
	ol_pull_state *pull, const ol_incoming_image *image, ol_soci_found *out, ol_error *err);
void ol_soci_found_done(ol_soci_found *found);
/* The ztoc of a layer; NULL: there is none. */
const ol_descriptor *ol_soci_found_ztoc(const ol_soci_found *found, const ol_digest *blob);
