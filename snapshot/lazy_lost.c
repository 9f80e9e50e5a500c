/*
 * What a holder leaves behind that was killed together with its worker. With fanotify its readers
 * were let go and saw zeros, and EROFS keeps these pages: so no new user may come to such a mount,
 * and what is cached is dropped. Who was there already is named: nobody can take back what it read.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/trace.h"
#include "snapshot/layer_mount.h"
#include "snapshot/lazy_client.h"
#include "snapshot/lazy_engine.h"
#include "snapshot/lazy_held_priv.h"
#include "store/lazy.h"
#include "store/use.h"

struct losing {
	ol_store *store;
	void (*call)(void *ctx, const ol_lazy_loss *loss);
	void *ctx;
	const ol_held *held;
	bool zeros;
};

struct telling {
	const struct losing *losing;
	const ol_lazy_loss *loss;
};

static int tell_user(void *ctx, const char *user_id, ol_error *err)
{
	const struct telling *telling = ctx;
	ol_lazy_loss told = *telling->loss;

	(void)err;
	told.user_id = user_id;
	telling->losing->call(telling->losing->ctx, &told);
	return OL_OK;
}

static bool is_lost(const struct losing *losing, const ol_digest *diff_id)
{
	for (size_t i = 0; i < losing->held->count; i++)
		if (ol_digest_eq(&losing->held->layers[i].diff_id, diff_id))
			return !losing->held->layers[i].complete || !losing->zeros;
	return false;
}

static int lose_layer(void *ctx, const ol_layer_info *info, ol_error *err)
{
	const struct losing *losing = ctx;
	const ol_lazy_loss loss = { .diff_id = info->diff_id, .zeros = losing->zeros };
	struct telling telling = { losing, &loss };
	int rc;

	if (!is_lost(losing, &info->diff_id))
		return OL_OK;
	rc = ol_use_each(losing->store, &info->key, tell_user, &telling, err);
	return rc < 0 ? rc : ol_layer_mount_drop(losing->store, &info->key, err);
}

/* Pages of what was mounted, so that nobody finds zeros in memory. */
static void drop_caches(const struct losing *losing)
{
	ol_autofd int fd = -1;

	for (size_t i = 0; i < losing->held->count; i++) {
		ol_autofd int dir_fd = -1, payload_fd = -1;

		if (ol_lazy_open(losing->store, &losing->held->layers[i].diff_id, &dir_fd, NULL) <
			0)
			continue;
		payload_fd = openat(dir_fd, OL_LAZY_PAYLOAD, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (payload_fd >= 0)
			(void)posix_fadvise(payload_fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) < 0)
		ol_trace("snapshot", "drop_caches: %s", strerror(errno));
}

static int lose(const struct losing *losing, ol_error *err)
{
	int rc = OL_OK;

	if (losing->held->count)
		rc = ol_layer_each(losing->store, lose_layer, (void *)(uintptr_t)losing, err);
	if (rc == OL_OK && losing->held->count && losing->zeros)
		drop_caches(losing);
	return rc;
}

static bool is_over(ol_store *store, const ol_held *held)
{
	return strcmp(held->boot_id, ol_store_boot_id(store)) != 0 ||
	       (!ol_process_alive(held->holder.pid, held->holder.start) &&
		       !ol_process_alive(held->worker.pid, held->worker.start));
}

/* Under the lock: only one command finds out. */
static int find_out(struct losing *losing, int lazy_fd, ol_error *err)
{
	ol_store *store = losing->store;
	ol_held held = { .count = 0 };
	const ol_lazy_engine *engine;
	int rc = ol_held_read(lazy_fd, &held, err);

	if (rc == OL_ENOTFOUND)
		return OL_OK;
	if (rc < 0) {
		(void)ol_held_remove(lazy_fd, NULL); /* said once */
		return rc;
	}
	if (is_over(store, &held)) {
		engine = ol_lazy_engine_named(held.engine);
		losing->held = &held;
		losing->zeros = !engine || engine->leaves_zeros;
		if (strcmp(held.boot_id, ol_store_boot_id(store)) == 0)
			rc = lose(losing, err);
		if (rc == OL_OK)
			rc = ol_held_remove(lazy_fd, err);
	}
	losing->held = NULL;
	ol_held_done(&held);
	return rc;
}

int ol_lazy_lost(ol_store *store, void (*call)(void *ctx, const ol_lazy_loss *loss), void *ctx,
	ol_error *err)
{
	struct losing losing = { .store = store, .call = call, .ctx = ctx };
	ol_autofd int lazy_fd = -1, lock = -1;
	int rc;

	if (ol_dir_open(ol_store_run_fd(store), OL_LAZY_RUN_DIR, &lazy_fd, NULL) < 0 ||
		faccessat(lazy_fd, OL_HELD_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return OL_OK;
	rc = ol_lazy_lock(store, &lock, err);
	return rc < 0 ? rc : find_out(&losing, lazy_fd, err);
}
