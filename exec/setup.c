#include "exec/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <linux/limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"
#include "exec/inside.h"
#include "exec/mounts.h"
#include "exec/stage_plan.h"
#include "exec/terminal.h"

/* Out of the way of the descriptors that the last stage expects. */
#define FD_ASIDE 10

/* Without threads or helpers yet: invisible to everybody but root, and gone when the
 * launcher is. */
static int hide(ol_error *err)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return ol_fail_sys(err, "prctl");
	return OL_OK;
}

static int await_parent(const ol_setup *s, ol_error *err)
{
	char byte;
	ssize_t got;

	do
		got = read(s->go_fd, &byte, 1);
	while (got < 0 && errno == EINTR);
	return got == 1 ? OL_OK : ol_fail(err, OL_ECANCELED, "the launcher has gone");
}

/* A session of its own, and a keyring that is not the host's. */
static int leave_session(const ol_setup *s, ol_error *err)
{
	char name[32];

	if (ol_cgroup_is(s->cgroup) == OL_CGROUP_V2 && unshare(CLONE_NEWCGROUP) < 0)
		return ol_fail_sys(err, "cgroup namespace");
	if (setsid() < 0)
		return ol_fail_sys(err, "setsid");
	(void)snprintf(name, sizeof name, "_ses.%.12s", s->bundle->id);
	/* A kernel without keys has none to leak; a filter around us that forbids them forbids them
	 * to the container. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 && errno != ENOSYS &&
		errno != EPERM)
		return ol_fail_sys(err, "session keyring");
	return OL_OK;
}

static int loopback_up(ol_error *err)
{
	ol_autofd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return ol_fail_sys(err, "loopback");
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return ol_fail_sys(err, "loopback");
	return OL_OK;
}

static int name_host(const ol_setup *s, ol_error *err)
{
	if (sethostname(s->bundle->hostname, strlen(s->bundle->hostname)) < 0)
		return ol_fail_sys(err, "hostname");
	return s->bundle->network == OL_NETWORK_NONE ? loopback_up(err) : OL_OK;
}

/* A private copy of the root's mount, in place: nothing done to it reaches the host. */
static int take_root(const ol_setup *s, int *out, ol_error *err)
{
	struct mount_attr attr = { .propagation = MS_PRIVATE };
	ol_autofd int tree = -1, place = -1;

	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return ol_fail_sys(err, "cannot part from the host's mounts");
	place = open(s->rootfs_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	tree = open_tree(
		AT_FDCWD, s->rootfs_path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (place < 0 || tree < 0)
		return ol_fail_sys(err, "root %s", s->rootfs_path);
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0 ||
		move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
			0)
		return ol_fail_sys(err, "cannot mount the root %s", s->rootfs_path);
	*out = ol_steal_fd(&tree);
	return OL_OK;
}

/* What Docker sets in a network namespace of its own; older kernels may lack one. */
static int set_sysctls(const ol_setup *s, int root_fd, ol_error *err)
{
	const struct {
		const char *path, *value;
	} table[] = {
		{ "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0" },
		{ "/proc/sys/net/ipv4/ping_group_range", s->bundle->ping_groups },
	};

	for (size_t i = 0;
		s->bundle->network == OL_NETWORK_NONE && i < sizeof table / sizeof table[0]; i++) {
		ol_autofd int fd = -1;
		int rc = ol_inside_open(root_fd, table[i].path, O_WRONLY, true, &fd, err);

		if (rc == OL_ENOTFOUND)
			continue;
		if (rc < 0)
			return rc;
		if (write(fd, table[i].value, strlen(table[i].value)) < 0)
			return ol_fail_sys(err, "%s", table[i].path);
	}
	return OL_OK;
}

/* Our end of the pipes belongs to the container's user, who may open /dev/stdout anew. /dev/null
 * stays root's. */
static int give_stdio(const ol_setup *s, ol_error *err)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0)
			return ol_fail_sys(err, "standard descriptor %d", fd);
		if (S_ISCHR(st.st_mode) && !isatty(fd))
			continue;
		if (fchown(fd, s->bundle->user.uid, (gid_t)-1) < 0)
			return ol_fail_sys(err, "standard descriptor %d", fd);
	}
	return OL_OK;
}

static int place_stdio(const int *from, ol_error *err)
{
	for (int fd = 0; fd < 3; fd++)
		if (dup2(from[fd], fd) < 0)
			return ol_fail_sys(err, "standard descriptor %d", fd);
	return OL_OK;
}

static int take_terminal(
	const ol_setup *s, const ol_mounts_input *mounts, int pts_fd, ol_error *err)
{
	ol_autofd int near = -1, far = -1;
	int rc;

	if (pts_fd < 0)
		return ol_fail(
			err, OL_EINVAL, "-t needs /dev/pts, on which something else is mounted");
	rc = ol_terminal_open(pts_fd, &near, &far, err);
	if (rc < 0)
		return rc;
	if (s->size.ws_row > 0 && ioctl(far, TIOCSWINSZ, &s->size) < 0)
		return ol_fail_sys(err, "terminal size");
	rc = ol_mounts_console(mounts, far, err);
	if (rc == OL_OK)
		rc = ol_terminal_send(s->terminal_fd, near, err);
	if (rc == OL_OK)
		rc = place_stdio((const int[]){ far, far, far }, err);
	if (rc == OL_OK && ioctl(0, TIOCSCTTY, 0) < 0)
		rc = ol_fail_sys(err, "controlling terminal");
	return rc;
}

