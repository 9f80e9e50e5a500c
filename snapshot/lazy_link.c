/*
 * The worker's end. Beside passing on what comes, it keeps all that another holder would need to go
 * on in the place of one that dies: the engine's descriptors and the control socket, payload and
 * state of each layer, and the asks that are open. As long as these are open here nobody reads
 * zeros.
 *
 *	LAYER, ASK, KEEP ─▶ noted here ─▶ handler          holder gone ─▶ a new one, told it all
 *	ANSWER, DONE     ◀─ noted here ◀─ any thread
 *
 * Threads: `lock` guards what is noted, and the socket's number; packets are sent under it, so that
 * none goes to a holder that is being replaced. Nothing else is called under it.
 */
#include "snapshot/lazy_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "snapshot/lazy_wire_priv.h"

/* A layer, with copies of what the handler got. */
struct kept {
	ol_digest diff_id;
	uint64_t handle;          /* the engine's */
	int payload_fd, state_fd; /* owned */
};

struct ol_lazy_link {
	pthread_mutex_t lock;
	int fd;                    /* owned */
	const char *const *holder; /* lent; NULL: none is started */
	ol_wire_packet keep;       /* of the engine; fd_count 0: none came */
	struct kept *layers;       /* owned */
	size_t layer_count, layer_cap;
	ol_wire *asks; /* owned: open ones */
	size_t ask_count, ask_cap;
};

ol_lazy_link *ol_lazy_link_new(int fd)
{
	ol_lazy_link *link = ol_alloc(sizeof *link);

	link->fd = fd;
	link->keep = (ol_wire_packet){ .fds = { -1, -1, -1, -1 } };
	(void)pthread_mutex_init(&link->lock, NULL);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return link;
}

static void kept_done(struct kept *kept)
{
	(void)close(kept->payload_fd);
	(void)close(kept->state_fd);
}

void ol_lazy_link_free(ol_lazy_link *link)
{
	if (!link)
		return;
	(void)close(link->fd);
	ol_wire_packet_done(&link->keep);
	for (size_t i = 0; i < link->layer_count; i++)
		kept_done(&link->layers[i]);
	free(link->layers);
	free(link->asks);
	(void)pthread_mutex_destroy(&link->lock);
	free(link);
}

void ol_lazy_link_rescue(ol_lazy_link *link, const char *const *holder)
{
	link->holder = holder;
}

/* What cannot be sent is not lost: a holder that is gone is replaced, and asks again. */
static void say(ol_lazy_link *link, const ol_wire *wire)
{
	(void)ol_wire_send(link->fd, wire, NULL, 0, true, NULL);
}

void ol_lazy_link_answer(ol_lazy_link *link, uint64_t slot, int sys)
{
	const ol_wire wire = { .kind = OL_WIRE_ANSWER, .slot = slot, .sys = sys < 0 ? EIO : sys };

	(void)pthread_mutex_lock(&link->lock);
	for (size_t i = 0; i < link->ask_count; i++)
		if (link->asks[i].slot == slot) {
			link->asks[i] = link->asks[--link->ask_count];
			break;
		}
	say(link, &wire);
	(void)pthread_mutex_unlock(&link->lock);
}

static void drop_layer(ol_lazy_link *link, const ol_digest *diff_id)
{
	for (size_t i = 0; i < link->layer_count; i++)
		if (ol_digest_eq(&link->layers[i].diff_id, diff_id)) {
			kept_done(&link->layers[i]);
			link->layers[i] = link->layers[--link->layer_count];
			return;
		}
}

void ol_lazy_link_done(ol_lazy_link *link, const ol_digest *diff_id)
{
	ol_wire wire = { .kind = OL_WIRE_DONE };

	ol_wire_set_digest(&wire, diff_id);
	(void)pthread_mutex_lock(&link->lock);
	say(link, &wire);
	(void)pthread_mutex_unlock(&link->lock);
}

void ol_lazy_link_idle(ol_lazy_link *link)
{
	(void)pthread_mutex_lock(&link->lock);
	say(link, &(ol_wire){ .kind = OL_WIRE_IDLE });
	(void)pthread_mutex_unlock(&link->lock);
}

static int on_layer(ol_lazy_link *link, ol_wire_packet *packet, const ol_lazy_link_handler *handler,
	ol_error *err)
{
	struct kept kept = { .diff_id = ol_wire_digest(&packet->wire),
		.handle = packet->wire.handle };

	kept.payload_fd = fcntl(packet->fds[0], F_DUPFD_CLOEXEC, 3);
	kept.state_fd = fcntl(packet->fds[1], F_DUPFD_CLOEXEC, 3);
	if (kept.payload_fd < 0 || kept.state_fd < 0) {
		int rc = ol_fail_sys(err, "a layer's descriptors");

		if (kept.payload_fd >= 0)
			(void)close(kept.payload_fd);
		return rc;
	}
	(void)pthread_mutex_lock(&link->lock);
	drop_layer(link, &kept.diff_id);
	OL_GROW(link->layers, link->layer_count, link->layer_cap);
	link->layers[link->layer_count++] = kept;
	(void)pthread_mutex_unlock(&link->lock);
	handler->layer(handler->ctx, &kept.diff_id, ol_steal_fd(&packet->fds[0]),
		ol_steal_fd(&packet->fds[1]));
	return OL_OK;
}

static void on_ask(ol_lazy_link *link, const ol_wire *wire, const ol_lazy_link_handler *handler)
{
	const ol_digest diff_id = ol_wire_digest(wire);

	(void)pthread_mutex_lock(&link->lock);
	OL_GROW(link->asks, link->ask_count, link->ask_cap);
	link->asks[link->ask_count++] = *wire;
	(void)pthread_mutex_unlock(&link->lock);
	handler->ask(handler->ctx, wire->slot, &diff_id, wire->start, wire->end);
}

