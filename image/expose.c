/*
 * mount and umount. The life of a mount is its row's:
 *
 *	          mount                      umount, and nothing written, or --rm
 *	 (none) ─────────▶ mounted ────────────────────────────────────────────────▶ (none)
 *	                   │  ▲ │ umount, and something written
 *	  reboot, or       │  │ └───────────▶ unmounted ───────▶ umount --rm ──────▶ (none)
 *	  umount(8)        ▼  │ mount            │
 *	                  gone ◀─────────────────┘ mount: mounted again, over the same upper
 *	                    └── gc, if nothing was written ────────────────────────▶ (none)
 *
 * Invariants:
 *   1. A row comes before its mount and goes after it; its folder goes after the row. A crash
 *      leaves a row that is gone, or a folder without a row: gc removes both.
 *   2. Rows and mounts change under targets.lock alone (ol_mounts_lock).
 *   3. What somebody wrote goes only when they say so: umount --rm.
 */
#include "image/expose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "image/container_priv.h"
#include "image/lazy.h"

void ol_mounted_done(ol_mounted *mounted)
{
	ol_mount_info_done(&mounted->info);
	ol_staging_done(&mounted->staging);
}

static char *idmap_text(const ol_idmap *map)
{
	ol_auto_str ol_str text = OL_STR((size_t)8 << 10);

	if (ol_idmap_is_set(map))
		ol_idmap_format(map, &text);
	return ol_strdup(ol_str_text(&text));
}

/* Mounts what the row says; the row is there. */
static int mount_row(ol_session *session, const ol_image *image, const ol_expose_options *options,
	ol_mounted *mounted, ol_error *err)
{
	const ol_mount_info *info = &mounted->info;
	const ol_mount_source source = ol_mount_source_of(info->id);
	int rc = ol_staging_open(
		session, info->id, image->config, info->target, &mounted->staging, err);

	if (rc < 0)
		return rc;
	mounted->staging.source = source.text;
	mounted->staging.idmap = options->idmap;
	rc = ol_staging_mount(session, &mounted->staging, info->id, info->writable, err);
	mounted->staging.source = NULL;
	mounted->staging.idmap = NULL;
	return rc;
}

static int forget(ol_session *session, const ol_mount_info *info, ol_error *err)
{
	ol_autofree char *dir = ol_text("containers/%s", info->id);
	int rc = ol_mount_remove(session->store, info->id, err);

	return rc < 0 ? rc : ol_remove_tree(ol_store_root_fd(session->store), dir, err);
}

int ol_mount_image(ol_session *session, const ol_image *image, const ol_expose_options *options,
	bool bundle, ol_mounted *out, ol_error *err)
{
	ol_mounted mounted = { .staging = { .dir_fd = -1 } };
	ol_use_id id;
	int rc = ol_use_id_new(&id, err);

	if (rc < 0)
		return rc;
	mounted.info = (ol_mount_info){
		.id = ol_strdup(id.text),
		.target = ol_strdup(options->dir),
		.image = ol_strdup(options->image),
		.root = image->root,
		.config = image->config_digest,
		.writable = options->writable,
		.bundle = bundle,
		.users = 1,
		.created = ol_unix_now(),
		.boot_id = ol_strdup(ol_store_boot_id(session->store)),
		.mount_namespace = ol_mount_namespace(),
		.idmap = idmap_text(options->idmap),
	};
	rc = ol_mount_add(session->store, &mounted.info, err);
	if (rc == OL_OK) {
		rc = mount_row(session, image, options, &mounted, err);
		if (rc < 0) {
			(void)ol_rootfs_unmount(session->store, id.text, NULL, NULL);
			(void)forget(session, &mounted.info, NULL);
		}
	}
	if (rc < 0) {
		ol_mounted_done(&mounted);
		return rc;
	}
	*out = mounted;
	return OL_OK;
}

bool ol_mount_was_written(ol_session *session, const ol_mount_info *info)
{
	ol_autofree char *upper = ol_text("containers/%s/upper", info->id);

	return info->writable && !ol_dir_is_empty(ol_store_root_fd(session->store), upper);
}

/* The folder under the run root that was made for a mount goes with it. */
static int remove_place(ol_session *session, const ol_mount_info *info, ol_error *err)
{
	ol_autofree char *ours = ol_text("%s/mounts/", ol_store_run_dir(session->store));

	if (strncmp(info->target, ours, strlen(ours)) != 0 || rmdir(info->target) == 0 ||
		errno == ENOENT)
		return OL_OK;
	return ol_fail_sys(err, "%s", info->target);
}

static int unmount(
	ol_session *session, const ol_mount_info *info, ol_mount_state state, ol_error *err)
{
	return ol_rootfs_unmount(
		session->store, info->id, state == OL_MOUNT_MOUNTED ? info->target : NULL, err);
}

