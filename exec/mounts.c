#include "exec/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "exec/inside.h"
#include "exec/mount_options.h"

#define DEVPTS_MAGIC 0x1cd1
#define KEY_MAX      64

static int move(int mount_fd, int target_fd, const char *target, ol_error *err)
{
	if (move_mount(mount_fd, "", target_fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return ol_fail_sys(err, "cannot mount on %s", target);
	return OL_OK;
}

/* One of the file system's own options: "mode=755", or a word. */
static int configure(int fs_fd, const char *option, const char *target, ol_error *err)
{
	const char *equals = strchr(option, '=');
	char key[KEY_MAX];
	size_t size = strcspn(option, "=");

	if (size >= sizeof key)
		return ol_fail(err, OL_EINVAL, "%s: no mount option \"%.80s\"", target, option);
	memcpy(key, option, size);
	key[size] = '\0';
	if (fsconfig(fs_fd, equals ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key,
		    equals ? equals + 1 : NULL, 0) < 0)
		return ol_fail_sys(err, "%s: mount option \"%.80s\"", target, option);
	return OL_OK;
}

/* In a user namespace the kernel makes a /proc or /sys only for who sees all of the one there is.
 */
static int fail_fs(const char *step, const ol_bundle_mount *mount, const char *type, ol_error *err)
{
	bool hidden = errno == EPERM && (strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0);

	return ol_fail_sys(err, "%s: cannot %s a %s%s", mount->target, step, type,
		hidden ? " (is orlop in a container that hides parts of its own?)" : "");
}

/* A new file system, not mounted anywhere yet. */
static int make_fs(const ol_bundle_mount *mount, const char *type, int *out, ol_error *err)
{
	ol_autofd int fs = fsopen(type, FSOPEN_CLOEXEC);
	ol_mount_flags flags = { .set = 0 };
	int fd;

	if (fs < 0)
		return ol_fail_sys(err, "%s: file system %s", mount->target, type);
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", mount->source, 0) < 0)
		return ol_fail_sys(err, "%s: source", mount->target);
	for (const char *const *option = mount->options; *option; option++) {
		int rc = OL_OK;

		if (ol_mount_flags_add(&flags, *option) == OL_MOUNT_DATA)
			rc = configure(fs, *option, mount->target, err);
		if (rc < 0)
			return rc;
	}
	/* As mount(2) has it: a new file system is read-only itself. */
	if ((flags.set & MOUNT_ATTR_RDONLY) && fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return ol_fail_sys(err, "%s: ro", mount->target);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_fs("make", mount, type, err);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)flags.set);
	if (fd < 0)
		return fail_fs("mount", mount, type, err);
	*out = fd;
	return OL_OK;
}

static int set_attributes(int fd, const ol_mount_flags *flags, const char *target, ol_error *err)
{
	struct mount_attr attr = {
		.attr_set = flags->set, .attr_clr = flags->clear, .propagation = flags->propagation
	};

	if (!attr.attr_set && !attr.attr_clr && !attr.propagation)
		return OL_OK;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (flags->recursive ? AT_RECURSIVE : 0), &attr,
		    sizeof attr) < 0)
		return ol_fail_sys(err, "%s: mount options", target);
	return OL_OK;
}

/* A detached copy of what lies at a path of ours. */
static int clone_path(const char *path, bool recursive, int *out, ol_error *err)
{
	int fd = open_tree(AT_FDCWD, path,
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0U));

	if (fd < 0)
		return ol_fail_sys(err, "cannot bind %s", path);
	*out = fd;
	return OL_OK;
}

static int clone_fd(int of, const char *what, int *out, ol_error *err)
{
	int fd = open_tree(of, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0)
		return ol_fail_sys(err, "cannot bind %s", what);
	*out = fd;
	return OL_OK;
}

static int make_bind(const ol_bundle_mount *mount, int *out, ol_error *err)
{
	ol_mount_flags flags = ol_mount_flags_of(mount->options);
	ol_autofd int fd = -1;
	int rc = clone_path(mount->source, flags.recursive, &fd, err);

	if (rc == OL_OK)
		rc = set_attributes(fd, &flags, mount->target, err);
	if (rc == OL_OK)
		*out = ol_steal_fd(&fd);
	return rc;
}

