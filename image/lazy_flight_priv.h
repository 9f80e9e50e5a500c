#pragma once

/*
 * Who fetches which bytes of a blob right now: readers and the background want the same ones, and
 * each is to be asked for once.
 *
 *	mark ─▶ what is missing? ─▶ take ─▶ fetch ─▶ land
 *	                             └─ all of it is under way elsewhere: wait until news since mark
 */
#include "base/cancel.h"
#include "store/ingest.h"

typedef struct ol_flight ol_flight;

ol_flight *ol_flight_new(void);
void ol_flight_free(ol_flight *flight);
OL_DEFINE_AUTO(ol_flight, ol_flight_free)

/* A number that changes with every landing and every tick: taken before looking at what is missing,
 * so that nothing that comes in between is slept through. */
uint64_t ol_flight_mark(ol_flight *flight);
typedef struct ol_flight_wish {
	const ol_range *missing; /* lent; sorted, apart */
	size_t count;
	uint64_t size_max; /* bytes in all */
} ol_flight_wish;
/* What of the wish nobody else fetches becomes the caller's, in order, at most cap ranges. Returns
 * how many; *busy: somebody else fetches some of it. */
size_t ol_flight_take(
	ol_flight *flight, const ol_flight_wish *wish, ol_range *mine, size_t cap, bool *busy);
/* Ends what was taken, whether it came or not. */
void ol_flight_land(ol_flight *flight, const ol_range *mine, size_t count);
/* Some bytes came: who waits looks again. */
void ol_flight_tick(ol_flight *flight);
/* Until there is news since mark, the time is over (false) or cancel fired (false). */
bool ol_flight_wait(ol_flight *flight, uint64_t mark, uint64_t timeout_ms, const ol_cancel *cancel);

/* The missing bytes of ingest that lie in wanted (sorted, apart), in order, at most cap ranges. */
size_t ol_flight_missing(
	ol_ingest *ingest, const ol_range *wanted, size_t count, ol_range *out, size_t cap);
