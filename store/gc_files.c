/*
 * Files that go: those whose rows gc has just deleted, and those that no row ever knew or knows any
 * more, left by processes that died. Each is looked up under the write lock before it is unlinked,
 * because a new row may have come meanwhile: rows are inserted under the same lock, after their
 * file was put in place (invariants 1 and 2). Folders are only renamed under it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "store/gc_priv.h"
#include "store/lazy.h"
#include "store/use_priv.h"

/* A process that makes something for a day is dead. */
#define SCRATCH_SECONDS ((int64_t)24 * 3600)
/* Who has not resumed for a week will not. */
#define INGEST_SECONDS ((int64_t)7 * 24 * 3600)
/* A folder may be made before its row, by hours at most. */
#define CONTAINER_SECONDS ((int64_t)24 * 3600)
#define BATCH_FILES       256

int ol_each_name(int dir_fd, int (*call)(void *ctx, const char *name, ol_error *err), void *ctx,
	ol_error *err)
{
	ol_autofd int fd = -1;
	struct dirent *entry;
	DIR *dir;
	int rc = ol_dir_open(dir_fd, ".", &fd, err);

	if (rc < 0)
		return rc;
	dir = fdopendir(fd);
	if (!dir)
		return ol_fail_sys(err, "read a folder");
	(void)ol_steal_fd(&fd);
	while (rc == OL_OK &&
		(entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = call(ctx, entry->d_name, err);
	}
	(void)closedir(dir);
	return rc;
}

bool ol_name_is_key(const char *name, ol_algorithm algorithm, ol_digest *out)
{
	ol_digest digest = { .algorithm = algorithm };

	if (ol_hex_parse(ol_view_of(name), digest.bytes, ol_algorithm_size(algorithm)) < 0)
		return false;
	*out = digest;
	return true;
}

static bool is_older(int dir_fd, const char *name, int64_t seconds)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_mtime < ol_unix_now() - seconds;
}

static uint64_t disk_bytes(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_blocks * 512
								    : 0;
}

static int has_row(ol_db *db, const ol_victim *victim, int64_t *out, ol_error *err)
{
	if (victim->is_layer)
		return ol_db_number(db, err, out,
			"SELECT EXISTS(SELECT 1 FROM layers WHERE key = ? AND is_chain = ?)", "di",
			&victim->digest, (int64_t)victim->is_chain);
	return ol_db_number(db, err, out, "SELECT EXISTS(SELECT 1 FROM blobs WHERE digest = ?)",
		"d", &victim->digest);
}

/* Under the write lock: a blob's file is unlinked, a layer's folder renamed to what is then emptied
 * outside. */
static int take_out(ol_store *store, const ol_victim *victim, ol_scratch_name *trash,
	ol_gc_result *out, ol_error *err)
{
	const int dir_fd = victim->is_layer ? ol_layers_dir(store, victim->is_chain)
					    : store->blobs_fd[victim->digest.algorithm];
	const ol_digest_text name = ol_digest_hex(&victim->digest);
	uint64_t bytes = victim->is_layer ? victim->bytes : disk_bytes(dir_fd, name.text);
	int rc = OL_OK;

	if (victim->is_layer) {
		*trash = ol_scratch(OL_TRASH_PREFIX);
		rc = ol_publish_move(dir_fd, name.text, dir_fd, trash->text, 0, err);
	} else if (unlinkat(dir_fd, name.text, 0) < 0) {
		rc = ol_fail_sys(err, "remove blob %s", name.text);
	}
	if (rc == OL_OK) {
		out->bytes += bytes;
		out->layers += victim->is_layer;
		out->blobs += !victim->is_layer;
	}
	return rc == OL_ENOTFOUND ? OL_OK : rc;
}

static int unlink_batch(ol_store *store, const ol_victim *victims, size_t count,
	ol_scratch_name *trash, ol_gc_result *out, ol_error *err)
{
	ol_auto_txn ol_txn txn = {
		0
	}; /* for its lock alone: it changes nothing and is rolled back */
	int rc = ol_txn_begin(store, false, &txn, err);

	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		int64_t row = 0;

		rc = has_row(txn.db, &victims[i], &row, err);
		if (rc == OL_OK && !row)
			rc = take_out(store, &victims[i], &trash[i], out, err);
		if (rc == OL_OK)
			rc = ol_fault("store.gc.unlinked", err);
	}
	return rc;
}

