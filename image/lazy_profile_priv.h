#pragma once

/*
 * The recorded start profile of an image that is pulled lazily: a layer of its SOCI index
 * (manifest/profile.h). It comes beside the tables of contents, and without it the image starts
 * all the same: whatever is wrong with it is a warning.
 */
#include <pthread.h>

#include "image/lazy_soci_priv.h"

/* What is smaller comes in the time that its table of contents would take. */
#define OL_LAZY_BLOB_BYTES_MIN ((uint64_t)512 << 10)

typedef struct ol_lazy_profiles {
	ol_pull_state *pull;  /* lent */
	ol_soci_found *found; /* lent: for each image what was asked for already */
	bool *wanted;         /* owned; by image */
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool over; /* guarded by the lock */
} ol_lazy_profiles;

/* Brings an index and the profile that it lists into the store, under the pull's lease. What fails
 * fails again where it is told. */
void ol_lazy_profile_fetch(ol_pull_state *pull, const ol_digest *index);
/* Begins to fetch the profiles of the images of pull. An index that is not among found is asked
 * for only where its image's documents name it. */
void ol_lazy_profiles_begin(ol_lazy_profiles *self, ol_pull_state *pull, ol_soci_found *found);
/* Waits for them, from any thread. */
void ol_lazy_profiles_wait(ol_lazy_profiles *self);
/* Waits for them, and ends their use: each is attached to its manifest, as is the SOCI index that
 * lists it. */
void ol_lazy_profiles_end(ol_lazy_profiles *self);
