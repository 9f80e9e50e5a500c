/* The same bundle under other runtimes: a program finds what it finds under our launcher. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tests/check.h"
#include "tests/launch_box.h"

static const char *const runtimes[] = { "crun", "runc" };

static bool is_there(const char *runtime)
{
	static const char *const folders[] = { "/usr/bin", "/usr/sbin", "/usr/local/bin" };

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		ol_autofree char *path = ol_text("%s/%s", folders[i], runtime);

		if (access(path, X_OK) == 0)
			return true;
	}
	print_message("SKIP: %s is not installed\n", runtime);
	return false;
}

/* stdout and stderr are ours there and pipes here; and runc lists its own cgroup mount options in
 * another order. */
static const char probe[] =
	"id; pwd; umask; env | grep -v -e SHLVL -e PWD; hostname; "
	"grep -e ^Cap -e NoNew -e ^Seccomp: /proc/self/status; "
	"while read a b c d e; do echo $b; done </proc/mounts | grep -v cgroup; "
	"ls /dev /sys/class/net | grep -v core; cat /etc/hostname /etc/hosts; "
	"cat /proc/keys | wc -c; ls /sys/firmware | wc -l; "
	"(echo 1 >/proc/sys/vm/drop_caches) 2>/dev/null || echo no; "
	"unshare -U true 2>/dev/null || echo no; mknod /tmp/n c 1 3 2>/dev/null && echo node; "
	"ulimit -Sn; ulimit -Hn; rm -f /tmp/n; exit 5";

/* Lines sorted: runtimes mask in an order of their own. */
static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_lines(char *text)
{
	char *lines[1024], *copy = ol_strdup(text);
	size_t count = 0, used = 0;

	for (char *at = copy; *at && count < 1024;) {
		lines[count++] = at;
		at += strcspn(at, "\n");
		if (*at)
			*at++ = '\0';
	}
	qsort(lines, count, sizeof lines[0], by_text);
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(
			text + used, sizeof((launch_run *)NULL)->text - used, "%s\n", lines[i]);
	free(copy);
}

static void every_runtime_gives_the_same(void **state)
{
	static const char *const drop[] = { "CHOWN", NULL };
	static const ol_ulimit files = { "nofile", 40, 50 };
	static const ol_mount_option tmpfs = { "tmpfs", NULL, "/t", false, "", false };
	static const struct {
		const char *name;
		ol_container_options options;
	} cases[] = {
		{ "defaults", { .args = NULL } },
		{ "a user", { .user = "user", .hostname = "n" } },
		{ "flags", { .cap_drop = drop,
				   .ulimits = &files,
				   .ulimit_count = 1,
				   .mounts = &tmpfs,
				   .mount_count = 1,
				   .read_only = true,
				   .no_new_privileges = true,
				   .working_dir = "/root" } },
		{ "limits", { .pids_limit = 50,
				    .memory_bytes = (uint64_t)64 << 20,
				    .nano_cpus = 500000000 } },
	};
	static launch_run ours, theirs;
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	OL_EACH (cases, c) {
		box.runtime = NULL;
		launch_sh(&box, &c->options, probe, &ours);
		CHECK_INT(c->name, 5, ours.status);
		sort_lines(ours.text);
		OL_EACH (runtimes, runtime) {
			ol_autofree char *label = ol_text("%s, %s", c->name, *runtime);

			if (!is_there(*runtime))
				continue;
			box.runtime = *runtime;
			launch_sh(&box, &c->options, probe, &theirs);
			CHECK_INT(label, 5, theirs.status);
			sort_lines(theirs.text);
			CHECK_STR(label, ours.text, theirs.text);
		}
	}
	launch_box_done(&box);
}

static void init_and_input_work_there_too(void **state)
{
	const ol_container_options options = { .init = true, .interactive = true };
	static launch_run run;
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	OL_EACH (runtimes, runtime) {
		if (!is_there(*runtime))
			continue;
		box.runtime = *runtime;
		launch_begin(&box, &options, "cat; cat /proc/1/comm; kill -TERM $$", false, &run);
		assert_int_equal(3, write(run.in, "in\n", 3));
		launch_await(&run, "in\n");
		launch_end(&run);
		CHECK_STR(*runtime, "in\norlop-init\n", run.text);
		CHECK_INT(*runtime, 143, run.status);
	}
	launch_box_done(&box);
}

static void a_terminal_and_signals_work_there_too(void **state)
{
	const ol_container_options options = { .interactive = true, .tty = true },
				   plain = { .args = NULL };
	static launch_run run;
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	OL_EACH (runtimes, runtime) {
		if (!is_there(*runtime))
			continue;
		box.runtime = *runtime;
		launch_begin(&box, &options,
			"trap 'exit 41' INT; tty; echo ready; while :; do sleep 0.1; done", true,
			&run);
		launch_await(&run, "ready");
		assert_non_null(strstr(run.text, "/dev/pts/0"));
		assert_int_equal(1, write(run.in, "\003", 1));
		launch_end(&run);
		CHECK_INT(*runtime, 41, run.status);
		launch_begin(&box, &plain,
			"trap 'exit 42' TERM; echo ready; while :; do sleep 0.1; done", false,
			&run);
		launch_await(&run, "ready");
		assert_int_equal(0, kill(run.pid, SIGTERM));
		launch_end(&run);
		CHECK_INT(*runtime, 42, run.status);
	}
	launch_box_done(&box);
}

static void a_runtime_that_is_not_there_is_named(void **state)
{
	const ol_container_options options = { .args = NULL };
	static launch_run run;
	launch_box box;

	(void)state;
	if (!launch_box_init(&box))
		skip();
	box.runtime = "nonesuch";
	launch_sh(&box, &options, "true", &run);
	assert_int_equal(125, run.status);
	assert_non_null(strstr(run.text, "nonesuch"));
	launch_box_done(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_runtime_gives_the_same),
		cmocka_unit_test(init_and_input_work_there_too),
		cmocka_unit_test(a_terminal_and_signals_work_there_too),
		cmocka_unit_test(a_runtime_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
