/* Containers, for real: what a process finds, how it ends, what reaches it. Attacks are in
 * test_escape.c. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "tests/check.h"
#include "tests/launch_box.h"

static void exit_statuses_are_dockers(void **state)
{
	static const struct {
		const char *name;
		const char *args[5];
		int init, want;
		const char *words;
	} cases[] = {
		{ "true", { "/bin/true" }, 0, 0, "" },
		{ "along PATH", { "sh", "-c", "exit 7" }, 0, 7, "" },
		{ "255", { "sh", "-c", "exit 255" }, 0, 255, "" },
		{ "with --init", { "sh", "-c", "exit 9" }, 1, 9, "" },
		{ "by a signal, with --init", { "sh", "-c", "kill -TERM $$" }, 1, 143, "" },
		{ "not there", { "nonesuch" }, 0, 127, "executable file not found in $PATH" },
		{ "not there, with a path", { "/none/such" }, 0, 127, "no such file" },
		{ "not there, with --init", { "nonesuch" }, 1, 127, "executable file not found" },
		{ "a directory", { "/etc" }, 0, 126, "permission denied" },
		{ "not executable", { "/etc/passwd" }, 0, 126, "permission denied" },
		{ "no format", { "/etc/noformat" }, 0, 126, "exec format error" },
	};
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	assert_int_equal(
		OL_OK, ol_publish(box.root_fd, "etc/noformat", ol_view_of("x"), 0755, 0, NULL));
	OL_EACH (cases, c) {
		const ol_container_options options = { .args = c->args, .init = c->init };
		launch_run run;

		launch_sh(&box, &options, NULL, &run);
		CHECK_INT(c->name, c->want, run.status);
		if (!strstr(run.text, c->words))
			CHECK_STR(c->name, c->words, run.text);
	}
	launch_box_done(&box);
}

static void a_process_finds_what_was_asked_for(void **state)
{
	static const char *const env[] = { "A=b", NULL }, *const drop[] = { "ALL", NULL };
	static const ol_ulimit files = { "nofile", 40, 50 };
	static const struct {
		const char *script, *want;
		ol_container_options options;
	} cases[] = {
		{ "id -u; id -g", "0\n0\n", { .args = NULL } },
		{ "id -u; id -g; echo $HOME", "1000\n1000\n/home/user\n", { .user = "user" } },
		{ "echo $A $HOME", "b /root\n", { .env = env } },
		{ "pwd; stat -c %a .", "/made/here\n755\n", { .working_dir = "/made/here" } },
		{ "hostname; cat /etc/hostname; echo $HOSTNAME", "n1\nn1\nn1\n",
			{ .hostname = "n1" } },
		{ "hostname", "feedc0de1234\n", { .args = NULL } },
		{ "umask", "0022\n", { .args = NULL } },
		{ "grep CapEff /proc/self/status", "CapEff:\t0000000000000000\n",
			{ .cap_drop = drop } },
		{ "grep -e ^Seccomp: -e NoNew /proc/self/status", "NoNewPrivs:\t0\nSeccomp:\t2\n",
			{ .args = NULL } },
		{ "grep -e ^Seccomp: -e NoNew /proc/self/status", "NoNewPrivs:\t1\nSeccomp:\t2\n",
			{ .no_new_privileges = true } },
		{ "grep ^Seccomp: /proc/self/status", "Seccomp:\t0\n", { .privileged = true } },
		{ "ulimit -Sn; ulimit -Hn", "40\n50\n", { .ulimits = &files, .ulimit_count = 1 } },
		{ "echo $$; echo $(cat /proc/1/comm)", "1\nsh\n", { .args = NULL } },
		{ "cat /proc/1/comm", "orlop-init\n", { .init = true } },
		{ "ls /sys/class/net", "lo\n", { .args = NULL } },
		{ "cat", "", { .args = NULL } }, /* stdin is empty without -i */
		{ "echo out; echo err >&2", "out\nerr\n", { .args = NULL } },
		{ "echo again >/dev/stdout", "again\n", { .user = "user" } },
		{ "touch /x 2>&1; touch /dev/shm/x && echo shm",
			"touch: /x: Read-only file system\nshm\n", { .read_only = true } },
	};
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	OL_EACH (cases, c) {
		launch_run run;

		launch_sh(&box, &c->options, c->script, &run);
		CHECK_STR(c->script, c->want, run.text);
	}
	launch_box_done(&box);
}

