/*
 * A blob is fetched in pieces. Each piece is a part of what is missing and knows up to where its
 * bytes have come; it is taken by one worker at a time, and a byte is handed on exactly when `next`
 * passes it, so never twice.
 *
 *	pieces   |next……end|next……end|next……end|   sorted, apart; a split blob's are of 8 to
 *	                                           64 MiB
 *	workers      0         1         2         each: take a piece, ask for next..end-1,
 *	                                           until none is left
 *
 * Worker 0 is the caller's thread. The others wait until a first 206 shows that ranges work. A 200
 * brings the whole blob instead: then its stream fills every piece it passes that nobody has taken,
 * and the rest of it is discarded.
 *
 * All of that happens at one endpoint. Where it fails, what is still missing is asked of the next.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/trace.h"
#include "fetch/blob_priv.h"
#include "fetch/range.h"

/* Smaller rests are not worth a second connection. */
#define SPLIT_BYTES_MIN ((uint64_t)16 << 20)
#define PIECE_BYTES_MIN ((uint64_t)8 << 20)
#define PIECE_BYTES_MAX ((uint64_t)64 << 20)
#define PIECES_A_WORKER 4
/* A stream that is cut again and again but brings something each time may go on; so many requests
 * are its end. */
#define REQUESTS_MIN      1000
#define REQUEST_BYTES_MIN ((uint64_t)16 << 10)
#define WORKER_STACK      ((size_t)512 << 10)

#define NOBODY (-1)

struct piece {
	uint64_t next, end;
	int worker; /* or NOBODY */
};

struct plan {
	ol_registry *registry;
	const ol_blob_ask *ask;
	bool split;
	/* where the turn at hand asks */
	const ol_way *way; /* lent */
	char *path;        /* owned: "/v2/name/blobs/sha256:…" */
	atomic_bool stop;  /* failed: everybody ends */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct piece *pieces; /* owned */
	size_t count;
	bool ranges_work;
	bool over;          /* no worker is needed any more */
	bool without_range; /* Range leads to nothing good here: ask for all of it */
	bool decode;        /* the body comes encoded, and not as stored */
	char *location;     /* owned: where the last request was led to */
	uint64_t requests_left;
	uint64_t written; /* bytes handed on in this turn */
	int rc;
	ol_fault fault; /* of what rc is */
	ol_error err;
};

struct worker {
	struct plan *plan;
	int number;
	pthread_t thread;
	ol_patience patience;
	uint64_t asked_start, asked_end, at; /* of the request under way; the stream's next byte */
	uint64_t written;                    /* bytes handed on so far */
	bool whole;                          /* a 200: the stream is the blob from byte 0 */
	bool again;     /* the reply was refused, but asking in another way may help */
	ol_fault fault; /* of the request that failed */
};

static void fail_plan(struct plan *plan, int rc, ol_fault fault, const ol_error *err)
{
	pthread_mutex_lock(&plan->lock);
	if (plan->rc == OL_OK) {
		plan->rc = rc;
		plan->fault = fault;
		plan->err = *err;
	}
	plan->over = true;
	pthread_cond_broadcast(&plan->changed);
	pthread_mutex_unlock(&plan->lock);
	atomic_store(&plan->stop, true);
	ol_transfer_wake(plan->registry->transfer);
}

static bool is_encoded(const ol_reply *reply)
{
	ol_view encoding;

	return ol_reply_header(reply, "content-encoding", 0, &encoding) &&
	       !ol_view_is(encoding, "identity") && encoding.size > 0;
}

/* Refuses this reply; another question may bring a better one. */
static int ask_otherwise(struct worker *worker, bool *flag, ol_error *err, const char *why)
{
	struct plan *plan = worker->plan;

	pthread_mutex_lock(&plan->lock);
	worker->again = !*flag;
	*flag = true;
	pthread_mutex_unlock(&plan->lock);
	return ol_fail(err, OL_EUNAVAILABLE, "%s", why);
}

static int wrong_size(uint64_t got, uint64_t want, ol_error *err)
{
	return ol_fail(err, OL_ECORRUPT,
		"is %" PRIu64 " bytes at the registry, its descriptor says %" PRIu64, got, want);
}

