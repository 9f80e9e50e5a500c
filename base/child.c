#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"

/* The program's path, found before the fork: execvpe would allocate. NULL if there is none. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return ol_strdup(name);
	if (!path || !*path)
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	while (*path) {
		size_t size = strcspn(path, ":");
		ol_autofree char *candidate = ol_text("%.*s/%s", (int)size, path, name);
		struct stat st;

		if (size && stat(candidate, &st) == 0 && S_ISREG(st.st_mode) &&
			access(candidate, X_OK) == 0)
			return ol_steal(&candidate);
		path += size;
		path += *path == ':';
	}
	return NULL;
}

struct plan {
	const ol_child_options *options;
	const char *path;
	char *const *argv, *const *env;
	int null_fd, report_fd;
};

/* After the fork, in the child: async-signal-safe calls only. */
static void become(const struct plan *plan)
{
	const ol_child_options *o = plan->options;
	const int wanted[3] = { o->stdin_fd, o->stdout_fd, o->stderr_fd };
	int moved[3];
	sigset_t none;

	for (int signal_number = 1; signal_number < 32; signal_number++)
		(void)signal(signal_number,
			SIG_DFL); /* NOLINT(cert-err33-c): SIGKILL and SIGSTOP refuse, rightly */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* First out of the way of 0, 1, 2, then into place. */
	for (int i = 0; i < 3; i++) {
		moved[i] = fcntl(wanted[i] < 0 ? plan->null_fd : wanted[i], F_DUPFD_CLOEXEC, 3);
		if (moved[i] < 0)
			return;
	}
	for (int i = 0; i < 3; i++)
		if (dup2(moved[i], i) < 0)
			return;
	/* What we were born with ourselves may lack O_CLOEXEC. */
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return;
	if (o->prepare && o->prepare(o->ctx) < 0)
		return;
	(void)execve(plan->path, plan->argv, plan->env);
}

/* The first word over the report pipe is errno, if exec did not happen. */
static int await_exec(int fd, pid_t pid, const char *name, ol_error *err)
{
	int sys = 0;
	ssize_t n;

	do
		n = read(fd, &sys, sizeof sys);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return OL_OK;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	errno = sys;
	return ol_fail_sys(err, "%s", name);
}

int ol_child_start(const ol_child_options *options, pid_t *out, ol_error *err)
{
	extern char **environ;
	ol_autofree char *path = find_program(options->argv[0]);
	ol_autofd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	ol_autofd int report_read = -1, report_write = -1;
	struct plan plan = { .options = options, .path = path, .null_fd = null_fd };
	int report[2], rc;
	pid_t pid;

	if (!path)
		return ol_fail(err, OL_ENOTFOUND, "%s: no such program in PATH", options->argv[0]);
	if (null_fd < 0 || pipe2(report, O_CLOEXEC) < 0)
		return ol_fail_sys(err, "%s", options->argv[0]);
	report_read = report[0];
	report_write = report[1];
	/* execve's prototype predates const; it changes nothing. */
	memcpy(&plan.argv, &options->argv, sizeof plan.argv);
	if (options->env)
		memcpy(&plan.env, &options->env, sizeof plan.env);
	else
		plan.env = environ;
	pid = fork();
	if (pid < 0)
		return ol_fail_sys(err, "fork");
	if (pid == 0) {
		int sys;

		become(&plan);
		sys = errno;
		if (write(report_write, &sys, sizeof sys) < 0)
			_exit(126);
		_exit(127);
	}
	(void)close(ol_steal_fd(&report_write));
	rc = await_exec(report_read, pid, options->argv[0], err);
	if (rc == OL_OK)
		*out = pid;
	return rc;
}

int ol_child_wait(pid_t pid, int *status, ol_error *err)
{
	int raw;

	while (waitpid(pid, &raw, 0) < 0)
		if (errno != EINTR)
			return ol_fail_sys(err, "wait for process %d", pid);
	*status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
	return OL_OK;
}

/* Writes what the child takes; closes its stdin once it has all, or wants no more. */
static void feed(int *in_fd, ol_view input, size_t *sent)
{
	ssize_t n = write(*in_fd, input.data + *sent, input.size - *sent);

	if (n > 0)
		*sent += (size_t)n;
	if (*sent == input.size || (n < 0 && errno != EINTR && errno != EAGAIN)) {
		(void)close(*in_fd); /* a child that reads no more is its own affair */
		*in_fd = -1;
	}
}

/* Reads what the child says. *more is false at its end. */
static int drain(int out_fd, ol_buf *out, bool *more, ol_error *err)
{
	char chunk[4096];
	ssize_t n = read(out_fd, chunk, sizeof chunk);

	*more = n > 0 || (n < 0 && errno == EINTR);
	if (n > 0 && ol_buf_add(out, chunk, (size_t)n) < 0)
		return ol_fail(
			err, OL_ELIMIT, "output is larger than the %zu bytes allowed", out->max);
	return OL_OK;
}

