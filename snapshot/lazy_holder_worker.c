/*
 * The worker: one process that may die at any time. What it is to know is told from the tables, as
 * far as its socket takes it; a new one is told all of it anew.
 *
 *	none ── wanted, back-off over ──▶ runs ── idle, nothing open ──▶ ending ──▶ none
 *	  ▲                                │ dies                           │ does not: killed
 *	  └────────────────────────────────┴────────────────────────────────┘
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "snapshot/lazy_holder_priv.h"

#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 2000
#define LIVED_MS       10000 /* one that lived so long did not die of what it began with */
#define END_MS         10000 /* to close its files; then it is killed */
#define TURNS_MAX      256   /* packets taken at once: others have their turn then */

bool ol_holder_worker_wanted(const ol_holder *h)
{
	return !h->stopping && (h->work || h->wake || h->open_count > 0);
}

/* In the child: its socket becomes descriptor 3. */
static int give_socket(void *ctx)
{
	const int fd = *(const int *)ctx;

	/* A copy of itself would keep O_CLOEXEC. */
	if (fd == 3)
		return fcntl(3, F_SETFD, 0) < 0 ? OL_ESYSTEM : OL_OK;
	return dup2(fd, 3) < 0 ? OL_ESYSTEM : OL_OK;
}

static void wait_longer(ol_holder *h, uint64_t now_ms)
{
	h->backoff_ms = h->backoff_ms ? 2 * h->backoff_ms : BACKOFF_MIN_MS;
	if (h->backoff_ms > BACKOFF_MAX_MS)
		h->backoff_ms = BACKOFF_MAX_MS;
	h->next_start_ms = now_ms + h->backoff_ms;
}

static void forget_told(ol_holder *h)
{
	for (size_t i = 0; i < h->layer_count; i++)
		h->layers[i]->told = false;
	for (size_t i = 0; i < h->slot_count; i++)
		h->slots[i].sent = false;
	h->unsent_count = h->open_count;
	h->gone_count = 0;
	h->kept = h->idle = h->ending = h->worker_full = false;
	h->wake = true; /* it comes once at the start */
}

void ol_holder_worker_start(ol_holder *h, uint64_t now_ms)
{
	ol_error err = { 0 };
	int ends[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		ol_holder_log(h, "no socket for a worker");
		wait_longer(h, now_ms);
		return;
	}
	rc = ol_child_start(&(ol_child_options){ .argv = h->options->worker,
				    .stdin_fd = -1,
				    .stdout_fd = h->log_fd,
				    .stderr_fd = h->log_fd,
				    .prepare = give_socket,
				    .ctx = &ends[1] },
		&h->worker_pid, &err);
	(void)close(ends[1]);
	if (rc < 0) {
		h->worker_pid = 0;
		(void)close(ends[0]);
		ol_holder_log(h, "a worker cannot be started: %s", err.text);
		wait_longer(h, now_ms);
		return;
	}
	h->worker_fd = ends[0];
	h->worker_pidfd = (int)syscall(SYS_pidfd_open, h->worker_pid, 0);
	h->worker_since_ms = now_ms;
	forget_told(h);
	ol_holder_log(h, "worker %d runs", (int)h->worker_pid);
	if (ol_holder_note(h, NULL, &err) < 0)
		ol_holder_log(h, "%s", err.text);
}

/* False: not now. */
static bool tell(ol_holder *h, const ol_wire *wire, const int *fds, size_t count)
{
	ol_error err = { 0 };
	int rc = ol_wire_send(h->worker_fd, wire, fds, count, false, &err);

	if (rc == OL_EBUSY)
		h->worker_full = true;
	else if (rc < 0 && rc != OL_EUNAVAILABLE) /* gone: its pidfd tells us */
		ol_holder_log(h, "worker: %s", err.text);
	return rc == OL_OK;
}

/* What it needs to replace us. */
static bool tell_keep(ol_holder *h)
{
	const ol_engine_fds own = h->ops->fds(h->engine);
	ol_wire wire = { .kind = OL_WIRE_KEEP };
	int fds[OL_WIRE_FDS_MAX];
	size_t count = 0;

	for (; count < own.count; count++)
		fds[count] = own.fds[count];
	fds[count++] = h->listen_fd;
	fds[count++] = h->lock_fd;
	ol_wire_set_text(&wire, h->ops->name);
	return tell(h, &wire, fds, count);
}

static bool tell_layer(ol_holder *h, ol_holder_layer *layer)
{
	const int fds[] = { layer->payload_fd, ol_lazy_state_fd(layer->base.state) };
	ol_wire wire = { .kind = OL_WIRE_LAYER, .handle = layer->base.handle };

	ol_wire_set_digest(&wire, &layer->base.diff_id);
	layer->told = tell(h, &wire, fds, 2);
	return layer->told;
}

static bool tell_gone(ol_holder *h)
{
	while (h->gone_count) {
		const ol_holder_gone *gone = &h->gone[h->gone_count - 1];
		ol_wire wire = { .kind = OL_WIRE_GONE, .sys = gone->complete };

		ol_wire_set_digest(&wire, &gone->diff_id);
		if (!tell(h, &wire, NULL, 0))
			return false;
		h->gone_count--;
	}
	return true;
}

