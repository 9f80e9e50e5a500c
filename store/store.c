/*
 * The store: opening it, and what holds for all of it.
 *
 *	blobs/ layers/ chains/    bytes
 *	orlop.db                  what is known of them: the only authority on what exists
 *	lazy/                     of layers that are not whole yet: store/lazy.h
 *	ingest/ containers/       work in hand
 *	index.json, oci-layout    derived from orlop.db, for other tools
 *
 * Invariants (the tests cite the numbers):
 *
 *  1. A blob or layer exists if and only if it has a row. A row is committed after its file stands
 *     complete under its final name, and both happen under the database's write lock; a file
 *     without a row is garbage, whatever it holds.
 *  2. A row is removed, and that is on disk, before its file is unlinked; unlinking happens under
 *     the write lock, after looking that no new row has come. So a row never outlives its file,
 *     whichever process dies when.
 *  3. The database runs with synchronous = NORMAL: after a power loss it is what it was at some
 *     earlier commit, never a mixture. Losing the last commits can only lose rows (garbage files,
 *     invariant 1), or bring back rows whose removal nobody acted on, because what acts on a commit
 *     (unlinking, reporting something durable) makes it with FULL first.
 *  4. A row in state `written` names the boot during which its bytes were verified. In another boot
 *     it proves nothing: the bytes may never have reached the disk. They are hashed once more
 *     before first use, and the row then names the new boot. An extracted tree has no digest: after
 *     such a boot it is damaged, to be made anew from its blob.
 *  5. A row in state `durable` was fsynced, with its folder, after it was verified and before the
 *     row said so.
 *  6. A row in state `damaged` is never used and counts as absent to those who could bring the
 *     bytes anew; they replace it.
 *  7. What names, leases, containers, mounts and uses reach over edges is never collected, however
 *     it came to be reached.
 *  8. index.json is never older than the names it was published for: whoever publishes reads them
 *     under the root's lock. While it is older than the names are, the row `unlisted` of the table
 *     `store` says so, or the process that changed them lives (index_json.c).
 *  9. An ingest belongs to who holds the flock on its `lock` file, and that file is still the one
 *     of that name.
 * 10. A range in an ingest's map was written to `data` before the map said so, during the boot the
 *     map names; or during an earlier one, if who opened it since then asked for that, and verifies
 *     what it uses. Either way the digest of the whole decides before it becomes a blob.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/row_mend_priv.h"

static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

static int make_folders(ol_store *store, ol_error *err)
{
	static const char *const folders[] = { "blobs", "blobs/sha256", "blobs/sha512", "layers",
		"chains", "ingest", "containers", "lazy" };

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		if (mkdirat(store->root_fd, folders[i], 0700) < 0 && errno != EEXIST)
			return ol_fail_sys(err, "mkdir %s/%s", store->root, folders[i]);
	return OL_OK;
}

static int open_folders(ol_store *store, ol_error *err)
{
	const struct {
		const char *path;
		int *fd;
	} folders[] = {
		{ "blobs/sha256", &store->blobs_fd[OL_SHA256] },
		{ "blobs/sha512", &store->blobs_fd[OL_SHA512] },
		{ "layers", &store->layers_fd },
		{ "chains", &store->chains_fd },
		{ "ingest", &store->ingest_fd },
		{ "containers", &store->containers_fd },
	};
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < sizeof folders / sizeof folders[0]; i++) {
		rc = ol_dir_open(store->root_fd, folders[i].path, folders[i].fd, err);
		if (rc < 0)
			rc = ol_wrap(err, rc, "%s", store->root);
	}
	/* An older orlop made none. */
	if (rc == OL_OK && ol_dir_open(store->root_fd, "lazy", &store->lazy_fd, NULL) < 0 &&
		!store->read_only)
		rc = ol_dir_open(store->root_fd, "lazy", &store->lazy_fd, err);
	return rc;
}

static int open_root(ol_store *store, const ol_store_options *options, ol_error *err)
{
	char path[PATH_MAX];
	int rc = OL_OK;

	if (!options->root || !options->root[0])
		return ol_fail(err, OL_EINVAL, "the store needs a folder");
	if (!options->read_only)
		rc = ol_mkdirs(AT_FDCWD, options->root, 0700, err);
	if (rc < 0)
		return ol_wrap(err, rc, "store %s", options->root);
	if (!realpath(options->root, path))
		return ol_fail_sys(err, "store %s", options->root);
	store->root = ol_strdup(path);
	store->db_path = ol_text("%s/orlop.db", path);
	rc = ol_dir_open(AT_FDCWD, path, &store->root_fd, err);
	if (rc < 0)
		return rc;
	if (options->read_only && faccessat(store->root_fd, "orlop.db", F_OK, 0) < 0)
		return ol_fail(err, OL_ENOTFOUND, "there is no store in %s", path);
	return options->read_only ? OL_OK : make_folders(store, err);
}

