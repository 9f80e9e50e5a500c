/*
 * The last stage: see exec/stage_plan.h. A static program without orlop's libraries, because it
 * runs inside the container's root. Two ways to start it:
 *
 *	with a plan on descriptor 3    drops privileges as planned, then execs, or stays as
 *	                               process 1
 *	NAME -- COMMAND [ARG...]       process 1 for other runtimes: forwards signals, reaps,
 *	                               exits as COMMAND does
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/stage_plan.h"

#define PATH_BYTES_MAX 4096
#define CAPABILITIES   64

typedef struct stage {
	const ol_stage_plan *plan; /* NULL: for another runtime */
	char **args, **env;
	int report_fd; /* -1: words go to stderr */
} stage;

/* Says why, and ends. */
static void __attribute__((noreturn, format(printf, 4, 5)))
give_up(const stage *s, int status, int sys, const char *fmt, ...)
{
	ol_stage_report report = { .status = status, .sys = sys };
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(report.text, sizeof report.text, fmt, args);
	va_end(args);
	if (s->report_fd >= 0) {
		if (write(s->report_fd, &report, sizeof report) < 0)
			_exit(125);
	} else {
		(void)fprintf(stderr, "orlop-init: %s%s%s\n", report.text, sys ? ": " : "",
			sys ? strerror(sys) : "");
	}
	_exit(status);
}

static void check(const stage *s, long rc, const char *what)
{
	if (rc < 0)
		give_up(s, 125, errno, "%s", what);
}

static void read_plan(stage *s)
{
	struct stat st;
	const char *at;
	const ol_stage_plan *plan;

	check(s, fstat(OL_STAGE_PLAN_FD, &st), "plan");
	/* Private: execve wants writable pointers to the strings. */
	at = mmap(
		NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, OL_STAGE_PLAN_FD, 0);
	if (at == MAP_FAILED)
		give_up(s, 125, errno, "plan");
	(void)close(OL_STAGE_PLAN_FD);
	s->plan = plan = (const void *)at;
	if (plan->magic != OL_STAGE_MAGIC)
		give_up(s, 125, 0, "not a plan");
	at += sizeof *plan + plan->group_count * sizeof(uint32_t) +
	      plan->filter_count * sizeof(struct sock_filter);
	s->args = calloc((size_t)plan->arg_count + plan->env_count + 2, sizeof *s->args);
	if (!s->args)
		give_up(s, 125, ENOMEM, "plan");
	s->env = s->args + plan->arg_count + 1;
	for (size_t i = 0; i < (size_t)plan->arg_count + plan->env_count; i++) {
		s->args[i < plan->arg_count ? i : i + 1] = (char *)at;
		at += strlen(at) + 1;
	}
}

static const uint32_t *groups_of(const ol_stage_plan *plan)
{
	return (const uint32_t *)(plan + 1);
}

/* Without no_new_privs the kernel wants CAP_SYS_ADMIN for this, so it comes before the capabilities
 * go. */
static void filter_calls(const stage *s)
{
	struct sock_fprog program = { .len = (unsigned short)s->plan->filter_count,
		.filter = (struct sock_filter *)(groups_of(s->plan) + s->plan->group_count) };

	if (s->plan->filter_count > 0)
		check(s, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program),
			"seccomp filter");
}

static void drop_bounding(const stage *s)
{
	for (int i = 0; i < CAPABILITIES; i++) {
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) < 0)
			return; /* the kernel has no more */
		if (!(s->plan->bounding >> i & 1))
			check(s, prctl(PR_CAPBSET_DROP, i, 0, 0, 0), "capability bounding set");
	}
}

static void set_capabilities(const stage *s)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint64_t set = s->plan->uid == 0 ? s->plan->permitted : 0;
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)set, .permitted = (uint32_t)set },
		{ .effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32) },
	};

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	check(s, syscall(SYS_capset, &header, data), "capabilities");
}

static void become(const stage *s)
{
	const ol_stage_plan *plan = s->plan;
	bool late = plan->flags & OL_STAGE_NO_NEW_PRIVILEGES;

	if (late)
		check(s, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges");
	else
		filter_calls(s);
	drop_bounding(s);
	if (!(plan->flags & OL_STAGE_KEEP_GROUPS))
		check(s, syscall(SYS_setgroups, (size_t)plan->group_count, groups_of(plan)),
			"groups");
	check(s, syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid), "group");
	check(s, syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid), "user");
	set_capabilities(s);
	if (late)
		filter_calls(s);
	/* After the ids, which reset it. The container does not outlive its launcher. */
	check(s, prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "parent's end");
}

