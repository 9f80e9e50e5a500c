#pragma once

/*
 * The image that holds an eStargz image's tables of contents, where they are not in its layers: of
 * the same name with "-esgztoc" behind its tag, a layer of it for each. Asked for once a pull,
 * whoever of several threads is the first to want it. stargz-snapshotter docs/estargz.md, "External
 * TOC".
 */
#include <pthread.h>

#include "image/pull_priv.h"

typedef struct ol_lazy_external {
	pthread_mutex_t lock; /* guards what follows; fixed once it was sought */
	bool sought;
	int rc;
	ol_error error;
	ol_ref ref;
	ol_document *document; /* owned */
} ol_lazy_external;

void ol_lazy_external_init(ol_lazy_external *external);
void ol_lazy_external_done(ol_lazy_external *external);
/* The table of a layer, verified, as it is compressed. OL_ENOTFOUND. */
int ol_lazy_external_get(ol_lazy_external *external, ol_pull_state *pull, const ol_digest *layer,
	ol_buf *out, ol_error *err);
