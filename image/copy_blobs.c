/* The blobs of a copy: a few threads take them, largest first. The first failure stops all. */
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/crew.h"
#include "image/copy_priv.h"

#define STREAMS_MAX       8
#define PROGRESS_EVERY_MS 50

struct work {
	ol_copy_plan *plan;
	ol_copy_item **order; /* owned: largest first */
	_Atomic uint64_t sent, mounted, existing;
};

struct job {
	struct work *work;
	ol_copy_item *item;
	ol_remade *remade; /* lent: what goes in place of the item; or NULL */
	ol_cargo cargo;    /* owned, once it was asked for */
	bool opened, lost; /* lost: the bytes are not to be had */
	int (*ready)(void *ctx, uint64_t from, uint64_t want, uint64_t *to, ol_error *err);
	void *ready_ctx;
	uint64_t size;
	_Atomic uint64_t told_ms;
};

static void tell(struct job *job, ol_layer_state state, uint64_t done, const char *text)
{
	const ol_copy_plan *plan = job->work->plan;

	if (job->item->is_layer)
		ol_tell(&plan->copy->session->options.listener,
			&(ol_event){ .kind = OL_EVENT_LAYER,
				.state = state,
				.digest = job->item->blob.digest,
				.done = done,
				.total = job->size,
				.layer = job->item->index,
				.layers = plan->layers,
				.text = text });
}

static void on_progress(void *ctx, uint64_t done)
{
	struct job *job = ctx;
	uint64_t now = ol_now_ms();

	if (now - job->told_ms < PROGRESS_EVERY_MS && done < job->size)
		return;
	job->told_ms = now;
	tell(job, OL_LAYER_FETCHING, done, NULL);
}

/* Whether a failure to read means that the bytes are nowhere: another layer may then be made. */
static bool means_lost(int rc)
{
	return rc != OL_OK && rc != OL_ECANCELED && rc != OL_ESYSTEM;
}

static int on_ready(void *ctx, uint64_t from, uint64_t want, uint64_t *to, ol_error *err)
{
	struct job *job = ctx;
	int rc = job->ready(job->ready_ctx, from, want, to, err);

	job->lost = job->lost || means_lost(rc);
	return rc;
}

static int on_open(void *ctx, ol_cargo **out, ol_error *err)
{
	struct job *job = ctx;
	ol_copy_plan *plan = job->work->plan;
	const ol_descriptor *blob = &job->item->blob;
	int rc = OL_OK;

	tell(job, OL_LAYER_FETCHING, 0, NULL);
	if (job->remade) {
		*out = &job->remade->cargo;
		return OL_OK;
	}
	if (blob->data.size == blob->size && blob->data.data)
		job->cargo.source = ol_source_of_memory(blob->data.data, blob->data.size);
	else
		rc = plan->origin->ops->blob(plan->origin, blob, &job->cargo, err);
	job->lost = means_lost(rc);
	if (rc < 0)
		return rc;
	job->opened = true;
	job->ready = job->cargo.ready;
	job->ready_ctx = job->cargo.ctx;
	/* The destination sees a cargo whose failures we hear of. */
	job->cargo.ready = job->ready ? on_ready : NULL;
	if (job->ready)
		job->cargo.ctx = job;
	*out = &job->cargo;
	return OL_OK;
}

static void end_cargo(struct job *job, bool whole)
{
	if (!job->opened)
		return;
	job->cargo.ctx = job->ready_ctx;
	ol_cargo_end(&job->cargo, whole);
	job->opened = false;
}

static void tell_arrival(struct job *job, ol_arrival arrival, const char *from)
{
	struct work *work = job->work;

	switch (arrival) {
	case OL_ARRIVED_BEFORE:
		work->existing += job->size;
		tell(job, OL_LAYER_EXISTS, job->size, NULL);
		break;
	case OL_ARRIVED_MOUNTED:
		work->mounted += job->size;
		tell(job, OL_LAYER_MOUNTED, job->size, from);
		break;
	case OL_ARRIVED_SENT:
		work->sent += job->size;
		tell(job, OL_LAYER_COMPLETE, job->size, NULL);
		break;
	}
}

