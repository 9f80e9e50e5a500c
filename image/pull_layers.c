/*
 * The missing layers, all at once. A job is one layer; a few threads take jobs, largest first:
 *
 *	registry ─▶ ingest file ─▶ its contiguous prefix ─▶ unpack ─▶ blob and layer rows
 *	└─ fetch thread ──────┘    └─ at most one a processor at a time ────────────────┘
 *	   in any order, resumable
 *
 * More layers are fetched than decoded: the network stays busy while processors are. The first
 * failure stops all.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crew.h"
#include "image/index_priv.h"
#include "image/layer_take_priv.h"
#include "image/pull_priv.h"
#include "snapshot/unpack.h"
#include "store/attached.h"
#include "store/ingest.h"

#define FETCHES_AT_ONCE   4
#define PROGRESS_EVERY_MS 50

struct work;

struct job {
	struct work *work;
	const ol_descriptor *blob;
	ol_digest diff_id;
	unsigned index;            /* position among the layers shown */
	ol_ingest *ingest;         /* while it runs */
	atomic_bool unwanted;      /* unpacking failed: no need to fetch the rest */
	_Atomic uint64_t received; /* bytes, what an earlier try left included */
	uint64_t resumed;
	_Atomic uint64_t told_ms;
};

struct work {
	ol_pull_state *pull;
	struct job *jobs; /* owned; largest first */
	size_t count;
	unsigned shown;       /* layers in all, those that are no job included */
	ol_cancel *stop;      /* owned; fired by the first failure */
	ol_unpack_gate *gate; /* owned */
	sem_t decoders;       /* one slot a processor */
};

static void tell(struct job *job, ol_layer_state state)
{
	ol_tell(&job->work->pull->incoming.session->options.listener,
		&(ol_event){ .kind = OL_EVENT_LAYER,
			.state = state,
			.digest = job->blob->digest,
			.done = state == OL_LAYER_COMPLETE || state == OL_LAYER_EXISTS
					? job->blob->size
					: job->received,
			.total = job->blob->size,
			.resumed = job->resumed,
			.layer = job->index,
			.layers = job->work->shown });
}

static bool stopped(const struct job *job)
{
	return ol_cancel_fired(job->work->stop) ||
	       ol_cancel_fired(job->work->pull->incoming.session->options.cancel);
}

/* From the transfer thread. */
static int receive(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	struct job *job = ctx;
	uint64_t now = ol_now_ms();

	if (stopped(job) || job->unwanted)
		return ol_fail(err, OL_ECANCELED, "interrupted");
	job->received += size;
	job->work->pull->fetched_bytes += size;
	if (now - job->told_ms >= PROGRESS_EVERY_MS) {
		job->told_ms = now;
		tell(job, OL_LAYER_FETCHING);
	}
	return ol_ingest_write(job->ingest, offset, data, size, err);
}

#define RANGES_MAX 64

/* Fetches what is missing until nothing is; the ingest learns how it ended. */
static void *fetch(void *arg)
{
	struct job *job = arg;
	ol_pull_state *pull = job->work->pull;
	ol_blob_target target = { .write = receive, .ctx = job };
	ol_range missing[RANGES_MAX];
	ol_fetch_range ranges[RANGES_MAX];
	ol_error err = { 0 };
	int rc = OL_OK;

	for (size_t count;
		rc == OL_OK && (count = ol_ingest_missing(job->ingest, missing, RANGES_MAX)) > 0;) {
		for (size_t i = 0; i < count; i++)
			ranges[i] = (ol_fetch_range){ missing[i].start, missing[i].end };
		rc = ol_registry_get_blob(
			pull->registry, &pull->ref, job->blob, ranges, count, &target, &err);
	}
	ol_ingest_finish(job->ingest, rc, &err);
	if (rc == OL_OK)
		tell(job, OL_LAYER_UNPACKING);
	return NULL;
}

static bool is_usable(const struct job *job)
{
	const ol_pull_state *pull = job->work->pull;

	return ol_layer_is_usable(pull->incoming.session->store, &job->diff_id,
		pull->options->keep_blobs ? &job->blob->digest : NULL);
}

static bool arrived_elsewhere(void *ctx)
{
	struct job *job = ctx;

	/* Nothing else looks at the user's wish while all wait for others. */
	if (ol_cancel_fired(job->work->pull->incoming.session->options.cancel))
		ol_cancel_fire(job->work->stop);
	return is_usable(job);
}

/* From the reading thread, once a block: the user's wish stops what is unpacked, too. */
static void look_at_cancel(void *ctx, uint64_t bytes)
{
	struct job *job = ctx;

	(void)bytes;
	if (ol_cancel_fired(job->work->pull->incoming.session->options.cancel))
		ol_cancel_fire(job->work->stop);
}

