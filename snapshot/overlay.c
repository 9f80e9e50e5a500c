/*
 * Three ways to say which directories to stack, newest first; a kernel that does not know one gets
 * the next:
 *
 *	fsconfig, lowerdir+ by descriptor      Linux 6.13
 *	fsconfig, lowerdir+ by path            Linux 6.8: /proc/self/fd/7, within its 255 bytes
 *	mount(2), lowerdir=7:6:5               any: all of it in one page
 *
 * For the last one the paths have to be short: a thread with a working directory of its own stands
 * in /proc/self/fd, where a descriptor's number is its path. 500 layers take 2500 bytes.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/own.h"
#include "base/str.h"
#include "base/trace.h"
#include "snapshot/overlay_priv.h"

#define LOG_BYTES        256
#define MOUNT_DATA_BYTES 4095 /* mount(2) copies a page, with the NUL */

/* What a layer could use to trick the overlay is off, as is what would tie layers to one upper:
 *   metacopy, redirect_dir   xattrs that make one path show another's content ("off" would still
 *                            follow redirects where the kernel was built so)
 *   index                    lowers are shared by several uppers
 * and xino gives all files one st_dev, as a file system has, where the layers are several. With
 * userxattr the kernel follows no redirect and refuses to be told so. */
static const struct {
	const char *key, *value;
} settings[] = {
	{ "metacopy", "off" },
	{ "index", "off" },
	{ "redirect_dir", "nofollow" },
};
#define SETTINGS (sizeof settings / sizeof settings[0])

static size_t settings_count(const ol_overlay_options *o)
{
	return o->userxattr ? SETTINGS - 1 : SETTINGS;
}

static const char *source(const ol_overlay_options *o)
{
	return o->source ? o->source : "orlop";
}

static bool is_one_device(const ol_overlay_options *o)
{
	struct stat first, st;

	if (fstat(o->upper >= 0 ? o->upper : o->lowers[0], &first) < 0)
		return false;
	for (size_t i = 0; i < o->count; i++)
		if (fstat(o->lowers[i], &st) < 0 || st.st_dev != first.st_dev)
			return false;
	return true;
}

static const char *xino(const ol_overlay_options *o)
{
	return is_one_device(o) ? "off" : "on";
}

/* The kernel says in the context's log (fs, or -1) what it did not like; a line there is "e words".
 * EINVAL is what every refusal of these directories looks like, and every word it does not know. */
static int fail_mount(int fs, const char *what, ol_error *err)
{
	const int sys = errno;
	char line[LOG_BYTES];
	ssize_t size = fs < 0 ? -1 : read(fs, line, sizeof line);
	int rc;

	errno = sys;
	if (size > 2)
		rc = ol_fail_sys(err, "%s: %.*s", what, (int)size - 2, line + 2);
	else
		rc = ol_fail_sys(err, "%s", what);
	if (sys == EINVAL || sys == ENODEV) {
		rc = OL_EUNSUPPORTED;
		if (err)
			err->code = rc;
	}
	return rc;
}

