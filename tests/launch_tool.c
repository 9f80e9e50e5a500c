/*
 * launch_tool ROOTFS [FLAG...] [--] COMMAND…: the launcher alone, without store or images: a
 * directory that is already a root file system, and run's flags, parsed as far as tests need them.
 * ROOTFS may be followed by :CONFIG.json, an image config. Exits as the container does, or 125.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "exec/launch.h"

#define LIST_MAX 64

typedef struct list {
	const char *items[LIST_MAX + 1];
	size_t count;
} list;

typedef struct tool {
	ol_container_options options;
	list env, cap_add, cap_drop, security, groups;
	const char *entrypoint[2];
	ol_mount_option mounts[LIST_MAX];
	ol_ulimit ulimits[LIST_MAX];
	const char *id, *runtime, *dir;
	bool format_only;
} tool;

static void push(list *l, const char *item)
{
	if (l->count < LIST_MAX)
		l->items[l->count++] = item;
}

/* SOURCE:TARGET[:OPTIONS] */
static void add_volume(tool *t, char *text)
{
	char *target = strchr(text, ':'), *options;

	if (!target || t->options.mount_count == LIST_MAX)
		return;
	*target++ = '\0';
	options = strchr(target, ':');
	if (options)
		*options++ = '\0';
	t->mounts[t->options.mount_count++] = (ol_mount_option){ .type = "bind",
		.source = text,
		.target = target,
		.options = options ? options : "",
		.create_source = true };
}

/* TARGET[:OPTIONS] */
static void add_tmpfs(tool *t, char *text)
{
	char *options = strchr(text, ':');

	if (t->options.mount_count == LIST_MAX)
		return;
	if (options)
		*options++ = '\0';
	t->mounts[t->options.mount_count++] = (ol_mount_option){
		.type = "tmpfs", .target = text, .options = options ? options : ""
	};
}

/* NAME=SOFT[:HARD] */
static void add_ulimit(tool *t, char *text)
{
	char *value = strchr(text, '='), *end;
	ol_ulimit *u;

	if (!value || t->options.ulimit_count == LIST_MAX)
		return;
	*value++ = '\0';
	u = &t->ulimits[t->options.ulimit_count++];
	u->name = text;
	u->soft = u->hard = strtoull(value, &end, 10);
	if (*end == ':')
		u->hard = strtoull(end + 1, NULL, 10);
}

enum {
	OPT_FIRST = 256,
	ENTRYPOINT,
	HOSTNAME,
	TMPFS,
	READ_ONLY,
	CAP_ADD,
	CAP_DROP,
	PRIVILEGED,
	SECURITY,
	MEMORY,
	CPUS,
	PIDS,
	ULIMIT,
	NETWORK,
	INIT,
	SHM,
	GROUP_ADD,
	RUNTIME,
	ID,
	DIR_,
	FORMAT
};

static const struct option flags[] = { { "entrypoint", 1, NULL, ENTRYPOINT },
	{ "hostname", 1, NULL, HOSTNAME }, { "tmpfs", 1, NULL, TMPFS },
	{ "read-only", 0, NULL, READ_ONLY }, { "cap-add", 1, NULL, CAP_ADD },
	{ "cap-drop", 1, NULL, CAP_DROP }, { "privileged", 0, NULL, PRIVILEGED },
	{ "security-opt", 1, NULL, SECURITY }, { "memory", 1, NULL, MEMORY },
	{ "cpus", 1, NULL, CPUS }, { "pids-limit", 1, NULL, PIDS }, { "ulimit", 1, NULL, ULIMIT },
	{ "network", 1, NULL, NETWORK }, { "init", 0, NULL, INIT }, { "shm-size", 1, NULL, SHM },
	{ "group-add", 1, NULL, GROUP_ADD }, { "runtime", 1, NULL, RUNTIME }, { "id", 1, NULL, ID },
	{ "dir", 1, NULL, DIR_ }, { "format", 0, NULL, FORMAT }, { NULL, 0, NULL, 0 } };

static bool take_limit(tool *t, int flag)
{
	ol_container_options *o = &t->options;

	switch (flag) {
	case MEMORY:
		o->memory_bytes = strtoull(optarg, NULL, 10);
		return true;
	case CPUS:
		o->nano_cpus = (uint64_t)(strtod(optarg, NULL) * 1e9);
		return true;
	case PIDS:
		o->pids_limit = strtoll(optarg, NULL, 10);
		return true;
	case SHM:
		o->shm_bytes = strtoull(optarg, NULL, 10);
		return true;
	case ULIMIT:
		add_ulimit(t, optarg);
		return true;
	default:
		return false;
	}
}

static bool take_security(tool *t, int flag)
{
	switch (flag) {
	case CAP_ADD:
		push(&t->cap_add, optarg);
		return true;
	case CAP_DROP:
		push(&t->cap_drop, optarg);
		return true;
	case PRIVILEGED:
		t->options.privileged = true;
		return true;
	case SECURITY:
		push(&t->security, optarg);
		return true;
	case GROUP_ADD:
		push(&t->groups, optarg);
		return true;
	case 'u':
		t->options.user = optarg;
		return true;
	default:
		return false;
	}
}

