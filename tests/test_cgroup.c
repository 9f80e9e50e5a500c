#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "exec/cgroup_priv.h"
#include "tests/check.h"

/* Where cgroup v2 is mounted, alone or beside v1; NULL when it is not. */
static const char *v2_mount(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		ol_autofree char *file = ol_text("%s/cgroup.subtree_control", places[i]);

		if (access(file, W_OK) == 0)
			return places[i];
	}
	return NULL;
}

static int open_errno(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

/* What a process in the group gets for each; in a child that enters it. */
static int try_devices(const char *dir, const char *scratch)
{
	ol_autofree char *memory = ol_text("%s/memory", scratch);
	ol_autofree char *loop = ol_text("%s/loop", scratch);
	char pid[32];

	(void)snprintf(pid, sizeof pid, "%d", getpid());
	if (ol_cgroup_write(dir, "cgroup.procs", pid, NULL) < 0)
		return 1;
	if (open_errno("/dev/null", O_RDWR) != 0 || open_errno("/dev/zero", O_RDONLY) != 0)
		return 2;
	/* Nodes may be made, not opened. */
	if (mknod(memory, S_IFCHR | 0600, makedev(1, 1)) < 0 ||
		open_errno(memory, O_RDONLY) != EPERM)
		return 3;
	if (mknod(loop, S_IFBLK | 0600, makedev(7, 0)) < 0 || open_errno(loop, O_RDONLY) != EPERM)
		return 4;
	return 0;
}

static void a_v2_group_keeps_devices_away(void **state)
{
	char scratch[] = "/var/tmp/orlop-cgroup.XXXXXX";
	ol_autofree char *dir = NULL;
	ol_error err = { .code = 0 };
	int raw = 0;
	pid_t pid;

	(void)state;
	if (geteuid() != 0 || !v2_mount()) {
		print_message("SKIP: this needs root and a writable cgroup v2\n");
		skip();
	}
	assert_non_null(mkdtemp(scratch));
	dir = ol_text("%s/orlop-test-%d", v2_mount(), getpid());
	assert_int_equal(0, mkdir(dir, 0755));
	if (ol_cgroup_guard_v2(dir, &err) < 0) {
		(void)rmdir(dir);
		(void)rmdir(scratch);
		print_message("SKIP: %s\n", err.text);
		skip();
	}
	pid = fork();
	if (pid == 0)
		_exit(try_devices(dir, scratch));
	assert_int_equal(pid, waitpid(pid, &raw, 0));
	for (int i = 0; i < 100 && rmdir(dir) < 0; i++)
		(void)usleep(10000);
	{
		ol_autofree char *memory = ol_text("%s/memory", scratch);
		ol_autofree char *loop = ol_text("%s/loop", scratch);

		(void)unlink(memory);
		(void)unlink(loop);
		(void)rmdir(scratch);
	}
	assert_int_equal(0, WEXITSTATUS(raw));
	assert_int_equal(-1, access(dir, F_OK));
}

static void the_host_has_what_its_mounts_say(void **state)
{
	ol_cgroup_kind kind = OL_CGROUP_NONE;
	bool hybrid = false;

	(void)state;
	assert_int_equal(OL_OK, ol_cgroup_detect(&kind, &hybrid, NULL));
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
		assert_int_equal(OL_CGROUP_V2, kind);
	if (access("/sys/fs/cgroup/memory/tasks", F_OK) == 0)
		assert_int_equal(OL_CGROUP_V1, kind);
	assert_true(!hybrid || kind == OL_CGROUP_V1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_v2_group_keeps_devices_away),
		cmocka_unit_test(the_host_has_what_its_mounts_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