static void mounts_are_made_and_hide(void **state)
{
	launch_box box;
	launch_run run;
	ol_autofree char *file = NULL, *dir = NULL;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	assert_int_equal(0, mkdirat(box.dir_fd, "shared", 0755));
	assert_int_equal(
		OL_OK, ol_publish(box.dir_fd, "shared/f", ol_view_of("hello\n"), 0644, 0, NULL));
	dir = ol_text("%s/shared", box.path);
	file = ol_text("%s/shared/f", box.path);
	{
		const ol_mount_option mounts[] = {
			{ "bind", dir, "/a/b", false, "", false },
			{ "bind", file, "/etc/deep/f", true, "", false },
			{ "tmpfs", NULL, "/t", false, "size=1m", false },
		};
		const ol_container_options options = { .mounts = mounts, .mount_count = 3 };

		launch_sh(&box, &options,
			"cat /a/b/f /etc/deep/f; echo x >/a/b/g; (echo x >/etc/deep/f) 2>/dev/null "
			"|| echo ro; "
			"grep ' /t ' /proc/mounts",
			&run);
		assert_string_equal("hello\nhello\nro\ntmpfs /t tmpfs "
				    "rw,nosuid,nodev,noexec,relatime,size=1024k 0 0\n",
			run.text);
		assert_int_equal(0, faccessat(box.dir_fd, "shared/g", F_OK, 0));
	}
	/* Nothing of it is seen by the host. */
	{
		ol_auto_buf ol_buf seen = OL_BUF((size_t)16 << 20);

		assert_int_equal(
			OL_OK, ol_file_read(AT_FDCWD, "/proc/self/mountinfo", false, &seen, NULL));
		assert_null(strstr(ol_str_text(&seen), box.path));
	}
	launch_box_done(&box);
}

