#include "snapshot/layer_mount.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/trace.h"
#include "snapshot/lazy_client.h"
#include "snapshot/mount_state.h"
#include "snapshot/rootfs_priv.h"
#include "store/lazy.h"
#include "store/use.h"

#define FOLDER "layers"
/* Whom a sweep stands for while it asks which mounts have no other user. */
#define SWEEPER "0000000000000000000000000000000000000000000000000000000000000000"
/* A folder containers/<id>/ without a row is that of a container being made, for so long. */
#define NEWBORN_SECONDS 60

ol_layer_mount_name ol_layer_mount_name_of(const ol_digest *key)
{
	ol_layer_mount_name name;

	(void)snprintf(name.text, sizeof name.text, FOLDER "/%s", ol_digest_hex(key).text);
	return name;
}

/* Closing *fd unlocks. A file of its own: the database's lock would be held over mounts. */
static int lock_layers(ol_store *store, int *fd, ol_error *err)
{
	ol_autofd int own = openat(ol_store_run_fd(store), "layers.lock",
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (own < 0)
		return ol_fail_sys(err, "%s/layers.lock", ol_store_run_dir(store));
	rc = ol_flock(own, true, true, err);
	if (rc < 0)
		return ol_wrap(err, rc, "%s/layers.lock", ol_store_run_dir(store));
	*fd = ol_steal_fd(&own);
	return OL_OK;
}

/* What stood under a lazy layer's mount: it is watched no longer than needed, and once the layer is
 * whole payload and state go with the last mount that used them. A chain's payload is its layer's.
 */
static int let_go(ol_store *store, const ol_digest *key, ol_error *err)
{
	ol_digest diff_id = *key;
	ol_layer_info info;

	if (faccessat(ol_store_run_fd(store), OL_LAZY_RUN_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return OL_OK; /* there was never a lazy layer during this boot */
	if (ol_layer_recorded(store, key, false, &info, NULL) == OL_OK ||
		ol_layer_recorded(store, key, true, &info, NULL) == OL_OK)
		diff_id = info.diff_id;
	if (!ol_lazy_is_needed(store, &diff_id))
		return ol_lazy_remove(store, &diff_id, err);
	return ol_lazy_unwatch(store, &diff_id, err);
}

/* Takes a layer's mount away, and its folder. There being none is fine: most drivers
 * mount nothing. */
static int take_away(ol_store *store, const ol_digest *key, ol_error *err)
{
	ol_layer_mount_name name = ol_layer_mount_name_of(key);
	ol_autofree char *path = ol_text("%s/%s", ol_store_run_dir(store), name.text);

	if (faccessat(ol_store_run_fd(store), name.text, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? OL_OK : ol_fail_sys(err, "%s", path);
	/* As often as something is mounted there; detached, since overlays in use keep
	 * their own. */
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		ol_trace("snapshot", "unmounted %s", path);
	if (errno != EINVAL && errno != ENOENT)
		return ol_fail_sys(err, "unmount %s", path);
	if (unlinkat(ol_store_run_fd(store), name.text, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return ol_fail_sys(err, "%s", path);
	return let_go(store, key, err);
}

/* Drops a user under the lock. What cannot be unmounted does not keep the rest mounted. */
static int drop_user(ol_store *store, const char *user_id, ol_error *err)
{
	ol_autofree ol_digest *unused = NULL;
	size_t count = 0;
	int first, rc;

	first = ol_use_end(store, user_id, &unused, &count, err);
	if (first == OL_OK)
		first = ol_fault("snapshot.mounts.dropped", err);
	for (size_t i = 0; i < count; i++) {
		rc = take_away(store, &unused[i], first == OL_OK ? err : NULL);
		if (rc < 0 && first == OL_OK)
			first = rc;
	}
	return first;
}

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; fds && i < count; i++)
		if (fds[i] >= 0)
			(void)close(ol_steal_fd(&fds[i]));
}

static int open_lower(ol_store *store, const ol_layer_info *layer, int *fd, ol_error *err)
{
	const ol_driver *driver = ol_driver_named(layer->driver);
	int rc;

	if (!driver)
		return ol_fail(err, OL_EUNSUPPORTED, "layer %s was made by a driver \"%s\"",
			ol_digest_format(&layer->key).text, layer->driver);
	if (layer->leans)
		return ol_fail(err, OL_EINVAL, "layer %s is not complete without those below",
			ol_digest_format(&layer->key).text);
	rc = driver->lower(store, layer, fd, err);
	if (rc < 0)
		return ol_wrap(err, rc, "layer %s", ol_digest_short(&layer->key).text);
	return OL_OK;
}

static int open_lowers(
	ol_store *store, const ol_layer_mount_options *options, int *fds, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; fds && i < options->count; i++)
		fds[i] = -1;
	for (size_t i = 0; rc == OL_OK && i < options->count; i++) {
		ol_autofd int fd = -1;

		rc = open_lower(store, &options->layers[i], &fd, err);
		if (rc == OL_OK && fds)
			fds[i] = ol_steal_fd(&fd);
	}
	if (rc < 0)
		close_all(fds, options->count);
	return rc;
}

static int record(ol_store *store, const ol_layer_mount_options *options, ol_error *err)
{
	ol_autofree ol_digest *keys = ol_alloc_array(options->count, sizeof *keys);

	for (size_t i = 0; i < options->count; i++)
		keys[i] = options->layers[i].key;
	return ol_use_add(store, options->user_id, keys, options->count, err);
}

int ol_layer_mounts_begin(
	ol_store *store, const ol_layer_mount_options *options, int *fds, ol_error *err)
{
	ol_autofd int lock = -1;
	int rc;

	if (options->held)
		return open_lowers(store, options, fds, err);
	rc = lock_layers(store, &lock, err);
	if (rc < 0)
		return rc;
	if (mkdirat(ol_store_run_fd(store), FOLDER, 0700) < 0 && errno != EEXIST)
		return ol_fail_sys(err, "%s/" FOLDER, ol_store_run_dir(store));
	rc = record(store, options, err);
	if (rc == OL_OK)
		rc = ol_fault("snapshot.mounts.recorded", err);
	if (rc == OL_OK)
		rc = open_lowers(store, options, fds, err);
	if (rc < 0)
		(void)drop_user(store, options->user_id, NULL);
	return rc;
}

int ol_layer_mounts_end(ol_store *store, const char *user_id, ol_error *err)
{
	ol_autofd int lock = -1;
	int rc = lock_layers(store, &lock, err);

	return rc < 0 ? rc : drop_user(store, user_id, err);
}

int ol_layer_mount_drop(ol_store *store, const ol_digest *key, ol_error *err)
{
	ol_autofd int lock = -1;
	int rc = lock_layers(store, &lock, err);

	return rc < 0 ? rc : take_away(store, key, err);
}

/* Ids, as a sweep collects them. */
struct ids {
	char **list; /* owned, as are the ids */
	size_t count, cap;
};

static void ids_add(struct ids *ids, const char *id)
{
	OL_GROW(ids->list, ids->count, ids->cap);
	ids->list[ids->count++] = ol_strdup(id);
}

static bool ids_have(const struct ids *ids, const char *id)
{
	for (size_t i = 0; i < ids->count; i++)
		if (strcmp(ids->list[i], id) == 0)
			return true;
	return false;
}

static void ids_done(struct ids *ids)
{
	for (size_t i = 0; i < ids->count; i++)
		free(ids->list[i]);
	free(ids->list);
}

struct users {
	ol_store *store;
	/* NULL: mounts are coming and going, so rows say nothing of their mounts */
	const ol_mount_view *view;
	struct ids alive, gone;
};

static bool is_this_boot(const struct users *users, const char *boot_id)
{
	return boot_id && strcmp(boot_id, ol_store_boot_id(users->store)) == 0;
}

/* An exited container whose process still lives is taking itself down. */
static int see_container(void *ctx, const ol_container_info *info, ol_error *err)
{
	struct users *users = ctx;
	bool alive =
		is_this_boot(users, info->boot_id) && ol_process_alive(info->pid, info->pid_start);

	(void)err;
	ids_add(alive ? &users->alive : &users->gone, info->id);
	return OL_OK;
}

/* A mount lasts until it is ended, by whomever, or the machine is. */
static int see_mount(void *ctx, const ol_mount_info *info, ol_error *err)
{
	struct users *users = ctx;
	bool alive = is_this_boot(users, info->boot_id);

	(void)err;
	if (alive && users->view)
		alive = ol_mount_view_state(users->view, info) != OL_MOUNT_GONE;
	ids_add(alive ? &users->alive : &users->gone, info->id);
	return OL_OK;
}

/* Folders without a row: of what died before it had one, or after it had none any more. */
static int see_folders(struct users *users, ol_error *err)
{
	int fd = openat(
		ol_store_root_fd(users->store), "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	time_t now = time(NULL);

	if (!dir) {
		int rc = errno == ENOENT ? OL_OK : ol_fail_sys(err, "containers");

		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		struct stat st;

		if (entry->d_name[0] == '.' || ids_have(&users->alive, entry->d_name) ||
			ids_have(&users->gone, entry->d_name) ||
			fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (st.st_ctime + NEWBORN_SECONDS < now || st.st_ctime > now + NEWBORN_SECONDS)
			ids_add(&users->gone, entry->d_name);
	}
	(void)closedir(dir);
	return OL_OK;
}

/* A crash between the two mounts of ol_rootfs_mount leaves the tmpfs under the overlay in sight. */
static void unmount_leftover(ol_store *store, const char *user_id)
{
	ol_autofree char *path =
		ol_text("%s/containers/%s/" OL_ROOTFS_TMPFS, ol_store_root(store), user_id);

	(void)umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

static int drop_gone(struct users *users, ol_error *err)
{
	ol_store *store = users->store;
	int rc = ol_container_each(store, see_container, users, err);

	if (rc == OL_OK)
		rc = ol_mount_each(store, see_mount, users, err);
	if (rc == OL_OK)
		rc = see_folders(users, err);
	for (size_t i = 0; rc == OL_OK && i < users->gone.count; i++) {
		rc = drop_user(store, users->gone.list[i], err);
		unmount_leftover(store, users->gone.list[i]);
	}
	return rc;
}

static int count_mount(void *ctx, const ol_mount_info *info, ol_error *err)
{
	(void)info;
	(void)err;
	(*(size_t *)ctx)++;
	return OL_OK;
}

static int drop_gone_users(ol_store *store, ol_error *err)
{
	struct users users = { .store = store };
	ol_mount_view view = { .boot_id = NULL };
	ol_autofd int lock = -1;
	size_t mounts = 0;
	int rc = ol_mount_each(store, count_mount, &mounts, err);

	if (rc == OL_OK && mounts > 0) {
		rc = ol_mounts_lock(store, false, &lock, err);
		if (rc == OL_OK)
			rc = ol_mount_view_open(store, &view, err);
		if (rc == OL_OK)
			users.view = &view;
		if (rc == OL_EBUSY)
			rc = OL_OK;
	}
	if (rc == OL_OK)
		rc = drop_gone(&users, err);
	ol_mount_view_done(&view);
	ids_done(&users.alive);
	ids_done(&users.gone);
	return rc;
}

/* What is mounted, by the names of the folders. */
static int list_mounted(ol_store *store, ol_digest **keys, size_t *count, ol_error *err)
{
	int fd = openat(ol_store_run_fd(store), FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t cap = 0;

	if (!dir) {
		int rc = errno == ENOENT ? OL_OK : ol_fail_sys(err, FOLDER);

		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		size_t size = strlen(entry->d_name);
		ol_digest key = { .algorithm = size == 64 ? OL_SHA256 : OL_SHA512 };

		if (ol_hex_parse(ol_view_from(entry->d_name, size), key.bytes,
			    ol_algorithm_size(key.algorithm)) < 0)
			continue;
		OL_GROW(*keys, *count, cap);
		(*keys)[(*count)++] = key;
	}
	(void)closedir(dir);
	return OL_OK;
}

/* The store tells which layers lose their last user, so the sweeper becomes a user of all that is
 * mounted, and goes. */
int ol_layer_mounts_sweep(ol_store *store, ol_error *err)
{
	ol_autofree ol_digest *mounted = NULL;
	ol_autofd int lock = -1;
	size_t count = 0;
	int rc = lock_layers(store, &lock, err);

	if (rc == OL_OK)
		rc = drop_gone_users(store, err);
	if (rc == OL_OK)
		rc = list_mounted(store, &mounted, &count, err);
	if (rc == OL_OK && count > 0)
		rc = ol_use_add(store, SWEEPER, mounted, count, err);
	if (rc == OL_OK)
		rc = drop_user(store, SWEEPER, err);
	return rc;
}
