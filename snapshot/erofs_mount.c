/*
 * Mounting an index over its tars. The files are given by descriptor, as /proc/self/fd/7, so what
 * is mounted is what was verified, wherever its name leads by then.
 *
 *	the files themselves    Linux 6.12, on a file system it can read pages of (not tmpfs)
 *	loop devices over them  where the kernel answers ENOTBLK; they go with the mount
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/temp.h"
#include "base/trace.h"
#include "base/userns.h"
#include "snapshot/erofs_driver_priv.h"
#include "snapshot/erofs_format.h"
#include "snapshot/erofs_writer.h"
#include "snapshot/layer_mount.h"
#include "store/blob.h"

#define LOOP_TRIES_MAX 64 /* others take the free device we were told of */
#define LOG_BYTES      256
#define LOCK_NAME      "mounts.lock"

/* errno, with what the kernel wrote into the context's log: lines of "e words". */
static int fail_mount(int fs, const char *what, ol_error *err)
{
	int sys = errno;
	char log[LOG_BYTES];
	ssize_t size = read(fs, log, sizeof log - 1);

	errno = sys;
	if (size <= 2)
		return ol_fail_sys(err, "%s", what);
	log[size] = '\0';
	log[strcspn(log, "\n")] = '\0';
	return ol_fail_sys(err, "%s (%s)", what, log + 2);
}

/* One try with paths of files or devices. *sys: errno of a refusal. */
static int mount_paths(
	const char *index, const ol_fd_path *tars, size_t count, int *out, ol_error *err)
{
	ol_autofd int fs = fsopen("erofs", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return ol_fail_sys(err, "fsopen erofs");
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", index, 0) < 0 ||
		fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return fail_mount(fs, "mount of the index", err);
	for (size_t i = 0; i < count; i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, "device", tars[i].text, 0) < 0)
			return fail_mount(fs, "mount of the index: its tar", err);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_mount(fs, "mount of the index", err);
	/* Overlayfs uses the files of this mount by its own rights; nobody runs or opens devices
	 * right here. */
	fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (fd < 0)
		return fail_mount(fs, "mount of the index", err);
	*out = fd;
	return OL_OK;
}

/* A loop device that goes when its last user does; *fd keeps it until then. */
static int loop_attach(int file_fd, int *fd, ol_fd_path *path, ol_error *err)
{
	ol_autofd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	struct loop_config config = { .fd = (uint32_t)file_fd,
		.block_size = OL_EROFS_BLOCK,
		.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR };

	if (control < 0)
		return ol_fail_sys(err, "/dev/loop-control");
	for (int i = 0; i < LOOP_TRIES_MAX; i++) {
		ol_autofd int loop = -1;
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			return ol_fail_sys(err, "free loop device");
		(void)snprintf(path->text, sizeof path->text, "/dev/loop%d", number);
		loop = open(path->text, O_RDONLY | O_CLOEXEC);
		if (loop < 0)
			return ol_fail_sys(err, "%s", path->text);
		if (ioctl(loop, LOOP_CONFIGURE, &config) == 0) {
			*fd = ol_steal_fd(&loop);
			return OL_OK;
		}
		if (errno != EBUSY)
			return ol_fail_sys(err, "%s", path->text);
	}
	return ol_fail(err, OL_EBUSY, "no loop device stays free");
}

static int mount_loops(int index_fd, const int *tar_fds, size_t count, int *out, ol_error *err)
{
	ol_autofree int *fds = ol_alloc_array(count + 1, sizeof *fds);
	ol_autofree ol_fd_path *paths = ol_alloc_array(count + 1, sizeof *paths);
	size_t made = 0;
	int rc = OL_OK;

	for (; rc == OL_OK && made < count + 1; made += rc == OL_OK)
		rc = loop_attach(
			made ? tar_fds[made - 1] : index_fd, &fds[made], &paths[made], err);
	if (rc == OL_OK)
		rc = mount_paths(paths[0].text, paths + 1, count, out, err);
	while (made)
		(void)close(fds[--made]);
	return rc;
}

