/*
 * An ingest's life: ingest/<algorithm>-<hex>/ with `lock`, `data` and `map`.
 *
 *	           open                         commit: data becomes a blob
 *	(nothing) ──────▶ held by one opener ──────────────────────────────▶ (nothing)
 *	    ▲             │       ▲             drop
 *	    │ gc, a week  │ close │ open: what the map says is there
 *	    └──────────── left on disk ◀─ the holder's death
 *
 * Holding is a flock on `lock`, which the kernel drops with the holder. A folder goes by being
 * renamed first, while it is held: who opened its lock before that finds, once it has the flock,
 * that the name leads elsewhere, and begins again (invariant 9).
 */
#include "store/ingest.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/ingest_priv.h"

#define WAIT_INTERVAL_MS 100

static ol_ingest *ingest_new(ol_store *store, const ol_ingest_options *options)
{
	ol_ingest *ingest = ol_alloc(sizeof *ingest);
	pthread_condattr_t attributes;

	ingest->store = store;
	ingest->digest = options->digest;
	ingest->size = options->size;
	ingest->any_boot = options->any_boot;
	ingest->dir_fd = ingest->lock_fd = ingest->data_fd = ingest->map_fd = -1;
	(void)snprintf(ingest->folder, sizeof ingest->folder, "%s-%.128s",
		ol_algorithm_name(options->digest.algorithm), ol_digest_hex(&options->digest).text);
	(void)pthread_mutex_init(&ingest->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&ingest->grown, &attributes);
	(void)pthread_cond_init(&ingest->came, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return ingest;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* Everything but the flock, which goes last: with it goes our right to touch the folder. */
static void ingest_free(ol_ingest *ingest)
{
	close_fd(&ingest->data_fd);
	close_fd(&ingest->map_fd);
	ol_range_set_done(&ingest->present);
	ol_range_set_done(&ingest->pending);
	/* Said aloud: a forked child may still hold a copy of the descriptor. */
	if (ingest->lock_fd >= 0)
		(void)flock(ingest->lock_fd, LOCK_UN);
	close_fd(&ingest->lock_fd);
	close_fd(&ingest->dir_fd);
	(void)pthread_cond_destroy(&ingest->grown);
	(void)pthread_cond_destroy(&ingest->came);
	(void)pthread_mutex_destroy(&ingest->lock);
	free(ingest);
}

static bool is_still_there(const ol_ingest *ingest)
{
	struct stat ours, named;

	return fstat(ingest->dir_fd, &ours) == 0 &&
	       fstatat(ingest->store->ingest_fd, ingest->folder, &named, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* OL_EBUSY: somebody has it, and dir_fd shows how far it is. OL_ENOTFOUND: it was removed under our
 * hands. */
static int try_lock(ol_ingest *ingest, ol_error *err)
{
	int rc;

	close_fd(&ingest->lock_fd);
	close_fd(&ingest->dir_fd);
	if (mkdirat(ingest->store->ingest_fd, ingest->folder, 0700) < 0 && errno != EEXIST) {
		rc = ol_fail_sys(err, "mkdir ingest/%s", ingest->folder);
		return rc == OL_ENOTFOUND
			       ? OL_ESYSTEM
			       : rc; /* the store's own folder is gone: no use in trying again */
	}
	rc = ol_dir_open(ingest->store->ingest_fd, ingest->folder, &ingest->dir_fd, err);
	if (rc < 0)
		return rc;
	ingest->lock_fd =
		openat(ingest->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ingest->lock_fd < 0)
		return ol_fail_sys(err, "ingest/%s/lock", ingest->folder);
	rc = ol_flock(ingest->lock_fd, true, false, err);
	if (rc == OL_OK && !is_still_there(ingest))
		return ol_fail(err, OL_ENOTFOUND, "ingest/%s was removed", ingest->folder);
	return rc;
}

static int wait_a_little(const ol_ingest *ingest, const ol_ingest_options *options, ol_error *err)
{
	struct pollfd poll_fd = { ol_cancel_fd(options->cancel), POLLIN, 0 };
	ol_range_map map = { 0 };
	ol_event event = {
		.kind = OL_EVENT_LAYER,
		.state = OL_LAYER_ELSEWHERE,
		.digest = options->digest,
		.total = options->size,
		.layer = options->layer,
	};

	/* Between two maps (or while the first is made) there is none to read: then nothing is said
	 * of bytes. */
	if (ol_ingest_peek(ingest->dir_fd, &map, NULL) == OL_OK)
		event.done = map.set.present;
	ol_range_set_done(&map.set);
	ol_tell(options->listener, &event);
	(void)poll(&poll_fd, 1, WAIT_INTERVAL_MS); /* a negative descriptor is passed over */
	return ol_cancel_check(options->cancel, err);
}

static int hold(ol_ingest *ingest, const ol_ingest_options *options, ol_error *err)
{
	for (;;) {
		int rc = try_lock(ingest, err);

		if (rc == OL_EBUSY && !options->no_wait)
			rc = wait_a_little(ingest, options, err);
		else if (rc != OL_ENOTFOUND)
			return rc;
		if (rc < 0 && rc != OL_ENOTFOUND)
			return rc;
	}
}

/* What a killed holder was making of the bytes is worth nothing without its memory. */
static int remove_leftovers(ol_ingest *ingest, ol_error *err)
{
	ol_autofd int fd = -1;
	struct dirent *entry;
	DIR *dir;
	int rc = ol_dir_open(ingest->dir_fd, ".", &fd, err);

	if (rc < 0)
		return rc;
	dir = fdopendir(fd);
	if (!dir)
		return ol_fail_sys(err, "ingest/%s", ingest->folder);
	(void)ol_steal_fd(&fd);
	while (rc == OL_OK &&
		(entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		static const char *const ours[] = { ".", "..", "lock", "data", "map" };
		bool keep = false;

		for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
			keep = keep || strcmp(entry->d_name, ours[i]) == 0;
		if (!keep)
			rc = ol_remove_tree(ingest->dir_fd, entry->d_name, err);
	}
	(void)closedir(dir);
	return rc;
}

int ol_ingest_open(
	ol_store *store, const ol_ingest_options *options, ol_ingest **out, ol_error *err)
{
	ol_ingest *ingest;
	int rc;

	if (store->read_only || !ol_digest_is_set(&options->digest))
		return ol_fail(err, OL_EINVAL, "nothing can be received here");
	if (options->size > OL_DESCRIPTOR_BYTES_MAX)
		return ol_fail(
			err, OL_ELIMIT, "%s is too large", ol_digest_format(&options->digest).text);
	ingest = ingest_new(store, options);
	rc = hold(ingest, options, err);
	if (rc < 0) {
		ingest_free(ingest);
		return rc;
	}
	/* Asked also without a wait: the other one may have ended between our caller's look and our
	 * lock. */
	if (options->done && options->done(options->ctx)) {
		(void)ol_ingest_drop(ingest, NULL);
		return ol_fail(err, OL_EEXISTS, "%s has come meanwhile",
			ol_digest_format(&options->digest).text);
	}
	rc = remove_leftovers(ingest, err);
	if (rc == OL_OK)
		rc = ol_ingest_load(ingest, err);
	if (rc < 0) {
		rc = ol_wrap(err, rc, "ingest/%s", ingest->folder);
		ingest_free(ingest);
		return rc;
	}
	*out = ingest;
	return OL_OK;
}

void ol_ingest_close(ol_ingest *ingest)
{
	if (!ingest)
		return;
	ol_ingest_flush(ingest);
	ingest_free(ingest);
}

int ol_ingest_dir_fd(const ol_ingest *ingest)
{
	return ingest->dir_fd;
}

int ol_ingest_drop(ol_ingest *ingest, ol_error *err)
{
	ol_scratch_name trash = ol_scratch(OL_TRASH_PREFIX);
	int ingests_fd = ingest->store->ingest_fd;
	int rc = ol_fault("store.ingest.drop", err);

	if (rc == OL_OK)
		rc = ol_publish_move(ingests_fd, ingest->folder, ingests_fd, trash.text, 0, err);
	if (rc == OL_OK)
		rc = ol_fault("store.ingest.renamed", err);
	ingest_free(ingest);
	/* Out of the way already: others need not wait while it is emptied. */
	return rc == OL_OK ? ol_remove_tree(ingests_fd, trash.text, err) : rc;
}

int ol_ingest_commit(ol_ingest *ingest, ol_error *err)
{
	int rc = OL_OK;

	if (ol_ingest_present(ingest) != ingest->size)
		rc = ol_fail(err, OL_EINVAL, "not all of %s has come",
			ol_digest_format(&ingest->digest).text);
	if (rc == OL_OK)
		rc = ol_blob_adopt(
			ingest->store, &ingest->digest, ingest->size, ingest->dir_fd, "data", err);
	if (rc < 0) {
		ol_ingest_close(ingest);
		return rc;
	}
	/* The blob is there; a folder that stays behind is gc's. */
	(void)ol_ingest_drop(ingest, NULL);
	return OL_OK;
}
