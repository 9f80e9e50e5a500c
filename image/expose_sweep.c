/* mounts, and what gc does about them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "image/container_priv.h"
#include "image/lazy.h"

struct listing {
	ol_session *session;
	ol_mount_view view; /* opened for the first mount: most stores have none */
	bool opened;
	int (*call)(void *ctx, const ol_mount_info *info, ol_mount_state state, ol_error *err);
	void *ctx;
};

static int list_one(void *ctx, const ol_mount_info *info, ol_error *err)
{
	struct listing *listing = ctx;

	if (!listing->opened) {
		int rc = ol_mount_view_open(listing->session->store, &listing->view, err);

		if (rc < 0)
			return rc;
		listing->opened = true;
	}
	return listing->call(listing->ctx, info, ol_mount_view_state(&listing->view, info), err);
}

int ol_list_mounts(ol_session *session,
	int (*call)(void *ctx, const ol_mount_info *info, ol_mount_state state, ol_error *err),
	void *ctx, ol_error *err)
{
	struct listing listing = { .session = session, .call = call, .ctx = ctx };
	int rc = ol_mount_each(session->store, list_one, &listing, err);

	if (listing.opened)
		ol_mount_view_done(&listing.view);
	return rc;
}

static int sweep_one(void *ctx, const ol_mount_info *info, ol_mount_state state, ol_error *err)
{
	ol_session *session = ctx;

	if ((state != OL_MOUNT_GONE && state != OL_MOUNT_UNMOUNTED) ||
		ol_mount_was_written(session, info))
		return OL_OK;
	return ol_unmount_image(session, info, state, true, err);
}

/* Folders under the run root whose mount has no row any more, or never had one. Those with a row
 * stay: to remove a folder takes down what another mount namespace has mounted there. */
static int sweep_places(ol_session *session, ol_error *err)
{
	int fd = openat(ol_store_run_fd(session->store), "mounts",
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int rc = OL_OK;

	if (!dir) {
		rc = errno == ENOENT
			     ? OL_OK
			     : ol_fail_sys(err, "%s/mounts", ol_store_run_dir(session->store));
		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	for (struct dirent *entry = readdir(dir); rc == OL_OK && entry; entry = readdir(dir)) {
		ol_autofree char *path =
			ol_text("%s/mounts/%s", ol_store_run_dir(session->store), entry->d_name);
		ol_mount_info info = { 0 };

		if (entry->d_name[0] == '.')
			continue;
		rc = ol_mount_get(session->store, path, &info, NULL);
		ol_mount_info_done(&info);
		if (rc == OL_ENOTFOUND) {
			(void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
			rc = OL_OK;
		}
	}
	(void)closedir(dir);
	return rc < 0 ? ol_fail(err, rc, "the rows of mounts cannot be read") : OL_OK;
}

int ol_sweep_mounts(ol_session *session, ol_error *err)
{
	ol_autofd int lock = -1;
	int rc;

	ol_lazy_tell_lost(session);
	rc = ol_mounts_lock(session->store, false, &lock, err);
	if (rc == OL_OK)
		rc = ol_list_mounts(session, sweep_one, session, err);
	if (rc == OL_OK)
		rc = sweep_places(session, err);
	if (rc == OL_EBUSY)
		rc = OL_OK; /* they come and go: those who do that sweep too */
	ol_fd_p(&lock);
	lock = -1;
	return rc < 0 ? rc : ol_rootfs_sweep(session->store, err);
}
