/*
 * What commands say to the holder, over <run dir>/lazy/control. Each call is a connection of its
 * own.
 *
 * A payload's making: it and its state mean something only together. So a payload that was not
 * there gets a new state, a state that is new empties the payload, both under lazy/lock; and only
 * where no holder has it already, whose readers would read what is emptied.
 */
#include "snapshot/lazy_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/lazy_held_priv.h"
#include "snapshot/lazy_state.h"
#include "snapshot/lazy_wire_priv.h"
#include "store/lazy.h"

#define CONTROL "control"
#define LOCK    "lock"
/* The holder answers at once, unless the machine is suspended or it is being debugged. */
#define REPLY_MS 30000

static int open_folder(ol_store *store, bool make, int *out, ol_error *err)
{
	if (make && mkdirat(ol_store_run_fd(store), OL_LAZY_RUN_DIR, 0700) < 0 && errno != EEXIST)
		return ol_fail_sys(err, "%s/" OL_LAZY_RUN_DIR, ol_store_run_dir(store));
	return ol_dir_open(ol_store_run_fd(store), OL_LAZY_RUN_DIR, out, err);
}

int ol_lazy_connect(ol_store *store, int *fd, ol_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	ol_autofd int lazy_fd = -1, own = -1;

	if (open_folder(store, false, &lazy_fd, NULL) < 0)
		return ol_fail(err, OL_EUNAVAILABLE, "no lazy-holder runs");
	own = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (own < 0)
		return ol_fail_sys(err, "socket");
	/* By the folder's descriptor: the path may be longer than an address has room for. */
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/" CONTROL,
		ol_fd_path_of(lazy_fd).text);
	if (connect(own, (const struct sockaddr *)&address, sizeof address) < 0) {
		if (errno != ENOENT && errno != ECONNREFUSED)
			return ol_fail_sys(err, "lazy-holder");
		return ol_fail(err, OL_EUNAVAILABLE, "no lazy-holder runs");
	}
	*fd = ol_steal_fd(&own);
	return OL_OK;
}

/* What came in answer: OK or NEED; FAILED becomes the failure it tells of. */
static int ask(int fd, const ol_wire *wire, const int *fds, size_t count, ol_wire_packet *reply,
	ol_error *err)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	int rc = ol_wire_send(fd, wire, fds, count, true, err), n;

	if (rc < 0)
		return rc;
	do
		n = poll(&wait, 1, REPLY_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return ol_fail(err, OL_EUNAVAILABLE, "the lazy-holder does not answer");
	rc = ol_wire_receive(fd, false, reply, err);
	if (rc < 0)
		return rc == OL_EBUSY
			       ? ol_fail(err, OL_EUNAVAILABLE, "the lazy-holder says nothing")
			       : rc;
	if (reply->wire.kind == OL_WIRE_FAILED) {
		rc = ol_fail(err, reply->wire.sys, "%s", reply->wire.text);
		ol_wire_packet_done(reply);
	} else if (reply->wire.kind != OL_WIRE_OK && reply->wire.kind != OL_WIRE_NEED) {
		rc = ol_fail(err, OL_ECORRUPT, "the lazy-holder answered something else");
		ol_wire_packet_done(reply);
	}
	return rc;
}

static int ask_once(ol_store *store, const ol_wire *wire, ol_wire_packet *reply, ol_error *err)
{
	ol_autofd int fd = -1;
	int rc = ol_lazy_connect(store, &fd, err);

	return rc < 0 ? rc : ask(fd, wire, NULL, 0, reply, err);
}

bool ol_lazy_is_held(ol_store *store)
{
	char engine[16];

	return ol_lazy_engine_of(store, engine, NULL) == OL_OK;
}

int ol_lazy_engine_of(ol_store *store, char name[16], ol_error *err)
{
	ol_wire_packet reply;
	int rc = ask_once(store, &(ol_wire){ .kind = OL_WIRE_HELLO }, &reply, err);

	if (rc == OL_EUNAVAILABLE)
		return ol_fail(err, OL_ENOTFOUND, "no lazy-holder runs");
	if (rc < 0)
		return rc;
	(void)snprintf(name, 16, "%.15s", reply.wire.text);
	ol_wire_packet_done(&reply);
	return OL_OK;
}

bool ol_lazy_wake(ol_store *store)
{
	ol_wire_packet reply;
	int rc = ask_once(store, &(ol_wire){ .kind = OL_WIRE_WAKE }, &reply, NULL);

	if (rc < 0)
		return false;
	ol_wire_packet_done(&reply);
	return true;
}

