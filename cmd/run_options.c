#include "cmd/run_options.h"

#include "cmd/env_file.h"
#include "cmd/limit_option.h"
#include "cmd/mount_option.h"
#include "cmd/size.h"

#define FLAG(n, l, h)                                                                              \
	{                                                                                          \
		.name = (n), .letter = (l), .kind = OL_OPTION_FLAG, .help = (h)                    \
	}
#define TEXT(n, l, v, h)                                                                           \
	{                                                                                          \
		.name = (n), .letter = (l), .kind = OL_OPTION_TEXT, .value = (v), .help = (h)      \
	}
#define LIST(n, l, v, h)                                                                           \
	{                                                                                          \
		.name = (n), .letter = (l), .kind = OL_OPTION_LIST, .value = (v), .help = (h)      \
	}

#define NETWORK_HINT                                                                               \
	"there is --network none, the default, and --network host, which shares the host's "       \
	"network"

const ol_option ol_container_options_table[] = {
	LIST("cap-add", 0, "CAP", "Add a Linux capability, or ALL"),
	LIST("cap-drop", 0, "CAP", "Drop a Linux capability, or ALL"),
	TEXT("cpu-shares", 'c', "N", "Weight against other containers, 1024 being usual"),
	TEXT("cpus", 0, "NUMBER", "At most so many processors: 1.5"),
	TEXT("entrypoint", 0, "PROGRAM",
		"Run this instead of the image's entrypoint; empty for none"),
	LIST("env", 'e', "KEY[=VALUE]", "Set an environment variable; KEY alone takes yours"),
	{ .name = "env-file",
		.kind = OL_OPTION_LIST,
		.value = "FILE",
		.completes = "file",
		.help = "Read environment variables from a file" },
	LIST("group-add", 0, "GROUP", "Be a member of another group"),
	TEXT("hostname", 'h', "NAME", "Name of the host inside"),
	FLAG("init", 0, "Run a small init inside that forwards signals and reaps processes"),
	FLAG("interactive", 'i', "Keep stdin open"),
	TEXT("memory", 'm', "SIZE", "At most so much memory: 512m"),
	TEXT("memory-swap", 0, "SIZE", "At most so much memory and swap together; -1 for no limit"),
	LIST("mount", 0, "SPEC",
		"Mount a folder: type=bind,src=/host,dst=/path[,readonly] or type=tmpfs,dst=/path"),
	{ .name = "network",
		.kind = OL_OPTION_TEXT,
		.value = "NETWORK",
		.help = "none, or host to share the host's network",
		.otherwise = "none" },
	{ .name = "net",
		.kind = OL_OPTION_TEXT,
		.value = "NETWORK",
		.help = "The same as --network" },
	TEXT("pids-limit", 0, "N", "At most so many processes; -1 for no limit"),
	OL_PLATFORM_OPTION("Which platform of the image"),
	FLAG("privileged", 0, "All capabilities and devices, nothing masked: no protection"),
	{ .name = "pull",
		.kind = OL_OPTION_TEXT,
		.value = "WHEN",
		.choices = "always|missing|never",
		.help = "When to ask the registry",
		.otherwise = "missing" },
	FLAG("read-only", 0, "Mount the root file system read-only"),
	LIST("security-opt", 0, "OPTION",
		"no-new-privileges, seccomp=unconfined or seccomp=PROFILE.json"),
	TEXT("shm-size", 0, "SIZE", "Size of /dev/shm: 64m"),
	LIST("tmpfs", 0, "PATH[:OPTIONS]", "Mount an empty file system in memory"),
	FLAG("tty", 't', "Give it a terminal"),
	LIST("ulimit", 0, "NAME=SOFT[:HARD]", "Limit a resource: nofile=1024:2048"),
	TEXT("user", 'u', "USER[:GROUP]", "Run as this user, by name or number"),
	LIST("volume", 'v', "HOST:PATH[:ro]", "Mount a folder of the host"),
	TEXT("workdir", 'w', "DIR", "Start in this directory"),
	{ 0 },
};

