/*
 * One container from start to end, in the foreground:
 *
 *	orlop                           child, process 1 of its namespaces
 *	 cgroup, plan, pipes
 *	 clone ────────────────────────▶ root, mounts, terminal, limits
 *	 puts it into its cgroup            (setup.c), at the same time
 *	 go ───────────────────────────▶ (v2 waits for it before all)
 *	 ◀──── near end of the terminal
 *	                                 execs the last stage, which drops
 *	                                 privileges (exec/stage/)
 *	 ◀──── report: nothing, or why   and execs the image's program
 *	 relays bytes, signals (relay.c)
 *	 waits, removes the cgroup
 */
#include "exec/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/bundle_priv.h"
#include "exec/capability.h"
#include "exec/cgroup.h"
#include "exec/relay.h"
#include "exec/runtime.h"
#include "exec/setup.h"
#include "exec/stage.h"
#include "exec/stage_plan.h"
#include "exec/terminal.h"

typedef struct launch {
	const ol_bundle *bundle;
	const ol_launch_options *options;
	ol_cgroup *cgroup; /* owned */
	ol_setup setup;    /* the child's; its descriptors are owned until it runs */
	ol_relay relay;    /* ours */
	int go_fd, report_fd, terminal_fd;
	pid_t pid;
	sigset_t before;
	bool blocked;
} launch;

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void launch_init(launch *l, const ol_bundle *bundle, const ol_launch_options *options)
{
	*l = (launch){ .bundle = bundle,
		.options = options,
		.go_fd = -1,
		.report_fd = -1,
		.terminal_fd = -1 };
	l->setup = (ol_setup){ .bundle = bundle,
		.rootfs_path = options->rootfs_path,
		.go_fd = -1,
		.report_fd = -1,
		.stage_fd = -1,
		.plan_fd = -1,
		.terminal_fd = -1,
		.stdio = { -1, -1, -1 } };
	l->relay = (ol_relay){ .pid_fd = -1,
		.signal_fd = -1,
		.terminal_fd = -1,
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
		.read_stdin = bundle->interactive,
		.log_fd = options->log_fd };
}

static void close_child_side(launch *l)
{
	close_fd(&l->setup.go_fd);
	close_fd(&l->setup.report_fd);
	close_fd(&l->setup.stage_fd);
	close_fd(&l->setup.plan_fd);
	close_fd(&l->setup.terminal_fd);
	for (int i = 0; i < 3; i++)
		close_fd(&l->setup.stdio[i]);
}

static void launch_done(launch *l)
{
	close_child_side(l);
	close_fd(&l->go_fd);
	close_fd(&l->report_fd);
	close_fd(&l->terminal_fd);
	close_fd(&l->relay.pid_fd);
	close_fd(&l->relay.signal_fd);
	close_fd(&l->relay.terminal_fd);
	close_fd(&l->relay.stdin_fd);
	close_fd(&l->relay.stdout_fd);
	close_fd(&l->relay.stderr_fd);
	ol_cgroup_free(l->cgroup);
	if (l->blocked)
		ol_relay_unblock(&l->before);
}

static int make_pipe(int *read_fd, int *write_fd, ol_error *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return ol_fail_sys(err, "pipe");
	*read_fd = fds[0];
	*write_fd = fds[1];
	return OL_OK;
}

static int make_socket(int *one, int *other, ol_error *err)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return ol_fail_sys(err, "socketpair");
	*one = fds[0];
	*other = fds[1];
	return OL_OK;
}

static int make_terminal_socket(launch *l, ol_error *err)
{
	(void)ol_terminal_size(&l->setup.size);
	return make_socket(&l->setup.terminal_fd, &l->terminal_fd, err);
}

/* Pipes even where ours could be passed on: through /proc/self/fd a container could reopen what it
 * is given, a file of the host for example, and write where we only read. */