static int accept_part(struct worker *worker, const ol_reply *reply, ol_error *err)
{
	struct plan *plan = worker->plan;
	ol_content_range range;
	ol_view header;

	if (!ol_reply_header(reply, "content-range", 0, &header) ||
		ol_content_range_parse(header, &range, NULL) < 0 || range.unsatisfied ||
		range.start != worker->asked_start || range.end > worker->asked_end)
		return ask_otherwise(worker, &plan->without_range, err,
			"another range was answered than asked for");
	if (range.has_total && range.total != plan->ask->blob->size)
		return wrong_size(range.total, plan->ask->blob->size, err);
	worker->whole = false;
	worker->at = range.start;
	pthread_mutex_lock(&plan->lock);
	plan->ranges_work = true;
	pthread_cond_broadcast(&plan->changed);
	pthread_mutex_unlock(&plan->lock);
	return OL_OK;
}

/* The headers of a 200 or 206, on the transfer thread. */
static int on_reply(void *ctx, const ol_reply *reply, ol_error *err)
{
	struct worker *worker = ctx;
	struct plan *plan = worker->plan;
	bool decoding = plan->decode;

	if (reply->status == 206)
		return is_encoded(reply) && decoding ? ask_otherwise(worker, &plan->without_range,
							       err, "a range of an encoded body")
						     : accept_part(worker, reply, err);
	worker->whole = true;
	worker->at = 0;
	/* An encoding may be how the blob is stored (an object store's label on a .tar.gz) or how
	 * it was sent: the length tells. */
	if (!decoding && is_encoded(reply) && reply->content_length != plan->ask->blob->size)
		return ask_otherwise(worker, &plan->decode, err, "the body is encoded");
	if (!is_encoded(reply) && reply->content_length != UINT64_MAX &&
		reply->content_length != plan->ask->blob->size)
		return wrong_size(reply->content_length, plan->ask->blob->size, err);
	return OL_OK;
}

/* The first piece that bytes from..to-1 of this worker's stream go to. */
static struct piece *wanted(struct worker *worker, uint64_t from, uint64_t to)
{
	struct plan *plan = worker->plan;
	struct piece *found = NULL;

	pthread_mutex_lock(&plan->lock);
	for (size_t i = 0; i < plan->count && !found; i++) {
		struct piece *piece = &plan->pieces[i];

		if (piece->next >= piece->end || piece->end <= from)
			continue;
		if (piece->next >= to)
			break;
		if (worker->whole && piece->worker == NOBODY && piece->next >= from)
			piece->worker = worker->number;
		if (piece->worker == worker->number)
			found = piece;
	}
	pthread_mutex_unlock(&plan->lock);
	return found;
}

/* Nothing that this stream could still bring is wanted. */
static bool all_brought(struct worker *worker)
{
	struct plan *plan = worker->plan;
	bool all = true;

	pthread_mutex_lock(&plan->lock);
	for (size_t i = 0; i < plan->count && all; i++) {
		const struct piece *piece = &plan->pieces[i];

		all = piece->next >= piece->end ||
		      !(piece->worker == worker->number ||
			      (worker->whole && piece->worker == NOBODY));
	}
	pthread_mutex_unlock(&plan->lock);
	return all;
}

/* A part of the body, on the transfer thread. */
static int on_body(void *ctx, const void *data, size_t size, ol_error *err)
{
	struct worker *worker = ctx;
	struct plan *plan = worker->plan;
	uint64_t from = worker->at, to = from + size, end = plan->ask->blob->size;
	struct piece *piece;

	if (to > end)
		return ol_fail(err, OL_ECORRUPT,
			"is larger than the %" PRIu64 " bytes its descriptor says", end);
	while ((piece = wanted(worker, from, to))) {
		uint64_t start =
			piece->next; /* the stream never passes a piece's next without it */
		uint64_t stop = piece->end < to ? piece->end : to;
		const ol_blob_target *target = plan->ask->target;
		int rc = target->write(target->ctx, start,
			(const char *)data + (start - worker->at), (size_t)(stop - start), err);

		if (rc < 0) {
			worker->fault.kind = OL_FAULT_OURS; /* nobody else could do better */
			return rc;
		}
		pthread_mutex_lock(&plan->lock);
		piece->next = stop;
		plan->written += stop - start;
		pthread_mutex_unlock(&plan->lock);
		worker->written += stop - start;
		from = stop;
		if (from == to)
			break;
	}
	worker->at = to;
	/* Reading to the end keeps the connection and shows a body that is too long. */
	if (to < (worker->whole ? end : worker->asked_end) && all_brought(worker))
		return OL_BODY_ENOUGH;
	return OL_OK;
}