#define REFUSED(n, l, h)                                                                           \
	{                                                                                          \
		.name = (n), .letter = (l), .kind = OL_OPTION_REFUSED, .help = (h)                 \
	}
#define NOT_YET "orlop run has no such option yet: leave it out"

const ol_option ol_container_refused_table[] = {
	REFUSED("detach", 'd',
		"containers run in the foreground: leave it out, or start orlop from a service "
		"manager"),
	REFUSED("publish", 'p', NETWORK_HINT),
	REFUSED("publish-all", 'P', NETWORK_HINT),
	REFUSED("network-alias", 0, NETWORK_HINT),
	REFUSED("ip", 0, NETWORK_HINT),
	REFUSED("ip6", 0, NETWORK_HINT),
	REFUSED("mac-address", 0, NETWORK_HINT),
	REFUSED("link", 0, NETWORK_HINT),
	REFUSED("dns", 0,
		"the container has the host's /etc/resolv.conf: mount another with -v "
		"FILE:/etc/resolv.conf"),
	REFUSED("dns-search", 0,
		"the container has the host's /etc/resolv.conf: mount another with -v "
		"FILE:/etc/resolv.conf"),
	REFUSED("dns-option", 0,
		"the container has the host's /etc/resolv.conf: mount another with -v "
		"FILE:/etc/resolv.conf"),
	REFUSED("add-host", 0, "mount a file of your own with -v FILE:/etc/hosts"),
	REFUSED("restart", 0,
		"containers run in the foreground: let a service manager start them again"),
	REFUSED("volumes-from", 0, "share a folder of the host with both: -v /host/path:/path"),
	REFUSED("volume-driver", 0, "share a folder of the host: -v /host/path:/path"),
	REFUSED("attach", 'a', "stdout and stderr are always attached, stdin with -i"),
	REFUSED("device", 0, NOT_YET),
	REFUSED("gpus", 0, NOT_YET),
	REFUSED("pid", 0, NOT_YET),
	REFUSED("ipc", 0, NOT_YET),
	REFUSED("uts", 0, NOT_YET),
	REFUSED("userns", 0, NOT_YET),
	REFUSED("cgroupns", 0, NOT_YET),
	REFUSED("cgroup-parent", 0, NOT_YET),
	REFUSED("cpuset-cpus", 0, NOT_YET),
	REFUSED("cpuset-mems", 0, NOT_YET),
	REFUSED("cpu-period", 0, "say --cpus instead"),
	REFUSED("cpu-quota", 0, "say --cpus instead"),
	REFUSED("memory-reservation", 0, NOT_YET),
	REFUSED("memory-swappiness", 0, NOT_YET),
	REFUSED("blkio-weight", 0, NOT_YET),
	REFUSED("oom-kill-disable", 0, NOT_YET),
	REFUSED("oom-score-adj", 0, NOT_YET),
	REFUSED("sysctl", 0, NOT_YET),
	REFUSED("label", 'l', NOT_YET),
	REFUSED("label-file", 0, NOT_YET),
	REFUSED("stop-signal", 0,
		"there is no command yet that stops a container: leave it out, orlop run passes "
		"signals on"),
	REFUSED("log-driver", 0, "output goes to the terminal: redirect it"),
	REFUSED("log-opt", 0, "output goes to the terminal: redirect it"),
	REFUSED("health-cmd", 0, NOT_YET),
	REFUSED("domainname", 0, NOT_YET),
	REFUSED("expose", 0, NETWORK_HINT),
	REFUSED("storage-opt", 0, NOT_YET),
	{ 0 },
};

/* --env-file first, then -e, as docker: the last one of a name wins. */
static int read_env(const ol_args *args, ol_container_options *out, ol_error *err)
{
	ol_env_list list = { .arena = ol_args_arena(args) };

	for (const char *const *file = ol_args_list(args, "env-file"); *file; file++) {
		int rc = ol_env_file_read(*file, &list, err);

		if (rc < 0)
			return rc;
	}
	for (const char *const *e = ol_args_list(args, "env"); *e; e++) {
		if (!**e || **e == '=')
			return ol_fail(err, OL_EINVAL,
				"invalid argument \"%.80s\" for \"--env\" flag: it is KEY=VALUE or "
				"KEY",
				*e);
		ol_env_list_add(&list, *e);
	}
	out->env = list.entries;
	return OL_OK;
}