static int make_stdio(launch *l, ol_error *err)
{
	int rc = OL_OK;

	if (l->bundle->interactive)
		rc = make_pipe(&l->setup.stdio[0], &l->relay.stdin_fd, err);
	else if ((l->setup.stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
		rc = ol_fail_sys(err, "/dev/null");
	if (rc == OL_OK)
		rc = make_pipe(&l->relay.stdout_fd, &l->setup.stdio[1], err);
	if (rc == OL_OK)
		rc = make_pipe(&l->relay.stderr_fd, &l->setup.stdio[2], err);
	return rc;
}

static void tell(const launch *l, const char *note)
{
	ol_tell_text(l->options->listener, OL_EVENT_NOTE, "%s", note);
}

/* Without a cgroup to keep devices away, the container may neither make a node nor use one of the
 * image. */
static uint64_t guard_devices(launch *l)
{
	uint64_t capabilities = l->bundle->capabilities;

	if (l->bundle->privileged || ol_cgroup_guards_devices(l->cgroup))
		return capabilities;
	/* In a user namespace the kernel guards them. */
	if (l->bundle->here)
		return capabilities;
	l->setup.no_devices = true;
	if (capabilities & ol_capability_bit(CAP_MKNOD))
		tell(l, "no cgroup guards devices here: the container runs without CAP_MKNOD");
	return capabilities & ~ol_capability_bit(CAP_MKNOD);
}

static int prepare(launch *l, ol_error *err)
{
	char note[256];
	int rc = ol_cgroup_new(l->bundle, &l->cgroup, note, sizeof note, err);

	if (rc < 0)
		return rc;
	if (note[0])
		tell(l, note);
	l->setup.cgroup = l->cgroup;
	rc = ol_stage_plan_open(l->bundle, guard_devices(l), &l->setup.plan_fd, err);
	if (rc == OL_OK)
		rc = ol_stage_open(&l->setup.stage_fd, err);
	if (rc == OL_OK)
		rc = make_socket(&l->setup.go_fd, &l->go_fd, err);
	if (rc == OL_OK)
		rc = make_pipe(&l->report_fd, &l->setup.report_fd, err);
	if (rc == OL_OK)
		rc = l->bundle->tty ? make_terminal_socket(l, err) : make_stdio(l, err);
	if (rc == OL_OK)
		rc = ol_relay_block(&l->before, &l->relay.signal_fd, err);
	l->blocked = rc == OL_OK;
	return rc;
}

static int start(launch *l, ol_error *err)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD |
			 (l->bundle->network == OL_NETWORK_NONE ? CLONE_NEWNET : 0),
		.pidfd = (uint64_t)(uintptr_t)&l->relay.pid_fd,
		.exit_signal = SIGCHLD,
	};
	long pid = syscall(SYS_clone3, &args, sizeof args);
	int rc;

	if (pid < 0) {
		rc = ol_fail_sys(err, "cannot make the container's namespaces");
		return ol_hint(err, rc,
			l->bundle->here
				? "sysctl user.max_*_namespaces bounds how many there may be"
				: "without CAP_SYS_ADMIN it takes a user namespace: run orlop as "
				  "an ordinary user");
	}
	if (pid == 0) {
		/* Or we would wait for ourselves when the launcher dies. */
		(void)close(l->go_fd);
		ol_setup_run(&l->setup);
	}
	l->pid = (pid_t)pid;
	close_child_side(l);
	return OL_OK;
}

static int release(launch *l, ol_error *err)
{
	int rc = ol_cgroup_enter(l->cgroup, l->pid, err);

	if (rc < 0)
		return rc;
	/* Has it failed already, its report says why. */
	if (send(l->go_fd, "g", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return ol_fail_sys(err, "cannot start the container's first process");
	close_fd(&l->go_fd);
	return OL_OK;
}

/* Nothing, when the program runs. */
static int read_report(launch *l, ol_stage_report *report, ol_error *err)
{
	ssize_t got;

	do
		got = read(l->report_fd, report, sizeof *report);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return ol_fail_sys(err, "report");
	if (got != (ssize_t)sizeof *report)
		report->status = 0;
	report->text[sizeof report->text - 1] = '\0';
	return OL_OK;
}

static int await_start(launch *l, int *status, ol_error *err)
{
	ol_stage_report report = { .status = 0 };
	ol_error ignored;
	int rc;

	/* Should it fail, the report says why. */
	if (l->bundle->tty)
		(void)ol_terminal_receive(l->terminal_fd, &l->relay.terminal_fd, &ignored);
	rc = read_report(l, &report, err);
	if (rc < 0)
		return rc;
	*status = report.status;
	if (report.status == 0)
		return OL_OK;
	errno = report.sys;
	rc = report.sys ? ol_fail_sys(err, "%s", report.text)
			: ol_fail(err, OL_EINVAL, "%s", report.text);
	return report.status == 125 ? ol_wrap(err, rc, "cannot start the container") : OL_OK;
}

static int reap(const launch *l, int *status, ol_error *err)
{
	int raw;

	while (waitpid(l->pid, &raw, __WALL) < 0)
		if (errno != EINTR)
			return ol_fail_sys(err, "wait for the container");
	*status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
	return OL_OK;
}

static int live(launch *l, ol_error *err)
{
	ol_raw_mode raw = OL_RAW_MODE_NONE;
	int rc;

	if (l->bundle->tty && l->bundle->interactive)
		ol_raw_mode_begin(&raw, STDIN_FILENO);
	rc = ol_relay_run(&l->relay, err);
	ol_raw_mode_end(&raw);
	return rc;
}

static int run(launch *l, int *status, ol_error *err)
{
	int failed = 0, ended = 0;
	int rc = prepare(l, err);

	if (rc == OL_OK)
		rc = start(l, err);
	if (rc < 0)
		return rc;
	rc = release(l, err);
	if (rc == OL_OK)
		rc = await_start(l, &failed, err);
	if (rc == OL_OK && failed == 0)
		rc = live(l, err);
	/* Whatever went wrong, it does not outlive this call. */
	if (rc < 0)
		(void)kill(l->pid, SIGKILL);
	if (reap(l, &ended, rc < 0 ? NULL : err) == OL_OK && rc == OL_OK)
		*status = failed ? failed : ended;
	return rc;
}

int ol_launch(const ol_bundle *bundle, const ol_launch_options *options, int *status, ol_error *err)
{
	launch l;
	int rc;

	if (options->runtime)
		return ol_runtime_run(bundle, options, status, err);
	launch_init(&l, bundle, options);
	rc = run(&l, status, err);
	launch_done(&l);
	return rc;
}

void ol_launch_clean(const char *id)
{
	ol_cgroup_remove(id);
}
