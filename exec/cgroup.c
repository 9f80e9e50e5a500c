#include "exec/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "exec/cgroup_priv.h"

#define MOUNTINFO_BYTES_MAX ((size_t)16 << 20) /* a host with tens of thousands of mounts */
#define HIERARCHIES_MAX     32
#define TRIES               50 /* of 10 ms: dying processes leave a group late */
#define PARENT              "orlop"
#define CPU_PERIOD_US       100000ULL

typedef struct hierarchy {
	char *mount;       /* owned; where it is mounted */
	char *controllers; /* owned; its mount options: "rw,cpu,cpuacct" */
	char *dir;         /* owned; our group, NULL until it is made */
	bool v2;
} hierarchy;

struct ol_cgroup {
	ol_cgroup_kind kind;
	hierarchy list[HIERARCHIES_MAX];
	ol_cgroup_view views[HIERARCHIES_MAX];
	size_t count, view_count;
	bool guards;
};

static void hierarchy_done(hierarchy *h)
{
	free(h->mount);
	free(h->controllers);
	free(h->dir);
	*h = (hierarchy){ .mount = NULL };
}

/* mountinfo writes blanks and backslashes as \ooo. */
static char *unescape(const char *text, size_t size)
{
	char *out = ol_alloc(size + 1);
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\\' && i + 3 < size + 1 && text[i + 1] >= '0' &&
			text[i + 1] <= '3') {
			out[n++] = (char)((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
					  (text[i + 3] - '0'));
			i += 3;
		} else {
			out[n++] = text[i];
		}
	}
	return out;
}

/* The nth word of a line of mountinfo. */
static const char *word(const char *line, size_t n, size_t *size)
{
	for (; n > 0 && *line && *line != '\n'; n--) {
		line += strcspn(line, " \n");
		line += *line == ' ';
	}
	*size = strcspn(line, " \n");
	return line;
}

/* proc(5), mountinfo: id parent dev root MOUNT options [tags] - TYPE source SUPER */
static bool read_line(const char *line, hierarchy *out)
{
	size_t line_size = strcspn(line, "\n"), size, type_size;
	const char *dash = memmem(line, line_size, " - ", 3), *mount, *type, *super;

	if (!dash)
		return false;
	type = word(dash + 3, 0, &type_size);
	if (type_size < 6 || strncmp(type, "cgroup", 6) != 0)
		return false;
	mount = word(line, 4, &size);
	out->mount = unescape(mount, size);
	out->v2 = type_size == 7;
	super = word(dash + 3, 2, &size);
	out->controllers = ol_strndup(super, size);
	return true;
}

/* Only what lies below /sys/fs/cgroup: others are somebody's private views. */
static int read_hierarchies(hierarchy *list, size_t *count, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(MOUNTINFO_BYTES_MAX);
	int rc = ol_file_read(AT_FDCWD, "/proc/self/mountinfo", false, &text, err);

	*count = 0;
	if (rc < 0)
		return rc;
	for (const char *line = ol_str_text(&text); *line && *count < HIERARCHIES_MAX;) {
		if (read_line(line, &list[*count])) {
			if (strncmp(list[*count].mount, "/sys/fs/cgroup", 14) == 0)
				(*count)++;
			else
				hierarchy_done(&list[*count]);
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return OL_OK;
}

static bool has_controller(const hierarchy *h, const char *name)
{
	size_t size = strlen(name);

	for (const char *c = h->controllers; *c;) {
		size_t n = strcspn(c, ",");

		if (n == size && strncmp(c, name, n) == 0)
			return true;
		c += n + (c[n] == ',');
	}
	return false;
}

int ol_cgroup_detect(ol_cgroup_kind *out, bool *hybrid, ol_error *err)
{
	hierarchy list[HIERARCHIES_MAX] = { { .mount = NULL } };
	size_t count, v1 = 0, v2 = 0;
	int rc = read_hierarchies(list, &count, err);

	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		v2 += list[i].v2;
		v1 += !list[i].v2;
	}
	for (size_t i = 0; i < count; i++)
		hierarchy_done(&list[i]);
	if (rc < 0)
		return rc;
	*out = v1 ? OL_CGROUP_V1 : v2 ? OL_CGROUP_V2 : OL_CGROUP_NONE;
	*hybrid = v1 && v2;
	return OL_OK;
}

int ol_cgroup_write(const char *dir, const char *file, const char *value, ol_error *err)
{
	ol_autofree char *path = ol_text("%s/%s", dir, file);
	ol_autofd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return ol_fail_sys(err, "cannot write \"%s\" to %s", value, path);
	return OL_OK;
}

static int write_number(const char *dir, const char *file, uint64_t value, ol_error *err)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%" PRIu64, value);
	return ol_cgroup_write(dir, file, text, err);
}

