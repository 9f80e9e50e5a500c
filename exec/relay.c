#include "exec/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/own.h"
#include "exec/terminal.h"

#define PUMP_BYTES ((size_t)64 << 10)

/* One direction. A pipe that is ready takes PIPE_BUF bytes without blocking: so much is written at
 * once, no more. */
typedef struct pump {
	int from, to, log;
	char *data; /* owned */
	size_t start, end;
	bool ended;   /* from has no more, or to wants none */
	bool discard; /* nobody reads, but it has to be emptied: a terminal */
	int *input;   /* the container's stdin, to close at the end; or NULL */
	int *output;  /* the container's stdout or stderr, to close when nobody reads; or NULL */
} pump;

enum { STDIN, STDOUT, STDERR, PUMPS };

typedef struct loop {
	ol_relay *relay;
	pump pumps[PUMPS];
	bool exited;
} loop;

int ol_relay_block(sigset_t *before, int *signal_fd, ol_error *err)
{
	/* What the kernel sends for our own faults stays ours. */
	static const int own[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS };
	sigset_t all;
	int fd;

	(void)sigfillset(&all);
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		(void)sigdelset(&all, own[i]);
	fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return ol_fail_sys(err, "signalfd");
	if (sigprocmask(SIG_BLOCK, &all, before) < 0) {
		(void)close(fd);
		return ol_fail_sys(err, "signals");
	}
	*signal_fd = fd;
	return OL_OK;
}

void ol_relay_unblock(const sigset_t *before)
{
	const struct timespec none = { 0 };
	sigset_t pipes;

	(void)sigemptyset(&pipes);
	(void)sigaddset(&pipes, SIGPIPE);
	while (sigtimedwait(&pipes, NULL, &none) > 0)
		continue;
	(void)sigprocmask(SIG_SETMASK, before, NULL);
}

static void resize(const ol_relay *relay)
{
	struct winsize size;

	if (ol_terminal_size(&size))
		(void)ioctl(relay->terminal_fd, TIOCSWINSZ, &size);
}

/* Everything but what is about us alone, as docker's sig-proxy. */
static void pass_signals(const ol_relay *relay)
{
	struct signalfd_siginfo info;

	while (read(relay->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		int number = (int)info.ssi_signo;

		if (number == SIGCHLD || number == SIGPIPE || number == SIGURG)
			continue;
		if (number == SIGWINCH && relay->terminal_fd >= 0)
			resize(relay);
		else
			(void)syscall(SYS_pidfd_send_signal, relay->pid_fd, number, NULL, 0);
	}
}

static bool is_empty(const pump *p)
{
	return p->start == p->end;
}

static void close_fd(int *fd)
{
	if (fd && *fd >= 0) {
		(void)close(*fd);
		*fd = -1;
	}
}

static void finish(pump *p)
{
	p->ended = true;
	p->start = p->end = 0;
	close_fd(p->input);
}

static void fill(pump *p)
{
	ssize_t got = read(p->from, p->data, PUMP_BYTES);

	if (got > 0) {
		p->start = 0;
		p->end = p->discard ? 0 : (size_t)got;
		if (p->log >= 0)
			(void)!write(p->log, p->data,
				(size_t)got); /* a full disk does not stop a container */
	} else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
		finish(p); /* a terminal says EIO when nobody has it open any more */
	}
}

/* Nobody reads any more. The container is told as it would be told without us: by a broken pipe. */
static void give_up(pump *p)
{
	if (p->input || p->output) {
		close_fd(p->output);
		finish(p);
	} else {
		p->discard = true;
		p->start = p->end = 0;
	}
}

static void drain(pump *p)
{
	size_t size = p->end - p->start < PIPE_BUF ? p->end - p->start : PIPE_BUF;
	ssize_t sent = write(p->to, p->data + p->start, size);

	if (sent > 0)
		p->start += (size_t)sent;
	else if (sent < 0 && errno != EINTR && errno != EAGAIN)
		give_up(p);
}

static nfds_t watch(const loop *l, struct pollfd *fds)
{
	nfds_t count = 0;

	fds[count++] = (struct pollfd){ .fd = l->relay->signal_fd, .events = POLLIN };
	fds[count++] = (struct pollfd){ .fd = l->exited ? -1 : l->relay->pid_fd, .events = POLLIN };
	for (int i = 0; i < PUMPS; i++) {
		const pump *p = &l->pumps[i];

		fds[count++] = (struct pollfd){ .fd = p->ended || !is_empty(p) ? -1 : p->from,
			.events = POLLIN };
		fds[count++] = (struct pollfd){ .fd = p->ended || is_empty(p) ? -1 : p->to,
			.events = POLLOUT };
	}
	return count;
}

/* Output is passed on to its end, input only while somebody is there to read it. */
static bool is_done(const loop *l)
{
	return l->exited && l->pumps[STDOUT].ended && l->pumps[STDERR].ended;
}

static int turn(loop *l, ol_error *err)
{
	struct pollfd fds[2 + 2 * PUMPS];
	nfds_t count = watch(l, fds);

	if (poll(fds, count, -1) < 0)
		return errno == EINTR ? OL_OK : ol_fail_sys(err, "poll");
	if (fds[0].revents)
		pass_signals(l->relay);
	for (int i = 0; i < PUMPS; i++) {
		if (fds[2 + 2 * i].revents)
			fill(&l->pumps[i]);
		else if (fds[3 + 2 * i].revents)
			drain(&l->pumps[i]);
	}
	if (fds[1].revents) {
		l->exited = true;
		finish(&l->pumps[STDIN]);
	}
	return OL_OK;
}

static pump make_pump(int from, int to, int log)
{
	return (pump){ .from = from,
		.to = to,
		.log = log,
		.ended = from < 0 || to < 0,
		.data = from < 0 || to < 0 ? NULL : ol_alloc(PUMP_BYTES) };
}

int ol_relay_run(ol_relay *relay, ol_error *err)
{
	bool tty = relay->terminal_fd >= 0;
	loop l = { .relay = relay };
	int rc = OL_OK;

	l.pumps[STDIN] = make_pump(relay->read_stdin ? STDIN_FILENO : -1,
		tty ? relay->terminal_fd : relay->stdin_fd, -1);
	l.pumps[STDIN].input = tty ? NULL : &relay->stdin_fd;
	l.pumps[STDOUT] = make_pump(
		tty ? relay->terminal_fd : relay->stdout_fd, STDOUT_FILENO, relay->log_fd);
	l.pumps[STDERR] = make_pump(tty ? -1 : relay->stderr_fd, STDERR_FILENO, relay->log_fd);
	l.pumps[STDOUT].output = tty ? NULL : &relay->stdout_fd;
	l.pumps[STDERR].output = tty ? NULL : &relay->stderr_fd;
	while (rc == OL_OK && !is_done(&l))
		rc = turn(&l, err);
	for (int i = 0; i < PUMPS; i++)
		free(l.pumps[i].data);
	return rc;
}
