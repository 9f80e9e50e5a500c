/*
 * What is watched, and who waits.
 *
 * Invariants:
 *   1. A reader is let through only when the state says that all it asked for is there, whatever a
 *      worker answers: it may have died, or be wrong, and then readers would see zeros.
 *   2. A layer that is not complete is watched until nobody has it open, whatever rows and mounts
 *      say: a mount may live on in a namespace we do not see.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "snapshot/lazy_held_priv.h"
#include "snapshot/lazy_holder_priv.h"
#include "store/use.h"

#define LOOK_MS          2000
#define LOOK_RELEASED_MS 100 /* a mount's end takes a moment */
/* An ask that this many workers did not answer in so long gets an error: it may be what kills
 * them. */
#define TRIES_MAX   5
#define PATIENCE_MS 60000

static ol_holder_layer *layer_of(const ol_engine_layer *layer)
{
	return (ol_holder_layer *)(uintptr_t)layer;
}

ol_holder_layer *ol_holder_find(const ol_holder *h, const ol_digest *diff_id)
{
	for (size_t i = 0; i < h->layer_count; i++)
		if (ol_digest_eq(&h->layers[i]->base.diff_id, diff_id))
			return h->layers[i];
	return NULL;
}

int ol_holder_note(ol_holder *h, const ol_digest *extra, ol_error *err)
{
	ol_held held = { .holder = { getpid(), ol_process_start(getpid()) } };
	int rc;

	if (h->worker_pid)
		held.worker = (ol_held_process){ h->worker_pid, ol_process_start(h->worker_pid) };
	(void)snprintf(
		held.boot_id, sizeof held.boot_id, "%.63s", ol_store_boot_id(h->options->store));
	(void)snprintf(held.engine, sizeof held.engine, "%s", h->ops->name);
	held.layers = ol_alloc_array(h->layer_count + 1, sizeof *held.layers);
	for (size_t i = 0; i < h->layer_count; i++)
		held.layers[held.count++] =
			(ol_held_layer){ h->layers[i]->base.diff_id, h->layers[i]->complete };
	if (extra)
		held.layers[held.count++] = (ol_held_layer){ *extra, false };
	rc = ol_held_write(h->lazy_fd, &held, err);
	ol_held_done(&held);
	return rc;
}

static void note(ol_holder *h)
{
	ol_error err = { 0 };

	if (ol_holder_note(h, NULL, &err) < 0)
		ol_holder_log(h, "%s", err.text);
}

static void layer_free(ol_holder_layer *layer)
{
	ol_lazy_state_close(layer->base.state);
	(void)close(layer->payload_fd);
	free(layer);
}

/* One open file for all that fill it: opened for both, of the state's size. */
static int check_payload(int fd, uint64_t bytes, ol_error *err)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return ol_fail_sys(err, "payload");
	if (!S_ISREG(st.st_mode) || (flags & O_ACCMODE) != O_RDWR || (flags & O_PATH))
		return ol_fail(err, OL_EINVAL, "the payload is no file that can be filled");
	if ((uint64_t)st.st_size != bytes)
		return ol_fail(err, OL_EINVAL, "payload and state are of different sizes");
	return OL_OK;
}

int ol_holder_add(ol_holder *h, ol_wire_packet *packet, ol_holder_layer **out, ol_error *err)
{
	const ol_digest diff_id = ol_wire_digest(&packet->wire);
	ol_holder_layer *layer = ol_alloc(sizeof *layer);
	int rc = ol_lazy_state_map(packet->fds[1], &layer->base.state, err);

	layer->payload_fd = ol_steal_fd(&packet->fds[0]);
	layer->base.payload_fd = layer->payload_fd;
	layer->base.diff_id = diff_id;
	layer->base.handle = packet->wire.handle;
	if (rc == OL_OK) {
		layer->base.payload_bytes = ol_lazy_state_payload_bytes(layer->base.state);
		rc = check_payload(layer->payload_fd, layer->base.payload_bytes, err);
	}
	if (rc == OL_OK)
		rc = ol_holder_note(h, &diff_id, err);
	/* An engine may count there; what it counted goes on with it. */
	if (rc == OL_OK && !layer->base.handle)
		atomic_store(&ol_lazy_state_counters(layer->base.state)->mounted, 1);
	if (rc == OL_OK)
		rc = h->ops->watch(h->engine, &layer->base, err);
	if (rc < 0) {
		layer_free(layer);
		return rc;
	}
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): they are pointers */
	OL_GROW(h->layers, h->layer_count, h->layer_cap);
	h->layers[h->layer_count++] = layer;
	atomic_store(&ol_lazy_state_counters(layer->base.state)->waiting, 0);
	h->work = true;
	ol_holder_log(h, "layer %s is watched", ol_digest_short(&diff_id).text);
	*out = layer;
	return OL_OK;
}

