#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "image/lazy_flight_priv.h"

/* A wish to stop wakes nobody who sleeps here: it is looked at so often. */
#define CANCEL_INTERVAL_MS 100
/* Ranges of an ingest looked at in one go. */
#define MISSING_MAX 4096

struct ol_flight {
	pthread_mutex_t lock; /* guards all */
	pthread_cond_t news;
	ol_range *ranges; /* owned; under way, in no order, apart */
	size_t count, cap;
	uint64_t mark;
	unsigned waiting;
};

ol_flight *ol_flight_new(void)
{
	ol_flight *flight = ol_alloc(sizeof *flight);
	pthread_condattr_t attributes;

	(void)pthread_mutex_init(&flight->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&flight->news, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return flight;
}

void ol_flight_free(ol_flight *flight)
{
	if (!flight)
		return;
	(void)pthread_cond_destroy(&flight->news);
	(void)pthread_mutex_destroy(&flight->lock);
	free(flight->ranges);
	free(flight);
}

uint64_t ol_flight_mark(ol_flight *flight)
{
	uint64_t mark;

	pthread_mutex_lock(&flight->lock);
	mark = flight->mark;
	pthread_mutex_unlock(&flight->lock);
	return mark;
}

/* The range under way that holds byte at, else the first that begins behind it. */
static const ol_range *next_taken(const ol_flight *flight, uint64_t at)
{
	const ol_range *best = NULL;

	for (size_t i = 0; i < flight->count; i++) {
		const ol_range *range = &flight->ranges[i];

		if (range->end > at && (!best || range->start < best->start))
			best = range;
	}
	return best;
}

size_t ol_flight_take(
	ol_flight *flight, const ol_flight_wish *wish, ol_range *mine, size_t cap, bool *busy)
{
	uint64_t size_max = wish->size_max;
	size_t taken = 0;

	*busy = false;
	pthread_mutex_lock(&flight->lock);
	for (size_t i = 0; i < wish->count; i++) {
		for (uint64_t at = wish->missing[i].start;
			at < wish->missing[i].end && taken < cap && size_max > 0;) {
			const ol_range *other = next_taken(flight, at);
			uint64_t end = wish->missing[i].end;

			if (other && other->start <= at) {
				*busy = true;
				at = other->end;
				continue;
			}
			if (other && other->start < end)
				end = other->start;
			if (end - at > size_max)
				end = at + size_max;
			mine[taken++] = (ol_range){ at, end };
			size_max -= end - at;
			at = end;
		}
	}
	for (size_t i = 0; i < taken; i++) {
		OL_GROW(flight->ranges, flight->count, flight->cap);
		flight->ranges[flight->count++] = mine[i];
	}
	pthread_mutex_unlock(&flight->lock);
	return taken;
}

static void tell(ol_flight *flight)
{
	flight->mark++;
	if (flight->waiting)
		pthread_cond_broadcast(&flight->news);
}

void ol_flight_land(ol_flight *flight, const ol_range *mine, size_t count)
{
	pthread_mutex_lock(&flight->lock);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < flight->count; k++)
			if (flight->ranges[k].start == mine[i].start) {
				flight->ranges[k] = flight->ranges[--flight->count];
				break;
			}
	tell(flight);
	pthread_mutex_unlock(&flight->lock);
}

void ol_flight_tick(ol_flight *flight)
{
	pthread_mutex_lock(&flight->lock);
	tell(flight);
	pthread_mutex_unlock(&flight->lock);
}

static struct timespec after_ms(uint64_t ms)
{
	struct timespec when;

	(void)clock_gettime(CLOCK_MONOTONIC, &when);
	when.tv_sec += (time_t)(ms / 1000);
	when.tv_nsec += (long)(ms % 1000) * 1000000;
	if (when.tv_nsec >= 1000000000) {
		when.tv_sec++;
		when.tv_nsec -= 1000000000;
	}
	return when;
}

bool ol_flight_wait(ol_flight *flight, uint64_t mark, uint64_t timeout_ms, const ol_cancel *cancel)
{
	bool news;

	pthread_mutex_lock(&flight->lock);
	flight->waiting++;
	while (flight->mark == mark && timeout_ms > 0 && !ol_cancel_fired(cancel)) {
		const uint64_t ms =
			timeout_ms < CANCEL_INTERVAL_MS ? timeout_ms : CANCEL_INTERVAL_MS;
		const struct timespec until = after_ms(ms);

		if (pthread_cond_timedwait(&flight->news, &flight->lock, &until) == ETIMEDOUT)
			timeout_ms -= ms;
	}
	flight->waiting--;
	news = flight->mark != mark;
	pthread_mutex_unlock(&flight->lock);
	return news;
}

size_t ol_flight_missing(
	ol_ingest *ingest, const ol_range *wanted, size_t count, ol_range *out, size_t cap)
{
	ol_autofree ol_range *missing = ol_alloc_array(MISSING_MAX, sizeof *missing);
	const size_t there = ol_ingest_missing(ingest, missing, MISSING_MAX);
	size_t found = 0;

	for (size_t i = 0, k = 0; i < count && k < there && found < cap;) {
		const uint64_t start =
			wanted[i].start > missing[k].start ? wanted[i].start : missing[k].start;
		const uint64_t end =
			wanted[i].end < missing[k].end ? wanted[i].end : missing[k].end;

		if (start < end)
			out[found++] = (ol_range){ start, end };
		if (wanted[i].end < missing[k].end)
			i++;
		else
			k++;
	}
	return found;
}