/* A new cpuset is empty, and nothing may enter it: give it what its parent has. */
static void copy_cpuset(const char *parent, const char *dir)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

	for (size_t i = 0; i < 2; i++) {
		ol_autofree char *path = ol_text("%s/%s", parent, files[i]);
		ol_auto_buf ol_buf text = OL_BUF(4096);

		if (ol_file_read(AT_FDCWD, path, false, &text, NULL) == OL_OK)
			(void)ol_cgroup_write(dir, files[i], ol_str_text(&text), NULL);
	}
}

/* v2 gives children only the controllers that their parent names. */
static void delegate(const char *dir)
{
	static const char *const controllers[] = { "+cpu", "+memory", "+pids", "+cpuset", "+io" };

	for (size_t i = 0; i < sizeof controllers / sizeof controllers[0]; i++)
		(void)ol_cgroup_write(dir, "cgroup.subtree_control", controllers[i], NULL);
}

static int make_dir(hierarchy *h, const char *id, ol_error *err)
{
	ol_autofree char *parent = ol_text("%s/%s", h->mount, PARENT);
	ol_autofree char *dir = ol_text("%s/%s", parent, id);

	/* Another container's end may take the parent away between the two. */
	for (int i = 0; i < TRIES; i++) {
		if (mkdir(parent, 0755) < 0 && errno != EEXIST)
			return ol_fail_sys(err, "%s", parent);
		if (h->v2) {
			delegate(h->mount);
			delegate(parent);
		} else if (has_controller(h, "cpuset")) {
			copy_cpuset(h->mount, parent);
		}
		if (mkdir(dir, 0755) == 0 || errno == EEXIST)
			break;
		if (errno != ENOENT)
			return ol_fail_sys(err, "%s", dir);
	}
	if (!h->v2 && has_controller(h, "cpuset"))
		copy_cpuset(parent, dir);
	h->dir = ol_steal(&dir);
	return OL_OK;
}

static int limit_memory(const hierarchy *h, const ol_bundle_limits *l, ol_error *err)
{
	bool any_swap = l->memory_swap_bytes == UINT64_MAX;
	int rc;

	if (h->v2) {
		rc = write_number(h->dir, "memory.max", l->memory_bytes, err);
		/* Without swap in the kernel there is no file, and nothing to limit. */
		if (rc == OL_OK && any_swap)
			(void)ol_cgroup_write(h->dir, "memory.swap.max", "max", NULL);
		else if (rc == OL_OK)
			(void)write_number(h->dir, "memory.swap.max",
				l->memory_swap_bytes - l->memory_bytes, NULL);
		return rc;
	}
	rc = write_number(h->dir, "memory.limit_in_bytes", l->memory_bytes, err);
	if (rc == OL_OK && !any_swap)
		(void)write_number(
			h->dir, "memory.memsw.limit_in_bytes", l->memory_swap_bytes, NULL);
	return rc;
}

static int limit_cpu(const hierarchy *h, const ol_bundle_limits *l, ol_error *err)
{
	uint64_t quota = l->nano_cpus / (1000000000ULL / CPU_PERIOD_US);
	char text[64];
	int rc = OL_OK;

	if (h->v2 && l->nano_cpus) {
		(void)snprintf(text, sizeof text, "%" PRIu64 " %llu", quota, CPU_PERIOD_US);
		rc = ol_cgroup_write(h->dir, "cpu.max", text, err);
	} else if (l->nano_cpus) {
		rc = write_number(h->dir, "cpu.cfs_period_us", CPU_PERIOD_US, err);
		if (rc == OL_OK)
			rc = write_number(h->dir, "cpu.cfs_quota_us", quota, err);
	}
	if (rc < 0 || !l->cpu_shares)
		return rc;
	if (!h->v2)
		return write_number(h->dir, "cpu.shares", l->cpu_shares, err);
	/* Shares 2 … 262144 to weight 1 … 10000, as runc does. */
	return write_number(h->dir, "cpu.weight",
		l->cpu_shares <= 2 ? 1 : 1 + (l->cpu_shares - 2) * 9999 / 262142, err);
}