static const char *path_of(char *const *env)
{
	for (; env && *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return "";
}

/* As Docker words it. */
static const char *reason(int sys, char *room, size_t size)
{
	(void)snprintf(room, size, "%s", strerror(sys));
	if (room[0] >= 'A' && room[0] <= 'Z')
		room[0] = (char)(room[0] - 'A' + 'a');
	return room;
}

static int try_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	return S_ISDIR(st.st_mode) || !(st.st_mode & 0111) ? EACCES : 0;
}

/* As a shell would find it: with a slash as it stands, else along PATH. */
static const char *find_program(const stage *s, char *room)
{
	const char *name = s->args[0], *path = path_of(s->env);
	int why;

	if (!name)
		give_up(s, 125, 0, "no command");
	if (strchr(name, '/')) {
		why = try_program(name);
		if (why)
			give_up(s, why == ENOENT || why == ENOTDIR ? 127 : 126, 0,
				"exec: \"%.150s\": %s", name, reason(why, room, PATH_BYTES_MAX));
		return name;
	}
	while (*path) {
		size_t size = strcspn(path, ":");
		int n = snprintf(room, PATH_BYTES_MAX, "%.*s/%s", size ? (int)size : 1,
			size ? path : ".", name);

		if (n > 0 && n < PATH_BYTES_MAX && try_program(room) == 0)
			return room;
		path += size;
		path += *path == ':';
	}
	give_up(s, 127, 0, "exec: \"%.150s\": executable file not found in $PATH", name);
}

static void __attribute__((noreturn)) start(const stage *s)
{
	char room[PATH_BYTES_MAX], words[128];
	const char *program = find_program(s, room);
	int why;

	(void)execve(program, s->args, s->env);
	why = errno;
	give_up(s, why == ENOENT ? 127 : 126, 0, "exec %.150s: %s", program,
		reason(why, words, sizeof words));
}

/* In a process group of its own, in front on the terminal, so that Ctrl-C reaches it and not us. */
static void __attribute__((noreturn)) start_child(const stage *s, const sigset_t *before)
{
	(void)setpgid(0, 0);
	(void)tcsetpgrp(STDIN_FILENO, getpgrp()); /* there may be no terminal */
	(void)sigprocmask(SIG_SETMASK, before, NULL);
	start(s);
}

static int exit_status(int raw)
{
	return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
}

/* Reaps all there is; ends with the child. */
static void reap(pid_t child)
{
	for (;;) {
		int raw;
		pid_t pid = waitpid(-1, &raw, WNOHANG);

		if (pid == child)
			_exit(exit_status(raw));
		if (pid <= 0)
			return;
	}
}

static void __attribute__((noreturn)) be_init(const stage *s)
{
	/* What the kernel sends because of our own faults is not for the child. */
	static const int own[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS };
	sigset_t all, before;
	pid_t child;

	(void)prctl(PR_SET_NAME, "orlop-init", 0, 0, 0); /* for ps */
	(void)sigfillset(&all);
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		(void)sigdelset(&all, own[i]);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	child = fork();
	check(s, child, "fork");
	if (child == 0)
		start_child(s, &before);
	/* Closed here, its end in the child tells that the program has started. */
	if (s->report_fd >= 0)
		(void)close(s->report_fd);
	for (;;) {
		siginfo_t info;
		int got = sigwaitinfo(&all, &info);

		if (got == SIGCHLD)
			reap(child);
		else if (got > 0 && got != SIGTTIN && got != SIGTTOU)
			(void)kill(child, got);
	}
}

int main(int argc, char **argv, char **env)
{
	stage s = { .report_fd = -1, .env = env };

	if (argc > 2 && strcmp(argv[1], "--") == 0) {
		s.args = argv + 2;
		be_init(&s);
	}
	if (argc != 1 || fcntl(OL_STAGE_REPORT_FD, F_SETFD, FD_CLOEXEC) < 0) {
		(void)fprintf(stderr, "usage: orlop-init -- COMMAND [ARG...]\n");
		return 125;
	}
	s.report_fd = OL_STAGE_REPORT_FD;
	read_plan(&s);
	become(&s);
	if (s.plan->flags & OL_STAGE_INIT)
		be_init(&s);
	start(&s);
}
