#pragma once

#include "fetch/route_priv.h"

/* The work behind ol_registry_get_blob. what: for errors. */
typedef struct ol_blob_ask {
	const ol_ref *ref;
	const ol_descriptor *blob;
	const char *what;
	const ol_fetch_range *ranges;
	size_t range_count;
	const ol_blob_target *target;
} ol_blob_ask;

int ol_blob_fetch(ol_registry *registry, const ol_blob_ask *ask, ol_error *err);