/* Takes it out, and tells the worker if it knew it. */
static void drop(ol_holder *h, size_t i, bool complete)
{
	ol_holder_layer *layer = h->layers[i];
	ol_error err = { 0 };

	if (h->ops->unwatch(h->engine, &layer->base, &err) < 0)
		ol_holder_log(h, "%s", err.text);
	if (!complete)
		atomic_store(&ol_lazy_state_counters(layer->base.state)->mounted, 0);
	if (layer->told) {
		OL_GROW(h->gone, h->gone_count, h->gone_cap);
		h->gone[h->gone_count++] = (ol_holder_gone){ layer->base.diff_id, complete };
	}
	ol_holder_log(h, "layer %s is %s", ol_digest_short(&layer->base.diff_id).text,
		complete ? "complete" : "not in use any more");
	h->layers[i] = h->layers[--h->layer_count];
	layer_free(layer);
	note(h);
}

static void close_slot(ol_holder *h, ol_holder_slot *slot, int sys)
{
	ol_holder_layer *layer = layer_of(slot->ask.layer);
	ol_lazy_counters *counters = ol_lazy_state_counters(layer->base.state);
	ol_error err = { 0 };

	if (h->ops->answer(h->engine, &slot->ask, sys, &err) < 0)
		ol_holder_log(h, "%s", err.text);
	if (sys)
		(void)atomic_fetch_add(&counters->failures, 1);
	layer->asks--;
	atomic_store(&counters->waiting, layer->asks);
	h->open_count--;
	h->unsent_count -= !slot->sent;
	slot->used = false;
	slot->generation++;
}

static bool is_there(const ol_holder_slot *slot)
{
	return ol_lazy_state_has(slot->ask.layer->state, slot->ask.start, slot->ask.end);
}

void ol_holder_complete(ol_holder *h, const ol_digest *diff_id)
{
	ol_holder_layer *layer = ol_holder_find(h, diff_id);

	if (!layer)
		return;
	if (!ol_lazy_state_is_full(layer->base.state)) {
		ol_holder_log(
			h, "layer %s is called complete and is not", ol_digest_short(diff_id).text);
		return;
	}
	for (size_t i = 0; i < h->slot_count && layer->asks; i++)
		if (h->slots[i].used && h->slots[i].ask.layer == &layer->base)
			close_slot(h, &h->slots[i], 0);
	layer->complete = true;
	if (h->ops->stays) {
		note(h);
		return;
	}
	for (size_t i = 0; i < h->layer_count; i++)
		if (h->layers[i] == layer) {
			drop(h, i, true);
			return;
		}
}

void ol_holder_look(ol_holder *h, uint64_t now_ms)
{
	bool soon = false;

	if (now_ms < h->next_look_ms)
		return;
	for (size_t i = h->layer_count; i-- > 0;) {
		const ol_holder_layer *layer = h->layers[i];

		if (!layer->asks && !h->ops->in_use(h->engine, &layer->base))
			drop(h, i, layer->complete);
		else
			soon = soon || layer->released;
	}
	h->next_look_ms = now_ms + (soon ? LOOK_RELEASED_MS : LOOK_MS);
}