static void on_gone(ol_lazy_link *link, const ol_wire *wire, const ol_lazy_link_handler *handler)
{
	const ol_digest diff_id = ol_wire_digest(wire);

	(void)pthread_mutex_lock(&link->lock);
	drop_layer(link, &diff_id);
	(void)pthread_mutex_unlock(&link->lock);
	/* sys: it is whole, and the worker said so itself */
	if (wire->sys == 0)
		handler->gone(handler->ctx, &diff_id);
}

/* 1: go on; OL_OK: the holder wants no more. */
static int handle(ol_lazy_link *link, ol_wire_packet *packet, const ol_lazy_link_handler *handler,
	ol_error *err)
{
	int rc;

	switch (packet->wire.kind) {
	case OL_WIRE_LAYER:
		rc = on_layer(link, packet, handler, err);
		return rc < 0 ? rc : 1;
	case OL_WIRE_ASK:
		on_ask(link, &packet->wire, handler);
		return 1;
	case OL_WIRE_GONE:
		on_gone(link, &packet->wire, handler);
		return 1;
	case OL_WIRE_WAKE:
		handler->wake(handler->ctx);
		return 1;
	case OL_WIRE_KEEP:
		(void)pthread_mutex_lock(&link->lock);
		ol_wire_packet_done(&link->keep);
		link->keep = *packet;
		(void)pthread_mutex_unlock(&link->lock);
		*packet = (ol_wire_packet){ .fds = { -1, -1, -1, -1 } };
		return 1;
	case OL_WIRE_END:
		return OL_OK;
	default:
		return ol_fail(
			err, OL_ECORRUPT, "the holder sent a packet of kind %u", packet->wire.kind);
	}
}

/* All that is kept, to a holder that was just started. */
static int tell_all(const ol_lazy_link *link, int fd, ol_error *err)
{
	ol_wire adopt = link->keep.wire;
	int rc;

	/* The asks' handles come first: their numbers are kept free for them. */
	for (size_t i = 0; i < link->ask_count; i++) {
		rc = ol_wire_send(fd, &link->asks[i], NULL, 0, true, err);
		if (rc < 0)
			return rc;
	}
	adopt.kind = OL_WIRE_ADOPT;
	rc = ol_wire_send(fd, &adopt, link->keep.fds, link->keep.fd_count, true, err);
	for (size_t i = 0; rc == OL_OK && i < link->layer_count; i++) {
		const struct kept *kept = &link->layers[i];
		const int fds[] = { kept->payload_fd, kept->state_fd };
		ol_wire layer = { .kind = OL_WIRE_LAYER, .handle = kept->handle };

		ol_wire_set_digest(&layer, &kept->diff_id);
		rc = ol_wire_send(fd, &layer, fds, 2, true, err);
	}
	return rc < 0 ? rc : ol_wire_send(fd, &(ol_wire){ .kind = OL_WIRE_OK }, NULL, 0, true, err);
}

struct place {
	int fd;
};

static int become_holder(void *ctx)
{
	const struct place *place = ctx;

	if (setsid() < 0)
		return OL_ESYSTEM;
	/* A copy of itself would keep O_CLOEXEC. */
	if (place->fd == 3)
		return fcntl(3, F_SETFD, 0) < 0 ? OL_ESYSTEM : OL_OK;
	return dup2(place->fd, 3) < 0 ? OL_ESYSTEM : OL_OK;
}

/* Another holder in the place of the one that died. Under the lock. */
static int replace_holder(ol_lazy_link *link, ol_error *err)
{
	struct place place;
	int ends[2], rc;
	pid_t pid;

	if (!link->holder || !link->keep.fd_count)
		return ol_fail(err, OL_EUNAVAILABLE, "the holder is gone");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return ol_fail_sys(err, "socket");
	place.fd = ends[1];
	rc = ol_child_start(&(ol_child_options){ .argv = link->holder,
				    .stdin_fd = -1,
				    .stdout_fd = -1,
				    .stderr_fd = 2,
				    .prepare = become_holder,
				    .ctx = &place },
		&pid, err);
	(void)close(ends[1]);
	if (rc == OL_OK)
		rc = tell_all(link, ends[0], err);
	if (rc < 0) {
		(void)close(ends[0]);
		return ol_wrap(err, rc, "another holder");
	}
	(void)close(link->fd);
	link->fd = ends[0];
	return OL_OK;
}

int ol_lazy_link_run(ol_lazy_link *link, const ol_lazy_link_handler *handler,
	const ol_cancel *cancel, ol_error *err)
{
	int rc = 1;

	while (rc == 1) {
		struct pollfd fds[] = { { .fd = link->fd, .events = POLLIN },
			{ .fd = ol_cancel_fd(cancel), .events = POLLIN } };
		ol_wire_packet packet;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return ol_fail_sys(err, "poll");
		rc = ol_cancel_check(cancel, err);
		if (rc == OL_OK)
			rc = ol_wire_receive(link->fd, false, &packet, err);
		if (rc == OL_EBUSY) {
			rc = 1;
		} else if (rc == OL_EUNAVAILABLE) {
			(void)pthread_mutex_lock(&link->lock);
			rc = replace_holder(link, err);
			(void)pthread_mutex_unlock(&link->lock);
			rc = rc == OL_OK ? 1 : OL_EUNAVAILABLE;
		} else if (rc == OL_OK) {
			rc = handle(link, &packet, handler, err);
			ol_wire_packet_done(&packet);
		}
	}
	return rc;
}