/* Gives the worker its unfinished piece, or one that nobody has; waits for the first 206 where it
 * must. */
static bool take(struct worker *worker, ol_ask *ask, char *range, size_t range_size)
{
	struct plan *plan = worker->plan;
	struct piece *found = NULL;

	pthread_mutex_lock(&plan->lock);
	while (worker->number > 0 && !plan->ranges_work && !plan->over)
		pthread_cond_wait(&plan->changed, &plan->lock);
	for (size_t i = 0; i < plan->count; i++) {
		struct piece *piece = &plan->pieces[i];

		if (piece->next >= piece->end)
			continue;
		if (piece->worker == worker->number) {
			found = piece;
			break;
		}
		if (!found && piece->worker == NOBODY)
			found = piece;
	}
	if (plan->over || (worker->number > 0 && plan->without_range))
		found = NULL; /* one stream brings all there is */
	if (found) {
		found->worker = worker->number;
		worker->asked_start = found->next;
		worker->asked_end = found->end;
		ask->decode = plan->decode;
		ask->range = NULL;
		if (!plan->without_range &&
			(found->next > 0 || found->end < plan->ask->blob->size || plan->split)) {
			(void)snprintf(range, range_size, "bytes=%" PRIu64 "-%" PRIu64, found->next,
				found->end - 1);
			ask->range = range;
		} else {
			worker->asked_end = plan->ask->blob->size;
		}
		free(*ask->location);
		*ask->location = ol_strdup(plan->location);
	}
	pthread_mutex_unlock(&plan->lock);
	return found != NULL;
}

static bool may_ask_more(struct plan *plan)
{
	bool may;

	pthread_mutex_lock(&plan->lock);
	may = plan->requests_left > 0;
	if (may)
		plan->requests_left--;
	pthread_mutex_unlock(&plan->lock);
	return may;
}

/* A body that ended too early: go on behind its last byte. At once where there was progress, else
 * as patience has it. */
static int go_on(struct worker *worker, bool progress, int rc, ol_error *err)
{
	struct plan *plan = worker->plan;
	uint64_t ms = 0;
	ol_error waited = { 0 };

	if (progress)
		ol_patience_renew(&worker->patience);
	else if (!ol_patience_take(&worker->patience, &ms))
		return rc;
	if (!may_ask_more(plan))
		return rc;
	if (ms &&
		ol_retry_wait(ol_now_ms() + ms, plan->registry->cancel, &plan->stop, &waited) < 0) {
		*err = waited;
		return OL_ECANCELED;
	}
	return OL_OK;
}

static int after_reply(struct worker *worker, const ol_ask *ask, const ol_reply *reply,
	bool progress, ol_error *err)
{
	struct plan *plan = worker->plan;

	if (reply->status == 200 || reply->status == 206) {
		if (progress || all_brought(worker))
			return OL_OK;
		return go_on(worker, false,
			ol_fail(err, OL_EUNAVAILABLE,
				"ends before the %" PRIu64 " bytes its descriptor says",
				plan->ask->blob->size),
			err);
	}
	if (reply->status == 416) {
		(void)ask_otherwise(worker, &plan->without_range, err, "no range of it can be had");
		if (worker->again)
			return OL_OK;
	}
	return ol_exchange_refusal(ask, reply, plan->ask->what, err);
}

/* A stream that is cut has lost no time: any byte it brought makes it worth going on. One that
 * stalled has; it must have run for a while before. */