static int read_mounts(const ol_args *args, ol_container_options *out, ol_error *err)
{
	static const struct {
		const char *name;
		int (*parse)(
			const char *text, ol_arena *arena, ol_mount_option *option, ol_error *err);
	} kinds[] = { { "volume", ol_volume_parse }, { "mount", ol_mount_parse },
		{ "tmpfs", ol_tmpfs_parse } };
	ol_mount_option *mounts;
	size_t count = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		for (const char *const *text = ol_args_list(args, kinds[i].name); *text; text++)
			count++;
	mounts = ol_arena_alloc(ol_args_arena(args), (count + 1) * sizeof *mounts);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		for (const char *const *text = ol_args_list(args, kinds[i].name); *text; text++) {
			int rc = kinds[i].parse(
				*text, ol_args_arena(args), &mounts[out->mount_count], err);

			if (rc < 0)
				return rc;
			for (size_t k = 0; k < out->mount_count; k++)
				if (strcmp(mounts[k].target, mounts[out->mount_count].target) == 0)
					return ol_fail(err, OL_EINVAL,
						"Duplicate mount point: %.200s", mounts[k].target);
			out->mount_count++;
		}
	out->mounts = mounts;
	return OL_OK;
}

static int read_ulimits(const ol_args *args, ol_container_options *out, ol_error *err)
{
	const char *const *texts = ol_args_list(args, "ulimit");
	ol_ulimit *ulimits;
	size_t count = 0;

	while (texts[count])
		count++;
	ulimits = ol_arena_alloc(ol_args_arena(args), (count + 1) * sizeof *ulimits);
	for (size_t i = 0; i < count; i++) {
		int rc = ol_ulimit_parse(texts[i], ol_args_arena(args), &ulimits[i], err);

		if (rc < 0)
			return rc;
	}
	out->ulimits = ulimits;
	out->ulimit_count = count;
	return OL_OK;
}

static int read_size(const ol_args *args, const char *name, uint64_t *out, ol_error *err)
{
	const char *text = ol_args_text(args, name);
	int rc = text ? ol_size_parse(text, out, err) : OL_OK;

	return rc < 0 ? ol_wrap(err, rc, "invalid argument \"%.80s\" for \"--%s\" flag", text, name)
		      : OL_OK;
}

static int read_limits(const ol_args *args, ol_container_options *out, ol_error *err)
{
	const char *swap = ol_args_text(args, "memory-swap"), *cpus = ol_args_text(args, "cpus");
	const char *pids = ol_args_text(args, "pids-limit"),
		   *shares = ol_args_text(args, "cpu-shares");
	int64_t share_count = 0;
	int rc = read_size(args, "memory", &out->memory_bytes, err);

	if (rc == OL_OK && swap && strcmp(swap, "-1") == 0)
		out->memory_swap_bytes = UINT64_MAX;
	else if (rc == OL_OK)
		rc = read_size(args, "memory-swap", &out->memory_swap_bytes, err);
	if (rc == OL_OK)
		rc = read_size(args, "shm-size", &out->shm_bytes, err);
	if (rc == OL_OK && cpus)
		rc = ol_cpus_parse(cpus, &out->nano_cpus, err);
	if (rc == OL_OK && pids)
		rc = ol_integer_parse("--pids-limit", pids, -1, INT32_MAX, &out->pids_limit, err);
	if (rc == OL_OK && shares)
		rc = ol_integer_parse("--cpu-shares", shares, 0, 262144, &share_count, err);
	out->cpu_shares = (uint64_t)share_count;
	if (rc == OL_OK && out->memory_swap_bytes && !out->memory_bytes)
		rc = ol_fail(err, OL_EINVAL, "--memory-swap needs --memory");
	if (rc == OL_OK && out->memory_swap_bytes && out->memory_swap_bytes < out->memory_bytes)
		rc = ol_fail(err, OL_EINVAL,
			"--memory-swap is memory and swap together: it cannot be less than "
			"--memory");
	return rc;
}