void ol_holder_tables_done(ol_holder *h)
{
	for (size_t i = 0; i < h->layer_count; i++)
		layer_free(h->layers[i]);
	free(h->layers);
	free(h->slots);
	free(h->gone);
}

bool ol_holder_has_room(const ol_holder *h)
{
	return h->open_count < OL_HOLDER_SLOTS_MAX;
}

uint64_t ol_holder_slot_number(const ol_holder *h, const ol_holder_slot *slot)
{
	return (uint64_t)slot->generation << 32 | (uint64_t)(slot - h->slots);
}

static void use_slot(ol_holder *h, ol_holder_slot *slot, const ol_engine_ask *ask)
{
	ol_holder_layer *layer = layer_of(ask->layer);

	slot->ask = *ask;
	slot->used = true;
	slot->sent = false;
	slot->tries = 0;
	slot->since_ms = ol_now_ms();
	layer->asks++;
	atomic_store(&ol_lazy_state_counters(layer->base.state)->waiting, layer->asks);
	h->open_count++;
	h->unsent_count++;
	h->idle = false;
	h->work = true;
}

static void open_slot(ol_holder *h, const ol_engine_ask *ask)
{
	size_t i = 0;

	while (i < h->slot_count && h->slots[i].used)
		i++;
	if (i == h->slot_count) {
		OL_GROW(h->slots, h->slot_count, h->slot_cap);
		h->slots[h->slot_count++] = (ol_holder_slot){ .generation = 1 };
	}
	use_slot(h, &h->slots[i], ask);
}

ol_holder_slot *ol_holder_restore(ol_holder *h, uint64_t number, const ol_engine_ask *ask)
{
	const size_t i = (size_t)(number & UINT32_MAX);

	if (i >= OL_HOLDER_SLOTS_MAX)
		return NULL;
	while (h->slot_count <= i) {
		OL_GROW(h->slots, h->slot_count, h->slot_cap);
		h->slots[h->slot_count++] = (ol_holder_slot){ .generation = 1 };
	}
	if (h->slots[i].used)
		return NULL;
	h->slots[i].generation = (uint32_t)(number >> 32);
	use_slot(h, &h->slots[i], ask);
	return &h->slots[i];
}

int ol_holder_take_asks(ol_holder *h, ol_error *err)
{
	ol_engine_ask ask;
	int rc = 1;

	while (rc == 1 && ol_holder_has_room(h)) {
		rc = h->ops->next(h->engine, &ask, err);
		if (rc == 1)
			open_slot(h, &ask);
	}
	return rc < 0 ? rc : OL_OK;
}

void ol_holder_answer(ol_holder *h, uint64_t number, int sys)
{
	const size_t i = (size_t)(number & UINT32_MAX);
	ol_holder_slot *slot = i < h->slot_count ? &h->slots[i] : NULL;

	if (!slot || !slot->used || slot->generation != number >> 32)
		return;
	if (sys == 0 && !is_there(slot)) {
		ol_holder_log(h, "layer %s: bytes %llu to %llu are said to be there and are not",
			ol_digest_short(&slot->ask.layer->diff_id).text,
			(unsigned long long)slot->ask.start, (unsigned long long)slot->ask.end);
		sys = EIO;
	}
	if (sys == 0)
		h->backoff_ms = 0; /* a worker that gets something done is worth another */
	close_slot(h, slot, sys);
}

void ol_holder_recheck(ol_holder *h, uint64_t now_ms)
{
	for (size_t i = 0; i < h->slot_count; i++) {
		ol_holder_slot *slot = &h->slots[i];

		if (!slot->used)
			continue;
		if (is_there(slot))
			close_slot(h, slot, 0);
		else if (slot->tries >= TRIES_MAX && now_ms - slot->since_ms > PATIENCE_MS) {
			ol_holder_log(h, "layer %s: bytes %llu to %llu: %u workers ended over it",
				ol_digest_short(&slot->ask.layer->diff_id).text,
				(unsigned long long)slot->ask.start,
				(unsigned long long)slot->ask.end, slot->tries);
			close_slot(h, slot, EIO);
		}
	}
}
