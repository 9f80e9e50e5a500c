#include "snapshot/mount_state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

#define LOCK_NAME "targets.lock"

const char *ol_mount_state_name(ol_mount_state state)
{
	static const char *const names[] = {
		[OL_MOUNT_MOUNTED] = "mounted",
		[OL_MOUNT_HIDDEN] = "hidden",
		[OL_MOUNT_ELSEWHERE] = "elsewhere",
		[OL_MOUNT_UNMOUNTED] = "unmounted",
		[OL_MOUNT_GONE] = "gone",
	};

	return names[state];
}

int ol_mount_view_open(ol_store *store, ol_mount_view *out, ol_error *err)
{
	ol_mount_view view = { .text = OL_BUF(OL_MOUNTINFO_BYTES_MAX),
		.mount_namespace = ol_mount_namespace(),
		.boot_id = ol_store_boot_id(store) };
	int rc = ol_mountinfo_read(&view.text, err);

	if (rc < 0) {
		ol_mount_view_done(&view);
		return rc;
	}
	*out = view;
	return OL_OK;
}

void ol_mount_view_done(ol_mount_view *view)
{
	ol_buf_done(&view->text);
	*view = (ol_mount_view){ .boot_id = NULL };
}

ol_mount_state ol_mount_view_state(const ol_mount_view *view, const ol_mount_info *info)
{
	if (!info->boot_id || strcmp(info->boot_id, view->boot_id) != 0)
		return info->users == 0 ? OL_MOUNT_UNMOUNTED : OL_MOUNT_GONE;
	/* A row of an orlop that did not note it says no more than the boot. */
	if (info->mount_namespace == 0)
		return OL_MOUNT_MOUNTED;
	if (info->mount_namespace != view->mount_namespace)
		return OL_MOUNT_ELSEWHERE;
	switch (ol_mountinfo_find(
		ol_buf_view(&view->text), info->target, ol_mount_source_of(info->id).text)) {
	case OL_MOUNT_ABSENT:
		break;
	case OL_MOUNT_THERE:
		return OL_MOUNT_MOUNTED;
	case OL_MOUNT_COVERED:
		return OL_MOUNT_HIDDEN;
	}
	return OL_MOUNT_GONE;
}

ol_mount_source ol_mount_source_of(const char *id)
{
	ol_mount_source source;

	(void)snprintf(source.text, sizeof source.text, "orlop-%.12s", id);
	return source;
}

int ol_mounts_lock(ol_store *store, bool wait, int *fd, ol_error *err)
{
	ol_autofd int own = openat(
		ol_store_run_fd(store), LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (own < 0)
		return ol_fail_sys(err, "%s/" LOCK_NAME, ol_store_run_dir(store));
	rc = ol_flock(own, true, wait, err);
	if (rc < 0)
		return ol_wrap(err, rc, "%s/" LOCK_NAME, ol_store_run_dir(store));
	*fd = ol_steal_fd(&own);
	return OL_OK;
}
