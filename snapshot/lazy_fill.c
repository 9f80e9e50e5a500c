/*
 * Who fills what. A caller looks, under the lock, which pieces its range still needs: those that
 * nobody brings it claims and brings, for the others it waits. So a piece is brought once however
 * many wait, and pieces come in parallel from as many threads as call.
 */
#include "snapshot/lazy_fill.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "snapshot/lazy_fill_priv.h"

/* A readahead window may hold as many small files; nobody should wait for more than one get(). */
#define CLAIMS_MAX       256
#define CLAIMS_BYTES_MAX ((uint64_t)8 << 20)
/* A wish to stop wakes nobody who waits: it is looked at so often. */
#define CANCEL_INTERVAL_MS 100

struct claims {
	uint32_t list[CLAIMS_MAX];
	size_t count;
	uint64_t bytes; /* of the blob */
	uint32_t other; /* a piece that somebody else brings */
	bool waits;     /* there is one */
};

ol_filler *ol_filler_new(const ol_filler_options *options)
{
	ol_filler *filler = ol_alloc(sizeof *filler);
	pthread_condattr_t attributes;

	filler->options = *options;
	filler->table = options->table;
	(void)pthread_mutex_init(&filler->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&filler->changed, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	ol_fill_map_init(filler);
	return filler;
}

void ol_filler_free(ol_filler *filler)
{
	if (!filler)
		return;
	ol_fill_map_done(filler);
	while (filler->failures) {
		ol_fill_failure *failure = filler->failures;

		filler->failures = failure->next;
		free(failure);
	}
	(void)pthread_cond_destroy(&filler->changed);
	(void)pthread_mutex_destroy(&filler->lock);
	free(filler);
}

void ol_filler_poison(ol_filler *filler, const char *why)
{
	(void)pthread_mutex_lock(&filler->lock);
	if (!filler->poisoned) {
		filler->poisoned = true;
		(void)snprintf(filler->words, sizeof filler->words, "%s", why);
		ol_lazy_state_say(filler->options.state, OL_LAZY_POISONED, why);
	}
	(void)pthread_cond_broadcast(&filler->changed);
	(void)pthread_mutex_unlock(&filler->lock);
}

/* All below up to ol_filler_fill is called with the lock held, unless it says otherwise. */

static ol_fill_failure **find_failure(ol_filler *filler, uint32_t piece)
{
	ol_fill_failure **at = &filler->failures;

	while (*at && (*at)->piece != piece)
		at = &(*at)->next;
	return at;
}

static void forget_failure(ol_filler *filler, uint32_t piece)
{
	ol_fill_failure **at = find_failure(filler, piece), *old = *at;

	if (old) {
		*at = old->next;
		free(old);
	}
}

static void set_failed(ol_filler *filler, uint32_t piece, int rc, const ol_error *error)
{
	ol_fill_failure *failure = ol_alloc(sizeof *failure);

	*failure = (ol_fill_failure){ filler->failures, piece, rc, *error };
	filler->failures = failure;
	filler->is[piece] = OL_FILL_FAILED;
}

/* Whether it fits among the others: one get() should bring them all. */
static bool fits(const struct claims *claims, uint64_t bytes)
{
	return claims->count == 0 ||
	       (claims->count < CLAIMS_MAX && claims->bytes + bytes <= CLAIMS_BYTES_MAX);
}

static void claim(ol_filler *filler, uint64_t start, uint64_t end, struct claims *claims)
{
	const ol_lazy_table *table = filler->table;

	claims->count = 0;
	claims->bytes = 0;
	claims->waits = false;
	for (size_t i = ol_lazy_table_find(table, start);
		i < table->extent_count && table->extents[i].offset < end; i++) {
		const uint32_t piece = table->extents[i].piece;
		const uint64_t bytes = table->pieces[piece].end - table->pieces[piece].begin;

		if (ol_fill_map_has(filler, i))
			continue;
		if (claims->count && claims->list[claims->count - 1] == piece)
			continue;
		if (filler->is[piece] == OL_FILL_BUSY) {
			claims->other = piece;
			claims->waits = true;
		} else if (fits(claims, bytes)) {
			if (filler->is[piece] == OL_FILL_FAILED)
				forget_failure(filler, piece);
			filler->is[piece] = OL_FILL_BUSY;
			claims->list[claims->count++] = piece;
			claims->bytes += bytes;
		}
	}
}

static int by_number(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Without the lock. Those from at on were not brought: rc says why the first of them was not, of
 * which the others know nothing. */
static void give_back(
	ol_filler *filler, const struct claims *claims, size_t at, int rc, const ol_error *error)
{
	(void)pthread_mutex_lock(&filler->lock);
	for (size_t i = at; i < claims->count; i++) {
		filler->is[claims->list[i]] = OL_FILL_ABSENT;
		/* That there was no time says nothing to those who have some left. */
		if (i == at && rc != OL_EUNAVAILABLE && rc != OL_ECANCELED)
			set_failed(filler, claims->list[i], rc, error);
	}
	(void)pthread_cond_broadcast(&filler->changed);
	(void)pthread_mutex_unlock(&filler->lock);
}

/* Without the lock. */
static int fetch_claims(ol_filler *filler, const struct claims *claims, ol_lazy_cause cause,
	uint64_t deadline_ms, ol_error *err)
{
	size_t next = 0;
	int rc = OL_OK;

	while (rc == OL_OK && next < claims->count) {
		ol_fill_ranges ranges = { 0 };

		while (next < claims->count) {
			const ol_lazy_piece *piece = &filler->table->pieces[claims->list[next]];

			if (!ol_fill_ranges_add(&ranges, piece->begin, piece->end))
				break;
			next++;
		}
		rc = ol_fill_fetch(filler, &ranges, cause, deadline_ms, err);
	}
	return rc < 0 ? ol_wrap(err, rc, "%s", filler->options.name) : OL_OK;
}

/* Without the lock: brings what was claimed. */
static int bring(ol_filler *filler, struct claims *claims, ol_lazy_cause cause,
	uint64_t deadline_ms, ol_error *err)
{
	ol_error error = { 0 };
	size_t at = 0;
	int rc;

	qsort(claims->list, claims->count, sizeof *claims->list, by_number);
	rc = fetch_claims(filler, claims, cause, deadline_ms, &error);
	while (rc == OL_OK && at < claims->count) {
		rc = ol_fill_piece(filler, claims->list[at], cause, deadline_ms, &error);
		if (rc < 0)
			break;
		(void)pthread_mutex_lock(&filler->lock);
		ol_fill_map_add(filler, claims->list[at]);
		filler->is[claims->list[at]] = OL_FILL_THERE;
		(void)pthread_cond_broadcast(&filler->changed);
		(void)pthread_mutex_unlock(&filler->lock);
		at++;
	}
	if (rc < 0) {
		give_back(filler, claims, at, rc, &error);
		if (err)
			*err = error;
	}
	return rc;
}

static void sleep_on(ol_filler *filler)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += CANCEL_INTERVAL_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&filler->changed, &filler->lock, &until);
}

