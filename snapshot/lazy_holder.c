/*
 * The loop. One process a run dir, which its lock (lazy/holder.lock) says; the lock goes with the
 * open file, of which the worker has a copy, so no other holder begins while readers wait for one
 * that went on.
 */
#include "snapshot/lazy_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "snapshot/lazy_client.h"
#include "snapshot/lazy_held_priv.h"
#include "snapshot/lazy_holder_priv.h"
#include "store/lazy.h"

#define LOCK_NAME "holder.lock"
/* A holder that ends keeps its lock for as long as its worker takes. */
#define LOCK_MS          15000
#define LOCK_TRY_MS      20
#define QUIET_MS         1000 /* a command that just started us is about to ask */
#define TICK_MS          1000
#define BUSY_US          100 /* so long the holder looks for the next question before it sleeps */
#define ENGINE_FAILED_MS 50  /* so that the log does not fill with one failure */
/* Descriptors below are the holder's own; those of events come above. */
#define FDS_OWN 64

bool ol_holder_is_needed(const ol_holder *h)
{
	for (size_t i = 0; i < h->layer_count; i++)
		if (!h->layers[i]->complete || h->ops->stays)
			return true;
	return false;
}

/* What of our surroundings must not end us, or be kept from ending by us. */
static void settle_in(ol_holder *h)
{
	static const char score[] = "-1000";
	ol_autofd int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	struct rlimit files;

	if (fd < 0 || write(fd, score, strlen(score)) < 0)
		ol_holder_log(h, "memory pressure may end this process: oom_score_adj: %s",
			strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (chdir("/") < 0)
		ol_holder_log(h, "chdir: %s", strerror(errno));
}

static int catch_signals(ol_holder *h, ol_error *err)
{
	sigset_t set;

	/* A lease that is being broken says so by SIGIO (lazy_fanotify.c). */
	(void)signal(SIGIO, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return ol_fail_sys(err, "signals");
	h->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signal_fd < 0 ? ol_fail_sys(err, "signalfd") : OL_OK;
}

static int lock_once(ol_holder *h, ol_error *err)
{
	ol_autofd int fd =
		openat(h->lazy_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return ol_fail_sys(err, LOCK_NAME);
	rc = ol_flock(fd, true, false, err);
	if (rc == OL_OK)
		h->lock_fd = ol_steal_fd(&fd);
	return rc;
}

/* OL_EEXISTS: another holder serves. */
static int lock(ol_holder *h, ol_error *err)
{
	const uint64_t until = ol_now_ms() + LOCK_MS;
	int rc;

	while ((rc = lock_once(h, err)) == OL_EBUSY) {
		if (ol_lazy_is_held(h->options->store))
			return OL_EEXISTS;
		if (ol_now_ms() > until)
			return ol_fail(err, OL_EBUSY,
				"another lazy-holder has the lock and does not answer");
		ol_sleep_ms(LOCK_TRY_MS);
	}
	return rc;
}

/* Closed again at the end, with all else. */
static void fill_low_fds(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && fd < FDS_OWN - 1)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int begin(ol_holder *h, ol_error *err)
{
	int rc = lock(h, err);

	if (rc < 0)
		return rc;
	rc = ol_lazy_engine_choose(
		ol_store_root_fd(h->options->store), h->options->engine, &h->ops, h->why, err);
	if (rc == OL_OK)
		rc = h->ops->open(&h->engine, err);
	if (rc == OL_OK)
		rc = ol_holder_listen(h, err);
	if (rc == OL_OK)
		rc = ol_holder_note(h, NULL, err);
	if (rc == OL_OK)
		ol_holder_log(h, "serves by %s: %s", h->ops->name, h->why);
	return rc;
}

static void on_signal(ol_holder *h)
{
	struct signalfd_siginfo info;

	while (read(h->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (ol_holder_is_needed(h)) {
			ol_holder_log(h,
				"signal %u of process %u is ignored: layers are mounted that are "
				"not complete",
				info.ssi_signo, info.ssi_pid);
		} else {
			ol_holder_log(
				h, "signal %u of process %u: ends", info.ssi_signo, info.ssi_pid);
			h->stopping = true;
		}
	}
}

static uint64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Nothing is held, nobody runs or asks, for a moment now. */
static bool is_over(ol_holder *h, uint64_t now_ms)
{
	const bool quiet = !h->worker_pid && !h->layer_count && !h->client_count &&
			   !ol_holder_worker_wanted(h);

	if (h->stopping && !h->worker_pid)
		return !ol_holder_is_needed(h);
	if (!quiet)
		h->quiet_since_ms = 0;
	else if (!h->quiet_since_ms)
		h->quiet_since_ms = now_ms;
	return quiet && now_ms - h->quiet_since_ms >= QUIET_MS;
}

static int timeout_ms(const ol_holder *h, uint64_t now_ms)
{
	uint64_t until = now_ms + TICK_MS;

	if (h->layer_count && h->next_look_ms < until)
		until = h->next_look_ms;
	if (!h->worker_pid && ol_holder_worker_wanted(h) && h->next_start_ms < until)
		until = h->next_start_ms;
	return until > now_ms ? (int)(until - now_ms) : 0;
}

/* Readers mostly come again at once, and waking up takes longer than answering. */
static bool is_busy(const ol_holder *h)
{
	return h->asked_us && now_us() - h->asked_us < BUSY_US;
}

enum polled { ENGINE, SIGNALS, LISTEN, WORKER, WORKER_END, CLIENTS };

static size_t poll_list(const ol_holder *h, struct pollfd *fds)
{
	size_t count = CLIENTS;

	fds[ENGINE] =
		(struct pollfd){ .fd = ol_holder_has_room(h) ? h->ops->poll_fd(h->engine) : -1,
			.events = POLLIN };
	fds[SIGNALS] = (struct pollfd){ .fd = h->signal_fd, .events = POLLIN };
	fds[LISTEN] =
		(struct pollfd){ .fd = h->client_count < OL_HOLDER_CLIENTS_MAX ? h->listen_fd : -1,
			.events = POLLIN };
	fds[WORKER] = (struct pollfd){ .fd = h->worker_fd,
		.events = (short)(h->worker_full ? POLLIN | POLLOUT : POLLIN) };
	fds[WORKER_END] = (struct pollfd){ .fd = h->worker_pidfd, .events = POLLIN };
	for (size_t i = 0; i < h->client_count; i++)
		fds[count++] = (struct pollfd){ .fd = h->clients[i], .events = POLLIN };
	return count;
}

/* Its failures are no reason to end: that would let readers see zeros. */
static void serve_engine(ol_holder *h)
{
	ol_error err = { 0 };

	if (ol_holder_take_asks(h, &err) == OL_OK)
		return;
	ol_holder_log(h, "%s", err.text);
	ol_sleep_ms(ENGINE_FAILED_MS);
}

static void serve(ol_holder *h, const struct pollfd *fds, size_t count, uint64_t now_ms)
{
	if (fds[ENGINE].revents) {
		serve_engine(h);
		h->asked_us = now_us();
	}
	if (fds[WORKER].revents & POLLOUT)
		h->worker_full = false;
	if (fds[WORKER].revents & ~POLLOUT && h->worker_fd >= 0)
		ol_holder_worker_listen(h);
	if (fds[WORKER_END].revents)
		ol_holder_worker_gone(h, now_ms);
	if (fds[SIGNALS].revents)
		on_signal(h);
	/* The last one comes into the place of one that goes. */
	for (size_t i = count; i-- > CLIENTS;)
		if (fds[i].revents)
			ol_holder_serve(h, i - CLIENTS);
	if (fds[LISTEN].revents)
		ol_holder_accept(h);
}

static int loop(ol_holder *h, ol_error *err)
{
	struct pollfd fds[CLIENTS + OL_HOLDER_CLIENTS_MAX];

	for (;;) {
		uint64_t now = ol_now_ms();
		size_t count;

		ol_holder_look(h, now);
		if (now >= h->next_trim_ms) {
			ol_holder_log_trim(h);
			h->next_trim_ms = now + TICK_MS;
		}
		if (!h->worker_pid && ol_holder_worker_wanted(h) && now >= h->next_start_ms)
			ol_holder_worker_start(h, now);
		ol_holder_worker_tell(h);
		ol_holder_worker_mind(h, now);
		if (is_over(h, now))
			return OL_OK;
		count = poll_list(h, fds);
		if (poll(fds, count, is_busy(h) ? 0 : timeout_ms(h, now)) < 0) {
			if (errno == EINTR)
				continue;
			return ol_fail_sys(err, "poll");
		}
		serve(h, fds, count, ol_now_ms());
	}
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(ol_steal_fd(fd));
}

static void done(ol_holder *h)
{
	for (size_t i = 0; i < h->client_count; i++)
		(void)close(h->clients[i]);
	if (h->engine)
		h->ops->close(h->engine);
	ol_holder_tables_done(h);
	close_fd(&h->worker_fd);
	close_fd(&h->worker_pidfd);
	close_fd(&h->listen_fd);
	close_fd(&h->signal_fd);
	close_fd(&h->log_fd);
	close_fd(&h->lock_fd); /* the last: then another may begin */
	close_fd(&h->lazy_fd);
}

static int hold(ol_holder *h, ol_error *err)
{
	const ol_lazy_hold_options *options = h->options;
	int rc = ol_mkdirs(ol_store_run_fd(options->store), OL_LAZY_RUN_DIR, 0700, err);

	if (rc == OL_OK)
		rc = ol_dir_open(
			ol_store_run_fd(options->store), OL_LAZY_RUN_DIR, &h->lazy_fd, err);
	if (rc == OL_OK)
		rc = ol_holder_log_open(h, err);
	if (rc == OL_OK)
		rc = catch_signals(h, err);
	if (rc < 0)
		return rc;
	settle_in(h);
	rc = options->adopt ? ol_holder_adopt(h, err) : begin(h, err);
	if (rc == OL_EEXISTS) {
		ol_holder_log(h, "another one serves already");
		return options->ready_fd < 0 ? OL_OK : ol_write_all(options->ready_fd, "+", 1, err);
	}
	if (rc < 0)
		return rc;
	fill_low_fds();
	if (options->ready_fd >= 0)
		rc = ol_write_all(options->ready_fd, "+", 1, err);
	if (rc < 0)
		return rc;
	rc = loop(h, err);
	/* Who comes now finds no socket, and starts another. */
	(void)unlinkat(h->lazy_fd, "control", 0);
	if (rc == OL_OK)
		rc = ol_held_remove(h->lazy_fd, err);
	if (rc == OL_OK)
		ol_holder_log(h, "ends");
	return rc;
}

int ol_lazy_hold(const ol_lazy_hold_options *options, ol_error *err)
{
	ol_holder *h = ol_alloc(sizeof *h);
	ol_error why = { 0 };
	int rc;

	h->options = options;
	h->lazy_fd = h->lock_fd = h->listen_fd = h->signal_fd = h->log_fd = -1;
	h->worker_fd = h->worker_pidfd = -1;
	rc = hold(h, &why);
	if (rc < 0) {
		ol_holder_log(h, "fails: %s", why.text);
		if (err)
			*err = why;
	}
	done(h);
	free(h);
	return rc;
}