static bool was_worth_it(const struct plan *plan, const ol_reply *reply, uint64_t gained)
{
	const ol_registry_timing *timing = &plan->registry->timing;

	if (reply->outcome == OL_OUTCOME_STALLED)
		return gained >
		       (uint64_t)timing->stall_seconds * timing->stall_bytes_per_second * 2;
	return gained > 0;
}

static int after_failure(
	struct worker *worker, const ol_reply *reply, uint64_t gained, int rc, ol_error *err)
{
	if (worker->again)
		return OL_OK;
	if (reply->outcome != OL_OUTCOME_CUT && reply->outcome != OL_OUTCOME_STALLED)
		return rc;
	if (reply->handed_bytes == 0)
		return rc; /* the exchange had its patience with this one */
	return go_on(worker, was_worth_it(worker->plan, reply, gained), rc, err);
}

/* One request for the piece at hand. */
static int ask_for_piece(struct worker *worker, const ol_ask *ask, ol_error *err)
{
	struct plan *plan = worker->plan;
	uint64_t before = worker->written;
	ol_reply reply;
	int rc;

	worker->again = false;
	worker->fault = (ol_fault){ 0 };
	rc = ol_exchange(plan->registry, ask, &reply, err);
	if (worker->fault.kind == OL_FAULT_NONE)
		worker->fault = ol_fault_of(rc, &reply);
	pthread_mutex_lock(&plan->lock);
	free(plan->location);
	plan->location = ol_strdup(*ask->location);
	pthread_mutex_unlock(&plan->lock);
	if (rc == OL_OK)
		rc = after_reply(worker, ask, &reply, worker->written > before, err);
	else
		rc = after_failure(worker, &reply, worker->written - before, rc, err);
	ol_reply_done(&reply);
	return rc;
}

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	struct plan *plan = worker->plan;
	ol_autofree char *location = NULL;
	char range[64];
	ol_error err = { 0 };
	ol_ask ask = { .method = OL_METHOD_GET,
		.host = plan->way->host,
		.repository = plan->way->endpoint->repository,
		.path = plan->path,
		.http1 = plan->split,
		.plain_redirect = true,
		.accept_reply = on_reply,
		.body = on_body,
		.ctx = worker,
		.stop = &plan->stop,
		.location = &location,
		.patience = &worker->patience };
	int rc = OL_OK;

	while (rc == OL_OK && take(worker, &ask, range, sizeof range))
		rc = ask_for_piece(worker, &ask, &err);
	if (rc < 0 && !atomic_load(&plan->stop))
		fail_plan(plan, rc, worker->fault, &err);
	return NULL;
}

static void make_pieces(struct plan *plan, unsigned connections)
{
	const ol_blob_ask *ask = plan->ask;
	uint64_t left = 0, most = UINT64_MAX;
	size_t cap = 0;

	for (size_t i = 0; i < ask->range_count; i++)
		left += ask->ranges[i].end - ask->ranges[i].start;
	plan->split = connections > 1 && left >= SPLIT_BYTES_MIN;
	if (plan->split) {
		most = left / ((uint64_t)connections * PIECES_A_WORKER);
		most = most < PIECE_BYTES_MIN ? PIECE_BYTES_MIN : most;
		most = most > PIECE_BYTES_MAX ? PIECE_BYTES_MAX : most;
	}
	for (size_t i = 0; i < ask->range_count; i++)
		for (uint64_t at = ask->ranges[i].start; at < ask->ranges[i].end;) {
			uint64_t size = ask->ranges[i].end - at;

			if (size > most)
				size = most;
			OL_GROW(plan->pieces, plan->count, cap);
			plan->pieces[plan->count++] = (struct piece){ at, at + size, NOBODY };
			at += size;
		}
	plan->requests_left = REQUESTS_MIN + left / REQUEST_BYTES_MIN;
}

static int check_ranges(const ol_blob_ask *ask, ol_error *err)
{
	uint64_t at = 0;

	for (size_t i = 0; i < ask->range_count; i++) {
		if (ask->ranges[i].start < at || ask->ranges[i].end < ask->ranges[i].start ||
			ask->ranges[i].end > ask->blob->size)
			return ol_fail(err, OL_EINVAL, "ranges out of order or past the end");
		at = ask->ranges[i].end;
	}
	return OL_OK;
}