int ol_lazy_unwatch(ol_store *store, const ol_digest *diff_id, ol_error *err)
{
	ol_wire wire = { .kind = OL_WIRE_UNWATCH };
	ol_wire_packet reply;
	int rc;

	ol_wire_set_digest(&wire, diff_id);
	rc = ask_once(store, &wire, &reply, err);
	if (rc == OL_OK)
		ol_wire_packet_done(&reply);
	return rc == OL_EUNAVAILABLE ? OL_OK : rc;
}

/* Of this size and writable; *made: it was not there, or was another. */
static int open_payload(ol_store *store, const ol_digest *diff_id, uint64_t bytes, bool *made,
	int *out, ol_error *err)
{
	ol_autofd int dir_fd = -1, fd = -1;
	struct stat st;
	int rc = ol_lazy_open(store, diff_id, &dir_fd, err);

	if (rc < 0)
		return rc;
	fd = openat(dir_fd, OL_LAZY_PAYLOAD, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return ol_fail_sys(err, OL_LAZY_PAYLOAD);
	*made = (uint64_t)st.st_size != bytes;
	*out = ol_steal_fd(&fd);
	return OL_OK;
}

/* Payload and state that mean something together. */
static int prepare(ol_store *store, const ol_digest *diff_id, uint64_t bytes, int *payload_fd,
	ol_lazy_state **state, ol_error *err)
{
	bool made = false, fresh = false;
	int rc = open_payload(store, diff_id, bytes, &made, payload_fd, err);

	if (rc == OL_OK && made)
		rc = ol_lazy_state_remove(ol_store_run_fd(store), diff_id, err);
	if (rc == OL_OK)
		rc = ol_lazy_state_open(ol_store_run_fd(store), diff_id, bytes,
			ol_store_boot_id(store), &fresh, state, err);
	if (rc < 0 || !fresh)
		return rc;
	if (ftruncate(*payload_fd, 0) < 0 || ftruncate(*payload_fd, (off_t)bytes) < 0) {
		rc = ol_fail_sys(err, OL_LAZY_PAYLOAD);
		/* Else the next one would take what is in it for what the state says. */
		(void)ol_lazy_state_remove(ol_store_run_fd(store), diff_id, NULL);
	}
	return rc;
}

int ol_lazy_lock(ol_store *store, int *out, ol_error *err)
{
	ol_autofd int lazy_fd = -1, fd = -1;
	int rc = open_folder(store, true, &lazy_fd, err);

	if (rc < 0)
		return rc;
	fd = openat(lazy_fd, LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ol_fail_sys(err, OL_LAZY_RUN_DIR "/" LOCK);
	rc = ol_flock(fd, true, true, err);
	if (rc == OL_OK)
		*out = ol_steal_fd(&fd);
	return rc;
}

static int bring(ol_store *store, int fd, const ol_wire *wire, uint64_t bytes,
	ol_wire_packet *reply, ol_error *err)
{
	const ol_digest diff_id = ol_wire_digest(wire);
	ol_auto(ol_lazy_state_close) ol_lazy_state *state = NULL;
	ol_autofd int payload_fd = -1;
	int rc = prepare(store, &diff_id, bytes, &payload_fd, &state, err);

	if (rc < 0)
		return rc;
	return ask(fd, wire, (const int[]){ payload_fd, ol_lazy_state_fd(state) }, 2, reply, err);
}

int ol_lazy_watch(ol_store *store, const ol_digest *diff_id, uint64_t payload_bytes, int *device_fd,
	ol_error *err)
{
	ol_autofd int fd = -1, lock = -1;
	ol_wire wire = { .kind = OL_WIRE_WATCH };
	ol_wire_packet reply = { .fds = { -1, -1, -1, -1 } };
	int rc = ol_lazy_connect(store, &fd, err);

	ol_wire_set_digest(&wire, diff_id);
	if (rc == OL_OK)
		rc = ol_lazy_lock(store, &lock, err);
	if (rc == OL_OK)
		rc = ask(fd, &wire, NULL, 0, &reply, err);
	if (rc == OL_OK && reply.wire.kind == OL_WIRE_NEED) {
		ol_wire_packet_done(&reply);
		rc = bring(store, fd, &wire, payload_bytes, &reply, err);
	}
	if (rc < 0)
		return rc;
	if (reply.wire.kind == OL_WIRE_OK && reply.fd_count == 1)
		*device_fd = ol_steal_fd(&reply.fds[0]);
	else
		rc = ol_fail(err, OL_ECORRUPT, "the lazy-holder gave no device");
	ol_wire_packet_done(&reply);
	return rc;
}