/* Until somebody else has brought the piece, or failed. That a registry did not answer in time is
 * his time: ours may last longer, and we try ourselves. */
static int wait_for(ol_filler *filler, uint32_t piece, uint64_t deadline_ms, ol_error *err)
{
	while (filler->is[piece] == OL_FILL_BUSY && !filler->poisoned) {
		int rc = ol_cancel_check(filler->options.cancel, err);

		if (rc < 0)
			return rc;
		if (ol_now_ms() >= deadline_ms)
			return ol_fail(err, OL_EUNAVAILABLE, "%s: chunk %u did not come in time",
				filler->options.name, piece);
		sleep_on(filler);
	}
	if (filler->is[piece] == OL_FILL_FAILED) {
		const ol_fill_failure *failure = *find_failure(filler, piece);

		assert(failure);
		if (err)
			*err = failure->error;
		return failure->rc;
	}
	return OL_OK;
}

static int poisoned(const ol_filler *filler, ol_error *err)
{
	return ol_fail(err, OL_ECORRUPT, "%s: %s", filler->options.name, filler->words);
}

/* One round: claims and brings, or waits. *done: nothing is needed any more. */
static int go_on(ol_filler *filler, const ol_range *range, ol_lazy_cause cause,
	uint64_t deadline_ms, bool *done, ol_error *err)
{
	struct claims claims;
	int rc = OL_OK;

	(void)pthread_mutex_lock(&filler->lock);
	if (filler->poisoned) {
		rc = poisoned(filler, err);
		(void)pthread_mutex_unlock(&filler->lock);
		return rc;
	}
	claim(filler, range->start, range->end, &claims);
	*done = claims.count == 0 && !claims.waits;
	if (claims.count == 0 && claims.waits)
		rc = wait_for(filler, claims.other, deadline_ms, err);
	(void)pthread_mutex_unlock(&filler->lock);
	return claims.count > 0 ? bring(filler, &claims, cause, deadline_ms, err) : rc;
}