void ol_passed_over(ol_store *store)
{
	store->passed_over++;
}

uint64_t ol_store_passed_over(const ol_store *store)
{
	return store->passed_over;
}

int ol_root_lock(ol_store *store, int *fd, ol_error *err)
{
	/* A descriptor of its own: a flock belongs to the open file, and threads must exclude each
	 * other too. */
	ol_autofd int own = -1;
	int rc = ol_dir_open(store->root_fd, ".", &own, err);

	if (rc == OL_OK)
		rc = ol_flock(own, true, true, err);
	if (rc < 0)
		return ol_wrap(err, rc, "lock %s", store->root);
	*fd = ol_steal_fd(&own);
	return OL_OK;
}

static int create_or_migrate(ol_store *store, ol_error *err)
{
	ol_autofd int lock = -1;
	int rc = ol_root_lock(store, &lock, err);

	if (rc == OL_OK)
		rc = ol_schema_migrate(&store->reader, err);
	if (rc < 0)
		return rc;
	rc = ol_publish(
		store->root_fd, "oci-layout", ol_view_of(layout), 0644, OL_PUBLISH_REPLACE, err);
	(void)close(ol_steal_fd(&lock));
	return rc == OL_OK ? ol_listing_write(store, false, err) : rc;
}

static int fail_unfinished(ol_error *err)
{
	(void)ol_fail(err, OL_ECORRUPT, "a repair of the store was begun and is not finished");
	return ol_hint(err, OL_ECORRUPT, "run `orlop check --repair` to finish it");
}

static int open_database(ol_store *store, ol_error *err)
{
	int64_t version = 0;
	int rc = OL_OK;

	if (!store->read_only && ol_has_orphaned_files(store)) {
		(void)ol_fail(
			err, OL_ECORRUPT, "the database orlop.db is missing from %s", store->root);
		return ol_hint(err, OL_ECORRUPT, "run `orlop check --repair` to make it again");
	}
	if (ol_is_half_replaced(store))
		return fail_unfinished(err);
	rc = ol_db_open(&store->reader, store->db_path, store->read_only, err);
	if (rc == OL_OK)
		rc = ol_schema_version(&store->reader, &version, err);
	if (rc < 0)
		return rc;
	if (version == ol_schema_newest)
		return OL_OK;
	if (store->read_only)
		return ol_fail(err, OL_EUNSUPPORTED,
			"the store was made by an older orlop and must be opened for writing once");
	return create_or_migrate(store, err);
}

static int read_id(ol_store *store, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	uint8_t bytes[OL_STORE_ID_HEX / 2];
	int rc = ol_db_query(db, err, &stmt,
		"SELECT value, " OL_SOUND("store", OL_ROW_STORE) " FROM store WHERE key = 'id'",
		"");

	if (rc == OL_OK)
		rc = ol_db_step(db, stmt, err);
	if (rc == 1) {
		rc = ol_row_check(stmt, 1, "store", "id", err);
		if (rc == OL_OK)
			rc = ol_column_copy(stmt, 0, store->id, sizeof store->id, err);
	} else if (rc == 0)
		rc = ol_fail(err, OL_ECORRUPT, "the database has no store id");
	/* It becomes a folder's name. */
	if (rc == OL_OK && ol_hex_parse(ol_view_of(store->id), bytes, sizeof bytes) < 0)
		rc = ol_fail(err, OL_ECORRUPT, "the database has no usable store id");
	return rc;
}

/* Between a repair's beginning and its end the database does not say all it should. */
static int refuse_unfinished(ol_store *store, ol_error *err)
{
	return ol_store_is_rebuilding(store) ? fail_unfinished(err) : OL_OK;
}

