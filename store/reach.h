#pragma once

/* From a digest to the images that need it: edges, followed upwards. */
#include "store/store.h"

/* The roots of images that are digest or reach it, each once, at most max; *out is owned by the
 * caller. Rows are not proved: look at the documents before believing it. */
int ol_reach_roots(ol_store *store, const ol_digest *digest, size_t max, ol_digest **out,
	size_t *count, ol_error *err);
/* Blobs whose digest begins, after the algorithm, with hex (lower case), and that are no layers, in
 * order, at most max. OL_EINVAL: hex is not hex, or too long. */
int ol_reach_prefix(ol_store *store, const char *hex, size_t max, ol_digest **out, size_t *count,
	ol_error *err);