static void what_docker_masks_is_masked(void **state)
{
	static const struct {
		const char *script, *want;
	} cases[] = {
		{ "cat /proc/keys | wc -c", "0\n" },
		{ "cat /proc/timer_list | wc -c", "0\n" },
		{ "ls /sys/firmware | wc -l", "0\n" },
		{ "(echo 1 >/proc/sys/vm/drop_caches) 2>/dev/null || echo no", "no\n" },
		{ "(echo b >/proc/sysrq-trigger) 2>/dev/null || echo no", "no\n" },
		{ "(echo x >/sys/power/state) 2>/dev/null || echo no", "no\n" },
		{ "mount -o remount,rw /sys 2>/dev/null || echo no", "no\n" },
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

static void limits_hold(void **state)
{
	const ol_container_options options = {
		.pids_limit = 5, .memory_bytes = (uint64_t)32 << 20, .nano_cpus = 500000000
	};
	launch_box box;
	launch_run run;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	launch_sh(&box, &options,
		"for i in 1 2 3 4 5 6 7 8; do sleep 5 & done 2>&1; wait; echo not reached", &run);
	if (run.status == 125 && strstr(run.text, "need a cgroup")) {
		print_message("SKIP: no cgroup can be made here\n");
		launch_box_done(&box);
		skip();
	}
	assert_non_null(strstr(run.text, "fork"));
	/* One line without an end, which grep wants to see whole. */
	launch_sh(&box, &options, "head -c 200000000 /dev/zero | grep x; echo status $?", &run);
	assert_true(run.status == 137 || strstr(run.text, "status 137"));
	launch_box_done(&box);
}

static void input_passes_and_ends(void **state)
{
	const ol_container_options options = { .interactive = true };
	launch_box box;
	launch_run run;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	launch_begin(&box, &options, "cat; echo end", false, &run);
	assert_int_equal(6, write(run.in, "hello\n", 6));
	launch_await(&run, "hello");
	launch_end(&run);
	assert_string_equal("hello\nend\n", run.text);
	assert_int_equal(0, run.status);
	launch_box_done(&box);
}

/* More than any pipe holds, both ways at once. */
static void much_passes_whole(void **state)
{
	const ol_container_options options = { .args = NULL };
	launch_box box;
	launch_run run;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	launch_sh(&box, &options, "seq 1 10000", &run);
	assert_int_equal(48894, run.size);
	assert_non_null(strstr(run.text, "\n10000\n"));
	launch_box_done(&box);
}

/* As in `orlop run IMAGE yes | head -1`: the container gets the broken pipe, and its status is
 * ours. */
static void a_reader_that_leaves_ends_the_container(void **state)
{
	const ol_container_options options = { .init = true };
	launch_box box;
	launch_run run;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	launch_begin(&box, &options, "exec seq 1 1000000000", false, &run);
	launch_await(&run, "10\n");
	(void)close(run.out);
	run.out = open("/dev/null", O_RDONLY | O_CLOEXEC);
	launch_end(&run);
	assert_int_equal(128 + SIGPIPE, run.status);
	launch_box_done(&box);
}

static void signals_reach_the_container(void **state)
{
	static const struct {
		const char *trap;
		int number, init, want;
	} cases[] = {
		{ "TERM", SIGTERM, 0, 40 }, { "INT", SIGINT, 0, 40 }, { "HUP", SIGHUP, 0, 40 },
		{ "USR1", SIGUSR1, 0, 40 }, { "TERM", SIGTERM, 1, 40 },
		{ "QUIT", SIGTERM, 1,
			143 }, /* not trapped: the child of our process 1 dies of it */
	};
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	OL_EACH (cases, c) {
		const ol_container_options options = { .init = c->init };
		ol_autofree char *script = ol_text(
			"trap 'exit 40' %s; echo ready; while :; do sleep 0.1; done", c->trap);
		launch_run run;

		launch_begin(&box, &options, script, false, &run);
		launch_await(&run, "ready");
		assert_int_equal(0, kill(run.pid, c->number));
		launch_end(&run);
		CHECK_INT(c->trap, c->want, run.status);
	}
	launch_box_done(&box);
}

/* As with a plain process: what is not handled kills nothing that is process 1, and docker does not
 * either. */
static void a_killed_launcher_takes_its_container_along(void **state)
{
	const ol_container_options options = { .interactive = true };
	ol_autofree char *fifo = NULL;
	launch_box box;
	launch_run run;
	char byte;
	int fd;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	assert_int_equal(0, mkfifoat(box.root_fd, "tmp/fifo", 0666));
	fifo = ol_text("%s/root/tmp/fifo", box.path);
	launch_begin(&box, &options, "exec 9>/tmp/fifo; echo ready; exec sleep 1000", false, &run);
	fd = open(fifo, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	launch_await(&run, "ready");
	assert_int_equal(0, kill(run.pid, SIGKILL));
	assert_int_equal(0, read(fd, &byte, 1)); /* the last writer is gone */
	(void)close(fd);
	launch_end(&run);
	ol_launch_clean("feedc0de12340000000000000000000000000000000000000000000000000000");
	assert_int_equal(
		-1, access("/sys/fs/cgroup/pids/orlop/"
			   "feedc0de12340000000000000000000000000000000000000000000000000000",
			    F_OK));
	/* And the next one of the same name runs. */
	{
		const ol_container_options plain = { .args = NULL };

		launch_sh(&box, &plain, "exit 3", &run);
		assert_int_equal(3, run.status);
	}
	launch_box_done(&box);
}

static void a_terminal_has_a_size_and_passes_keys(void **state)
{
	const ol_container_options options = { .interactive = true, .tty = true };
	struct winsize larger = { .ws_row = 50, .ws_col = 132 };
	launch_box box;
	launch_run run;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	launch_begin(&box, &options,
		"tty; stty size; trap 'stty size; echo resized' WINCH; trap 'exit 41' INT; echo "
		"$TERM ready; "
		"while :; do sleep 0.1; done",
		true, &run);
	launch_await(&run, "xterm ready");
	assert_non_null(strstr(run.text, "/dev/pts/0"));
	assert_non_null(strstr(run.text, "24 80"));
	assert_int_equal(0, ioctl(run.in, TIOCSWINSZ, &larger));
	launch_await(&run, "resized");
	assert_non_null(strstr(run.text, "50 132"));
	assert_int_equal(1, write(run.in, "\003", 1)); /* Ctrl-C, which a raw terminal passes on */
	launch_end(&run);
	assert_int_equal(41, run.status);
	launch_box_done(&box);
}

static void a_terminal_is_given_back_as_it_was(void **state)
{
	const ol_container_options options = { .interactive = true, .tty = true };
	launch_box box;
	launch_run run;
	struct termios during, after;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	launch_begin(
		&box, &options, "echo ready; read line; echo got $line; sleep 0.2", true, &run);
	launch_await(&run, "ready");
	/* It becomes raw once the program runs, which it does. */
	for (int i = 0; i < 100; i++) {
		assert_int_equal(0, tcgetattr(run.in, &during));
		if (!(during.c_lflag & ICANON))
			break;
		(void)usleep(20000);
	}
	assert_int_equal(0, during.c_lflag & ICANON);
	assert_int_equal(3, write(run.in, "yo\r", 3));
	launch_await(&run, "got yo");
	for (int i = 0; i < 100; i++) {
		if (tcgetattr(run.in, &after) < 0 || (after.c_lflag & ICANON))
			break;
		(void)usleep(20000);
	}
	assert_true(after.c_lflag & ICANON);
	launch_end(&run);
	assert_int_equal(0, run.status);
	launch_box_done(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_statuses_are_dockers),
		cmocka_unit_test(a_process_finds_what_was_asked_for),
		cmocka_unit_test(mounts_are_made_and_hide),
		cmocka_unit_test(what_docker_masks_is_masked),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(input_passes_and_ends),
		cmocka_unit_test(much_passes_whole),
		cmocka_unit_test(a_reader_that_leaves_ends_the_container),
		cmocka_unit_test(signals_reach_the_container),
		cmocka_unit_test(a_killed_launcher_takes_its_container_along),
		cmocka_unit_test(a_terminal_has_a_size_and_passes_keys),
		cmocka_unit_test(a_terminal_is_given_back_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
