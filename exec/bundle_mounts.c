/* Which mounts a container gets: a table of Docker's, the user's own, and the three files
 * of /etc. */
#include "exec/bundle_mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "exec/unprivileged.h"

#define SHM_BYTES_DEFAULT ((uint64_t)64 << 20) /* Docker's */
#define MOUNTS_MAX        1024                 /* asked on one command line */
#define OPTIONS_MAX       32                   /* of one mount */
#define DEVICES_MAX       8192
#define DEVICE_DEPTH_MAX  8

const char *const ol_bundle_masked[] = { "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys",
	"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
	"/proc/scsi", "/sys/firmware", NULL };

const char *const ol_bundle_read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
	"/proc/sysrq-trigger", NULL };

const ol_bundle_device ol_bundle_default_devices[] = {
	{ "/dev/null", 'c', 1, 3, 0666, 0, 0 },
	{ "/dev/random", 'c', 1, 8, 0666, 0, 0 },
	{ "/dev/full", 'c', 1, 7, 0666, 0, 0 },
	{ "/dev/tty", 'c', 5, 0, 0666, 0, 0 },
	{ "/dev/zero", 'c', 1, 5, 0666, 0, 0 },
	{ "/dev/urandom", 'c', 1, 9, 0666, 0, 0 },
	{ NULL, 0, 0, 0, 0, 0, 0 },
};

/* %s in an option is filled in: the size of /dev/shm. A leading "ro" is dropped for privileged
 * containers. */
static const struct {
	const char *target, *type, *source;
	const char *options[8];
	bool ro_unless_privileged;
} defaults[] = {
	{ "/proc", "proc", "proc", { "nosuid", "noexec", "nodev" }, false },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" }, false },
	{ "/dev/pts", "devpts", "devpts",
		{ "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" },
		false },
	{ "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev" }, true },
	{ "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev" }, true },
	{ "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" }, false },
	{ "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777" }, false },
};

/* Two spellings of one absolute path. */
static bool same_path(const char *a, const char *b)
{
	for (;;) {
		a += strspn(a, "/");
		b += strspn(b, "/");
		size_t n = strcspn(a, "/");

		if (n != strcspn(b, "/") || memcmp(a, b, n) != 0)
			return false;
		if (n == 0)
			return true;
		a += n;
		b += n;
	}
}

static bool is_asked(const ol_container_options *options, const char *target)
{
	for (size_t i = 0; i < options->mount_count; i++)
		if (same_path(options->mounts[i].target, target))
			return true;
	return false;
}

static void add(ol_bundle *bundle, ol_bundle_mount mount)
{
	OL_GROW(bundle->mounts, bundle->mount_count, bundle->mount_cap);
	bundle->mounts[bundle->mount_count++] = mount;
}

static const char **new_options(ol_bundle *bundle)
{
	return ol_arena_alloc(bundle->arena, (OPTIONS_MAX + 1) * sizeof(char *));
}

/* A new sysfs shows the devices of a network namespace, and only who owns that may mount one. */
static bool is_hosts_sys(const ol_bundle *bundle, const char *type)
{
	return bundle->here && bundle->network == OL_NETWORK_HOST && strcmp(type, "sysfs") == 0;
}

static void add_hosts_sys(ol_bundle *bundle)
{
	static const char *const options[] = { "rbind", "ro", "nosuid", "noexec", "nodev",
		"rprivate", NULL };

	add(bundle, (ol_bundle_mount){ "/sys", "bind", "/sys", options, false });
}

/* The group of terminals, where the container's user namespace has it not: the kernel would refuse.
 */
static bool needs_group(const ol_bundle *bundle, const char *option)
{
	uint32_t outside;

	return bundle->idmap && strcmp(option, "gid=5") == 0 &&
	       !ol_id_map_outside(&bundle->idmap->gids, 5, &outside);
}

static void add_defaults(ol_bundle *bundle, const ol_container_options *options)
{
	uint64_t shm = options->shm_bytes ? options->shm_bytes : SHM_BYTES_DEFAULT;

	for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
		const char **list = new_options(bundle);
		size_t count = 0;

		if (is_asked(options, defaults[i].target))
			continue;
		for (const char *const *option = defaults[i].options; *option; option++)
			if (ol_unprivileged_takes(bundle, *option) && !needs_group(bundle, *option))
				list[count++] = *option;
		if (defaults[i].ro_unless_privileged && !bundle->privileged)
			list[count++] = "ro";
		if (strcmp(defaults[i].source, "shm") == 0) {
			ol_autofree char *size = ol_text("size=%" PRIu64, shm);

			list[count++] = ol_arena_strdup(bundle->arena, size);
		}
		if (is_hosts_sys(bundle, defaults[i].type))
			add_hosts_sys(bundle);
		else
			add(bundle, (ol_bundle_mount){ defaults[i].target, defaults[i].type,
					    defaults[i].source, list, false });
	}
}