static bool tell_asks(ol_holder *h)
{
	for (size_t i = 0; i < h->slot_count && h->unsent_count; i++) {
		ol_holder_slot *slot = &h->slots[i];
		ol_wire wire = { .kind = OL_WIRE_ASK };

		if (!slot->used || slot->sent)
			continue;
		wire.slot = ol_holder_slot_number(h, slot);
		wire.handle = slot->ask.handle;
		wire.start = slot->ask.start;
		wire.end = slot->ask.end;
		ol_wire_set_digest(&wire, &slot->ask.layer->diff_id);
		if (!tell(h, &wire, NULL, 0))
			return false;
		slot->sent = true;
		slot->tries++;
		h->unsent_count--;
	}
	return true;
}

void ol_holder_worker_tell(ol_holder *h)
{
	bool good = h->worker_pid && !h->ending && !h->worker_full;

	if (good && !h->kept)
		good = h->kept = tell_keep(h);
	good = good && tell_gone(h);
	for (size_t i = 0; good && i < h->layer_count; i++)
		if (!h->layers[i]->told && !h->layers[i]->complete) {
			h->idle = false;
			good = tell_layer(h, h->layers[i]);
		}
	good = good && tell_asks(h);
	if (good && h->wake && tell(h, &(ol_wire){ .kind = OL_WIRE_WAKE }, NULL, 0))
		h->wake = h->idle = false;
}

static void hear(ol_holder *h, const ol_wire *wire)
{
	const ol_digest diff_id = ol_wire_digest(wire);

	switch (wire->kind) {
	case OL_WIRE_ANSWER:
		ol_holder_answer(h, wire->slot, wire->sys);
		break;
	case OL_WIRE_DONE:
		ol_holder_complete(h, &diff_id);
		break;
	case OL_WIRE_IDLE:
		h->idle = true;
		break;
	default:
		ol_holder_log(h, "the worker sent a packet of kind %u", wire->kind);
		break;
	}
}

void ol_holder_worker_listen(ol_holder *h)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		ol_wire_packet packet;
		ol_error err = { 0 };
		int rc = ol_wire_receive(h->worker_fd, false, &packet, &err);

		if (rc == OL_EBUSY)
			return;
		if (rc < 0) {
			/* One that closed its socket or speaks nonsense is of no use. */
			if (rc != OL_EUNAVAILABLE)
				ol_holder_log(h, "worker: %s", err.text);
			if (!h->ending)
				(void)kill(h->worker_pid, SIGKILL);
			(void)close(ol_steal_fd(&h->worker_fd));
			return;
		}
		hear(h, &packet.wire);
		ol_wire_packet_done(&packet);
	}
}

void ol_holder_worker_mind(ol_holder *h, uint64_t now_ms)
{
	if (!h->worker_pid)
		return;
	if (h->worker_pidfd < 0 && kill(h->worker_pid, 0) < 0) {
		ol_holder_worker_gone(h, now_ms);
		return;
	}
	if (h->ending) {
		if (now_ms - h->end_since_ms > END_MS) {
			ol_holder_log(
				h, "worker %d does not end: it is killed", (int)h->worker_pid);
			(void)kill(h->worker_pid, SIGKILL);
			h->end_since_ms = now_ms;
		}
		return;
	}
	if (!h->stopping && (!h->idle || h->open_count || h->wake || h->gone_count))
		return;
	if (h->worker_fd >= 0 && tell(h, &(ol_wire){ .kind = OL_WIRE_END }, NULL, 0)) {
		h->ending = true;
		h->work = false;
		h->end_since_ms = now_ms;
	}
}

void ol_holder_worker_gone(ol_holder *h, uint64_t now_ms)
{
	siginfo_t info = { 0 };
	int status = 0;

	if (h->worker_pidfd >= 0 &&
		waitid(P_PIDFD, (id_t)h->worker_pidfd, &info, WEXITED | WNOHANG) == 0)
		status = info.si_pid ? info.si_status : 0;
	if (h->worker_fd >= 0)
		(void)close(ol_steal_fd(&h->worker_fd));
	if (h->worker_pidfd >= 0)
		(void)close(ol_steal_fd(&h->worker_pidfd));
	if (h->ending) {
		h->backoff_ms = 0;
		h->next_start_ms = now_ms;
		ol_holder_log(h, "worker %d ended", (int)h->worker_pid);
	} else {
		/* It was killed: that is no sign that the next one dies as well. */
		if (now_ms - h->worker_since_ms >= LIVED_MS ||
			(info.si_code == CLD_KILLED && status == SIGKILL))
			h->backoff_ms = 0;
		wait_longer(h, now_ms);
		ol_holder_log(h, "worker %d died (%d)", (int)h->worker_pid, status);
		h->work = true;
	}
	h->worker_pid = 0;
	h->ending = false;
	h->worker_full = false;
	ol_holder_recheck(h, now_ms);
}
