#pragma once

/* What the store holds, and for whom: for `df`. */
#include "store/store.h"

typedef struct ol_survey_part {
	uint64_t count, bytes, disk; /* bytes: as they are; disk: st_blocks */
} ol_survey_part;

typedef struct ol_survey {
	ol_survey_part documents; /* manifests, configs and what else is small */
	ol_survey_part kept;    /* layers' compressed blobs, and others that no layer was made of */
	ol_survey_part layers;  /* tars (bytes) with their indexes or trees */
	ol_survey_part ingests; /* downloads that are not finished */
	uint64_t layers_active; /* that a container or mount needs */
	uint64_t layers_shared; /* disk of those that several images have */
	/* disk of what images have and nothing protects: no container, mount, lease, pin or import
	 */
	uint64_t unprotected;
	uint64_t garbage; /* disk of what nothing needs: gc would take it */
} ol_survey;

/* One state of the rows; files are only looked at. */
int ol_survey_take(ol_store *store, ol_survey *out, ol_error *err);

/* What one image has for itself and with others, in bytes of its layers' tars. */
typedef struct ol_survey_image {
	ol_digest root;
	uint64_t unique, shared;
} ol_survey_image;
/* Every root, in no order; *out is owned by the caller. */
int ol_survey_images(ol_store *store, ol_survey_image **out, size_t *count, ol_error *err);