int ol_gc_unlink(
	ol_store *store, const ol_victim *victims, size_t count, ol_gc_result *out, ol_error *err)
{
	ol_autofree ol_scratch_name *trash = ol_alloc_array(BATCH_FILES, sizeof *trash);
	int rc = OL_OK;

	for (size_t at = 0; rc == OL_OK && at < count; at += BATCH_FILES) {
		size_t size = count - at < BATCH_FILES ? count - at : BATCH_FILES;

		memset(trash, 0, BATCH_FILES * sizeof *trash);
		rc = unlink_batch(store, victims + at, size, trash, out, err);
		for (size_t i = 0; i < size; i++) {
			if (!trash[i].text[0])
				continue;
			(void)ol_remove_tree(ol_layers_dir(store, victims[at + i].is_chain),
				trash[i].text, NULL);
			/* What cannot be removed now is the next gc's. */
			(void)ol_lazy_release(store, &victims[at + i].digest, &out->bytes, NULL);
		}
	}
	return rc;
}

struct folder {
	ol_store *store; /* lent */
	const ol_cancel *cancel;
	int fd;
	ol_algorithm algorithm; /* of the names: NONE takes both */
	bool is_layer, is_chain;
	ol_victims orphans; /* owned list */
};

bool ol_gc_scratch(int dir_fd, const char *name)
{
	if (strncmp(name, OL_TRASH_PREFIX, strlen(OL_TRASH_PREFIX)) == 0) {
		(void)ol_remove_tree(
			dir_fd, name, NULL); /* perhaps together with its maker; both may */
		return true;
	}
	if (strncmp(name, OL_TMP_PREFIX, strlen(OL_TMP_PREFIX)) != 0)
		return false;
	if (is_older(dir_fd, name, SCRATCH_SECONDS))
		(void)ol_remove_tree(dir_fd, name, NULL);
	return true;
}

static int see_name(void *ctx, const char *name, ol_error *err)
{
	struct folder *folder = ctx;
	ol_victim victim = { .is_layer = folder->is_layer, .is_chain = folder->is_chain };
	int64_t row = 0;
	int rc = ol_cancel_check(folder->cancel, err);

	if (rc < 0 || ol_gc_scratch(folder->fd, name))
		return rc;
	if (!ol_name_is_key(
		    name, folder->algorithm ? folder->algorithm : OL_SHA256, &victim.digest) &&
		(folder->algorithm || !ol_name_is_key(name, OL_SHA512, &victim.digest)))
		return OL_OK; /* not ours to remove */
	{
		ol_auto_db ol_db *db = ol_db_reader(folder->store);

		rc = has_row(db, &victim, &row, err);
	}
	if (rc == OL_OK && !row) {
		OL_GROW(folder->orphans.list, folder->orphans.count, folder->orphans.cap);
		folder->orphans.list[folder->orphans.count++] = victim;
	}
	return rc;
}

static int sweep_root(void *ctx, const char *name, ol_error *err)
{
	(void)err;
	(void)ol_gc_scratch(((ol_store *)ctx)->root_fd, name);
	return OL_OK;
}

int ol_gc_orphans(ol_store *store, const ol_cancel *cancel, ol_gc_result *out, ol_error *err)
{
	struct folder folders[] = {
		{ .fd = store->blobs_fd[OL_SHA256], .algorithm = OL_SHA256 },
		{ .fd = store->blobs_fd[OL_SHA512], .algorithm = OL_SHA512 },
		{ .fd = store->layers_fd, .is_layer = true },
		{ .fd = store->chains_fd, .is_layer = true, .is_chain = true },
	};
	int rc = ol_each_name(store->root_fd, sweep_root, store, err);

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		struct folder *folder = &folders[i];

		folder->store = store;
		folder->cancel = cancel;
		if (rc == OL_OK)
			rc = ol_each_name(folder->fd, see_name, folder, err);
		if (rc == OL_OK)
			rc = ol_gc_unlink(
				store, folder->orphans.list, folder->orphans.count, out, err);
		free(folder->orphans.list);
	}
	return rc;
}

struct ingests {
	ol_store *store; /* lent */
	const ol_cancel *cancel;
	ol_gc_result *out;
};

/* ingest/<algorithm>-<hex>: the digest as text; NULL for other names. Owned by the caller. */
static char *digest_of_ingest(const char *name)
{
	char *text = ol_strdup(name);
	char *dash = strchr(text, '-');

	if (!dash) {
		free(text);
		return NULL;
	}
	*dash = ':';
	return text;
}