static unsigned start_workers(struct worker *workers, unsigned count)
{
	pthread_attr_t attr;
	unsigned started = 1;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	/* Fewer workers are slower, not wrong. */
	while (started < count &&
		pthread_create(&workers[started].thread, &attr, work, &workers[started]) == 0)
		started++;
	pthread_attr_destroy(&attr);
	return started;
}

static unsigned connections_to(const ol_registry *registry, const ol_host *host)
{
	return registry->connections ? registry->connections : host->loopback ? 1 : 3;
}

/* Turns to another endpoint: what pieces have stays, what the last one was like does not. */
static void aim(struct plan *plan, const ol_way *way)
{
	free(plan->path);
	free(plan->location);
	plan->location = NULL;
	plan->path = ol_text("/v2/%s/blobs/%s", way->endpoint->repository,
		ol_digest_format(&plan->ask->blob->digest).text);
	plan->way = way;
	plan->ranges_work = plan->over = plan->without_range = plan->decode = false;
	plan->written = 0;
	plan->rc = OL_OK;
	plan->fault = (ol_fault){ 0 };
	atomic_store(&plan->stop, false);
	for (size_t i = 0; plan->pieces && i < plan->count; i++)
		plan->pieces[i].worker = NOBODY;
}

/* All that one endpoint can be asked for. */
static int take_turn(struct plan *plan, ol_patience patience)
{
	unsigned count = plan->split ? connections_to(plan->registry, plan->way->host) : 1;
	ol_autofree struct worker *workers = ol_alloc_array(count, sizeof *workers);

	for (unsigned i = 0; i < count; i++)
		workers[i] =
			(struct worker){ .plan = plan, .number = (int)i, .patience = patience };
	count = start_workers(workers, count);
	(void)work(&workers[0]);
	pthread_mutex_lock(&plan->lock);
	if (!plan->ranges_work)
		plan->over = true; /* the others wait for what will not come */
	pthread_cond_broadcast(&plan->changed);
	pthread_mutex_unlock(&plan->lock);
	for (unsigned i = 1; i < count; i++)
		(void)pthread_join(workers[i].thread, NULL);
	/* What others gave up when a 200 came is left for this one. */
	if (plan->rc == OL_OK) {
		plan->over = false;
		(void)work(&workers[0]);
	}
	return plan->rc;
}

static int walk_endpoints(struct plan *plan, ol_walk *walk, ol_error *err)
{
	const ol_descriptor *blob = plan->ask->blob;

	while (ol_walk_next(walk)) {
		int rc;

		if (!plan->requests_left)
			make_pieces(plan, connections_to(plan->registry, walk->way->host));
		aim(plan, walk->way);
		rc = take_turn(plan, ol_walk_patience(walk));
		if (plan->written)
			ol_route_note_giver(plan->registry, &blob->digest, walk->way->host);
		if (rc == OL_OK)
			return OL_OK;
		if (rc == OL_ECORRUPT)
			(void)ol_wrap(&plan->err, rc, "%s", plan->ask->what);
		if (!ol_walk_failed(walk, rc, plan->fault, &plan->err))
			break;
	}
	return ol_walk_refusal(walk, err);
}

int ol_blob_fetch(ol_registry *registry, const ol_blob_ask *ask, ol_error *err)
{
	struct plan plan = { .registry = registry, .ask = ask };
	ol_walk walk;
	int rc = check_ranges(ask, err);

	if (rc == OL_OK)
		rc = ol_walk_begin(&walk, registry, ask->ref, OL_CAN_PULL, ask->what, err);
	if (rc < 0)
		return rc;
	pthread_mutex_init(&plan.lock, NULL);
	pthread_cond_init(&plan.changed, NULL);
	rc = walk_endpoints(&plan, &walk, err);
	ol_walk_end(&walk);
	pthread_cond_destroy(&plan.changed);
	pthread_mutex_destroy(&plan.lock);
	free(plan.pieces);
	free(plan.location);
	free(plan.path);
	return rc;
}