static int add_option(const char **list, const char *option, ol_error *err)
{
	size_t count = 0;

	while (list[count])
		count++;
	if (count == OPTIONS_MAX)
		return ol_fail(err, OL_ELIMIT, "a mount has more than %d options", OPTIONS_MAX);
	list[count] = option;
	return OL_OK;
}

static int split_options(ol_bundle *bundle, const char *text, const char **list, ol_error *err)
{
	while (*text) {
		size_t size = strcspn(text, ",");
		int rc = size ? add_option(list, ol_arena_strndup(bundle->arena, text, size), err)
			      : OL_OK;

		if (rc < 0)
			return rc;
		text += size;
		text += *text == ',';
	}
	return OL_OK;
}

static bool has_option(const char *const *list, const char *option)
{
	for (; *list; list++)
		if (strcmp(*list, option) == 0)
			return true;
	return false;
}

static int check_options(const ol_mount_option *asked, const char *const *list, ol_error *err)
{
	static const char *const shared[] = { "shared", "rshared" };

	for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
		if (has_option(list, shared[i]))
			return ol_fail(err, OL_EUNSUPPORTED,
				"mount %s: propagation \"%s\" would let the container mount on the "
				"host",
				asked->target, shared[i]);
	return OL_OK;
}

static int make_source(const ol_mount_option *asked, ol_error *err)
{
	struct stat st;
	int rc;

	if (!asked->source || asked->source[0] != '/')
		return ol_fail(err, OL_EINVAL, "mount %s: the source must be an absolute path",
			asked->target);
	if (stat(asked->source, &st) == 0)
		return OL_OK;
	if (errno != ENOENT || !asked->create_source)
		return ol_fail(
			err, OL_EINVAL, "bind source path does not exist: %s", asked->source);
	rc = ol_mkdirs(AT_FDCWD, asked->source, 0755, err);
	return rc < 0 ? ol_wrap(err, rc, "cannot make %s", asked->source) : OL_OK;
}

static int add_bind(ol_bundle *bundle, const ol_mount_option *asked, ol_error *err)
{
	const char **list = new_options(bundle);
	int rc = make_source(asked, err);

	if (rc == OL_OK)
		rc = add_option(list, "rbind", err);
	if (rc == OL_OK && asked->read_only)
		rc = add_option(list, "ro", err);
	if (rc == OL_OK)
		rc = split_options(bundle, asked->options ? asked->options : "", list, err);
	if (rc == OL_OK)
		rc = check_options(asked, list, err);
	if (rc < 0)
		return rc;
	if (!has_option(list, "rslave") && !has_option(list, "slave") &&
		!has_option(list, "private") && !has_option(list, "rprivate"))
		rc = add_option(list, "rprivate", err);
	add(bundle, (ol_bundle_mount){ ol_arena_strdup(bundle->arena, asked->target), "bind",
			    ol_arena_strdup(bundle->arena, asked->source), list, true });
	return rc;
}

static int add_tmpfs(ol_bundle *bundle, const ol_mount_option *asked, ol_error *err)
{
	static const struct {
		const char *option, *opposite;
	} usual[] = { { "noexec", "exec" }, { "nosuid", "suid" }, { "nodev", "dev" } };
	const char **list = new_options(bundle);
	const char **own = new_options(bundle);
	int rc = split_options(bundle, asked->options ? asked->options : "", own, err);

	for (size_t i = 0; rc == OL_OK && i < 3; i++)
		if (!has_option(own, usual[i].option) && !has_option(own, usual[i].opposite))
			rc = add_option(list, usual[i].option, err);
	if (rc == OL_OK && asked->read_only)
		rc = add_option(list, "ro", err);
	for (size_t i = 0; rc == OL_OK && own[i]; i++)
		rc = add_option(list, own[i], err);
	if (rc == OL_OK)
		rc = check_options(asked, list, err);
	if (rc < 0)
		return rc;
	add(bundle, (ol_bundle_mount){ ol_arena_strdup(bundle->arena, asked->target), "tmpfs",
			    "tmpfs", list, true });
	return OL_OK;
}

static size_t depth(const char *path)
{
	size_t count = 0;

	while (*path) {
		path += strspn(path, "/");
		count += *path != '\0';
		path += strcspn(path, "/");
	}
	return count;
}

/* By its name; by its place, which symlinks can change, when it is mounted (mounts.c). */
static bool in_proc(const char *path)
{
	path += strspn(path, "/");
	return strncmp(path, "proc", 4) == 0 && (path[4] == '/' || path[4] == '\0');
}

