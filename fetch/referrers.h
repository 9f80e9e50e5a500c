#pragma once

/*
 * Referrers: manifests that name another one as their subject. distribution-spec "Listing
 * Referrers" and, for registries without it, "Referrers Tag Schema".
 */
#include "fetch/registry.h"
#include "manifest/document.h"

/* Lent for the call. */
typedef struct ol_referrer {
	ol_digest digest;
	uint64_t size;
	const char *media_type, *artifact_type;
	const ol_annotation *annotations;
	size_t annotation_count;
} ol_referrer;

typedef struct ol_referrer_handler {
	int (*call)(void *ctx, const ol_referrer *referrer, ol_error *err);
	void *ctx;
} ol_referrer_handler;

/* Calls for each referrer of subject whose type is artifact_type (NULL: any), in the registry's
 * order; a negative return stops and is passed on. None is OL_OK. What they say is anybody's who
 * may push: who needs to trust one needs another proof. Errors as ol_registry_get_manifest, and
 * OL_ECORRUPT, OL_ELIMIT for answers that are no list or have no end. */
int ol_registry_referrers(ol_registry *registry, const ol_ref *ref, const ol_digest *subject,
	const char *artifact_type, const ol_referrer_handler *handler, ol_error *err);
