/* A bundle as runtime-spec's config.json. */
#include <string.h>

#include "exec/bundle_priv.h"
#include "exec/capability.h"
#include "exec/cgroup.h"

#define CPU_PERIOD_US 100000
#define INIT_TARGET   "/dev/init"

static ol_json *strings(const char *const *list)
{
	ol_json *array = ol_json_array();

	for (; list && *list; list++)
		ol_json_push(array, ol_json_string(*list));
	return array;
}

static ol_json *capability_names(uint64_t set)
{
	ol_json *array = ol_json_array();

	for (int i = 0; i < OL_CAPABILITY_COUNT; i++)
		if (set & ol_capability_bit(i))
			ol_json_push(array, ol_json_string(ol_capability_name(i)));
	return array;
}

static ol_json *user_json(const ol_user *user)
{
	ol_json *object = ol_json_object(), *groups = ol_json_array();

	ol_json_set_int(object, "uid", user->uid);
	ol_json_set_int(object, "gid", user->gid);
	ol_json_set_int(object, "umask", 0022);
	for (size_t i = 0; i < user->group_count; i++)
		ol_json_push(groups, ol_json_integer(user->groups[i]));
	ol_json_set(object, "additionalGids", groups);
	return object;
}

static ol_json *capabilities_json(const ol_bundle *bundle)
{
	ol_json *object = ol_json_object();
	uint64_t active = bundle->user.uid == 0 ? bundle->capabilities : 0;

	ol_json_set(object, "bounding", capability_names(bundle->capabilities));
	ol_json_set(object, "effective", capability_names(active));
	ol_json_set(object, "permitted", capability_names(active));
	return object;
}

static ol_json *rlimits_json(const ol_bundle *bundle)
{
	ol_json *array = ol_json_array();

	for (size_t i = 0; i < bundle->rlimit_count; i++) {
		ol_json *limit = ol_json_object();

		ol_json_set_text(limit, "type", bundle->rlimits[i].name);
		/* runtime-spec has them unsigned; runtimes read -1 as unlimited's 2^64 - 1 only
		 * through text, so clamp. */
		ol_json_set_int(limit, "hard",
			bundle->rlimits[i].hard > INT64_MAX ? INT64_MAX
							    : (int64_t)bundle->rlimits[i].hard);
		ol_json_set_int(limit, "soft",
			bundle->rlimits[i].soft > INT64_MAX ? INT64_MAX
							    : (int64_t)bundle->rlimits[i].soft);
		ol_json_push(array, limit);
	}
	return array;
}

static ol_json *args_json(const ol_bundle *bundle)
{
	ol_json *array = ol_json_array();

	if (bundle->init) {
		ol_json_push(array, ol_json_string(INIT_TARGET));
		ol_json_push(array, ol_json_string("--"));
	}
	for (const char *const *arg = bundle->args; *arg; arg++)
		ol_json_push(array, ol_json_string(*arg));
	return array;
}

static ol_json *process_json(const ol_bundle *bundle)
{
	ol_json *object = ol_json_object();

	ol_json_set_bool(object, "terminal", bundle->tty);
	ol_json_set(object, "user", user_json(&bundle->user));
	ol_json_set(object, "args", args_json(bundle));
	ol_json_set(object, "env", strings(bundle->env));
	ol_json_set_text(object, "cwd", bundle->cwd);
	ol_json_set(object, "capabilities", capabilities_json(bundle));
	if (bundle->rlimit_count > 0)
		ol_json_set(object, "rlimits", rlimits_json(bundle));
	ol_json_set_bool(object, "noNewPrivileges", bundle->no_new_privileges);
	return object;
}

static void push_mount(ol_json *array, const char *target, const char *type, const char *source,
	const char *const *options)
{
	ol_json *mount = ol_json_object();

	ol_json_set_text(mount, "destination", target);
	ol_json_set_text(mount, "type", type);
	ol_json_set_text(mount, "source", source);
	ol_json_set(mount, "options", strings(options));
	ol_json_push(array, mount);
}

static ol_json *mounts_json(const ol_bundle *bundle)
{
	static const char *const init_options[] = { "bind", "ro", NULL };
	ol_json *array = ol_json_array();

	for (size_t i = 0; i < bundle->mount_count; i++) {
		const ol_bundle_mount *m = &bundle->mounts[i];

		/* Without root there is no group to be seen. */
		if (!bundle->here || strcmp(m->type, "cgroup") != 0)
			push_mount(array, m->target, m->type, m->source, m->options);
	}
	if (bundle->init) {
		ol_autofree char *source = ol_text("%s/init", bundle->files_dir);

		push_mount(array, INIT_TARGET, "bind", source, init_options);
	}
	return array;
}

static ol_json *device_rule(bool allow, char type, int64_t major, int64_t minor, const char *access)
{
	const char name[2] = { type, '\0' };
	ol_json *rule = ol_json_object();

	ol_json_set_bool(rule, "allow", allow);
	if (type)
		ol_json_set_text(rule, "type", name);
	if (major >= 0)
		ol_json_set_int(rule, "major", major);
	if (minor >= 0)
		ol_json_set_int(rule, "minor", minor);
	ol_json_set_text(rule, "access", access);
	return rule;
}

/* The runtimes add what every container has: /dev/null and its kin, terminals, making nodes. */
static ol_json *device_rules(const ol_bundle *bundle)
{
	ol_json *array = ol_json_array();

	ol_json_push(array, device_rule(bundle->privileged, 0, -1, -1, "rwm"));
	for (const ol_bundle_device *d = ol_bundle_default_devices; d->path && !bundle->privileged;
		d++)
		ol_json_push(array, device_rule(true, d->type, d->major, d->minor, "rwm"));
	return array;
}

