/*
 * Who enters cannot give itself more than its own id: newuidmap and newgidmap, which may, must be
 * started from outside. So a child is forked before, waits until its parent is inside, runs the two
 * on it and ends:
 *
 *	parent                      child, still outside
 *	fork ─────────────────────▶
 *	unshare
 *	"go" ─────────────────────▶ newuidmap PARENT 0 UID 1 1 FIRST COUNT …
 *	                            newgidmap PARENT 0 GID 1 1 FIRST COUNT …
 *	◀──── nothing, or why not   exit
 */
#include "base/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/own.h"

/* A map of OL_ID_RANGES_MAX lines of three numbers. */
#define MAP_BYTES_MAX ((size_t)16 << 10)

static int read_map(const char *path, ol_id_map *out, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(MAP_BYTES_MAX);
	int rc = ol_file_read(AT_FDCWD, path, false, &text, err);

	if (rc == OL_OK)
		rc = ol_id_map_parse(ol_buf_view(&text), out, err);
	return rc < 0 ? ol_wrap(err, rc, "%s", path) : OL_OK;
}

int ol_userns_read(ol_userns *out, ol_error *err)
{
	ol_auto_buf ol_buf groups = OL_BUF(64);
	int rc = read_map("/proc/self/uid_map", &out->uids, err);

	if (rc == OL_OK)
		rc = read_map("/proc/self/gid_map", &out->gids, err);
	if (rc < 0)
		return rc;
	out->is_initial = ol_id_map_is_all(&out->uids) && ol_id_map_is_all(&out->gids);
	/* A kernel too old for the file allows it. */
	out->has_groups =
		ol_file_read(AT_FDCWD, "/proc/self/setgroups", false, &groups, NULL) < 0 ||
		!ol_view_starts(ol_buf_view(&groups), "deny");
	return OL_OK;
}

void ol_userns_format(const ol_userns *ns, ol_str *out)
{
	ol_id_map_format(&ns->uids, out);
	(void)ol_str_addc(out, '\n');
	ol_id_map_format(&ns->gids, out);
}

int ol_userns_parse(ol_view text, ol_userns *out, ol_error *err)
{
	const char *gap = text.size > 0 ? memmem(text.data, text.size, "\n\n", 2) : NULL;
	size_t first = gap ? (size_t)(gap - text.data) + 1 : 0;
	ol_id_map uids, gids;
	int rc;

	if (!gap)
		return ol_fail(err, OL_EINVAL, "no empty line between the two maps of ids");
	rc = ol_id_map_parse(ol_view_from(text.data, first), &uids, err);
	if (rc == OL_OK)
		rc = ol_id_map_parse(ol_view_from(gap + 2, text.size - first - 1), &gids, err);
	if (rc < 0)
		return rc;
	out->uids = uids;
	out->gids = gids;
	return OL_OK;
}

bool ol_userns_is_inside(void)
{
	ol_autofree ol_userns *here = ol_alloc(sizeof *here);

	return ol_userns_read(here, NULL) == OL_OK && !here->is_initial;
}

bool ol_userns_is_root(void)
{
	return geteuid() == 0 && !ol_userns_is_inside();
}

uid_t ol_userns_owner(void)
{
	ol_autofree ol_userns *here = ol_alloc(sizeof *here);
	uint32_t outside;

	if (ol_userns_read(here, NULL) == OL_OK &&
		ol_id_map_outside(&here->uids, geteuid(), &outside))
		return outside;
	return geteuid();
}

/* What is to be mapped. */
struct plan {
	ol_id_map uids, gids;
	char *name; /* owned; NULL: the user has none */
	uid_t uid;
	gid_t gid;
	pid_t target;
	int go_fd, report_fd; /* the child's */
};

static int read_ranges(const char *path, const struct plan *plan, ol_id_map *map, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_CONFIG_FILE_BYTES_MAX);
	int rc = ol_file_read(AT_FDCWD, path, false, &text, err);

	if (rc == OL_ENOTFOUND)
		return OL_OK;
	if (rc == OL_OK)
		rc = ol_subid_parse(ol_buf_view(&text), plan->name, plan->uid, map, err);
	return rc < 0 ? ol_wrap(err, rc, "%s", path) : OL_OK;
}