/* The layer's own ztoc, if one was made by the way, is of use to whoever indexes the image. */
static int keep_ztoc(struct job *job, const ol_unpacked *unpacked, ol_error *err)
{
	ol_store *store = job->work->pull->incoming.session->store;
	int rc;

	if (!ol_digest_is_set(&unpacked->ztoc))
		return OL_OK;
	rc = ol_lease_add(job->work->pull->incoming.lease, &unpacked->ztoc, err);
	if (rc == OL_OK)
		rc = ol_blob_adopt(store, &unpacked->ztoc, unpacked->ztoc_size,
			ol_ingest_dir_fd(job->ingest), OL_UNPACK_ZTOC, err);
	if (rc == OL_OK)
		rc = ol_attach(store, &job->diff_id, ol_ztoc_kind_of(&job->blob->digest).text,
			&unpacked->ztoc, err);
	return rc < 0 ? ol_wrap(err, rc, "its table of contents") : OL_OK;
}

static bool may_have_ztoc(const struct job *job)
{
	return job->blob->size >= OL_INDEX_MIN_LAYER_BYTES &&
	       job->blob->digest.algorithm == OL_SHA256;
}

static int unpack(struct job *job, ol_unpacked *out, ol_error *err)
{
	struct work *work = job->work;
	ol_reader *reader = ol_ingest_reader(job->ingest, work->stop);
	const ol_unpack_options options = {
		.driver = work->pull->driver,
		.builder = ol_session_builder(
			work->pull->incoming.session, ol_ingest_dir_fd(job->ingest)),
		.compression = job->blob->media.compression,
		.blob = job->blob->digest,
		.blob_size = job->blob->size,
		.diff_id = job->diff_id,
		.cancel = work->stop,
		.ztoc_span_bytes = may_have_ztoc(job) ? OL_INDEX_SPAN_BYTES : 0,
		.ztoc_tool = OL_INDEX_TOOL,
		.gate = work->gate,
		.progress = look_at_cancel,
		.ctx = job,
	};
	int rc;

	while (sem_wait(&work->decoders) < 0)
		continue;
	rc = ol_unpack(reader, &options, out, err);
	(void)sem_post(&work->decoders);
	ol_reader_close(reader);
	return rc;
}

/* Receives and unpacks side by side. On OL_ECORRUPT the bytes are not worth keeping. */
static int receive_and_unpack(struct job *job, ol_unpacked *out, ol_error *err)
{
	pthread_t fetcher;
	int rc = ol_layer_clear(ol_ingest_dir_fd(job->ingest), err);

	if (rc < 0)
		return rc;
	job->resumed = ol_ingest_present(job->ingest);
	job->received = job->resumed;
	job->work->pull->resumed_bytes += job->resumed;
	job->unwanted = false;
	tell(job, OL_LAYER_FETCHING);
	if (pthread_create(&fetcher, NULL, fetch, job) != 0)
		return ol_fail(err, OL_ESYSTEM, "cannot start a thread");
	rc = unpack(job, out, err);
	if (rc < 0 && rc != OL_ECORRUPT)
		ol_cancel_fire(job->work->stop);
	job->unwanted = rc < 0;
	(void)pthread_join(fetcher, NULL);
	return rc;
}

static int publish(struct job *job, const ol_unpacked *unpacked, ol_error *err)
{
	const ol_pull_state *pull = job->work->pull;
	const ol_built *built = &unpacked->built;
	const bool keep_blob = pull->options->keep_blobs || !built->has_tar;
	const ol_ref_string origin = ol_ref_name(&pull->ref);
	const ol_layer_facts facts = { .media_type = job->blob->media_type, .origin = origin.text };
	int rc = ol_layer_keep(pull->incoming.session->store, ol_ingest_dir_fd(job->ingest),
		unpacked, &facts, err);

	if (rc == OL_OK)
		rc = keep_ztoc(job, unpacked, err);
	if (rc < 0)
		return rc;
	/* An uncompressed layer is its own tar: that is kept already if the driver keeps tars. */
	if (keep_blob && !(built->has_tar && ol_digest_eq(&job->blob->digest, &job->diff_id)))
		rc = ol_ingest_commit(ol_steal(&job->ingest), err);
	else
		rc = ol_ingest_drop(ol_steal(&job->ingest), err);
	if (rc == OL_OK)
		tell(job, OL_LAYER_COMPLETE);
	return rc;
}

static int lease_layer(struct job *job, ol_error *err)
{
	ol_lease *lease = job->work->pull->incoming.lease;
	int rc = ol_lease_add(lease, &job->diff_id, err);

	return rc < 0 ? rc : ol_lease_add(lease, &job->blob->digest, err);
}

