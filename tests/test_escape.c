/* What a hostile image, or a hostile program in it, may try; each ends inside. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "tests/check.h"
#include "tests/launch_box.h"

/* CVE-2019-5736: whatever starts the container is never orlop's own file when the image's program
 * is looked up. */
static void proc_self_exe_is_not_ours(void **state)
{
	static const char *const link[] = { "/self", "--", "/bin/sh", "-c",
		"readlink /proc/1/exe; (echo x >/proc/1/exe) 2>/dev/null && echo written; true",
		NULL };
	static const char *const script[] = { "/script", NULL };
	ol_container_options options = { .args = link };
	launch_box box;
	launch_run run;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	assert_int_equal(0, symlinkat("/proc/self/exe", box.root_fd, "self"));
	launch_sh(&box, &options, NULL, &run);
	assert_string_equal("/memfd:orlop-init (deleted)\n", run.text);
	/* As an interpreter: the same file, which wants a command and gets "/script". */
	assert_int_equal(OL_OK,
		ol_publish(box.root_fd, "script", ol_view_of("#!/proc/self/exe\n"), 0755, 0, NULL));
	options.args = script;
	launch_sh(&box, &options, NULL, &run);
	assert_int_equal(125, run.status);
	assert_non_null(strstr(run.text, "usage: orlop-init"));
	options.args = NULL;
	options.init = true;
	launch_sh(&box, &options,
		"readlink /proc/1/exe; (echo x >/proc/1/exe) 2>/dev/null && echo written; true",
		&run);
	assert_string_equal("/memfd:orlop-init (deleted)\n", run.text);
	launch_box_done(&box);
}

static void no_descriptor_of_ours_leaks(void **state)
{
	const ol_container_options options = { .args = NULL }, init = { .init = true };
	int leaked = open("/", O_DIRECTORY | O_RDONLY); /* as if somebody forgot O_CLOEXEC */
	launch_box box;
	launch_run run;

	(void)state;
	assert_true(leaked >= 0);
	if (!launch_box_init(&box)) {
		(void)close(leaked);
		skip();
	}
	/* 3 is ls's own: the directory it reads. */
	launch_sh(&box, &options, "exec ls /proc/self/fd", &run);
	assert_string_equal("0\n1\n2\n3\n", run.text);
	/* The init closes what it reports by when its child has begun, perhaps after this began. */
	launch_sh(&box, &init,
		"i=0; while [ -e /proc/1/fd/4 ] && [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.05; "
		"done; "
		"ls /proc/1/fd; exec ls /proc/self/fd",
		&run);
	assert_string_equal("0\n1\n2\n0\n1\n2\n3\n", run.text);
	launch_box_done(&box);
	(void)close(leaked);
}

/* CVE-2024-21626: a working directory that names one of our descriptors. */
static void a_working_directory_cannot_lead_out(void **state)
{
	static const char *const paths[] = { "/proc/self/fd/3", "/proc/self/fd/7",
		"/proc/self/fd/8", "/proc/self/cwd", "/proc/1/root/../..", "/link", "/../../.." };
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	assert_int_equal(0, symlinkat("/proc/self/fd/9", box.root_fd, "link"));
	assert_int_equal(OL_OK, ol_publish(box.root_fd, "marker", ol_view_of("x"), 0644, 0, NULL));
	OL_EACH (paths, path) {
		const ol_container_options options = { .working_dir = *path };
		launch_run run;

		/* Up from there is the container's root, if it starts at all. What a descriptor
		 * names may lie deep: a descriptor of CTest's, in a checkout anywhere. */
		launch_sh(&box, &options, "for i in $(seq 64); do cd ..; done; ls marker; pwd -P",
			&run);
		if (run.status != 125)
			CHECK_STR(*path, "marker\n/\n", run.text);
	}
	launch_box_done(&box);
}

static void links_in_place_of_mount_points_are_refused(void **state)
{
	static const char *const names[] = { "proc", "sys", "dev" };
	const ol_container_options options = { .args = NULL };
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	assert_int_equal(0, mkdirat(box.root_fd, "elsewhere", 0755));
	OL_EACH (names, name) {
		launch_run run;

		assert_int_equal(0, unlinkat(box.root_fd, *name, AT_REMOVEDIR));
		assert_int_equal(0, symlinkat("/elsewhere", box.root_fd, *name));
		launch_sh(&box, &options, "echo started", &run);
		CHECK_INT(*name, 125, run.status);
		if (strstr(run.text, "started"))
			CHECK_STR(*name, "", run.text);
		assert_int_equal(0, unlinkat(box.root_fd, *name, 0));
		assert_int_equal(0, mkdirat(box.root_fd, *name, 0755));
	}
	launch_box_done(&box);
}

