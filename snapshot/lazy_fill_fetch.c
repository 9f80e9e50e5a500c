/*
 * Ranges of the blob: what is close together is asked for as one, and a registry that does not
 * answer is asked again for as long as a reader may wait.
 */
#include <poll.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "snapshot/lazy_fill_priv.h"

/* A request costs about as much time as this many bytes do. */
#define GAP_BYTES ((uint64_t)64 << 10)
/* Of one get(): what comes is of use only when all of it is there. */
#define GET_BYTES_MAX ((uint64_t)8 << 20)

#define BACKOFF_MS     200
#define BACKOFF_MAX_MS 5000

bool ol_fill_ranges_add(ol_fill_ranges *ranges, uint64_t begin, uint64_t end)
{
	ol_range *last = ranges->count ? &ranges->list[ranges->count - 1] : NULL;

	if (last && ranges->bytes + (end - begin) > GET_BYTES_MAX)
		return false;
	if (last && begin <= last->end + GAP_BYTES) {
		if (end > last->end) {
			ranges->bytes += end - last->end;
			last->end = end;
		}
		return true;
	}
	if (ranges->count == OL_FILL_RANGES_MAX)
		return false;
	ranges->list[ranges->count++] = (ol_range){ begin, end };
	ranges->bytes += end - begin;
	return true;
}

/* A phase that somebody else has set (it is checked, complete, poisoned) is left as it is. */
void ol_fill_say(ol_filler *filler, bool stalled, const char *words)
{
	ol_lazy_state *state = filler->options.state;

	(void)pthread_mutex_lock(&filler->lock);
	if (atomic_load(&ol_lazy_state_counters(state)->phase) <= OL_LAZY_STALLED &&
		!filler->poisoned && (stalled || filler->stalled))
		ol_lazy_state_say(
			state, stalled ? OL_LAZY_STALLED : OL_LAZY_FILLING, stalled ? words : NULL);
	if (stalled && !filler->stalled)
		filler->stalled_since_ms = ol_now_ms();
	filler->stalled = stalled;
	(void)pthread_mutex_unlock(&filler->lock);
}

/* Whether it may be otherwise later. A name or a right that is gone may come back. */
static bool may_pass(int rc)
{
	return rc == OL_EUNAVAILABLE || rc == OL_EBUSY || rc == OL_EAUTH || rc == OL_ENOTFOUND ||
	       rc == OL_ECORRUPT || rc == OL_ELIMIT;
}

/* One read becomes many asks, one after the other, as the kernel reads ahead and again page by
 * page: what has not answered for as long as a reader may wait is asked once for each, not waited
 * for anew. */
static bool is_away(ol_filler *filler, uint64_t now_ms)
{
	bool away;

	(void)pthread_mutex_lock(&filler->lock);
	away = filler->stalled && now_ms - filler->stalled_since_ms >= filler->options.timeout_ms;
	(void)pthread_mutex_unlock(&filler->lock);
	return away;
}

static int rest(const ol_filler *filler, uint64_t ms, ol_error *err)
{
	struct pollfd poll_fd = { ol_cancel_fd(filler->options.cancel), POLLIN, 0 };

	(void)poll(&poll_fd, 1, (int)ms); /* a negative descriptor is passed over */
	return ol_cancel_check(filler->options.cancel, err);
}

int ol_fill_fetch(ol_filler *filler, const ol_fill_ranges *ranges, ol_lazy_cause cause,
	uint64_t deadline_ms, ol_error *err)
{
	const ol_lazy_fetch *fetch = &filler->options.fetch;
	uint64_t backoff_ms = BACKOFF_MS;

	for (;;) {
		ol_error error = { 0 };
		uint64_t now_ms;
		int rc = fetch->get(fetch->ctx, ranges->list, ranges->count, cause, &error);

		if (rc == OL_OK) {
			ol_fill_say(filler, false, NULL);
			return OL_OK;
		}
		if (rc != OL_ECANCELED)
			ol_fill_say(filler, true, error.text);
		now_ms = ol_now_ms();
		if (!may_pass(rc) || now_ms >= deadline_ms || is_away(filler, now_ms)) {
			if (err)
				*err = error;
			return may_pass(rc) ? ol_wrap(err, OL_EUNAVAILABLE,
						      "the registry did not give them in time")
					    : rc;
		}
		if (backoff_ms > deadline_ms - now_ms)
			backoff_ms = deadline_ms - now_ms;
		rc = rest(filler, backoff_ms, err);
		if (rc < 0)
			return rc;
		backoff_ms = backoff_ms * 2 < BACKOFF_MAX_MS ? backoff_ms * 2 : BACKOFF_MAX_MS;
	}
}

/* The first piece that begins at or behind a byte of the blob. */
static size_t first_from(const ol_lazy_table *table, uint64_t begin)
{
	size_t low = 0, high = table->piece_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (table->pieces[middle].begin < begin)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* From *next on, those that lie wholly before end, as many as one get() takes. *next goes on. */
static ol_fill_ranges gather(const ol_lazy_table *table, size_t *next, uint64_t end)
{
	ol_fill_ranges ranges = { 0 };

	for (; *next < table->piece_count; (*next)++) {
		const ol_lazy_piece *piece = &table->pieces[*next];

		if (piece->end > end || !ol_fill_ranges_add(&ranges, piece->begin, piece->end))
			break;
	}
	return ranges;
}

int ol_filler_prefetch(
	ol_filler *filler, uint64_t begin, uint64_t end, ol_lazy_cause cause, ol_error *err)
{
	const uint64_t deadline_ms = ol_now_ms() + filler->options.timeout_ms;
	size_t next = first_from(filler->table, begin);
	int rc = OL_OK;

	while (rc == OL_OK) {
		const ol_fill_ranges ranges = gather(filler->table, &next, end);

		(void)pthread_mutex_lock(&filler->lock);
		if (filler->poisoned)
			rc = ol_fail(
				err, OL_ECORRUPT, "%s: %s", filler->options.name, filler->words);
		(void)pthread_mutex_unlock(&filler->lock);
		if (ranges.count == 0)
			break;
		if (rc == OL_OK)
			rc = ol_fill_fetch(filler, &ranges, cause, deadline_ms, err);
	}
	return rc;
}
