/*
 * An overlay over idmapped mounts of its directories. Three things about the kernel shape it:
 *
 *	Before Linux 6.15 overlayfs takes only directories of mounts that have a place, so each gets
 *	one, in a mount namespace that nobody else sees and that ends with its only thread.
 *
 *	overlayfs makes its own files (whiteouts, what is being copied up) as whoever mounted it.
 *	In an idmapped upper the host's root has no id to be written down, so the mounting
 *	thread's file-system ids are those that stand for the container's root.
 *
 *	Both concern a thread: that of the caller stays as it is.
 */
#include <fcntl.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/idmap_mount.h"
#include "snapshot/overlay_priv.h"

struct mapped {
	ol_overlay_options options; /* lowers, upper, work: made by the thread */
	int *fds;                   /* owned: of the lowers, first trees, then directories */
	int place;                  /* owned: tree of the folder of upper and work; -1: none */
	const char *upper_name;
	uint32_t uid, gid;
	int made; /* owned: the overlay, mounted nowhere */
	int rc;
	ol_error err;
};

static void mapped_done(struct mapped *m)
{
	for (size_t i = 0; m->fds && i < m->options.count; i++)
		if (m->fds[i] >= 0)
			(void)close(m->fds[i]);
	free(m->fds);
	ol_fd_p(&m->place);
	ol_fd_p(&m->options.upper);
	ol_fd_p(&m->options.work);
	ol_fd_p(&m->made);
}

static int make_trees(struct mapped *m, const ol_overlay_options *plain, int place_fd,
	const ol_idmap *map, ol_error *err)
{
	ol_autofd int namespace_fd = -1;
	int rc = ol_idmap_namespace(map, &namespace_fd, err);

	m->fds = ol_alloc_array(plain->count, sizeof *m->fds);
	for (size_t i = 0; i < plain->count; i++)
		m->fds[i] = -1;
	for (size_t i = 0; rc == OL_OK && i < plain->count; i++)
		rc = ol_idmap_tree(plain->lowers[i], namespace_fd, &m->fds[i], err);
	if (rc == OL_OK && plain->upper >= 0)
		rc = ol_idmap_tree(place_fd, namespace_fd, &m->place, err);
	return rc;
}

/* Gives a tree a place in this namespace, on top of those before, and opens a directory in it. */
static int settle(int tree, const char *name, int *out, ol_error *err)
{
	if (name == NULL)
		name = ".";
	else if (strcmp(name, "work") == 0)
		return ol_dir_open(tree, name, out, err); /* beside upper, which came before */
	if (move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return ol_fail_sys(err, "a place for an idmapped mount");
	return ol_dir_open(tree, name, out, err);
}

static int settle_all(struct mapped *m, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < m->options.count; i++) {
		ol_autofd int tree = ol_steal_fd(&m->fds[i]);

		rc = settle(tree, NULL, &m->fds[i], err);
	}
	if (rc == OL_OK && m->place >= 0)
		rc = settle(m->place, m->upper_name, &m->options.upper, err);
	if (rc == OL_OK && m->place >= 0)
		rc = settle(m->place, "work", &m->options.work, err);
	return rc;
}

/* Capabilities stay with the thread in spite of its new ids. */
static int take_ids(const struct mapped *m, ol_error *err)
{
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
		return ol_fail_sys(err, "keep capabilities for an idmapped mount");
	(void)setfsgid(m->gid);
	(void)setfsuid(m->uid);
	if ((uint32_t)setfsuid((uid_t)-1) != m->uid || (uint32_t)setfsgid((gid_t)-1) != m->gid)
		return ol_fail(err, OL_EUNSUPPORTED,
			"cannot write as user %u of the id map: it is not an id here", m->uid);
	return OL_OK;
}

static int make(struct mapped *m, ol_error *err)
{
	int rc;

	/* Private: on a shared "/" the places would be seen everywhere. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return ol_fail_sys(err, "a mount namespace for idmapped mounts");
	rc = settle_all(m, err);
	if (rc == OL_OK)
		rc = take_ids(m, err);
	m->options.lowers = m->fds;
	return rc < 0 ? rc : ol_overlay_make(&m->options, &m->made, err);
}

static void *make_thread(void *arg)
{
	struct mapped *m = arg;

	m->rc = make(m, &m->err);
	return NULL;
}

static int run_thread(struct mapped *m, ol_error *err)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, make_thread, m);
	if (errno != 0)
		return ol_fail_sys(err, "start a thread");
	pthread_join(thread, NULL);
	if (m->rc < 0 && err)
		*err = m->err;
	return m->rc;
}

int ol_overlay_mount_mapped(const ol_overlay_options *options, int place_fd, const char *upper_name,
	const ol_idmap *map, ol_error *err)
{
	struct mapped m = {
		.options = *options,
		.place = -1,
		.upper_name = upper_name,
		.made = -1,
	};
	int rc;

	if (!ol_id_map_outside(&map->uids, 0, &m.uid) ||
		!ol_id_map_outside(&map->gids, 0, &m.gid)) {
		ol_fail(err, OL_EINVAL,
			"the id map has no place for user and group 0 of the container");
		return ol_hint(err, OL_EINVAL, "begin it with 0, as in 0:100000:65536");
	}
	m.options.upper = m.options.work = -1;
	rc = make_trees(&m, options, place_fd, map, err);
	if (rc == OL_OK)
		rc = run_thread(&m, err);
	if (rc == OL_EUNSUPPORTED)
		(void)ol_hint(err, rc,
			"overlayfs stacks idmapped mounts since Linux 5.19; EROFS, ext4, xfs and "
			"btrfs have them");
	if (rc == OL_OK &&
		move_mount(m.made, "", AT_FDCWD, options->target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		rc = ol_fail_sys(err, "mount on %s", options->target);
	mapped_done(&m);
	return rc;
}