int ol_unmount_image(ol_session *session, const ol_mount_info *info, ol_mount_state state,
	bool remove, ol_error *err)
{
	ol_mount_info kept = *info;
	int rc = unmount(session, info, state, err);

	if (rc < 0)
		return rc;
	if (remove || info->bundle || !ol_mount_was_written(session, info)) {
		rc = forget(session, info, err);
	} else {
		kept.users = 0;
		kept.boot_id = NULL;
		kept.mount_namespace = 0;
		rc = ol_mount_update(session->store, &kept, err);
	}
	return rc < 0 ? rc : remove_place(session, info, err);
}

static int state_of(
	ol_session *session, const ol_mount_info *info, ol_mount_state *out, ol_error *err)
{
	ol_mount_view view;
	int rc = ol_mount_view_open(session->store, &view, err);

	if (rc < 0)
		return rc;
	*out = ol_mount_view_state(&view, info);
	ol_mount_view_done(&view);
	return OL_OK;
}

static int fail_elsewhere(const ol_mount_info *info, ol_error *err)
{
	ol_fail(err, OL_EBUSY, "%.300s is mounted in another mount namespace", info->target);
	return ol_hint(err, OL_EBUSY,
		"unmount it there; if that namespace is gone, `orlop umount --force` forgets it");
}

/* One call of `mount`. */
struct exposing {
	ol_session *session;
	const ol_expose_options *options; /* dir: the target */
	const ol_image *image;
};

static bool is_same(const struct exposing *x, const ol_mount_info *info)
{
	ol_autofree char *idmap = idmap_text(x->options->idmap);

	return ol_digest_eq(&info->config, &x->image->config_digest) &&
	       info->writable == x->options->writable && strcmp(info->idmap, idmap) == 0;
}

static int fail_other(const ol_mount_info *info, ol_mount_state state, ol_error *err)
{
	if (state == OL_MOUNT_MOUNTED || state == OL_MOUNT_HIDDEN) {
		ol_fail(err, OL_EBUSY, "%.200s is mounted at %.200s already, %s", info->image,
			info->target, info->writable ? "writable" : "read-only");
		return ol_hint(
			err, OL_EBUSY, "end that with `orlop umount`, or name another folder");
	}
	ol_fail(err, OL_EBUSY, "what was written at %.200s belongs to another mount, of %.200s",
		info->target, info->image);
	return ol_hint(err, OL_EBUSY,
		"`orlop mount --rw %.60s %.60s` goes on with it, `orlop umount --rm` removes it",
		info->image, info->target);
}

static int expose_new(const struct exposing *x, ol_error *err)
{
	ol_mounted mounted = { .staging = { .dir_fd = -1 } };
	int rc = ol_mount_image(x->session, x->image, x->options, false, &mounted, err);

	if (rc == OL_OK)
		ol_mounted_done(&mounted);
	return rc;
}

static int add_user(const struct exposing *x, const ol_mount_info *info, ol_error *err)
{
	ol_mount_info more = *info;

	more.users++;
	return ol_mount_update(x->session->store, &more, err);
}

/* Over the upper that is there, whose owners are the image's under any id map. */
static int go_on(const struct exposing *x, ol_mount_info *info, ol_error *err)
{
	ol_mounted mounted = { .info = *info, .staging = { .dir_fd = -1 } };
	ol_autofree char *boot = ol_strdup(ol_store_boot_id(x->session->store));
	ol_autofree char *idmap = idmap_text(x->options->idmap);
	int rc;

	mounted.info.users = 1;
	mounted.info.boot_id = boot;
	mounted.info.mount_namespace = ol_mount_namespace();
	mounted.info.idmap = idmap;
	rc = ol_mount_update(x->session->store, &mounted.info, err);
	if (rc == OL_OK) {
		rc = mount_row(x->session, x->image, x->options, &mounted, err);
		if (rc < 0)
			(void)ol_mount_update(x->session->store, info, NULL);
	}
	ol_staging_done(&mounted.staging);
	return rc;
}

static int expose_over(const struct exposing *x, ol_mount_info *info, ol_error *err)
{
	ol_mount_state state = OL_MOUNT_GONE;
	int rc = state_of(x->session, info, &state, err);

	if (rc < 0)
		return rc;
	switch (state) {
	case OL_MOUNT_ELSEWHERE:
		return fail_elsewhere(info, err);
	case OL_MOUNT_MOUNTED:
	case OL_MOUNT_HIDDEN:
		return is_same(x, info) ? add_user(x, info, err) : fail_other(info, state, err);
	case OL_MOUNT_UNMOUNTED:
	case OL_MOUNT_GONE:
		break;
	}
	if (ol_mount_was_written(x->session, info)) {
		if (!x->options->writable || !ol_digest_eq(&info->config, &x->image->config_digest))
			return fail_other(info, state, err);
		return go_on(x, info, err);
	}
	rc = ol_rootfs_unmount(x->session->store, info->id, NULL, err);
	if (rc == OL_OK)
		rc = forget(x->session, info, err);
	return rc < 0 ? rc : expose_new(x, err);
}