/* Both maps begin with the user; *why says why there is nothing behind. */
static int make_plan(struct plan *plan, ol_userns_entry *how, ol_error *err)
{
	const struct passwd *user = getpwuid(plan->uid);
	int rc = ol_id_map_add(&plan->uids, 0, plan->uid, 1, err);

	plan->name = user ? ol_strdup(user->pw_name) : NULL;
	if (rc == OL_OK)
		rc = ol_id_map_add(&plan->gids, 0, plan->gid, 1, err);
	if (rc == OL_OK)
		rc = read_ranges("/etc/subuid", plan, &plan->uids, err);
	if (rc == OL_OK)
		rc = read_ranges("/etc/subgid", plan, &plan->gids, err);
	if (rc < 0)
		return rc;
	how->ranged = plan->uids.count > 1 && plan->gids.count > 1;
	if (how->ranged)
		(void)snprintf(how->why, sizeof how->why, "ranges of /etc/subuid and /etc/subgid");
	else
		(void)snprintf(how->why, sizeof how->why,
			"only the user's own id: %s has no range for %s",
			plan->uids.count > 1 ? "/etc/subgid" : "/etc/subuid",
			plan->name ? plan->name : "it");
	return OL_OK;
}

static const char *number(ol_arena *arena, uint32_t value)
{
	char text[16];

	(void)snprintf(text, sizeof text, "%" PRIu32, value);
	return ol_arena_strdup(arena, text);
}

/* In the child: "newuidmap PID 0 1000 1 1 100000 65536". What it says goes to the report. */
static int give_map(
	const char *program, const struct plan *plan, const ol_id_map *map, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	const char **argv = ol_arena_alloc(arena, (3 * map->count + 3) * sizeof *argv);
	size_t count = 0;
	int status = 0, rc;
	pid_t pid;

	argv[count++] = program;
	argv[count++] = number(arena, (uint32_t)plan->target);
	for (size_t i = 0; i < map->count; i++) {
		const ol_id_range *r = &map->ranges[i];

		argv[count++] = number(arena, r->inside);
		argv[count++] = number(arena, r->outside);
		argv[count++] = number(arena, r->count);
	}
	rc = ol_child_start(&(ol_child_options){ .argv = argv,
				    .stdin_fd = -1,
				    .stdout_fd = -1,
				    .stderr_fd = plan->report_fd },
		&pid, err);
	if (rc == OL_OK)
		rc = ol_child_wait(pid, &status, err);
	if (rc == OL_OK && status != 0)
		rc = ol_fail(err, OL_EINVAL, "%s failed", program);
	return rc;
}

static void __attribute__((noreturn)) be_mapper(const struct plan *plan)
{
	ol_error err = { 0 };
	char byte;
	ssize_t got;
	int rc;

	do
		got = read(plan->go_fd, &byte, 1);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(1); /* the parent did not get in, or has gone */
	rc = give_map("newuidmap", plan, &plan->uids, &err);
	if (rc == OL_OK)
		rc = give_map("newgidmap", plan, &plan->gids, &err);
	if (rc < 0)
		(void)ol_write_all(plan->report_fd, err.text, strlen(err.text), NULL);
	_exit(rc < 0);
}