/* In a user namespace: the place for the host's own node, which bind_devices puts there. */
static int make_place(int dev_fd, const char *name, const char *path, ol_error *err)
{
	ol_autofd int fd =
		openat(dev_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 && errno != EEXIST ? ol_fail_sys(err, "%s", path) : OL_OK;
}

static int make_node(
	const ol_bundle *bundle, int dev_fd, const ol_bundle_device *device, ol_error *err)
{
	const char *name = device->path + strlen("/dev/");
	mode_t type = device->type == 'b' ? S_IFBLK : S_IFCHR;
	char parent[256];
	size_t size;

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		size = (size_t)(slash - name);
		if (size >= sizeof parent)
			return ol_fail(err, OL_ELIMIT, "%s: the name is too long", device->path);
		memcpy(parent, name, size);
		parent[size] = '\0';
		if (mkdirat(dev_fd, parent, 0755) < 0 && errno != EEXIST)
			return ol_fail_sys(err, "%s", device->path);
	}
	if (bundle->here)
		return make_place(dev_fd, name, device->path, err);
	if (mknodat(dev_fd, name, type | device->mode, makedev(device->major, device->minor)) < 0 &&
		errno != EEXIST)
		return ol_fail_sys(err, "%s", device->path);
	/* mknod's mode passes the umask, which is not ours to assume. */
	if (fchmodat(dev_fd, name, device->mode, 0) < 0 ||
		fchownat(dev_fd, name, device->uid, device->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return ol_fail_sys(err, "%s", device->path);
	return OL_OK;
}

/* The new /dev is filled before it is mounted: nothing of the image can stand in the way. */
static int fill_dev(const ol_bundle *bundle, int dev_fd, ol_error *err)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		{ "fd", "/proc/self/fd" },
		{ "stdin", "/proc/self/fd/0" },
		{ "stdout", "/proc/self/fd/1" },
		{ "stderr", "/proc/self/fd/2" },
		{ "ptmx", "pts/ptmx" },
		{ "core", "/proc/kcore" },
	};
	int rc = OL_OK;

	for (const ol_bundle_device *d = ol_bundle_default_devices; rc == OL_OK && d->path; d++)
		rc = make_node(bundle, dev_fd, d, err);
	for (size_t i = 0; rc == OL_OK && i < bundle->device_count; i++)
		rc = make_node(bundle, dev_fd, &bundle->devices[i], err);
	for (size_t i = 0; rc == OL_OK && i < sizeof links / sizeof links[0]; i++) {
		/* Only where what it names is there to be seen, as runc does. */
		if (strcmp(links[i].name, "core") == 0 && access("/proc/kcore", F_OK) < 0)
			continue;
		if (symlinkat(links[i].target, dev_fd, links[i].name) < 0 && errno != EEXIST)
			rc = ol_fail_sys(err, "/dev/%s", links[i].name);
	}
	return rc;
}

static int bind_device(const ol_mounts_input *input, const ol_bundle_device *device, ol_error *err)
{
	ol_autofd int node = -1, target = -1;
	struct stat st;
	int rc = clone_path(device->path, false, &node, err);

	if (rc == OL_OK &&
		(fstat(node, &st) < 0 || st.st_rdev != makedev(device->major, device->minor)))
		rc = ol_fail(
			err, OL_EUNSUPPORTED, "%s of the host is something else", device->path);
	if (rc == OL_OK)
		rc = ol_inside_open(input->root_fd, device->path, O_PATH, true, &target, err);
	return rc == OL_OK ? move(node, target, device->path, err) : rc;
}

/* Of what --privileged brings besides, what is not there any more is left out. */
static int bind_devices(const ol_mounts_input *input, ol_error *err)
{
	const ol_bundle *bundle = input->bundle;
	int rc = OL_OK;

	for (const ol_bundle_device *d = ol_bundle_default_devices; rc == OL_OK && d->path; d++)
		rc = bind_device(input, d, err);
	for (size_t i = 0; rc == OL_OK && i < bundle->device_count; i++)
		(void)bind_device(input, &bundle->devices[i], NULL);
	return rc;
}