static int pull_layer(struct job *job, ol_error *err)
{
	const ol_ingest_options options = {
		.digest = job->blob->digest,
		.size = job->blob->size,
		.cancel = job->work->stop,
		.listener = &job->work->pull->incoming.session->options.listener,
		.layer = job->index,
		.done = arrived_elsewhere,
		.ctx = job,
	};
	ol_unpacked unpacked = { 0 };
	int rc = lease_layer(job, err);

	if (rc == OL_OK && is_usable(job)) {
		tell(job, OL_LAYER_EXISTS);
		return OL_OK;
	}
	if (rc == OL_OK)
		rc = ol_ingest_open(
			job->work->pull->incoming.session->store, &options, &job->ingest, err);
	if (rc == OL_EEXISTS) {
		tell(job, OL_LAYER_EXISTS);
		return OL_OK;
	}
	if (rc < 0)
		return rc;
	rc = receive_and_unpack(job, &unpacked, err);
	while (rc == OL_ECORRUPT && !stopped(job)) {
		/* Bytes an earlier try left may have been lost by a crash since: once more, all of
		 * it. Else who sent them is not asked again, if there are others. */
		const bool again =
			job->resumed > 0 || ol_registry_blame(job->work->pull->registry,
						    &job->work->pull->ref, &job->blob->digest);

		rc = ol_ingest_reset(job->ingest, again ? err : NULL);
		if (rc < 0 || !again)
			return rc < 0 ? rc : OL_ECORRUPT;
		rc = receive_and_unpack(job, &unpacked, err);
	}
	return rc < 0 ? rc : publish(job, &unpacked, err);
}

static int work_off(void *ctx, size_t number, ol_error *err)
{
	struct job *job = &((struct work *)ctx)->jobs[number];
	const ol_digest_text digest = ol_digest_format(&job->blob->digest);
	int rc = pull_layer(job, err);

	ol_ingest_close(job->ingest);
	job->ingest = NULL;
	if (rc == OL_OK)
		return OL_OK;
	tell(job, OL_LAYER_FAILED);
	return strstr(err->text, digest.text) ? ol_wrap(err, rc, "layer")
					      : ol_wrap(err, rc, "layer %s", digest.text);
}

static int larger_first(const void *a, const void *b)
{
	const struct job *x = a, *y = b;

	return x->blob->size < y->blob->size ? 1 : x->blob->size > y->blob->size ? -1 : 0;
}

/* One for each DiffID, however often it stands in the manifests. */
static void plan_layer(ol_pull_state *pull, size_t *cap, const ol_pull_layer *layer)
{
	for (size_t i = 0; i < pull->layer_count; i++)
		if (ol_digest_eq(&pull->layers[i].diff_id, &layer->diff_id))
			return;
	OL_GROW(pull->layers, pull->layer_count, *cap);
	pull->layers[pull->layer_count++] = *layer;
}

void ol_pull_plan(ol_pull_state *pull)
{
	const ol_incoming *incoming = &pull->incoming;
	size_t cap = 0;

	free(pull->layers);
	pull->layers = NULL;
	pull->layer_count = 0;
	for (size_t i = 0; i < incoming->count; i++)
		for (size_t k = 0; k < incoming->images[i].config->diff_id_count; k++)
			plan_layer(pull, &cap,
				&(ol_pull_layer){
					.blob = &incoming->images[i].document->layers[k],
					.diff_id = incoming->images[i].config->diff_ids[k],
					.manifest = incoming->images[i].manifest,
				});
}

static void add_job(
	struct work *work, const ol_descriptor *blob, const ol_digest *diff_id, unsigned index)
{
	work->jobs[work->count++] =
		(struct job){ .work = work, .blob = blob, .diff_id = *diff_id, .index = index };
}

static void add_jobs(struct work *work)
{
	const ol_pull_state *pull = work->pull;

	for (size_t i = 0; i < pull->layer_count; i++)
		if (!pull->layers[i].lazy)
			add_job(work, pull->layers[i].blob, &pull->layers[i].diff_id, (unsigned)i);
	for (size_t j = 0; j < work->count; j++)
		tell(&work->jobs[j], OL_LAYER_WAITING);
	if (work->count)
		qsort(work->jobs, work->count, sizeof *work->jobs, larger_first);
}

/* layer NULL: all that are planned. */
static int pull_layers(
	ol_pull_state *pull, const ol_descriptor *layer, const ol_digest *diff_id, ol_error *err)
{
	struct work work = { .pull = pull, .stop = ol_cancel_new(), .gate = ol_unpack_gate_new() };
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);
	ol_crew crew;
	int rc;

	(void)sem_init(&work.decoders, 0, processors > 0 ? (unsigned)processors : 1);
	work.shown = layer ? 1 : (unsigned)pull->layer_count;
	work.jobs = ol_alloc_array((size_t)work.shown + 1, sizeof *work.jobs);
	if (layer)
		add_job(&work, layer, diff_id, 0);
	else
		add_jobs(&work);
	crew = (ol_crew){ .jobs = work.count,
		.at_once = FETCHES_AT_ONCE,
		.work = work_off,
		.ctx = &work,
		.stop = work.stop };
	rc = ol_crew_run(&crew, err);
	(void)sem_destroy(&work.decoders);
	ol_unpack_gate_free(work.gate);
	ol_cancel_free(work.stop);
	free(work.jobs);
	return rc;
}

int ol_pull_layers(ol_pull_state *pull, ol_error *err)
{
	return pull_layers(pull, NULL, NULL, err);
}

int ol_layer_refetch(
	ol_pull_state *pull, const ol_descriptor *layer, const ol_digest *diff_id, ol_error *err)
{
	return pull_layers(pull, layer, diff_id, err);
}