static ol_json *resources_json(const ol_bundle *bundle)
{
	const ol_bundle_limits *l = &bundle->limits;
	ol_json *object = ol_json_object();

	ol_json_set(object, "devices", device_rules(bundle));
	if (l->memory_bytes) {
		ol_json *memory = ol_json_object();

		ol_json_set_int(memory, "limit", (int64_t)l->memory_bytes);
		ol_json_set_int(memory, "swap",
			l->memory_swap_bytes == UINT64_MAX ? -1 : (int64_t)l->memory_swap_bytes);
		ol_json_set(object, "memory", memory);
	}
	if (l->nano_cpus || l->cpu_shares) {
		ol_json *cpu = ol_json_object();

		if (l->cpu_shares)
			ol_json_set_int(cpu, "shares", (int64_t)l->cpu_shares);
		if (l->nano_cpus) {
			ol_json_set_int(cpu, "quota",
				(int64_t)(l->nano_cpus / (1000000000U / CPU_PERIOD_US)));
			ol_json_set_int(cpu, "period", CPU_PERIOD_US);
		}
		ol_json_set(object, "cpu", cpu);
	}
	if (l->pids) {
		ol_json *pids = ol_json_object();

		ol_json_set_int(pids, "limit", l->pids);
		ol_json_set(object, "pids", pids);
	}
	return object;
}

static ol_json *namespaces_json(const ol_bundle *bundle, ol_cgroup_kind kind)
{
	static const char *const types[] = { "user", "mount", "uts", "pid", "ipc", "network",
		"cgroup" };
	ol_json *array = ol_json_array();

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		ol_json *object;

		if (strcmp(types[i], "user") == 0 && !bundle->idmap)
			continue;
		if (strcmp(types[i], "network") == 0 && bundle->network == OL_NETWORK_HOST)
			continue;
		/* As Docker: on v1 the container sees the host's names of its groups. */
		if (strcmp(types[i], "cgroup") == 0 && (kind != OL_CGROUP_V2 || bundle->here))
			continue;
		object = ol_json_object();
		ol_json_set_text(object, "type", types[i]);
		ol_json_push(array, object);
	}
	return array;
}

static ol_json *devices_json(const ol_bundle *bundle)
{
	ol_json *array = ol_json_array();

	for (size_t i = 0; i < bundle->device_count; i++) {
		const ol_bundle_device *d = &bundle->devices[i];
		const char type[2] = { d->type, '\0' };
		ol_json *object = ol_json_object();

		ol_json_set_text(object, "path", d->path);
		ol_json_set_text(object, "type", type);
		ol_json_set_int(object, "major", d->major);
		ol_json_set_int(object, "minor", d->minor);
		ol_json_set_int(object, "fileMode", d->mode);
		ol_json_set_int(object, "uid", d->uid);
		ol_json_set_int(object, "gid", d->gid);
		ol_json_push(array, object);
	}
	return array;
}

static ol_json *map_json(const ol_id_map *ids)
{
	ol_json *array = ol_json_array();

	for (size_t i = 0; i < ids->count; i++) {
		ol_json *object = ol_json_object();

		ol_json_set_int(object, "containerID", ids->ranges[i].inside);
		ol_json_set_int(object, "hostID", ids->ranges[i].outside);
		ol_json_set_int(object, "size", ids->ranges[i].count);
		ol_json_push(array, object);
	}
	return array;
}

static ol_json *linux_json(const ol_bundle *bundle, ol_cgroup_kind kind)
{
	ol_autofree char *group = ol_text("/orlop/%s", bundle->id);
	ol_json *object = ol_json_object();

	if (bundle->network == OL_NETWORK_NONE) {
		ol_json *sysctl = ol_json_object();

		ol_json_set_text(sysctl, "net.ipv4.ip_unprivileged_port_start", "0");
		ol_json_set_text(sysctl, "net.ipv4.ping_group_range", bundle->ping_groups);
		ol_json_set(object, "sysctl", sysctl);
	}
	if (!bundle->here) {
		ol_json_set(object, "resources", resources_json(bundle));
		ol_json_set_text(object, "cgroupsPath", group);
	}
	ol_json_set(object, "namespaces", namespaces_json(bundle, kind));
	if (bundle->idmap) {
		ol_json_set(object, "uidMappings", map_json(&bundle->idmap->uids));
		ol_json_set(object, "gidMappings", map_json(&bundle->idmap->gids));
	}
	if (bundle->device_count > 0)
		ol_json_set(object, "devices", devices_json(bundle));
	if (bundle->seccomp)
		ol_json_set(object, "seccomp", ol_seccomp_json(bundle->seccomp));
	if (!bundle->privileged) {
		ol_json_set(object, "maskedPaths", strings(ol_bundle_masked));
		ol_json_set(object, "readonlyPaths", strings(ol_bundle_read_only));
	}
	return object;
}

int ol_bundle_format(const ol_bundle *bundle, ol_str *json, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *object = ol_json_object();
	ol_json *root = ol_json_object();
	ol_cgroup_kind kind = OL_CGROUP_NONE;
	bool hybrid;
	int rc = ol_cgroup_detect(&kind, &hybrid, err);

	ol_json_set_text(object, "ociVersion", "1.0.2");
	ol_json_set(object, "process", process_json(bundle));
	ol_json_set_text(root, "path", bundle->rootfs_path);
	ol_json_set_bool(root, "readonly", bundle->read_only);
	ol_json_set(object, "root", root);
	ol_json_set_text(object, "hostname", bundle->hostname);
	ol_json_set(object, "mounts", mounts_json(bundle));
	ol_json_set(object, "linux", linux_json(bundle, kind));
	return rc < 0 ? rc : ol_json_format(object, OL_JSON_PRETTY, json, err);
}