/* A view of v1: a tmpfs of directories, on each the container's own group. */
static int bind_groups(const ol_mounts_input *input, const ol_bundle_mount *mount, ol_error *err)
{
	ol_mount_flags flags = ol_mount_flags_of(mount->options);
	size_t count;
	const ol_cgroup_view *views = ol_cgroup_views(input->cgroup, &count);

	for (size_t i = 0; i < count; i++) {
		ol_autofd int group = -1, target = -1;
		char path[512];
		int rc;

		(void)snprintf(path, sizeof path, "%s/%s", mount->target, views[i].name);
		rc = ol_inside_make(input->root_fd, path, OL_INSIDE_DIRECTORY, &target, err);
		if (rc == OL_OK)
			rc = clone_path(views[i].dir, false, &group, err);
		if (rc == OL_OK)
			rc = set_attributes(group, &flags, path, err);
		if (rc == OL_OK)
			rc = move(group, target, path, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

/* "cpu,cpuacct" is found as cpu and as cpuacct too. */
static int link_groups(const ol_cgroup *cgroup, int dir_fd, ol_error *err)
{
	size_t count;
	const ol_cgroup_view *views = ol_cgroup_views(cgroup, &count);

	for (size_t i = 0; i < count; i++)
		for (const char *c = views[i].name; strchr(views[i].name, ',') && *c;) {
			size_t size = strcspn(c, ",");
			char name[64];

			(void)snprintf(name, sizeof name, "%.*s", (int)size, c);
			if (symlinkat(views[i].name, dir_fd, name) < 0 && errno != EEXIST)
				return ol_fail_sys(err, "/sys/fs/cgroup/%s", name);
			c += size + (c[size] == ',');
		}
	/* As sysfs has it there: only who may override modes makes anything in it. */
	if (fchmodat(dir_fd, ".", 0555, 0) < 0)
		return ol_fail_sys(err, "/sys/fs/cgroup");
	return OL_OK;
}

static int open_target(const ol_mounts_input *input, const ol_bundle_mount *mount, int mount_fd,
	int *out, ol_error *err)
{
	ol_inside_kind kind = OL_INSIDE_DIRECTORY;
	struct stat st;
	struct statfs fs;
	int rc;

	if (strcmp(mount->type, "bind") == 0 && fstat(mount_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		kind = OL_INSIDE_FILE;
	rc = ol_inside_make(input->root_fd, mount->target, kind, out, err);
	if (rc < 0 || !mount->asked)
		return rc;
	/* What is mounted over /proc could lie to those who set the container up. */
	if (fstatfs(*out, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC) {
		(void)close(*out);
		*out = -1;
		return ol_fail(
			err, OL_EINVAL, "cannot mount on %s: it lies in /proc", mount->target);
	}
	return OL_OK;
}

/* /proc, /sys and /dev themselves must be directories of the root: were one a symlink, what is
 * hidden below would be hidden somewhere else. */
static int check_plain(const ol_mounts_input *input, const ol_bundle_mount *mount, ol_error *err)
{
	static const char *const plain[] = { "/proc", "/sys", "/dev" };

	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		ol_autofd int fd = -1;
		int rc;

		if (strcmp(plain[i], mount->target) != 0)
			continue;
		rc = ol_inside_open(input->root_fd, plain[i], O_PATH | O_DIRECTORY, true, &fd, err);
		if (rc < 0 && rc != OL_ENOTFOUND)
			return ol_wrap(
				err, OL_EINVAL, "%s of the image is not a directory", plain[i]);
	}
	return OL_OK;
}

static bool is_own_dev(const ol_bundle_mount *mount)
{
	return strcmp(mount->target, "/dev") == 0 && !mount->asked;
}

static int make_detached(
	const ol_mounts_input *input, const ol_bundle_mount *mount, int *out, ol_error *err)
{
	static const char *const view_options[] = { "nosuid", "noexec", "nodev", "mode=755", NULL };
	ol_bundle_mount view = { mount->target, "tmpfs", "tmpfs", view_options, false };
	bool cgroup = strcmp(mount->type, "cgroup") == 0;
	int rc;

	if (strcmp(mount->type, "bind") == 0)
		return make_bind(mount, out, err);
	if (cgroup && ol_cgroup_is(input->cgroup) == OL_CGROUP_V2)
		return make_fs(mount, "cgroup2", out, err);
	rc = cgroup ? make_fs(&view, "tmpfs", out, err) : make_fs(mount, mount->type, out, err);
	if (rc == OL_OK && cgroup)
		rc = link_groups(input->cgroup, *out, err);
	else if (rc == OL_OK && is_own_dev(mount))
		rc = fill_dev(input->bundle, *out, err);
	return rc;
}

/* A tmpfs over a directory of the image takes its mode, unless one is asked for. */
static int keep_mode(
	const ol_mounts_input *input, const ol_bundle_mount *mount, int mount_fd, ol_error *err)
{
	ol_autofd int covered = -1;
	struct stat st;

	if (strcmp(mount->type, "tmpfs") != 0)
		return OL_OK;
	for (const char *const *option = mount->options; *option; option++)
		if (strncmp(*option, "mode=", 5) == 0 || strcmp(*option, "ro") == 0)
			return OL_OK;
	if (ol_inside_open(
		    input->root_fd, mount->target, O_PATH | O_DIRECTORY, false, &covered, NULL) < 0)
		return OL_OK; /* nothing there yet */
	if (fstat(covered, &st) < 0 || fchmodat(mount_fd, ".", st.st_mode & 07777, 0) < 0)
		return ol_fail_sys(err, "%s: mode", mount->target);
	return OL_OK;
}

static int make_one(
	const ol_mounts_input *input, const ol_bundle_mount *mount, int *pts_fd, ol_error *err)
{
	ol_autofd int fd = -1, target = -1;
	int rc;

	if (strcmp(mount->type, "cgroup") == 0 && ol_cgroup_is(input->cgroup) == OL_CGROUP_NONE)
		return OL_OK;
	rc = check_plain(input, mount, err);
	if (rc == OL_OK)
		rc = make_detached(input, mount, &fd, err);
	if (rc == OL_OK)
		rc = keep_mode(input, mount, fd, err);
	if (rc == OL_OK)
		rc = open_target(input, mount, fd, &target, err);
	if (rc == OL_OK)
		rc = move(fd, target, mount->target, err);
	if (rc == OL_OK && strcmp(mount->type, "cgroup") == 0)
		rc = bind_groups(input, mount, err);
	if (rc == OL_OK && is_own_dev(mount) && input->bundle->here)
		rc = bind_devices(input, err);
	if (rc == OL_OK && strcmp(mount->type, "devpts") == 0)
		*pts_fd = ol_steal_fd(&fd);
	return rc;
}

int ol_mounts_make(const ol_mounts_input *input, int *pts_fd, ol_error *err)
{
	*pts_fd = -1;
	for (size_t i = 0; i < input->bundle->mount_count; i++) {
		int rc = make_one(input, &input->bundle->mounts[i], pts_fd, err);

		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

int ol_mounts_console(const ol_mounts_input *input, int terminal_fd, ol_error *err)
{
	ol_autofd int tree = -1, target = -1;
	int rc = ol_inside_make(input->root_fd, "/dev/console", OL_INSIDE_FILE, &target, err);

	if (rc == OL_OK)
		rc = clone_fd(terminal_fd, "the terminal", &tree, err);
	if (rc == OL_OK)
		rc = move(tree, target, "/dev/console", err);
	return rc;
}

/* Nothing to see: /dev/null over a file, an empty read-only directory over a directory. */
static int mask(const ol_mounts_input *input, const char *path, ol_error *err)
{
	static const char *const options[] = { "ro", NULL };
	const ol_bundle_mount empty = { path, "tmpfs", "tmpfs", options, false };
	ol_autofd int target = -1, cover = -1, null = -1;
	struct stat st;
	int rc = ol_inside_open(input->root_fd, path, O_PATH, true, &target, err);

	if (rc == OL_ENOTFOUND)
		return OL_OK;
	if (rc < 0)
		return rc;
	if (fstat(target, &st) < 0)
		return ol_fail_sys(err, "%s", path);
	if (S_ISDIR(st.st_mode)) {
		rc = make_fs(&empty, "tmpfs", &cover, err);
	} else {
		rc = ol_inside_open(input->root_fd, "/dev/null", O_PATH, true, &null, err);
		if (rc == OL_OK && (fstat(null, &st) < 0 || st.st_rdev != makedev(1, 3)))
			rc = ol_fail(
				err, OL_EINVAL, "/dev/null in the container is something else");
		if (rc == OL_OK)
			rc = clone_fd(null, "/dev/null", &cover, err);
	}
	return rc == OL_OK ? move(cover, target, path, err) : rc;
}

static int make_read_only(const ol_mounts_input *input, const char *path, ol_error *err)
{
	const ol_mount_flags flags = { .set = MOUNT_ATTR_RDONLY };
	ol_autofd int target = -1, tree = -1;
	int rc = ol_inside_open(input->root_fd, path, O_PATH, true, &target, err);

	if (rc == OL_ENOTFOUND)
		return OL_OK;
	if (rc == OL_OK)
		rc = clone_fd(target, path, &tree, err);
	if (rc == OL_OK)
		rc = set_attributes(tree, &flags, path, err);
	return rc == OL_OK ? move(tree, target, path, err) : rc;
}

int ol_mounts_close(const ol_mounts_input *input, ol_error *err)
{
	const ol_mount_flags root = { .set = (input->bundle->read_only ? MOUNT_ATTR_RDONLY : 0U) |
					     (input->no_devices ? MOUNT_ATTR_NODEV : 0U) };
	int rc = OL_OK;

	for (const char *const *p = ol_bundle_read_only;
		rc == OL_OK && !input->bundle->privileged && *p; p++)
		rc = make_read_only(input, *p, err);
	for (const char *const *p = ol_bundle_masked;
		rc == OL_OK && !input->bundle->privileged && *p; p++)
		rc = mask(input, *p, err);
	if (rc == OL_OK)
		rc = set_attributes(input->root_fd, &root, "the root", err);
	return rc;
}
