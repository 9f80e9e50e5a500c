/*
 * Another runtime lives the same bundle:
 *
 *	RUNTIME --root RUN_DIR/runtime run --bundle BUNDLE ID
 *
 * in the foreground, with our terminal and our descriptors. A hybrid host (controllers in cgroup
 * v1, and a v2 beside them) is too much for crun 1.8; there it runs in a mount namespace of its own
 * from which the v2 part is unmounted.
 */
#include "exec/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/file.h"
#include "exec/bundle_priv.h"
#include "exec/cgroup.h"
#include "exec/relay.h"
#include "exec/stage.h"

#define CONFIG_BYTES_MAX ((size_t)16 << 20)
#define UNIFIED          "/sys/fs/cgroup/unified"

static int write_bundle(const ol_bundle *bundle, const char *path, ol_error *err)
{
	ol_auto_str ol_str json = OL_STR(CONFIG_BYTES_MAX);
	ol_autofd int dir = -1;
	int rc = ol_bundle_format(bundle, &json, err);

	if (rc == OL_OK)
		rc = ol_dir_open(AT_FDCWD, path, &dir, err);
	if (rc == OL_OK)
		rc = ol_publish(
			dir, "config.json", ol_buf_view(&json), 0644, OL_PUBLISH_REPLACE, err);
	return rc < 0 ? ol_wrap(err, rc, "bundle %s", path) : OL_OK;
}

/* In the child, before exec. */
static int hide_unified(void *ctx)
{
	(void)ctx;
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0)
		return -1;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return -1;
	if (umount2(UNIFIED, MNT_DETACH) == 0)
		return 0;
	/* A mount that a user namespace was born with is not its to take away, but to cover. */
	return errno == EINVAL ? mount("none", UNIFIED, "tmpfs", MS_RDONLY, "mode=0555") : -1;
}

static int die_with_us(void *ctx)
{
	(void)ctx;
	return prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
}

static bool is_crun(const char *runtime)
{
	const char *slash = strrchr(runtime, '/');

	return strncmp(slash ? slash + 1 : runtime, "crun", 4) == 0;
}

/* What a terminal sends, it sends to the runtime as well; the rest is for us to pass on. */
static void pass_signals(int signal_fd, pid_t pid)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		int number = (int)info.ssi_signo;

		if (number != SIGCHLD && number != SIGPIPE && number != SIGURG &&
			info.ssi_code != SI_KERNEL)
			(void)kill(pid, number);
	}
}

static int wait_for(pid_t pid, int signal_fd, int *status, ol_error *err)
{
	ol_autofd int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd fds[2] = { { .fd = signal_fd, .events = POLLIN },
		{ .fd = pid_fd, .events = POLLIN } };

	if (pid_fd < 0)
		return ol_fail_sys(err, "wait for the runtime");
	while (!fds[1].revents) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return ol_fail_sys(err, "wait for the runtime");
		if (fds[0].revents)
			pass_signals(signal_fd, pid);
	}
	return ol_child_wait(pid, status, err);
}

static int start(const ol_launch_options *options, const char *root, pid_t *out, ol_error *err)
{
	const char *argv[] = { options->runtime, "--root", root, "run", "--bundle",
		options->bundle_path, options->id, NULL };
	ol_child_options child = { .argv = argv,
		.stdin_fd = options->interactive || options->tty ? STDIN_FILENO : -1,
		.stdout_fd = STDOUT_FILENO,
		.stderr_fd = STDERR_FILENO,
		.prepare = die_with_us };
	ol_cgroup_kind kind;
	bool hybrid = false;
	int rc = ol_cgroup_detect(&kind, &hybrid, err);

	if (rc < 0)
		return rc;
	if (hybrid && is_crun(options->runtime) && access(UNIFIED, F_OK) == 0)
		child.prepare = hide_unified;
	rc = ol_child_start(&child, out, err);
	if (rc == OL_ENOTFOUND)
		return ol_hint(
			err, rc, "install it, or leave out --runtime to use orlop's own launcher");
	return rc;
}

int ol_runtime_run(
	const ol_bundle *bundle, const ol_launch_options *options, int *status, ol_error *err)
{
	ol_autofree char *root = ol_text("%s/runtime", options->run_dir);
	ol_autofd int signal_fd = -1;
	sigset_t before;
	pid_t pid;
	int rc = write_bundle(bundle, options->bundle_path, err);

	if (rc == OL_OK)
		rc = ol_mkdirs(AT_FDCWD, root, 0700, err);
	if (rc == OL_OK)
		rc = ol_relay_block(&before, &signal_fd, err);
	if (rc < 0)
		return rc;
	rc = start(options, root, &pid, err);
	if (rc == OL_OK)
		rc = wait_for(pid, signal_fd, status, err);
	ol_relay_unblock(&before);
	ol_cgroup_sweep();
	return rc < 0 ? ol_wrap(err, rc, "runtime %s", options->runtime) : OL_OK;
}