/* The old root goes under the new one and then away. */
static int pivot(int root_fd, ol_error *err)
{
	if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return ol_fail_sys(err, "cannot enter the root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return ol_fail_sys(err, "cannot leave the host's root");
	return OL_OK;
}

/* CVE-2024-21626: a working directory outside the root is seen by the kernel's name for it. */
static int enter_cwd(int cwd_fd, const char *path, ol_error *err)
{
	char now[PATH_MAX];

	if (fchdir(cwd_fd) < 0)
		return ol_fail_sys(err, "working directory %s", path);
	if (syscall(SYS_getcwd, now, sizeof now) < 0 || now[0] != '/')
		return ol_fail(err, OL_EINVAL, "working directory %s lies outside the root", path);
	return OL_OK;
}

static int set_limits(const ol_bundle *bundle, ol_error *err)
{
	for (size_t i = 0; i < bundle->rlimit_count; i++) {
		const ol_rlimit *l = &bundle->rlimits[i];
		const struct rlimit limit = { .rlim_cur = l->soft, .rlim_max = l->hard };

		if (setrlimit((__rlimit_resource_t)l->resource, &limit) < 0)
			return ol_fail_sys(err, "limit %s", l->name);
	}
	return OL_OK;
}

/* As a program expects to be started: no handlers, nothing blocked. */
static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++) {
		struct sigaction plain = { .sa_handler = SIG_DFL };

		(void)sigaction(number, &plain, NULL); /* SIGKILL and SIGSTOP refuse, rightly */
	}
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The last stage gets its plan and the report pipe, and nothing else of ours. */
static int enter_stage(const ol_setup *s, ol_error *err)
{
	char name[] = "orlop-init";
	char *argv[] = { name, NULL }, *env[] = { NULL };
	int stage = fcntl(s->stage_fd, F_DUPFD_CLOEXEC, FD_ASIDE);
	int plan = fcntl(s->plan_fd, F_DUPFD_CLOEXEC, FD_ASIDE);
	int report = fcntl(s->report_fd, F_DUPFD_CLOEXEC, FD_ASIDE);

	if (stage < 0 || plan < 0 || report < 0)
		return ol_fail_sys(err, "descriptors");
	if (dup2(plan, OL_STAGE_PLAN_FD) < 0 || dup2(report, OL_STAGE_REPORT_FD) < 0)
		return ol_fail_sys(err, "descriptors");
	if (syscall(SYS_close_range, OL_STAGE_REPORT_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return ol_fail_sys(err, "descriptors");
	(void)syscall(SYS_execveat, stage, "", argv, env, AT_EMPTY_PATH);
	return ol_fail_sys(err, "cannot start the last stage");
}

static int build_root(const ol_setup *s, int root_fd, int *cwd_fd, ol_error *err)
{
	const ol_mounts_input mounts = { s->bundle, s->cgroup, root_fd, s->no_devices };
	ol_autofd int pts_fd = -1;
	int rc = ol_mounts_make(&mounts, &pts_fd, err);

	if (rc == OL_OK)
		rc = set_sysctls(s, root_fd, err);
	if (rc == OL_OK && s->bundle->tty)
		rc = take_terminal(s, &mounts, pts_fd, err);
	if (rc == OL_OK) {
		rc = ol_inside_make(root_fd, s->bundle->cwd, OL_INSIDE_DIRECTORY, cwd_fd, err);
		if (rc < 0)
			rc = ol_wrap(err, rc, "working directory");
	}
	if (rc == OL_OK)
		rc = ol_mounts_close(&mounts, err);
	return rc;
}

static int run(const ol_setup *s, ol_error *err)
{
	bool v2 = ol_cgroup_is(s->cgroup) == OL_CGROUP_V2;
	ol_autofd int root_fd = -1, cwd_fd = -1;
	int rc;

	reset_signals();
	(void)umask(0022);
	rc = hide(err);
	/* A cgroup namespace starts at the group one is in; all else need not wait until then. */
	if (rc == OL_OK && v2)
		rc = await_parent(s, err);
	if (rc == OL_OK)
		rc = leave_session(s, err);
	if (rc == OL_OK && !s->bundle->tty)
		rc = place_stdio(s->stdio, err);
	if (rc == OL_OK)
		rc = take_root(s, &root_fd, err);
	if (rc == OL_OK)
		rc = name_host(s, err);
	if (rc == OL_OK)
		rc = build_root(s, root_fd, &cwd_fd, err);
	if (rc == OL_OK)
		rc = give_stdio(s, err);
	if (rc == OL_OK)
		rc = pivot(root_fd, err);
	if (rc == OL_OK)
		rc = enter_cwd(cwd_fd, s->bundle->cwd, err);
	if (rc == OL_OK)
		rc = set_limits(s->bundle, err);
	if (rc == OL_OK && !v2)
		rc = await_parent(s, err);
	return rc == OL_OK ? enter_stage(s, err) : rc;
}

void ol_setup_run(const ol_setup *setup)
{
	ol_error err = { .code = OL_OK };
	ol_stage_report report = { .status = 125 };

	(void)run(setup, &err);
	(void)snprintf(report.text, sizeof report.text, "%.239s", err.text);
	if (write(setup->report_fd, &report, sizeof report) < 0)
		_exit(124);
	_exit(125);
}