static bool take_place(tool *t, int flag)
{
	switch (flag) {
	case 'v':
		add_volume(t, optarg);
		return true;
	case TMPFS:
		add_tmpfs(t, optarg);
		return true;
	case 'w':
		t->options.working_dir = optarg;
		return true;
	case HOSTNAME:
		t->options.hostname = optarg;
		return true;
	case READ_ONLY:
		t->options.read_only = true;
		return true;
	case NETWORK:
		t->options.network =
			strcmp(optarg, "host") == 0 ? OL_NETWORK_HOST : OL_NETWORK_NONE;
		return true;
	default:
		return false;
	}
}

static bool take_process(tool *t, int flag)
{
	switch (flag) {
	case 'i':
		t->options.interactive = true;
		return true;
	case 't':
		t->options.tty = true;
		return true;
	case 'e':
		push(&t->env, optarg);
		return true;
	case ENTRYPOINT:
		t->entrypoint[0] = optarg;
		t->options.entrypoint = t->entrypoint;
		return true;
	case INIT:
		t->options.init = true;
		return true;
	default:
		return false;
	}
}

static bool take_own(tool *t, int flag)
{
	switch (flag) {
	case RUNTIME:
		t->runtime = optarg;
		return true;
	case ID:
		t->id = optarg;
		return true;
	case DIR_:
		t->dir = optarg;
		return true;
	case FORMAT:
		t->format_only = true;
		return true;
	default:
		return false;
	}
}

static void note(void *ctx, const ol_event *event)
{
	(void)ctx;
	if (event->text)
		(void)fprintf(stderr, "launch_tool: %s\n", event->text);
}

static int load_config(const char *path, ol_config **out, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_CONFIG_BYTES_MAX);
	int rc = ol_file_read(AT_FDCWD, path, false, &text, err);

	return rc < 0 ? rc : ol_config_parse(ol_buf_view(&text), out, err);
}

static int run(tool *t, const char *root, const ol_config *config, int *status, ol_error *err)
{
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	ol_auto_str ol_str json = OL_STR((size_t)16 << 20);
	ol_autofd int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ol_autofd int dir_fd = open(t->dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	const ol_listener listener = { note, NULL };
	ol_bundle_input input = { .options = &t->options,
		.config = config,
		.rootfs_fd = root_fd,
		.rootfs_path = root,
		.id = t->id,
		.files_dir = t->dir,
		.for_runtime = t->runtime != NULL };
	ol_launch_options launch = { .id = t->id,
		.rootfs_path = root,
		.bundle_path = t->dir,
		.run_dir = t->dir,
		.runtime = t->runtime,
		.tty = t->options.tty,
		.interactive = t->options.interactive,
		.log_fd = -1,
		.listener = &listener };
	int rc;

	if (root_fd < 0 || dir_fd < 0)
		return ol_fail_sys(err, "%s", root_fd < 0 ? root : t->dir);
	rc = ol_bundle_new(&input, &bundle, err);
	if (rc == OL_OK && t->format_only) {
		rc = ol_bundle_format(bundle, &json, err);
		if (rc == OL_OK)
			(void)puts(ol_str_text(&json));
		return rc;
	}
	if (rc == OL_OK)
		rc = ol_bundle_write_files(bundle, dir_fd, err);
	return rc == OL_OK ? ol_launch(bundle, &launch, status, err) : rc;
}

int main(int argc, char **argv)
{
	tool t = { .id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" };
	ol_auto(ol_config_free) ol_config *config = NULL;
	ol_error err = { .code = OL_OK };
	int status = 125, rc = OL_OK, flag;
	char *colon;

	if (argc < 3)
		return 2;
	colon = strchr(argv[1], ':');
	if (colon) {
		*colon = '\0';
		rc = load_config(colon + 1, &config, &err);
	}
	optind = 2;
	while (rc == OL_OK && (flag = getopt_long(argc, argv, "+ite:u:w:v:", flags, NULL)) != -1)
		if (!take_process(&t, flag) && !take_place(&t, flag) && !take_security(&t, flag) &&
			!take_limit(&t, flag) && !take_own(&t, flag))
			return 2;
	t.options.args = (const char *const *)(argv + optind);
	t.options.env = t.env.items;
	t.options.cap_add = t.cap_add.items;
	t.options.cap_drop = t.cap_drop.items;
	t.options.security_opts = t.security.items;
	t.options.group_add = t.groups.items;
	t.options.mounts = t.mounts;
	t.options.ulimits = t.ulimits;
	if (rc == OL_OK)
		rc = t.dir ? run(&t, argv[1], config, &status, &err)
			   : ol_fail(&err, OL_EINVAL, "--dir is missing");
	if (rc < 0 || (err.text[0] && status >= 126))
		(void)fprintf(stderr, "launch_tool: %s\n", err.text);
	return rc < 0 ? 125 : status;
}