/* Where an image without a DIR goes: by its id and how it is shown. Owned. */
static char *own_place(ol_session *session, const struct exposing *x)
{
	const ol_digest_text hex = ol_digest_short(&x->image->config_digest);
	ol_autofree char *idmap = idmap_text(x->options->idmap);
	const ol_digest map = ol_digest_of(OL_SHA256, idmap, strlen(idmap));

	return ol_text("%s/mounts/%s%s%s%.8s", ol_store_run_dir(session->store), hex.text,
		x->options->writable ? "-rw" : "", *idmap ? "-" : "",
		*idmap ? ol_digest_hex(&map).text : "");
}

static int expose_at(const struct exposing *x, ol_error *err)
{
	ol_mount_info info = { 0 };
	ol_autofd int lock = -1;
	int rc = ol_mounts_lock(x->session->store, true, &lock, err);

	if (rc == OL_OK)
		rc = ol_mount_get(x->session->store, x->options->dir, &info, err);
	if (rc == OL_ENOTFOUND)
		return expose_new(x, err);
	if (rc == OL_OK)
		rc = expose_over(x, &info, err);
	ol_mount_info_done(&info);
	return rc;
}

/* The folder as all programs name it. */
static int find_dir(const char *dir, char **out, ol_error *err)
{
	ol_autofree char *path = realpath(dir, NULL);
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return ol_fail_sys(err, "%s", dir);
	if (!S_ISDIR(st.st_mode))
		return ol_fail(err, OL_EINVAL, "%s is a file, not a folder", dir);
	*out = ol_steal(&path);
	return OL_OK;
}

int ol_expose(ol_session *session, const ol_expose_options *options, char **path, ol_error *err)
{
	ol_expose_options resolved = *options;
	ol_autofree char *target = NULL;
	ol_image image = { 0 };
	const struct exposing x = { session, &resolved, &image };
	int rc;

	ol_lazy_tell_lost(session);
	rc = ol_rootfs_sweep(session->store, err);
	if (rc == OL_OK)
		rc = ol_image_find(session, options->image, options->platform, &image, err);
	if (rc < 0)
		return rc;
	if (options->dir) {
		rc = find_dir(options->dir, &target, err);
	} else {
		target = own_place(session, &x);
		rc = ol_mkdirs(AT_FDCWD, target, 0755, err);
	}
	resolved.dir = target;
	if (rc == OL_OK)
		rc = expose_at(&x, err);
	if (rc == OL_OK)
		*path = ol_steal(&target);
	ol_image_done(&image);
	return rc;
}

/* A target, the bundle folder above it, an id, or the image's name. */
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
		return ol_hint(err, rc, "`orlop mounts` lists them");
	}
	return rc;
}

static int end_use(ol_session *session, const ol_mount_info *info,
	const ol_unexpose_options *options, int64_t *left, ol_error *err)
{
	ol_mount_state state = OL_MOUNT_GONE;
	int rc = state_of(session, info, &state, err);

	if (rc < 0)
		return rc;
	if (state == OL_MOUNT_HIDDEN) {
		ol_fail(err, OL_EBUSY, "something else is mounted over %.300s", info->target);
		return ol_hint(err, OL_EBUSY, "unmount that first");
	}
	if (state == OL_MOUNT_ELSEWHERE && !options->force)
		return fail_elsewhere(info, err);
	if (state == OL_MOUNT_UNMOUNTED && !options->remove && !options->force &&
		ol_mount_was_written(session, info)) {
		ol_fail(err, OL_EINVAL, "%.300s is unmounted already", info->target);
		return ol_hint(err, OL_EINVAL, "what was written is kept: --rm removes it");
	}
	if (state == OL_MOUNT_MOUNTED && info->users > 1 && !options->force) {
		ol_mount_info fewer = *info;

		*left = --fewer.users;
		return ol_mount_update(session->store, &fewer, err);
	}
	*left = 0;
	return ol_unmount_image(session, info, state, options->remove, err);
}

int ol_unexpose(ol_session *session, const char *name, const ol_unexpose_options *options,
	int64_t *left, ol_error *err)
{
	ol_mount_info info = { 0 };
	ol_autofd int lock = -1;
	int rc = ol_mounts_lock(session->store, true, &lock, err);

	if (rc == OL_OK)
		rc = find_mount(session, name, &info, err);
	if (rc != OL_OK)
		return rc;
	rc = end_use(session, &info, options, left, err);
	ol_mount_info_done(&info);
	return rc;
}
