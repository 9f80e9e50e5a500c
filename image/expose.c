/* mount and umount: an image made visible at a path for other programs, until it is unmounted. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "image/container_priv.h"

void ol_mounted_done(ol_mounted *mounted)
{
	ol_mount_info_done(&mounted->info);
	ol_staging_done(&mounted->staging);
}

int ol_mount_image(ol_session *session, const ol_image *image, const ol_expose_options *options,
	ol_mounted *out, ol_error *err)
{
	ol_mounted mounted = { .staging = { .dir_fd = -1 } };
	ol_mount_info *info = &mounted.info;
	ol_use_id id;
	int rc = ol_use_id_new(&id, err);

	if (rc < 0)
		return rc;
	*info = (ol_mount_info){
		.id = ol_strdup(id.text),
		.target = ol_strdup(options->dir),
		.image = ol_strdup(options->image),
		.root = image->root,
		.config = image->config_digest,
		.writable = options->writable,
		.created = ol_unix_now(),
		.boot_id = ol_strdup(ol_store_boot_id(session->store)),
	};
	/* The row first: a mount without a row would be nobody's to clean up. */
	rc = ol_mount_add(session->store, info, err);
	if (rc == OL_OK) {
		rc = ol_staging_open(
			session, info->id, image->config, options->dir, &mounted.staging, err);
		if (rc == OL_OK)
			rc = ol_staging_mount(
				session, &mounted.staging, info->id, options->writable, err);
		if (rc < 0)
			(void)ol_unmount_image(session, info, NULL);
	}
	if (rc < 0) {
		ol_mounted_done(&mounted);
		return rc;
	}
	*out = mounted;
	return OL_OK;
}

int ol_unmount_image(ol_session *session, const ol_mount_info *info, ol_error *err)
{
	ol_autofree char *dir = ol_text("containers/%s", info->id);
	int rc = ol_rootfs_unmount(session->store, info->id, info->target, err);

	if (rc == OL_OK)
		rc = ol_remove_tree(ol_store_root_fd(session->store), dir, err);
	return rc < 0 ? rc : ol_mount_remove(session->store, info->id, err);
}

int ol_expose(ol_session *session, const ol_expose_options *options, char **path, ol_error *err)
{
	ol_expose_options resolved = *options;
	ol_autofree char *target = NULL;
	ol_mounted mounted = { 0 };
	ol_image image = { 0 };
	int rc = ol_rootfs_sweep(session->store, err);

	if (rc == OL_OK)
		rc = ol_image_find(session, options->image, options->platform, &image, err);
	if (rc < 0)
		return rc;
	if (options->dir) {
		target = realpath(options->dir, NULL);
		if (!target)
			rc = ol_fail_sys(err, "%s", options->dir);
	} else {
		ol_digest_text hex = ol_digest_short(&image.config_digest);

		target = ol_text("%s/mounts/%s%s", ol_store_run_dir(session->store), hex.text,
			options->writable ? "-rw" : "");
		rc = ol_mkdirs(AT_FDCWD, target, 0755, err);
	}
	resolved.dir = target;
	if (rc == OL_OK)
		rc = ol_mount_image(session, &image, &resolved, &mounted, err);
	if (rc == OL_OK) {
		*path = ol_steal(&target);
		ol_mounted_done(&mounted);
	}
	ol_image_done(&image);
	return rc;
}

/* A target, the bundle folder above it, or the image's name. */
static int find_mount(ol_session *session, const char *text, ol_mount_info *out, ol_error *err)
{
	ol_autofree char *path = realpath(text, NULL);
	ol_autofree char *inside = path ? ol_text("%s/rootfs", path) : NULL;
	int rc = OL_ENOTFOUND;

	if (path)
		rc = ol_mount_get(session->store, path, out, err);
	if (rc == OL_ENOTFOUND && inside)
		rc = ol_mount_get(session->store, inside, out, err);
	if (rc == OL_ENOTFOUND)
		rc = ol_mount_get(session->store, text, out, err);
	if (rc == OL_ENOTFOUND) {
		ol_fail(err, rc, "%.255s is not a mount of orlop's", text);
		return ol_hint(err, rc, "`orlop mount` without words lists them");
	}
	return rc;
}

int ol_unexpose(ol_session *session, const char *target_or_image, ol_error *err)
{
	ol_autofree char *ours = ol_text("%s/mounts/", ol_store_run_dir(session->store));
	ol_mount_info info = { 0 };
	int rc = find_mount(session, target_or_image, &info, err);

	if (rc < 0)
		return rc;
	rc = ol_unmount_image(session, &info, err);
	/* A folder that we made goes with its mount. */
	if (rc == OL_OK && strncmp(info.target, ours, strlen(ours)) == 0 &&
		rmdir(info.target) < 0 && errno != ENOENT)
		rc = ol_fail_sys(err, "%s", info.target);
	ol_mount_info_done(&info);
	return rc;
}

int ol_list_mounts(ol_session *session,
	int (*call)(void *ctx, const ol_mount_info *info, ol_error *err), void *ctx, ol_error *err)
{
	return ol_mount_each(session->store, call, ctx, err);
}