/* The child's end and words; its first line is reason enough. */
static bool mapper_ended(pid_t pid, int report_fd, char *why, size_t size)
{
	ol_auto_buf ol_buf text = OL_BUF(4096);
	char chunk[512];
	ssize_t got;
	int status = 0;

	do {
		got = read(report_fd, chunk, sizeof chunk);
		if (got > 0)
			(void)ol_buf_add(&text, chunk, (size_t)got); /* its beginning is enough */
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (ol_child_wait(pid, &status, NULL) == OL_OK && status == 0)
		return true;
	(void)snprintf(why, size, "only the user's own id: %.*s",
		(int)strcspn(ol_str_text(&text), "\n"), ol_str_text(&text));
	return false;
}

static int fail_unshare(ol_error *err)
{
	static const struct {
		int sys;
		const char *hint;
	} hints[] = {
		{ EPERM, "sysctl kernel.unprivileged_userns_clone or "
			 "kernel.apparmor_restrict_unprivileged_userns keeps ordinary users from "
			 "it, or a container's seccomp filter" },
		{ ENOSPC, "sysctl user.max_user_namespaces bounds how many there may be" },
		{ EUSERS, "user namespaces are nested too deep here" },
		{ EINVAL, "the kernel is built without user namespaces" },
	};
	const int sys = errno;

	(void)ol_fail_sys(err, "cannot enter a user namespace, which orlop needs without root");
	if (err)
		err->code = OL_EUNSUPPORTED;
	for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
		if (hints[i].sys == sys)
			return ol_hint(err, OL_EUNSUPPORTED, "%s", hints[i].hint);
	return OL_EUNSUPPORTED;
}

static int write_self(const char *path, const char *text, ol_error *err)
{
	ol_autofd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return ol_fail_sys(err, "%s", path);
	return OL_OK;
}

/* What everybody may do without help. The kernel wants setgroups forbidden first: groups may also
 * be there to keep one out. */
static int map_self(const struct plan *plan, ol_error *err)
{
	ol_autofree char *uid = ol_text("0 %u 1", plan->uid), *gid = ol_text("0 %u 1", plan->gid);
	int rc = write_self("/proc/self/setgroups", "deny", err);

	if (rc == OL_OK)
		rc = write_self("/proc/self/gid_map", gid, err);
	if (rc == OL_OK)
		rc = write_self("/proc/self/uid_map", uid, err);
	if (rc < 0)
		return ol_wrap(err, rc, "cannot map the user's own id");
	return OL_OK;
}

/* Did newuidmap get as far as newgidmap, which then failed? A map is written once. */
static bool half_mapped(void)
{
	ol_autofree ol_userns *here = ol_alloc(sizeof *here);

	return ol_userns_read(here, NULL) == OL_OK && here->uids.count > 0;
}

static int go_in(struct plan *plan, ol_userns_entry *how, ol_error *err)
{
	ol_autofd int go_read = -1, go_write = -1, report_read = -1, report_write = -1;
	int go[2], report[2];
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0)
		return ol_fail_sys(err, "pipe");
	go_read = go[0];
	go_write = go[1];
	if (pipe2(report, O_CLOEXEC) < 0)
		return ol_fail_sys(err, "pipe");
	report_read = report[0];
	report_write = report[1];
	plan->target = getpid();
	plan->go_fd = go_read;
	plan->report_fd = report_write;
	pid = fork();
	if (pid < 0)
		return ol_fail_sys(err, "fork");
	if (pid == 0) {
		(void)close(ol_steal_fd(&go_write));
		(void)close(ol_steal_fd(&report_read));
		be_mapper(plan);
	}
	(void)close(ol_steal_fd(&report_write));
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		int rc = fail_unshare(err);

		(void)close(ol_steal_fd(&go_write));
		(void)ol_child_wait(pid, &(int){ 0 }, NULL);
		return rc;
	}
	if (write(go_write, "g", 1) < 0)
		return ol_fail_sys(err, "pipe");
	how->ranged = mapper_ended(pid, report_read, how->why, sizeof how->why);
	if (how->ranged)
		return OL_OK;
	return half_mapped() ? ol_fail(err, OL_EUNSUPPORTED, "%s", how->why) : map_self(plan, err);
}

int ol_userns_enter(ol_userns_entry *out, ol_error *err)
{
	ol_autofree struct plan *plan = ol_alloc(sizeof *plan);
	ol_userns_entry how = { .ranged = false };
	int rc;

	plan->uid = geteuid();
	plan->gid = getegid();
	rc = make_plan(plan, &how, err);
	if (rc == OL_OK && how.ranged)
		rc = go_in(plan, &how, err);
	else if (rc == OL_OK && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		rc = fail_unshare(err);
	else if (rc == OL_OK)
		rc = map_self(plan, err);
	free(plan->name);
	if (rc == OL_OK)
		*out = how;
	return rc;
}