/* On a hybrid host v1 has the controllers; the group in v2 is there for its name alone. */
static bool is_aside(const ol_cgroup *cgroup, const hierarchy *h)
{
	return h->v2 && cgroup->kind == OL_CGROUP_V1;
}

/* What each limit is called, for the words where it cannot be had. */
static int set_limits(const ol_cgroup *cgroup, const ol_bundle *bundle, ol_error *err)
{
	const ol_bundle_limits *l = &bundle->limits;
	bool memory = !l->memory_bytes, cpu = !l->nano_cpus && !l->cpu_shares, pids = !l->pids;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < cgroup->count; i++) {
		const hierarchy *h = &cgroup->list[i];

		if (!h->dir || is_aside(cgroup, h))
			continue;
		if (!memory && (h->v2 || has_controller(h, "memory"))) {
			rc = limit_memory(h, l, err);
			memory = true;
		}
		if (rc == OL_OK && !cpu && (h->v2 || has_controller(h, "cpu"))) {
			rc = limit_cpu(h, l, err);
			cpu = true;
		}
		if (rc == OL_OK && !pids && (h->v2 || has_controller(h, "pids"))) {
			rc = write_number(h->dir, "pids.max", (uint64_t)l->pids, err);
			pids = true;
		}
	}
	if (rc < 0)
		return ol_wrap(err, rc, "cannot limit the container");
	if (memory && cpu && pids)
		return OL_OK;
	return ol_fail(err, OL_EUNSUPPORTED, "%s cannot be limited: there is no cgroup for it",
		!memory ? "--memory"
		: !cpu  ? "--cpus"
			: "--pids-limit");
}

static bool guard(const ol_cgroup *cgroup, const ol_bundle *bundle)
{
	if (bundle->privileged)
		return true;
	for (size_t i = 0; i < cgroup->count; i++) {
		const hierarchy *h = &cgroup->list[i];

		if (!h->dir)
			continue;
		if (h->v2 && ol_cgroup_guard_v2(h->dir, NULL) == OL_OK)
			return true;
		if (!h->v2 && has_controller(h, "devices") &&
			ol_cgroup_guard_v1(h->dir, NULL) == OL_OK)
			return true;
	}
	return false;
}

static int make_all(ol_cgroup *cgroup, const ol_bundle *bundle, ol_error *err)
{
	size_t made = 0;
	ol_error first = { .code = OL_OK };

	for (size_t i = 0; i < cgroup->count; i++) {
		ol_error why;

		if (make_dir(&cgroup->list[i], bundle->id, &why) == OL_OK)
			made++;
		else if (first.code == OL_OK)
			first = why;
	}
	if (made > 0)
		return OL_OK;
	return ol_fail(err, OL_EUNSUPPORTED, "%s",
		cgroup->count ? first.text : "nothing is mounted below /sys/fs/cgroup");
}

/* What is not ours to see has no group, and no view. */
static void fill_views(ol_cgroup *cgroup)
{
	for (size_t i = 0; i < cgroup->count; i++) {
		const hierarchy *h = &cgroup->list[i];
		const char *slash = strrchr(h->mount, '/');

		if (h->dir && !h->v2 && slash)
			cgroup->views[cgroup->view_count++] = (ol_cgroup_view){ slash + 1, h->dir };
	}
}

static bool wants_limit(const ol_bundle_limits *l)
{
	return l->memory_bytes || l->nano_cpus || l->cpu_shares || l->pids;
}