/* It has what came so far of a layer that is not whole. */
static bool is_lazy(ol_store *store, const char *name)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_autofree char *text = digest_of_ingest(name);
	int64_t found = 0;

	/* What cannot be told stays. */
	return text && (ol_db_number(db, NULL, &found,
				"SELECT EXISTS(SELECT 1 FROM layers WHERE blob = ? AND driver = "
				"'" OL_LAZY_DRIVER "')",
				"t", text) < 0 ||
			       found);
}

/* Of no use any more: the digest is there as a blob, or the layer that was made of it is. */
static bool is_needless(ol_store *store, const char *name)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_autofree char *text = digest_of_ingest(name);
	int64_t found = 0;

	if (!text)
		return false;
	return ol_db_number(db, NULL, &found,
		       "SELECT EXISTS(SELECT 1 FROM blobs WHERE digest = ?1 AND state != 2)"
		       " OR EXISTS(SELECT 1 FROM layers WHERE blob = ?1 AND state != 2 AND driver "
		       "!= '" OL_LAZY_DRIVER "')",
		       "t", text) == OL_OK &&
	       found;
}

/* `data` and `map` are touched at every MiB that comes. */
static bool is_stale(int dir_fd)
{
	return is_older(dir_fd, ".", INGEST_SECONDS) &&
	       (faccessat(dir_fd, "data", F_OK, 0) < 0 || is_older(dir_fd, "data", INGEST_SECONDS));
}

static int see_ingest(void *ctx, const char *name, ol_error *err)
{
	struct ingests *ingests = ctx;
	int ingest_fd = ingests->store->ingest_fd;
	ol_scratch_name trash = ol_scratch(OL_TRASH_PREFIX);
	ol_autofd int dir_fd = -1, lock_fd = -1;
	uint64_t bytes;
	int rc = ol_cancel_check(ingests->cancel, err);

	if (rc < 0 || ol_gc_scratch(ingest_fd, name))
		return rc;
	if (ol_dir_open(ingest_fd, name, &dir_fd, NULL) < 0)
		return OL_OK;
	if (strncmp(name, OL_DRAFT_PREFIX, strlen(OL_DRAFT_PREFIX)) != 0 &&
		!is_needless(ingests->store, name) &&
		(!is_stale(dir_fd) || is_lazy(ingests->store, name)))
		return OL_OK;
	lock_fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock_fd < 0 || ol_flock(lock_fd, true, false, NULL) < 0)
		return OL_OK; /* somebody has it */
	bytes = disk_bytes(dir_fd, "data");
	/* If the name leads elsewhere by now, what is moved away is another folder, perhaps one in
	 * use: look. */
	{
		struct stat ours, named;

		if (fstat(dir_fd, &ours) < 0 ||
			fstatat(ingest_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
			ours.st_ino != named.st_ino)
			return OL_OK;
	}
	if (ol_publish_move(ingest_fd, name, ingest_fd, trash.text, 0, NULL) < 0)
		return OL_OK;
	(void)flock(lock_fd, LOCK_UN);
	(void)ol_remove_tree(ingest_fd, trash.text, NULL);
	ingests->out->ingests++;
	ingests->out->bytes += bytes;
	return OL_OK;
}

int ol_gc_ingests(ol_store *store, const ol_cancel *cancel, ol_gc_result *out, ol_error *err)
{
	struct ingests ingests = { store, cancel, out };

	return ol_each_name(store->ingest_fd, see_ingest, &ingests, err);
}

static int see_container(void *ctx, const char *name, ol_error *err)
{
	ol_store *store = ctx;
	ol_auto_db ol_db *db = ol_db_reader(store);
	int64_t row = 0;
	int rc;

	/* Not ours to remove: what a repair put away, for one. */
	if (!ol_is_user_id(name))
		return OL_OK;
	rc = ol_db_number(db, err, &row,
		"SELECT EXISTS(SELECT 1 FROM containers WHERE id = ?1) OR EXISTS(SELECT 1 FROM "
		"mounts WHERE id = ?1)"
		" OR EXISTS(SELECT 1 FROM uses WHERE user = ?1)",
		"t", name);

	/* No row, no layer in use, and a day old: of a process that died before it had one. */
	if (rc == OL_OK && !row && is_older(store->containers_fd, name, CONTAINER_SECONDS))
		(void)ol_remove_tree(store->containers_fd, name, NULL);
	return rc;
}

int ol_gc_containers(ol_store *store, ol_error *err)
{
	return ol_each_name(store->containers_fd, see_container, store, err);
}