/* seccomp and no-new-privileges are read here; what is left, exec/ accepts or refuses by name. */
static int read_security(const ol_args *args, ol_container_options *out, ol_error *err)
{
	out->security_opts = ol_args_list(args, "security-opt");
	for (const char *const *option = out->security_opts; *option; option++) {
		size_t size = strcspn(*option, "=:");
		const char *value = (*option)[size] ? *option + size + 1 : NULL;

		if (size == strlen("seccomp") && memcmp(*option, "seccomp", size) == 0) {
			if (!value || !*value)
				return ol_fail(err, OL_EINVAL,
					"invalid --security-opt \"%.80s\": it is "
					"seccomp=unconfined or seccomp=FILE",
					*option);
			out->seccomp = value;
		} else if (size == strlen("no-new-privileges") &&
			   memcmp(*option, "no-new-privileges", size) == 0) {
			out->no_new_privileges = true;
			if (value && !ol_bool_parse(value, &out->no_new_privileges))
				return ol_fail(err, OL_EINVAL,
					"invalid --security-opt \"%.80s\": it is true or false",
					*option);
		}
	}
	return OL_OK;
}

static int read_network(const ol_args *args, ol_container_options *out, ol_error *err)
{
	const char *network = ol_args_text(args, "network");

	if (!network)
		network = ol_args_text(args, "net");
	if (!network || strcmp(network, "none") == 0)
		return OL_OK;
	if (strcmp(network, "host") == 0) {
		out->network = OL_NETWORK_HOST;
		return OL_OK;
	}
	ol_fail(err, OL_EUNSUPPORTED, "--network %.80s is not supported", network);
	return ol_hint(err, OL_EUNSUPPORTED, NETWORK_HINT);
}

static void read_plain(const ol_args *args, ol_container_options *out)
{
	const char **entrypoint = ol_arena_alloc(ol_args_arena(args), 2 * sizeof *entrypoint);

	entrypoint[0] = ol_args_text(args, "entrypoint");
	out->entrypoint = entrypoint[0] ? entrypoint : NULL;
	out->user = ol_args_text(args, "user");
	out->group_add = ol_args_list(args, "group-add");
	out->working_dir = ol_args_text(args, "workdir");
	out->hostname = ol_args_text(args, "hostname");
	out->tty = ol_args_flag(args, "tty");
	out->interactive = ol_args_flag(args, "interactive");
	out->init = ol_args_flag(args, "init");
	out->read_only = ol_args_flag(args, "read-only");
	out->privileged = ol_args_flag(args, "privileged");
	out->cap_add = ol_args_list(args, "cap-add");
	out->cap_drop = ol_args_list(args, "cap-drop");
}

static ol_pull_policy pull_policy(const ol_args *args)
{
	const char *when = ol_args_text(args, "pull");

	if (when && strcmp(when, "always") == 0)
		return OL_PULL_ALWAYS;
	return when && strcmp(when, "never") == 0 ? OL_PULL_NEVER : OL_PULL_MISSING;
}

int ol_container_options_read(
	ol_context *ctx, ol_platform *platform, ol_run_options *out, ol_error *err)
{
	ol_container_options *c = &out->container;
	bool has_platform = false;
	int rc = ol_context_platform(ctx, platform, &has_platform, err);

	read_plain(ctx->args, c);
	if (rc == OL_OK)
		rc = read_env(ctx->args, c, err);
	if (rc == OL_OK)
		rc = read_mounts(ctx->args, c, err);
	if (rc == OL_OK)
		rc = read_ulimits(ctx->args, c, err);
	if (rc == OL_OK)
		rc = read_limits(ctx->args, c, err);
	if (rc == OL_OK)
		rc = read_security(ctx->args, c, err);
	if (rc == OL_OK)
		rc = read_network(ctx->args, c, err);
	out->platform = has_platform ? platform : NULL;
	out->pull = pull_policy(ctx->args);
	return rc;
}