static int fill(ol_filler *filler, const ol_range *range, ol_lazy_cause cause, ol_error *err)
{
	const uint64_t deadline_ms = ol_now_ms() + filler->options.timeout_ms;
	bool done = false;
	int rc = OL_OK;

	while (rc == OL_OK && !done) {
		rc = ol_cancel_check(filler->options.cancel, err);
		if (rc == OL_OK)
			rc = go_on(filler, range, cause, deadline_ms, &done, err);
	}
	return rc;
}

/* Who fills for the first time says so. */
static void begin(const ol_filler *filler)
{
	ol_lazy_counters *counters = ol_lazy_state_counters(filler->options.state);
	uint32_t idle = OL_LAZY_IDLE;

	(void)atomic_compare_exchange_strong(&counters->phase, &idle, OL_LAZY_FILLING);
}

int ol_filler_fill(
	ol_filler *filler, uint64_t start, uint64_t end, ol_lazy_cause cause, ol_error *err)
{
	const uint64_t bytes = filler->table->about.payload_bytes;
	_Atomic uint64_t *waiting = &ol_lazy_state_counters(filler->options.state)->waiting;
	ol_range range;
	int rc;

	if (filler->options.payload_fd < 0)
		return ol_fail(err, OL_EINVAL, "%s: there is no payload", filler->options.name);
	range.start = start - start % OL_LAZY_BLOCK;
	range.end =
		end < bytes ? end + (OL_LAZY_BLOCK - end % OL_LAZY_BLOCK) % OL_LAZY_BLOCK : bytes;
	if (range.end > bytes)
		range.end = bytes;
	if (range.start >= range.end)
		return OL_OK;
	(void)pthread_mutex_lock(&filler->lock);
	rc = filler->poisoned ? poisoned(filler, err) : OL_OK;
	(void)pthread_mutex_unlock(&filler->lock);
	if (rc < 0 || ol_lazy_state_has(filler->options.state, range.start, range.end))
		return rc;
	begin(filler);
	if (cause == OL_LAZY_DEMAND)
		(void)atomic_fetch_add(waiting, 1);
	rc = fill(filler, &range, cause, err);
	if (cause == OL_LAZY_DEMAND)
		(void)atomic_fetch_sub(waiting, 1);
	/* All extents are there, and so all their blocks are: else what is on disk is not what we
	 * believe it is. */
	if (rc == OL_OK && !ol_lazy_state_has(filler->options.state, range.start, range.end))
		rc = ol_fail(err, OL_ECORRUPT, "%s: its state was changed by somebody else",
			filler->options.name);
	return rc;
}

void ol_filler_piece(ol_filler *filler, uint32_t piece, ol_lazy_cause cause)
{
	struct claims claims = { .list = { piece }, .count = 1 };
	bool lacks = false;

	if (filler->options.payload_fd < 0)
		return;
	(void)pthread_mutex_lock(&filler->lock);
	if (filler->is[piece] == OL_FILL_ABSENT && !filler->poisoned)
		for (uint32_t i = filler->first[piece]; !lacks && i < filler->first[piece + 1]; i++)
			lacks = !ol_fill_map_has(filler, filler->of_piece[i]);
	if (lacks)
		filler->is[piece] = OL_FILL_BUSY;
	(void)pthread_mutex_unlock(&filler->lock);
	if (lacks)
		(void)bring(filler, &claims, cause, ol_now_ms(), NULL);
}