int ol_erofs_mount(int index_fd, const int *tar_fds, size_t count, int *out, ol_error *err)
{
	ol_autofree ol_fd_path *paths = ol_alloc_array(count, sizeof *paths);
	ol_error refusal = { 0 };
	int rc;

	for (size_t i = 0; i < count; i++)
		paths[i] = ol_fd_path_of(tar_fds[i]);
	rc = mount_paths(ol_fd_path_of(index_fd).text, paths, count, out, &refusal);
	if (rc < 0 && refusal.sys == ENOTBLK) {
		ol_trace("snapshot", "no EROFS mount of files here, trying loop devices: %s",
			refusal.text);
		return mount_loops(index_fd, tar_fds, count, out, err);
	}
	if (rc < 0 && err)
		*err = refusal;
	return rc;
}

int ol_erofs_tar_open(const ol_erofs_mounting *m, unsigned device, int *out, ol_error *err)
{
	ol_digest digest;
	int rc = ol_erofs_layer_tar(m->index, m->layer, device, &digest, err);

	return rc < 0 ? rc : ol_blob_open(m->store, &digest, out, err);
}

/* The tars of a layer's index, opened; those opened so far on failure too. */
static int open_tars(const ol_erofs_mounting *m, int *fds, size_t *opened, ol_error *err)
{
	for (*opened = 0; *opened < ol_erofs_device_count(m->index); (*opened)++) {
		int rc = m->open(m, (unsigned)*opened + 1, &fds[*opened], err);

		if (rc < 0)
			return ol_wrap(err, rc, "tar %zu of the index", *opened + 1);
	}
	return OL_OK;
}

static int mount_layer(ol_erofs_mounting *m, int *out, ol_error *err)
{
	ol_auto(ol_erofs_close) ol_erofs *index = NULL;
	ol_autofree int *fds = NULL;
	ol_autofd int index_fd = -1;
	size_t opened;
	int rc = ol_erofs_layer_open(m->store, m->layer, &index, &index_fd, err);

	if (rc < 0)
		return rc;
	m->index = index;
	fds = ol_alloc_array(ol_erofs_device_count(index), sizeof *fds);
	rc = open_tars(m, fds, &opened, err);
	if (rc == OL_OK)
		rc = ol_erofs_mount(index_fd, fds, opened, out, err);
	while (opened)
		(void)close(fds[--opened]);
	return rc;
}

