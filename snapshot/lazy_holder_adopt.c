/*
 * Taking over from a holder that died: its worker has copies of all that kept its readers waiting,
 * and passes them on over descriptor 3.
 *
 *	ASK*   what is open there, with the kernel's handles
 *	ADOPT  the engine's descriptors, the control socket, the lock
 *	LAYER* payload and state each
 *	OK
 *
 * fanotify knows an event by the number that its descriptor had in the process that read it. No new
 * event may get that number while the old one is open: so the numbers are taken here before
 * anything else could be (a holder keeps its own files below OL_HOLDER_FDS_OWN for that).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "snapshot/lazy_holder_priv.h"

#define LINK_FD 3

struct adopting {
	ol_wire *asks; /* owned */
	size_t count, cap;
};

static int fail_word(const ol_wire_packet *packet, ol_error *err)
{
	return ol_fail(err, OL_ECORRUPT, "the worker sent a packet of kind %u", packet->wire.kind);
}

/* The number becomes ours, unless it is: then no event can get it either. */
static int reserve(uint64_t number, ol_error *err)
{
	ol_autofd int null_fd = -1;

	if (number > INT32_MAX || fcntl((int)number, F_GETFD) >= 0)
		return OL_OK;
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0)
		return ol_fail_sys(err, "/dev/null");
	if (null_fd == (int)number) {
		(void)ol_steal_fd(&null_fd);
		return OL_OK;
	}
	return dup3(null_fd, (int)number, O_CLOEXEC) < 0 ? ol_fail_sys(err, "descriptor") : OL_OK;
}

static int take_engine(ol_holder *h, ol_wire_packet *packet, ol_error *err)
{
	ol_engine_fds fds = { .count = packet->fd_count - 2 };

	if (packet->fd_count < 3 || fds.count > OL_ENGINE_FDS_MAX)
		return ol_fail(err, OL_ECORRUPT, "an engine of %zu descriptors", packet->fd_count);
	h->ops = ol_lazy_engine_named(packet->wire.text);
	if (!h->ops)
		return ol_fail(
			err, OL_ECORRUPT, "there is no lazy engine \"%s\"", packet->wire.text);
	for (size_t i = 0; i < fds.count; i++)
		fds.fds[i] = ol_steal_fd(&packet->fds[i]);
	h->listen_fd = ol_steal_fd(&packet->fds[fds.count]);
	h->lock_fd = ol_steal_fd(&packet->fds[fds.count + 1]);
	return h->ops->adopt(&fds, &h->engine, err);
}

static int restore_asks(ol_holder *h, const struct adopting *a, ol_error *err)
{
	ol_autofree uint64_t *handles = ol_alloc_array(a->count + 1, sizeof *handles);
	size_t count = 0;

	for (size_t i = 0; i < a->count; i++) {
		const ol_wire *wire = &a->asks[i];
		const ol_digest diff_id = ol_wire_digest(wire);
		ol_holder_layer *layer = ol_holder_find(h, &diff_id);
		ol_holder_slot *slot;

		if (!layer || wire->end > layer->base.payload_bytes)
			continue; /* swept */
		slot = ol_holder_restore(h, wire->slot,
			&(ol_engine_ask){ .layer = &layer->base,
				.start = wire->start,
				.end = wire->end,
				.handle = wire->handle });
		if (!slot)
			return ol_fail(err, OL_ECORRUPT, "the worker named an ask twice");
		slot->sent = true;
		slot->tries = 1;
		h->unsent_count--;
		handles[count++] = wire->handle;
	}
	h->ops->sweep(h->engine, handles, count);
	return OL_OK;
}

static int take_packet(ol_holder *h, struct adopting *a, ol_wire_packet *packet, ol_error *err)
{
	ol_holder_layer *layer = NULL;
	int rc;

	switch (packet->wire.kind) {
	case OL_WIRE_ASK:
		if (h->engine || a->count == OL_HOLDER_SLOTS_MAX)
			return fail_word(packet, err);
		OL_GROW(a->asks, a->count, a->cap);
		a->asks[a->count++] = packet->wire;
		return reserve(packet->wire.handle, err);
	case OL_WIRE_ADOPT:
		return h->engine ? fail_word(packet, err) : take_engine(h, packet, err);
	case OL_WIRE_LAYER:
		if (!h->engine)
			return fail_word(packet, err);
		rc = ol_holder_add(h, packet, &layer, err);
		if (rc == OL_OK)
			layer->told = true;
		return rc;
	default:
		return fail_word(packet, err);
	}
}

static int take_worker(ol_holder *h, ol_error *err)
{
	struct ucred who;
	socklen_t size = sizeof who;

	if (getsockopt(LINK_FD, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return ol_fail_sys(err, "the worker's socket");
	h->worker_fd = fcntl(LINK_FD, F_DUPFD_CLOEXEC, 0);
	if (h->worker_fd < 0)
		return ol_fail_sys(err, "the worker's socket");
	(void)close(LINK_FD);
	h->worker_pid = who.pid;
	h->worker_pidfd = (int)syscall(SYS_pidfd_open, who.pid, 0);
	h->worker_since_ms = ol_now_ms();
	h->kept = true;
	h->work = true;
	return OL_OK;
}

int ol_holder_adopt(ol_holder *h, ol_error *err)
{
	struct adopting a = { .count = 0 };
	bool all = false;
	int rc = OL_OK;

	while (rc == OL_OK && !all) {
		ol_wire_packet packet;

		rc = ol_wire_receive(LINK_FD, true, &packet, err);
		if (rc < 0)
			break;
		all = packet.wire.kind == OL_WIRE_OK;
		if (!all)
			rc = take_packet(h, &a, &packet, err);
		ol_wire_packet_done(&packet);
	}
	if (rc == OL_OK && !h->engine)
		rc = ol_fail(err, OL_ECORRUPT, "the worker gave no engine");
	if (rc == OL_OK)
		rc = take_worker(h, err);
	if (rc == OL_OK)
		rc = restore_asks(h, &a, err);
	free(a.asks);
	if (rc == OL_OK)
		ol_holder_log(
			h, "goes on for a holder that died, with worker %d", (int)h->worker_pid);
	return rc < 0 ? ol_wrap(err, rc, "going on for a holder that died") : OL_OK;
}
