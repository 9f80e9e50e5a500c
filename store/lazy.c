/*
 * lazy/<hex of DiffID>/: what a layer has beside its index until it is whole.
 *
 *	           ol_lazy_put                        the last row of driver "lazy" goes
 *	staging ───────────────▶ lazy/<hex>/ ───────────────────────────────────────▶ .trash-…
 *
 * It stands before its row, so a folder without one may be of somebody who is about to write it:
 * that one has a lease on the DiffID, and gc leaves alone what is leased.
 *
 * The state of a payload lies elsewhere (snapshot/lazy_state.h), and says which of its blocks are
 * there: whoever takes a payload away takes its state away as well, or the next payload would be
 * believed to have what the last one had.
 */
#include "store/lazy.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/measure.h"
#include "store/gc_priv.h"

static const char *const files[] = { OL_LAZY_SEEK, OL_LAZY_WINDOW, OL_LAZY_SOURCE };

static int rows_need(ol_db *db, const ol_digest *diff_id, bool leases, bool *out, ol_error *err)
{
	int64_t found = 0;
	int rc = ol_db_number(db, err, &found,
		"SELECT EXISTS(SELECT 1 FROM layers WHERE diff_id = ?1 AND driver = "
		"'" OL_LAZY_DRIVER "') OR (?2 AND EXISTS(SELECT 1 FROM lease_items WHERE digest = "
		"?1))",
		"di", diff_id, (int64_t)leases);

	*out = rc < 0 || found; /* what cannot be told is needed */
	return rc;
}

bool ol_lazy_is_needed(ol_store *store, const ol_digest *diff_id)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	bool needed;

	(void)rows_need(db, diff_id, false, &needed, NULL);
	return needed;
}

/* Both files hold the same, or neither is there. */
static bool is_same_file(int a_fd, int b_fd, const char *name)
{
	ol_auto_buf ol_buf a = OL_BUF(OL_LAZY_TABLE_BYTES_MAX), b = OL_BUF(OL_LAZY_TABLE_BYTES_MAX);
	const int rc = ol_file_read(a_fd, name, true, &a, NULL);

	if (rc != ol_file_read(b_fd, name, true, &b, NULL))
		return false;
	return rc == OL_ENOTFOUND ||
	       (rc == OL_OK && a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size)));
}

/* What is there already says the same: its payload stays of use. Where it is fetched from may be
 * said anew. */
