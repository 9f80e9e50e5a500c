/*
 * What commands ask, over <run dir>/lazy/control. Only the user whose store it is may: the folder
 * is theirs alone, and the kernel says who is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "snapshot/lazy_holder_priv.h"

#define CONTROL "control"
#define BACKLOG 64

int ol_holder_listen(ol_holder *h, ol_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	h->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->listen_fd < 0)
		return ol_fail_sys(err, "socket");
	/* The lock is ours: what is there was left by a holder that died. */
	(void)unlinkat(h->lazy_fd, CONTROL, 0);
	/* By the folder's descriptor: the path may be longer than an address has room for. */
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/" CONTROL,
		ol_fd_path_of(h->lazy_fd).text);
	if (bind(h->listen_fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
		listen(h->listen_fd, BACKLOG) < 0)
		return ol_fail_sys(err, CONTROL);
	return OL_OK;
}

static bool is_ours(int fd)
{
	struct ucred who;
	socklen_t size = sizeof who;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.uid == geteuid();
}

void ol_holder_accept(ol_holder *h)
{
	while (h->client_count < OL_HOLDER_CLIENTS_MAX) {
		int fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (is_ours(fd)) {
			h->clients[h->client_count++] = fd;
			continue;
		}
		ol_holder_log(h, "somebody else's connection is refused");
		(void)close(fd);
	}
}

/* A client reads each answer before it asks again, so there is room; else it is in the wrong. */
static int reply(int fd, const ol_wire *wire, const int *fds, size_t count)
{
	return ol_wire_send(fd, wire, fds, count, false, NULL);
}

static int refuse(int fd, int rc, const ol_error *err)
{
	ol_wire wire = { .kind = OL_WIRE_FAILED, .sys = rc };

	ol_wire_set_text(&wire, err->text[0] ? err->text : "refused");
	return reply(fd, &wire, NULL, 0);
}

static int on_watch(ol_holder *h, int fd, ol_wire_packet *packet)
{
	const ol_digest diff_id = ol_wire_digest(&packet->wire);
	ol_holder_layer *layer = ol_holder_find(h, &diff_id);
	ol_autofd int device_fd = -1;
	ol_error err = { 0 };
	int rc = OL_OK;

	if (!layer && !packet->fd_count)
		return reply(fd, &(ol_wire){ .kind = OL_WIRE_NEED }, NULL, 0);
	/* A payload of a layer that is watched was opened after its mark: it is of no use. */
	if (!layer) {
		packet->wire.handle = 0;
		rc = ol_holder_add(h, packet, &layer, &err);
	}
	if (rc == OL_OK) {
		layer->released = false;
		rc = h->ops->device(h->engine, &layer->base, &device_fd, &err);
	}
	if (rc < 0) {
		ol_holder_log(h, "layer %s: %s", ol_digest_short(&diff_id).text, err.text);
		return refuse(fd, rc, &err);
	}
	return reply(fd, &(ol_wire){ .kind = OL_WIRE_OK }, &device_fd, 1);
}

static int on_unwatch(ol_holder *h, int fd, const ol_wire *wire)
{
	const ol_digest diff_id = ol_wire_digest(wire);
	ol_holder_layer *layer = ol_holder_find(h, &diff_id);

	if (layer) {
		layer->released = true;
		h->next_look_ms = 0;
	}
	return reply(fd, &(ol_wire){ .kind = OL_WIRE_OK }, NULL, 0);
}

static int handle(ol_holder *h, int fd, ol_wire_packet *packet)
{
	ol_wire ok = { .kind = OL_WIRE_OK };

	switch (packet->wire.kind) {
	case OL_WIRE_HELLO:
		ol_wire_set_text(&ok, h->ops->name);
		return reply(fd, &ok, NULL, 0);
	case OL_WIRE_WATCH:
		return on_watch(h, fd, packet);
	case OL_WIRE_UNWATCH:
		return on_unwatch(h, fd, &packet->wire);
	case OL_WIRE_WAKE:
		h->wake = true;
		return reply(fd, &ok, NULL, 0);
	default:
		return OL_ECORRUPT;
	}
}

void ol_holder_serve(ol_holder *h, size_t i)
{
	const int fd = h->clients[i];
	ol_wire_packet packet;
	ol_error err = { 0 };
	int rc = ol_wire_receive(fd, false, &packet, &err);

	if (rc == OL_EBUSY)
		return;
	if (rc == OL_OK) {
		rc = handle(h, fd, &packet);
		ol_wire_packet_done(&packet);
	} else if (rc != OL_EUNAVAILABLE) {
		ol_holder_log(h, "a command's packet is refused: %s", err.text);
	}
	if (rc < 0) {
		(void)close(fd);
		h->clients[i] = h->clients[--h->client_count];
	}
}
