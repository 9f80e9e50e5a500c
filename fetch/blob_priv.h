#pragma once

#include "fetch/exchange_priv.h"

/* The work behind ol_registry_get_blob. path: "/v2/name/blobs/sha256:…"; what: for errors. */
typedef struct ol_blob_ask {
	ol_host *host;
	const char *repository, *path, *what;
	uint64_t size; /* of the whole blob */
	const ol_fetch_range *ranges;
	size_t range_count;
	const ol_blob_target *target;
} ol_blob_ask;

int ol_blob_fetch(ol_registry *registry, const ol_blob_ask *ask, ol_error *err);