int ol_cgroup_new(
	const ol_bundle *bundle, ol_cgroup **out, char *note, size_t note_size, ol_error *err)
{
	ol_auto(ol_cgroup_free) ol_cgroup *cgroup = ol_alloc(sizeof *cgroup);
	ol_error why = { .code = OL_OK };
	int rc;

	note[0] = '\0';
	cgroup->kind = OL_CGROUP_NONE;
	if (bundle->here) { /* what it does without was said already: exec/unprivileged.h */
		*out = ol_steal(&cgroup);
		return OL_OK;
	}
	rc = read_hierarchies(cgroup->list, &cgroup->count, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < cgroup->count; i++)
		if (!cgroup->list[i].v2)
			cgroup->kind = OL_CGROUP_V1;
		else if (cgroup->kind == OL_CGROUP_NONE)
			cgroup->kind = OL_CGROUP_V2;
	if (make_all(cgroup, bundle, &why) < 0) {
		cgroup->kind = OL_CGROUP_NONE;
		if (wants_limit(&bundle->limits))
			return ol_fail(err, OL_EUNSUPPORTED,
				"--memory, --cpus and --pids-limit need a cgroup: %.200s",
				why.text);
		(void)snprintf(note, note_size, "the container has no cgroup: %.200s", why.text);
		*out = ol_steal(&cgroup);
		return OL_OK;
	}
	rc = set_limits(cgroup, bundle, err);
	if (rc < 0)
		return rc;
	cgroup->guards = guard(cgroup, bundle);
	fill_views(cgroup);
	*out = ol_steal(&cgroup);
	return OL_OK;
}

/* What a killed launcher left behind in a group of the same name, or a stray child: nothing
 * outlives the container. */
static void kill_all(const char *dir)
{
	ol_autofree char *path = ol_text("%s/cgroup.procs", dir);
	ol_auto_buf ol_buf text = OL_BUF((size_t)1 << 20);

	if (ol_file_read(AT_FDCWD, path, false, &text, NULL) < 0)
		return;
	for (const char *p = ol_str_text(&text); *p;) {
		char *end;
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		if (pid > 1)
			(void)kill((pid_t)pid, SIGKILL);
		p = end + strspn(end, "\n");
	}
}

static void remove_dir(const hierarchy *h)
{
	ol_autofree char *parent = ol_text("%s/%s", h->mount, PARENT);

	for (int i = 0; i < TRIES && rmdir(h->dir) < 0 && errno == EBUSY; i++) {
		kill_all(h->dir);
		ol_sleep_ms(10);
	}
	(void)rmdir(parent); /* the last container takes it away */
}

void ol_cgroup_free(ol_cgroup *cgroup)
{
	if (!cgroup)
		return;
	for (size_t i = 0; i < cgroup->count; i++) {
		if (cgroup->list[i].dir)
			remove_dir(&cgroup->list[i]);
		hierarchy_done(&cgroup->list[i]);
	}
	free(cgroup);
}

void ol_cgroup_remove(const char *id)
{
	hierarchy list[HIERARCHIES_MAX] = { { .mount = NULL } };
	size_t count;

	(void)read_hierarchies(list, &count, NULL);
	for (size_t i = 0; i < count; i++) {
		list[i].dir = ol_text("%s/%s/%s", list[i].mount, PARENT, id);
		remove_dir(&list[i]);
		hierarchy_done(&list[i]);
	}
}

void ol_cgroup_sweep(void)
{
	hierarchy list[HIERARCHIES_MAX] = { { .mount = NULL } };
	size_t count;

	(void)read_hierarchies(list, &count, NULL);
	for (size_t i = 0; i < count; i++) {
		ol_autofree char *parent = ol_text("%s/%s", list[i].mount, PARENT);

		(void)rmdir(parent); /* others may be in it */
		hierarchy_done(&list[i]);
	}
}

ol_cgroup_kind ol_cgroup_is(const ol_cgroup *cgroup)
{
	return cgroup->kind;
}

bool ol_cgroup_guards_devices(const ol_cgroup *cgroup)
{
	return cgroup->guards;
}

int ol_cgroup_enter(const ol_cgroup *cgroup, pid_t pid, ol_error *err)
{
	for (size_t i = 0; i < cgroup->count; i++) {
		int rc = OL_OK;

		if (cgroup->list[i].dir)
			rc = write_number(cgroup->list[i].dir, "cgroup.procs", (uint64_t)pid, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

const ol_cgroup_view *ol_cgroup_views(const ol_cgroup *cgroup, size_t *count)
{
	*count = cgroup->view_count;
	return cgroup->views;
}