/* Files of /etc, and a user's mounts, over links that point to the host. */
static void links_under_mounts_stay_inside(void **state)
{
	const ol_container_options options = { .args = NULL };
	ol_autofree char *victim = NULL;
	launch_box box;
	launch_run run;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	assert_int_equal(
		OL_OK, ol_publish(box.dir_fd, "victim", ol_view_of("safe"), 0644, 0, NULL));
	victim = ol_text("%s/victim", box.path);
	assert_int_equal(0, symlinkat("../../../../../../../../victim", box.root_fd, "etc/hosts"));
	assert_int_equal(0, symlinkat(victim, box.root_fd, "etc/resolv.conf"));
	launch_sh(&box, &options, "echo mine >/etc/hosts; cat /etc/hosts", &run);
	assert_string_equal("mine\n", run.text);
	{
		ol_auto_buf ol_buf text = OL_BUF(64);

		assert_int_equal(OL_OK, ol_file_read(box.dir_fd, "victim", true, &text, NULL));
		assert_string_equal("safe", ol_str_text(&text));
	}
	{
		const ol_mount_option tmpfs = { "tmpfs", NULL, "/out/here", false, "", false };
		const ol_container_options mounted = { .mounts = &tmpfs, .mount_count = 1 };

		assert_int_equal(0, symlinkat("../../../../..", box.root_fd, "out"));
		launch_sh(&box, &mounted, "grep -c ' /here ' /proc/mounts", &run);
		assert_string_equal("1\n", run.text);
	}
	{
		/* By a link into /proc, which the name does not show. */
		const ol_mount_option bind = { "bind", box.path, "/sneaky/self/attr", false, "",
			false };
		const ol_container_options mounted = { .mounts = &bind, .mount_count = 1 };

		assert_int_equal(0, symlinkat("/proc", box.root_fd, "sneaky"));
		launch_sh(&box, &mounted, "echo started", &run);
		assert_int_equal(125, run.status);
	}
	launch_box_done(&box);
}

/* A disk of the host, as a node of the image and as one made by hand. */
static void devices_of_the_host_cannot_be_opened(void **state)
{
	const ol_container_options options = { .args = NULL };
	struct stat st;
	launch_box box;
	launch_run run;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	/* /dev/mem's number, and the number of the disk we stand on. */
	assert_int_equal(0, fstat(box.root_fd, &st));
	assert_int_equal(0, mknodat(box.root_fd, "mem", S_IFCHR | 0666, makedev(1, 1)));
	assert_int_equal(0, mknodat(box.root_fd, "disk", S_IFBLK | 0666, st.st_dev));
	launch_sh(&box, &options,
		"for d in /mem /disk; do head -c 1 $d >/dev/null 2>&1 && echo opened $d; done; "
		"mknod /dev/d b 7 0 2>/dev/null && head -c 0 /dev/d 2>/dev/null && echo opened "
		"loop; echo done",
		&run);
	assert_string_equal("done\n", run.text);
	launch_box_done(&box);
}

/* Without any cgroup the guard is gone, and something else must keep the host's devices away. */
static void without_cgroups_devices_stay_closed(void **state)
{
	static const char *const script =
		"for d in /mem /dev/d; do head -c 1 $d >/dev/null 2>&1 && echo opened $d; done; "
		"mknod /dev/d c 1 1 2>/dev/null && echo made; head -c 1 /dev/zero | wc -c";
	const ol_container_options options = { .args = NULL }, limited = { .pids_limit = 9 };
	launch_box box;
	launch_run run, second;
	int host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (!launch_box_init(&box))
		skip();
	assert_int_equal(0, mknodat(box.root_fd, "mem", S_IFCHR | 0666, makedev(1, 1)));
	assert_int_equal(0, unshare(CLONE_NEWNS));
	assert_int_equal(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	assert_int_equal(0, mount("none", "/sys/fs/cgroup", "tmpfs", MS_RDONLY, NULL));
	launch_sh(&box, &options, script, &run);
	launch_sh(&box, &limited, script, &second);
	assert_int_equal(0, setns(host, CLONE_NEWNS));
	(void)close(host);
	assert_string_equal("1\n", run.text);
	assert_int_equal(125, second.status);
	assert_non_null(strstr(second.text, "--pids-limit"));
	launch_box_done(&box);
}

static void the_host_is_not_to_be_seen(void **state)
{
	static const struct {
		const char *script, *want;
	} cases[] = {
		{ "echo /proc/[0-9]*", "/proc/1\n" },
		{ "unshare -U true 2>/dev/null || echo no", "no\n" },
		{ "mount -t proc none /tmp 2>/dev/null || echo no", "no\n" },
		{ "hostname other 2>/dev/null || echo no", "no\n" },
		{ "grep -c -e /var/tmp/orlop-launch /proc/self/maps", "0\n" },
		/* The shell opens and closes descriptors of its own meanwhile: what ls misses is no
		   matter. */
		{ "ls -l /proc/1/fd 2>/dev/null | grep -c /var/tmp", "0\n" },
	};
	const ol_container_options options = { .args = NULL };
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	OL_EACH (cases, c) {
		launch_run run;

		launch_sh(&box, &options, c->script, &run);
		CHECK_STR(c->script, c->want, run.text);
	}
	launch_box_done(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proc_self_exe_is_not_ours),
		cmocka_unit_test(no_descriptor_of_ours_leaks),
		cmocka_unit_test(a_working_directory_cannot_lead_out),
		cmocka_unit_test(links_in_place_of_mount_points_are_refused),
		cmocka_unit_test(links_under_mounts_stay_inside),
		cmocka_unit_test(devices_of_the_host_cannot_be_opened),
		cmocka_unit_test(without_cgroups_devices_stay_closed),
		cmocka_unit_test(the_host_is_not_to_be_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