static int ship(struct job *job, const ol_descriptor *blob, ol_error *err)
{
	ol_copy_plan *plan = job->work->plan;
	const char *domain = plan->destination->ops->domain(plan->destination);
	char from[OL_REFERENCE_NAME_MAX + 1];
	const bool may_mount = *domain && plan->origin->ops->home(plan->origin, blob, domain, from);
	const ol_shipment shipment = { .blob = blob,
		.mount_from = may_mount ? from : NULL,
		.open = on_open,
		.progress = on_progress,
		.ctx = job };
	ol_arrival arrival = OL_ARRIVED_BEFORE;
	int rc;

	job->size = blob->size;
	rc = plan->destination->ops->blob(plan->destination, &shipment, &arrival, err);
	end_cargo(job, rc == OL_OK);
	if (rc == OL_OK)
		tell_arrival(job, arrival, from);
	return rc;
}

static int ship_remade(struct job *job, ol_error *err)
{
	ol_copy_plan *plan = job->work->plan;
	ol_copy_item *item = job->item;
	ol_descriptor blob = item->blob;
	ol_remade remade = { 0 };
	int rc;

	tell(job, OL_LAYER_UNPACKING, 0, NULL);
	rc = plan->origin->ops->remake(plan->origin, &item->blob, &remade, err);

	if (rc < 0)
		return rc;
	blob.digest = remade.digest;
	blob.size = remade.size;
	blob.media_type = remade.media_type;
	blob.data = (ol_view){ 0 };
	job->remade = &remade;
	rc = ship(job, &blob, err);
	job->remade = NULL;
	ol_cargo_end(&remade.cargo, rc == OL_OK);
	if (rc == OL_OK) {
		item->became = remade.digest;
		item->became_size = remade.size;
		item->became_type = remade.media_type;
	}
	return rc;
}

static int carry(struct job *job, ol_error *err)
{
	const ol_copy *copy = job->work->plan->copy;
	const bool may_remake = job->item->is_layer && job->work->plan->origin->ops->remake;
	int rc;

	if (job->item->remake)
		return ship_remade(job, err);
	rc = ship(job, &job->item->blob, err);
	if (rc == OL_OK || !job->lost || !may_remake)
		return rc;
	if (copy->options->recompress)
		return ship_remade(job, err);
	return ol_hint(err, rc,
		"--recompress makes it anew from what is in the store; the image's "
		"digest is then another");
}

static int work_off(void *ctx, size_t number, ol_error *err)
{
	struct work *work = ctx;
	ol_copy_item *item = work->order[number];
	struct job job = { .work = work, .item = item, .size = item->blob.size };
	int rc = ol_copy_check(work->plan->copy, err);

	if (rc == OL_OK)
		rc = carry(&job, err);
	if (rc == OL_OK)
		return OL_OK;
	tell(&job, OL_LAYER_FAILED, 0, NULL);
	work->plan->copy->stopped = true;
	return ol_wrap(err, rc, "%s %s", item->is_layer ? "layer" : "config",
		ol_digest_short(&item->blob.digest).text);
}

static int larger_first(const void *a, const void *b)
{
	const ol_copy_item *x = *(ol_copy_item *const *)a, *y = *(ol_copy_item *const *)b;

	if (x->blob.size != y->blob.size)
		return x->blob.size < y->blob.size ? 1 : -1;
	return memcmp(x->blob.digest.bytes, y->blob.digest.bytes, sizeof x->blob.digest.bytes);
}

/* What the layers will be called, before the first of them moves. */
static void announce(struct work *work)
{
	ol_copy_plan *plan = work->plan;

	work->order = ol_alloc_array(plan->item_count + 1, sizeof(void *));
	for (size_t i = 0; i < plan->item_count; i++) {
		struct job job = {
			.work = work, .item = &plan->items[i], .size = plan->items[i].blob.size
		};

		work->order[i] = &plan->items[i];
		tell(&job, OL_LAYER_WAITING, 0, NULL);
	}
	if (plan->item_count)
		qsort(work->order, plan->item_count, sizeof(void *), larger_first);
}

int ol_copy_blobs(ol_copy_plan *plan, ol_error *err)
{
	struct work work = { .plan = plan };
	const unsigned streams = plan->destination->ops->streams;
	const ol_crew crew = { .jobs = plan->item_count,
		.at_once = streams < 1             ? 1
			   : streams > STREAMS_MAX ? STREAMS_MAX
						   : streams,
		.work = work_off,
		.ctx = &work,
		.stop = plan->copy->stop };
	int rc;

	announce(&work);
	rc = ol_crew_run(&crew, err);
	plan->copy->result.sent_bytes = work.sent;
	plan->copy->result.mounted_bytes = work.mounted;
	plan->copy->result.existing_bytes = work.existing;
	free(work.order);
	return rc;
}
