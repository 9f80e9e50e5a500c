#pragma once

/*
 * Numbered jobs, done by a few threads at once, the caller's among them. The first failure ends it:
 * no other job begins, and those that run are told by `stop` if they look at it.
 */
#include <stddef.h>

#include "base/cancel.h"

typedef struct ol_crew {
	size_t jobs;                                       /* taken in their order, from 0 */
	size_t at_once;                                    /* threads at the most, at least 1 */
	int (*work)(void *ctx, size_t job, ol_error *err); /* from any of the threads */
	void *ctx;
	ol_cancel *stop; /* lent: fired by the first failure; or NULL */
} ol_crew;

#define OL_CREW_MAX 16 /* threads, whatever at_once says */

/* Back when no job runs any more. OL_OK once all were done; else what the first that failed said,
 * one that was canceled only if no other failed. Where threads are not to be had there are fewer.
 */
int ol_crew_run(const ol_crew *crew, ol_error *err);