static bool keep_old(ol_store *store, const char *hex, int dir_fd)
{
	ol_autofd int old_fd =
		openat(store->lazy_fd, hex, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (old_fd < 0 || !is_same_file(old_fd, dir_fd, OL_LAZY_SEEK) ||
		!is_same_file(old_fd, dir_fd, OL_LAZY_WINDOW) ||
		faccessat(old_fd, OL_LAZY_SEEK, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	return faccessat(dir_fd, OL_LAZY_SOURCE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
	       ol_publish_move(dir_fd, OL_LAZY_SOURCE, old_fd, OL_LAZY_SOURCE, OL_PUBLISH_REPLACE,
		       NULL) == OL_OK;
}

/* Moves what is there of the files into a folder of its own. */
static int stage(ol_store *store, const char *folder, int dir_fd, ol_error *err)
{
	ol_autofd int fd = -1;
	int rc;

	if (faccessat(dir_fd, OL_LAZY_SEEK, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return ol_fail_sys(err, OL_LAZY_SEEK);
	if (mkdirat(store->lazy_fd, folder, 0700) < 0)
		return ol_fail_sys(err, "mkdir lazy/%s", folder);
	rc = ol_dir_open(store->lazy_fd, folder, &fd, err);
	for (size_t i = 0; rc == OL_OK && i < sizeof files / sizeof files[0]; i++) {
		rc = ol_publish_move(dir_fd, files[i], fd, files[i], 0, err);
		if (rc == OL_ENOTFOUND)
			rc = OL_OK;
	}
	return rc;
}

static void forget_state(ol_store *store, const char *hex)
{
	char path[OL_DIGEST_HEX_MAX + 16];

	(void)snprintf(path, sizeof path, OL_LAZY_RUN_DIR "/" OL_LAZY_STATE_NAME, hex);
	if (store->run_fd >= 0)
		(void)unlinkat(store->run_fd, path, 0);
}

/* Where the folder goes for good: one that comes in its place has its own already. */
static void forget_creds(ol_store *store, const char *hex)
{
	char path[OL_DIGEST_HEX_MAX + 16];

	(void)snprintf(path, sizeof path, OL_LAZY_RUN_DIR "/" OL_LAZY_CREDS_NAME, hex);
	if (store->run_fd >= 0)
		(void)unlinkat(store->run_fd, path, 0);
}

/* Out of the way under a name of its own, with its state. OL_ENOTFOUND. */
static int move_away(ol_store *store, const char *hex, const char *trash, ol_error *err)
{
	int rc;

	forget_state(store, hex);
	rc = ol_publish_move(store->lazy_fd, hex, store->lazy_fd, trash, 0, err);
	if (rc == OL_OK)
		forget_state(store, hex); /* of one who looked between */
	return rc;
}

int ol_lazy_put(ol_store *store, const ol_digest *diff_id, int dir_fd, ol_error *err)
{
	const ol_scratch_name folder = ol_scratch(OL_TMP_PREFIX);
	const ol_scratch_name trash = ol_scratch(OL_TRASH_PREFIX);
	const ol_digest_text hex = ol_digest_hex(diff_id);
	int rc;

	if (store->read_only || !ol_digest_is_set(diff_id))
		return ol_fail(err, OL_EINVAL, "no lazy layer can be put here");
	if (keep_old(store, hex.text, dir_fd))
		return OL_OK;
	rc = stage(store, folder.text, dir_fd, err);
	if (rc == OL_OK)
		rc = ol_fault("store.lazy.staged", err);
	if (rc == OL_OK) {
		ol_auto_txn ol_txn txn = { 0 }; /* for its lock: gc looks under it */

		rc = ol_txn_begin(store, false, &txn, err);
		if (rc == OL_OK) {
			rc = move_away(store, hex.text, trash.text, err);
			if (rc == OL_OK || rc == OL_ENOTFOUND)
				rc = ol_publish_move(store->lazy_fd, folder.text, store->lazy_fd,
					hex.text, 0, err);
		}
	}
	(void)ol_remove_tree(store->lazy_fd, trash.text, NULL);
	if (rc < 0) {
		(void)ol_remove_tree(store->lazy_fd, folder.text, NULL);
		return ol_wrap(err, rc, "lazy layer %s", ol_digest_format(diff_id).text);
	}
	return OL_OK;
}

int ol_lazy_open(ol_store *store, const ol_digest *diff_id, int *dir_fd, ol_error *err)
{
	ol_autofd int fd = -1;

	if (store->lazy_fd >= 0)
		fd = openat(store->lazy_fd, ol_digest_hex(diff_id).text,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	else
		errno = ENOENT;
	if (fd < 0)
		return ol_fail_sys(err, "lazy layer %s", ol_digest_format(diff_id).text);
	*dir_fd = ol_steal_fd(&fd);
	return OL_OK;
}

bool ol_lazy_is_there(const ol_store *store, const ol_digest *diff_id)
{
	char path[OL_DIGEST_HEX_MAX + 8];

	(void)snprintf(path, sizeof path, "%s/" OL_LAZY_SEEK, ol_digest_hex(diff_id).text);
	return store->lazy_fd >= 0 &&
	       faccessat(store->lazy_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

uint64_t ol_lazy_disk_bytes(const ol_store *store, const ol_digest *diff_id)
{
	char path[OL_DIGEST_HEX_MAX + 16];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/" OL_LAZY_PAYLOAD, ol_digest_hex(diff_id).text);
	return store->lazy_fd >= 0 && fstatat(store->lazy_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0
		       ? (uint64_t)st.st_blocks * 512
		       : 0;
}

int ol_lazy_fsync(ol_store *store, const ol_digest *diff_id, ol_error *err)
{
	ol_autofd int fd = -1;
	int rc = ol_lazy_open(store, diff_id, &fd, err);

	for (size_t i = 0; rc == OL_OK && i < sizeof files / sizeof files[0]; i++)
		if (faccessat(fd, files[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			rc = ol_fsync_at(fd, files[i], err);
	if (rc == OL_OK && (fsync(fd) < 0 || fsync(store->lazy_fd) < 0))
		rc = ol_fail_sys(err, "fsync");
	return rc;
}

int ol_lazy_remove(ol_store *store, const ol_digest *diff_id, ol_error *err)
{
	const ol_scratch_name trash = ol_scratch(OL_TRASH_PREFIX);
	const ol_digest_text hex = ol_digest_hex(diff_id);
	int rc;

	if (store->lazy_fd < 0)
		return OL_OK;
	forget_creds(store, hex.text);
	rc = move_away(store, hex.text, trash.text, err);
	if (rc == OL_OK)
		rc = ol_remove_tree(store->lazy_fd, trash.text, err);
	return rc == OL_ENOTFOUND ? OL_OK : rc;
}

int ol_lazy_release(ol_store *store, const ol_digest *diff_id, uint64_t *freed_bytes, ol_error *err)
{
	const ol_scratch_name trash = ol_scratch(OL_TRASH_PREFIX);
	const ol_digest_text hex = ol_digest_hex(diff_id);
	ol_measure sum = { 0 };
	bool needed = true;
	int rc;

	if (store->lazy_fd < 0 ||
		faccessat(store->lazy_fd, hex.text, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return OL_OK;
	{
		/* For its lock alone: no row comes between the look and the rename. */
		ol_auto_txn ol_txn txn = { 0 };

		rc = ol_txn_begin(store, false, &txn, err);
		if (rc == OL_OK)
			rc = rows_need(txn.db, diff_id, true, &needed, err);
		if (rc < 0 || needed)
			return rc;
		forget_creds(store, hex.text);
		rc = move_away(store, hex.text, trash.text, err);
	}
	if (rc == OL_ENOTFOUND)
		return OL_OK;
	if (rc == OL_OK && ol_measure_tree(store->lazy_fd, trash.text, &sum, NULL) == OL_OK)
		*freed_bytes += sum.disk;
	return rc == OL_OK ? ol_remove_tree(store->lazy_fd, trash.text, err) : rc;
}

struct sweep {
	ol_store *store; /* lent */
	uint64_t *freed_bytes;
};

static int see_folder(void *ctx, const char *name, ol_error *err)
{
	const struct sweep *sweep = ctx;
	ol_digest diff_id;

	if (ol_gc_scratch(sweep->store->lazy_fd, name))
		return OL_OK;
	if (!ol_name_is_key(name, OL_SHA256, &diff_id) &&
		!ol_name_is_key(name, OL_SHA512, &diff_id))
		return OL_OK; /* not ours to remove */
	return ol_lazy_release(sweep->store, &diff_id, sweep->freed_bytes, err);
}

int ol_gc_lazy(ol_store *store, uint64_t *freed_bytes, ol_error *err)
{
	struct sweep sweep = { store, freed_bytes };

	return store->lazy_fd < 0 ? OL_OK : ol_each_name(store->lazy_fd, see_folder, &sweep, err);
}

int ol_lazy_sweep(ol_store *store, ol_error *err)
{
	uint64_t freed_bytes = 0;

	return ol_gc_lazy(store, &freed_bytes, err);
}