static int set_text(int fs, const char *key, const char *value, ol_error *err)
{
	if (fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return fail_mount(fs, key, err);
	return OL_OK;
}

static int set_dir(int fs, const char *key, int fd, bool by_path, ol_error *err)
{
	if (by_path)
		return set_text(fs, key, ol_fd_path_of(fd).text, err);
	if (fsconfig(fs, FSCONFIG_SET_FD, key, NULL, fd) < 0)
		return fail_mount(fs, key, err);
	return OL_OK;
}

/* *known: the kernel knows this way of saying it. By descriptor the first word tells; by path Linux
 * before 6.6 takes any word, and refuses it in the end. */
static int set_all(int fs, const ol_overlay_options *o, bool by_path, bool *known, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < o->count; i++) {
		rc = set_dir(fs, "lowerdir+", o->lowers[i], by_path, err);
		*known = !by_path && (rc == OL_OK || i > 0);
	}
	if (rc == OL_OK && o->upper >= 0)
		rc = set_dir(fs, "upperdir", o->upper, by_path, err);
	if (rc == OL_OK && o->upper >= 0)
		rc = set_dir(fs, "workdir", o->work, by_path, err);
	for (size_t i = 0; rc == OL_OK && i < settings_count(o); i++)
		rc = set_text(fs, settings[i].key, settings[i].value, err);
	if (rc == OL_OK)
		rc = set_text(fs, "xino", xino(o), err);
	if (rc == OL_OK)
		rc = set_text(fs, "source", source(o), err);
	if (rc == OL_OK && o->userxattr &&
		fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
		rc = fail_mount(fs, "userxattr", err);
	return rc;
}

static int make_new(const ol_overlay_options *o, bool by_path, bool *known, int *out, ol_error *err)
{
	const unsigned attributes =
		(o->read_only || o->upper < 0 ? (unsigned)MOUNT_ATTR_RDONLY : 0U) |
		(o->guarded ? (unsigned)(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV) : 0U);
	ol_autofd int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	int fd, rc;

	*known = fs >= 0 || errno != ENOSYS;
	if (fs < 0)
		return fail_mount(-1, "overlay", err);
	rc = set_all(fs, o, by_path, known, err);
	if (rc < 0)
		return rc;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_mount(fs, "overlay", err);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	if (fd < 0)
		return ol_fail_sys(err, "overlay");
	*out = fd;
	return OL_OK;
}

struct old_mount {
	const char *source, *target, *data;
	unsigned long flags;
	int failed; /* errno, or 0 */
};

static void *old_mount_thread(void *arg)
{
	struct old_mount *m = arg;

	m->failed = 0;
	if (unshare(CLONE_FS) < 0 || chdir("/proc/self/fd") < 0 ||
		mount(m->source, m->target, "overlay", m->flags, m->data) < 0)
		m->failed = errno;
	return NULL;
}

static int old_data(const ol_overlay_options *o, ol_str *data, ol_error *err)
{
	for (size_t i = 0; i < o->count; i++)
		(void)ol_str_addf(data, "%s%d", i ? ":" : "lowerdir=", o->lowers[i]);
	if (o->upper >= 0)
		(void)ol_str_addf(data, ",upperdir=%d,workdir=%d", o->upper, o->work);
	for (size_t i = 0; i < settings_count(o); i++)
		(void)ol_str_addf(data, ",%s=%s", settings[i].key, settings[i].value);
	(void)ol_str_addf(data, ",xino=%s%s", xino(o), o->userxattr ? ",userxattr" : "");
	return ol_str_error(data, err);
}

static int mount_old(const ol_overlay_options *o, ol_error *err)
{
	ol_auto_str ol_str data = OL_STR(MOUNT_DATA_BYTES);
	struct old_mount m = { .source = source(o), .target = o->target };
	pthread_t thread;
	int rc = old_data(o, &data, err);

	if (rc < 0)
		return ol_wrap(err, rc, "overlay of %zu layers", o->count);
	m.data = ol_str_text(&data);
	m.flags = (o->read_only || o->upper < 0 ? MS_RDONLY : 0UL) |
		  (o->guarded ? MS_NOSUID | MS_NODEV : 0UL);
	errno = pthread_create(&thread, NULL, old_mount_thread, &m);
	if (errno != 0)
		return ol_fail_sys(err, "start a thread");
	pthread_join(thread, NULL);
	errno = m.failed;
	return m.failed == 0 ? OL_OK : fail_mount(-1, "overlay", err);
}

/* OL_EUNSUPPORTED with *fd -1: only mount(2) is left to try. */
static int try_new(const ol_overlay_options *options, int *fd, bool *known, ol_error *err)
{
	int rc = OL_EUNSUPPORTED;

	*known = false;
	for (int by_path = 0; !options->old_mount && by_path < 2; by_path++) {
		rc = make_new(options, by_path, known, fd, err);
		if (*known || rc != OL_EUNSUPPORTED)
			return rc;
	}
	ol_trace("snapshot", "overlay through mount(2)");
	return rc;
}

int ol_overlay_make(const ol_overlay_options *options, int *fd, ol_error *err)
{
	bool known;
	int rc = try_new(options, fd, &known, err);

	if (known || rc != OL_EUNSUPPORTED)
		return rc;
	rc = mount_old(options, err);
	if (rc < 0)
		return rc;
	*fd = open_tree(AT_FDCWD, options->target, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (*fd < 0)
		rc = ol_fail_sys(err, "%s", options->target);
	(void)umount2(options->target, MNT_DETACH | UMOUNT_NOFOLLOW);
	return rc;
}

int ol_overlay_mount(const ol_overlay_options *options, ol_error *err)
{
	ol_autofd int fd = -1;
	bool known;
	int rc = try_new(options, &fd, &known, err);

	if (!known && rc == OL_EUNSUPPORTED)
		return mount_old(options, err);
	if (rc < 0)
		return rc;
	if (move_mount(fd, "", AT_FDCWD, options->target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return ol_fail_sys(err, "mount on %s", options->target);
	return OL_OK;
}