static int add_one(ol_bundle *bundle, const ol_mount_option *asked, ol_error *err)
{
	if (!asked->target || asked->target[0] != '/' || strlen(asked->target) >= OL_PATH_MAX)
		return ol_fail(err, OL_EINVAL,
			"mount \"%.200s\": the target must be an absolute path",
			asked->target ? asked->target : "");
	if (depth(asked->target) == 0)
		return ol_fail(err, OL_EINVAL, "a mount's target can't be '/'");
	if (in_proc(asked->target))
		return ol_fail(
			err, OL_EINVAL, "cannot mount on %s: it lies in /proc", asked->target);
	if (strcmp(asked->type, "bind") == 0)
		return add_bind(bundle, asked, err);
	if (strcmp(asked->type, "tmpfs") == 0)
		return add_tmpfs(bundle, asked, err);
	return ol_fail(err, OL_EUNSUPPORTED, "mount %s: type \"%s\" is not bind or tmpfs",
		asked->target, asked->type);
}

/* Outer ones first, as deep as they are, so that none hides another. */
static int add_asked(ol_bundle *bundle, const ol_container_options *options, ol_error *err)
{
	size_t deepest = 0;

	if (options->mount_count > MOUNTS_MAX)
		return ol_fail(err, OL_ELIMIT, "more than %d mounts", MOUNTS_MAX);
	for (size_t i = 0; i < options->mount_count; i++) {
		size_t d = options->mounts[i].target ? depth(options->mounts[i].target) : 0;

		deepest = d > deepest ? d : deepest;
		for (size_t k = 0; k < i; k++)
			if (options->mounts[i].target &&
				same_path(options->mounts[i].target, options->mounts[k].target))
				return ol_fail(err, OL_EINVAL, "Duplicate mount point: %s",
					options->mounts[i].target);
	}
	for (size_t level = 0; level <= deepest; level++)
		for (size_t i = 0; i < options->mount_count; i++) {
			const ol_mount_option *asked = &options->mounts[i];
			int rc;

			if ((asked->target ? depth(asked->target) : 0) != level)
				continue;
			rc = add_one(bundle, asked, err);
			if (rc < 0)
				return rc;
		}
	return OL_OK;
}

static void add_files(ol_bundle *bundle, const ol_container_options *options)
{
	static const char *const names[] = { "resolv.conf", "hostname", "hosts" };
	static const char *const writable[] = { "rbind", "rprivate", NULL };
	static const char *const fixed[] = { "rbind", "ro", "rprivate", NULL };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		ol_autofree char *target = ol_text("/etc/%s", names[i]);
		ol_autofree char *source = ol_text("%s/%s", bundle->files_dir, names[i]);

		if (is_asked(options, target))
			continue;
		add(bundle, (ol_bundle_mount){ ol_arena_strdup(bundle->arena, target), "bind",
				    ol_arena_strdup(bundle->arena, source),
				    bundle->read_only ? fixed : writable, false });
	}
}

int ol_bundle_add_mounts(ol_bundle *bundle, const ol_container_options *options, ol_error *err)
{
	int rc;

	for (size_t i = 0; i < options->mount_count; i++)
		if (!options->mounts[i].target)
			return ol_fail(err, OL_EINVAL, "a mount has no target");
	add_defaults(bundle, options);
	rc = add_asked(bundle, options, err);
	if (rc < 0)
		return rc;
	add_files(bundle, options);
	return OL_OK;
}

static void add_device(ol_bundle *bundle, const char *path, const struct stat *st)
{
	OL_GROW(bundle->devices, bundle->device_count, bundle->device_cap);
	bundle->devices[bundle->device_count++] = (ol_bundle_device){
		.path = ol_arena_strdup(bundle->arena, path),
		.type = S_ISCHR(st->st_mode) ? 'c' : 'b',
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
	};
}

/* Docker leaves these out: they are the container's own. */
static bool is_own(const char *path)
{
	static const char *const own[] = { "/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue",
		"/dev/.lxc", "/dev/.lxd-mounts", "/dev/.udev", "/dev/console", "/dev/ptmx" };

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (strcmp(own[i], path) == 0)
			return true;
	for (const ol_bundle_device *d = ol_bundle_default_devices; d->path; d++)
		if (strcmp(d->path, path) == 0)
			return true;
	return false;
}

static int add_devices_in(ol_bundle *bundle, const char *path, int levels, ol_error *err)
{
	DIR *dir = opendir(path);

	if (!dir)
		return OL_OK; /* gone, or not ours to see */
	for (const struct dirent *entry; (entry = readdir(dir));) {
		ol_autofree char *name = ol_text("%s/%s", path, entry->d_name);
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			is_own(name) || lstat(name, &st) < 0)
			continue;
		if (bundle->device_count == DEVICES_MAX)
			break;
		if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
			add_device(bundle, name, &st);
		else if (S_ISDIR(st.st_mode) && levels > 0)
			(void)add_devices_in(bundle, name, levels - 1, err);
	}
	(void)closedir(dir);
	return bundle->device_count == DEVICES_MAX
		       ? ol_fail(err, OL_ELIMIT, "more than %d devices in /dev", DEVICES_MAX)
		       : OL_OK;
}

int ol_bundle_add_devices(ol_bundle *bundle, ol_error *err)
{
	return add_devices_in(bundle, "/dev", DEVICE_DEPTH_MAX, err);
}