/* The log may be switched off: a database that was made again comes without. */
static int finish_rescue(ol_store *store, ol_error *err)
{
	const int rc =
		sqlite3_exec(store->reader.handle, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		return ol_db_fail(&store->reader, rc, "open", err);
	return ol_store_is_rebuilding(store) ? ol_readopt_blobs(store, err) : OL_OK;
}

static int read_boot_id(ol_store *store, const char *given, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_BOOT_ID_MAX - 1);
	int rc;

	if (!given) {
		rc = ol_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", false, &text, err);
		if (rc < 0)
			return ol_wrap(err, rc, "boot id");
		given = text.data;
	}
	(void)snprintf(store->boot, sizeof store->boot, "%.*s", (int)strcspn(given, "\n"), given);
	if (!store->boot[0])
		return ol_fail(err, OL_EINVAL, "there is no boot id");
	return OL_OK;
}

static int open_run_dir(ol_store *store, const char *run_root, ol_error *err)
{
	ol_autofree char *wish = run_root ? ol_text("%s/%s", run_root, store->id)
					  : ol_text("%s/run/%s", store->root, store->id);
	char path[PATH_MAX];
	int rc = OL_OK;

	if (!store->read_only)
		rc = ol_mkdirs(AT_FDCWD, wish, 0700, err);
	if (rc < 0)
		return ol_wrap(err, rc, "run folder");
	if (!realpath(wish, path)) {
		if (!store->read_only)
			return ol_fail_sys(err, "run folder %s", wish);
		(void)snprintf(path, sizeof path, "%s", wish);
	}
	store->run_dir = ol_strdup(path);
	if (store->read_only && faccessat(AT_FDCWD, path, F_OK, 0) < 0)
		return OL_OK; /* nothing is mounted; run_fd stays -1 */
	return ol_dir_open(AT_FDCWD, path, &store->run_fd, err);
}

static ol_store *store_new(bool read_only)
{
	ol_store *store = ol_alloc(sizeof *store);

	store->root_fd = store->run_fd = store->layers_fd = store->chains_fd = -1;
	store->ingest_fd = store->containers_fd = store->lazy_fd = -1;
	for (size_t i = 0; i <= OL_SHA512; i++)
		store->blobs_fd[i] = -1;
	store->read_only = read_only;
	ol_db_init(&store->reader);
	ol_db_init(&store->writer);
	return store;
}

int ol_store_open(const ol_store_options *options, ol_store **out, ol_error *err)
{
	ol_auto(ol_store_close) ol_store *store = store_new(options->read_only);
	const ol_mender *mender = options->mender;
	int rc = mender && options->read_only
			 ? ol_fail(err, OL_EINVAL, "a store that is read-only cannot be mended")
			 : open_root(store, options, err);

	if (rc == OL_OK)
		rc = read_boot_id(store, options->boot_id, err);
	if (rc == OL_OK)
		rc = open_folders(store, err);
	if (rc == OL_OK && mender)
		rc = ol_rescue(store, mender, err);
	if (rc == OL_OK)
		rc = open_database(store, err);
	if (rc == OL_OK)
		rc = mender ? finish_rescue(store, err) : refuse_unfinished(store, err);
	if (rc == OL_OK)
		rc = read_id(store, err);
	if (rc == OL_OK)
		rc = open_run_dir(store, options->run_root, err);
	if (rc < 0)
		return rc;
	ol_listing_recall(store);
	*out = ol_steal(&store);
	return OL_OK;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void ol_store_close(ol_store *store)
{
	if (!store)
		return;
	ol_listing_settle(store);
	ol_db_done(&store->reader);
	ol_db_done(&store->writer);
	close_fd(store->root_fd);
	close_fd(store->run_fd);
	close_fd(store->layers_fd);
	close_fd(store->chains_fd);
	close_fd(store->ingest_fd);
	close_fd(store->containers_fd);
	close_fd(store->lazy_fd);
	for (size_t i = 0; i <= OL_SHA512; i++)
		close_fd(store->blobs_fd[i]);
	free(store->root);
	free(store->run_dir);
	free(store->db_path);
	free(store);
}

const char *ol_store_root(const ol_store *store)
{
	return store->root;
}

const char *ol_store_run_dir(const ol_store *store)
{
	return store->run_dir;
}

const char *ol_store_id(const ol_store *store)
{
	return store->id;
}

const char *ol_store_boot_id(const ol_store *store)
{
	return store->boot;
}

int ol_store_root_fd(const ol_store *store)
{
	return store->root_fd;
}

int ol_store_run_fd(const ol_store *store)
{
	return store->run_fd;
}