/* The directory, and whether an index is mounted on it. */
static int open_place(ol_store *store, const char *name, int *fd, bool *mounted, ol_error *err)
{
	struct statfs fs;
	int own = openat(
		ol_store_run_fd(store), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (own < 0)
		return ol_fail_sys(err, "%s/%s", ol_store_run_dir(store), name);
	if (fstatfs(own, &fs) < 0) {
		int rc = ol_fail_sys(err, "%s/%s", ol_store_run_dir(store), name);

		(void)close(own);
		return rc;
	}
	*fd = own;
	*mounted = (uint32_t)fs.f_type == OL_EROFS_MAGIC;
	return OL_OK;
}

static int attach(ol_erofs_mounting *m, const char *name, ol_error *err)
{
	ol_store *store = m->store;
	ol_autofd int mount_fd = -1;
	int rc = mount_layer(m, &mount_fd, err);

	if (rc < 0)
		return rc;
	if (move_mount(mount_fd, "", ol_store_run_fd(store), name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return ol_fail_sys(err, "mount on %s/%s", ol_store_run_dir(store), name);
	return OL_OK;
}

int ol_erofs_lower_by(ol_erofs_mounting *m, int *fd, ol_error *err)
{
	ol_store *store = m->store;
	const ol_layer_info *layer = m->layer;
	const ol_layer_mount_name name = ol_layer_mount_name_of(&layer->key);
	ol_autofd int lock = openat(
		ol_store_run_fd(store), LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	ol_autofd int place = -1;
	bool mounted = false;
	int rc;

	if (lock < 0)
		return ol_fail_sys(err, "%s/" LOCK_NAME, ol_store_run_dir(store));
	rc = ol_flock(lock, true, true, err);
	if (rc == OL_OK)
		rc = ol_mkdirs(ol_store_run_fd(store), name.text, 0700, err);
	if (rc == OL_OK)
		rc = open_place(store, name.text, &place, &mounted, err);
	if (rc == OL_OK && !mounted) {
		(void)close(ol_steal_fd(&place));
		rc = attach(m, name.text, err);
		if (rc == OL_OK)
			rc = open_place(store, name.text, &place, &mounted, err);
	}
	if (rc < 0)
		return rc;
	if (!mounted)
		return ol_fail(err, OL_ESYSTEM, "%s/%s: mounted, but not there",
			ol_store_run_dir(store), name.text);
	*fd = ol_steal_fd(&place);
	return OL_OK;
}

int ol_erofs_lower(ol_store *store, const ol_layer_info *layer, int *fd, ol_error *err)
{
	ol_erofs_mounting m = { .store = store, .layer = layer, .open = ol_erofs_tar_open };

	return ol_erofs_lower_by(&m, fd, err);
}

#define PROBE_NAME "probe"
#define PROBE_TEXT "orlop"

/* A tar of one block and an index with one file that is its first bytes. */
int ol_erofs_probe_make(int dir_fd, int *index_fd, int *tar_fd, ol_error *err)
{
	const ol_tar_entry file = { .type = OL_TAR_FILE,
		.name = PROBE_NAME,
		.target = "",
		.mode = 0444,
		.size = strlen(PROBE_TEXT),
		.data_size = strlen(PROBE_TEXT) };
	const ol_erofs_device tar = { .bytes = OL_EROFS_PROBE_BYTES };
	ol_auto(ol_erofs_writer_free) ol_erofs_writer *writer = NULL;
	char block[OL_EROFS_PROBE_BYTES] = PROBE_TEXT;
	ol_erofs_written written;
	int rc = ol_temp_open(dir_fd, index_fd, err);

	if (rc == OL_OK)
		rc = ol_temp_open(dir_fd, tar_fd, err);
	if (rc == OL_OK)
		rc = ol_write_all(*tar_fd, block, sizeof block, err);
	if (rc < 0)
		return rc;
	writer = ol_erofs_writer_new(
		&(ol_erofs_writer_options){ .index_fd = *index_fd, .temp_fd = dir_fd });
	rc = ol_erofs_writer_add(writer, &file, 1, err);
	return rc < 0 ? rc : ol_erofs_writer_finish(writer, &tar, 1, &written, err);
}

int ol_erofs_probe_read(int mount_fd, ol_error *err)
{
	ol_autofd int fd = openat(mount_fd, PROBE_NAME, O_RDONLY | O_CLOEXEC);
	char text[sizeof PROBE_TEXT] = "";

	if (fd < 0)
		return ol_fail_sys(err, "a file of a test mount");
	if (ol_pread_all(fd, text, strlen(PROBE_TEXT), 0, err) < 0 || strcmp(text, PROBE_TEXT) != 0)
		return ol_fail(err, OL_EUNSUPPORTED, "EROFS does not show a tar's bytes here");
	return OL_OK;
}

static const char *refusal_means(int sys)
{
	static const struct {
		int sys;
		const char *text;
	} rows[] = {
		{ EPERM, "only root may mount EROFS" },
		{ EACCES, "only root may mount EROFS" },
		{ ENODEV, "this kernel has no EROFS" },
		{ ENOSYS, "this kernel has no fsopen" },
		{ ENOTBLK, "this kernel mounts EROFS from block devices only" },
		{ EINVAL, "this kernel cannot mount EROFS with blocks of 512 bytes over a tar" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].sys == sys)
			return rows[i].text;
	return "EROFS cannot be mounted here";
}

int ol_erofs_probe(ol_store *store, ol_error *err)
{
	ol_autofd int index_fd = -1, tar_fd = -1, mount_fd = -1;
	ol_error refusal = { 0 };
	int rc = ol_erofs_probe_make(ol_store_root_fd(store), &index_fd, &tar_fd, err);

	if (rc < 0)
		return ol_wrap(err, rc, "trying EROFS");
	rc = ol_erofs_mount(index_fd, &tar_fd, 1, &mount_fd, &refusal);
	if (rc < 0)
		return ol_fail(err, OL_EUNSUPPORTED, "%s: %s",
			refusal.sys == EPERM && ol_userns_is_inside()
				? "EROFS cannot be mounted in a user namespace"
				: refusal_means(refusal.sys),
			refusal.text);
	return ol_erofs_probe_read(mount_fd, err);
}