/* What poll may wait: -1 for ever, 0 when it is over. */
static int left_ms(uint64_t until_ms)
{
	uint64_t now = ol_now_ms();

	if (until_ms == UINT64_MAX)
		return -1;
	return now >= until_ms ? 0 : until_ms - now > 60000 ? 60000 : (int)(until_ms - now);
}

static int too_slow(ol_error *err)
{
	return ol_fail(err, OL_EUNAVAILABLE, "does not end in time");
}

/* Feeds stdin and drains stdout together, so that neither side can block the other. Takes in_fd. */
static int talk(int in_fd, int out_fd, ol_view input, ol_buf *out, uint64_t until_ms, ol_error *err)
{
	size_t sent = 0;
	bool more = true;
	int rc = OL_OK;

	while (rc == OL_OK && more) {
		struct pollfd fds[2] = { { .fd = out_fd, .events = POLLIN },
			{ .fd = in_fd, .events = POLLOUT } };
		int wait_ms = left_ms(until_ms);

		if (wait_ms == 0) {
			rc = too_slow(err);
			continue;
		}
		if (poll(fds, in_fd >= 0 ? 2 : 1, wait_ms) < 0) {
			if (errno != EINTR)
				rc = ol_fail_sys(err, "poll");
			continue;
		}
		if (in_fd >= 0 && fds[1].revents)
			feed(&in_fd, input, &sent);
		if (fds[0].revents)
			rc = drain(out_fd, out, &more, err);
	}
	if (in_fd >= 0)
		(void)close(in_fd);
	return rc;
}

/*
 * As talk, whoever stops reading. SIGPIPE goes to the thread that writes, so it is held back in
 * this thread alone, and taken away unless it was waiting before: what the process does with the
 * signal is for all its threads.
 */
static int talk_on(
	int in_fd, int out_fd, ol_view input, ol_buf *out, uint64_t until_ms, ol_error *err)
{
	const struct timespec at_once = { 0 };
	sigset_t pipe_signal, waiting, before;
	int rc;

	(void)sigemptyset(&pipe_signal);
	(void)sigaddset(&pipe_signal, SIGPIPE);
	(void)sigpending(&waiting);
	(void)pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
	rc = talk(in_fd, out_fd, input, out, until_ms, err);
	if (!sigismember(&waiting, SIGPIPE))
		while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR)
			continue;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* A child that has closed its stdout should be at its end. */
static int await_end(pid_t pid, uint64_t until_ms, ol_error *err)
{
	siginfo_t info = { 0 };

	while (until_ms != UINT64_MAX) {
		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
			return ol_fail_sys(err, "wait");
		if (info.si_pid == pid)
			return OL_OK;
		if (left_ms(until_ms) == 0)
			return too_slow(err);
		ol_sleep_ms(5);
	}
	return OL_OK;
}

static int run_until(const char *const *argv, ol_view input, ol_buf *out, int *status,
	uint64_t until_ms, ol_error *err)
{
	ol_autofd int in_read = -1, out_write = -1, out_read = -1;
	int in[2], pipe_out[2], rc;
	int in_write;
	pid_t pid = -1;

	if (pipe2(in, O_CLOEXEC) < 0)
		return ol_fail_sys(err, "pipe");
	in_read = in[0];
	in_write = in[1];
	/* Our end alone: a write of more than fits would wait for a child that waits for us. */
	if (fcntl(in_write, F_SETFL, O_NONBLOCK) < 0 || pipe2(pipe_out, O_CLOEXEC) < 0) {
		(void)close(in_write);
		return ol_fail_sys(err, "pipe");
	}
	out_read = pipe_out[0];
	out_write = pipe_out[1];
	rc = ol_child_start(&(ol_child_options){ .argv = argv,
				    .stdin_fd = in_read,
				    .stdout_fd = out_write,
				    .stderr_fd = -1 },
		&pid, err);
	if (rc < 0) {
		(void)close(in_write);
		return rc;
	}
	(void)close(ol_steal_fd(&in_read));
	(void)close(ol_steal_fd(&out_write));
	rc = talk_on(in_write, out_read, input, out, until_ms, err);
	if (rc == OL_OK)
		rc = await_end(pid, until_ms, err);
	if (rc < 0)
		(void)kill(pid, SIGKILL);
	if (ol_child_wait(pid, status, rc < 0 ? NULL : err) < 0 && rc == OL_OK)
		rc = OL_ESYSTEM;
	return rc;
}

int ol_child_run(const char *const *argv, ol_view input, ol_buf *out, int *status, ol_error *err)
{
	return run_until(argv, input, out, status, UINT64_MAX, err);
}

/* NOLINTNEXTLINE(readability-function-size): ol_child_run's and one more. */
int ol_child_run_for(const char *const *argv, ol_view input, ol_buf *out, int *status,
	uint64_t timeout_ms, ol_error *err)
{
	return run_until(argv, input, out, status, ol_now_ms() + timeout_ms, err);
}
