/*
 * Power losses. What fsync, fdatasync and syncfs were not called for is lost: the database's log
 * goes back to what it was at its last sync, and files get zeros for bytes. The three calls are
 * caught here; SQLite calls them through the same names.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "tests/store_box.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"

static struct {
	pthread_mutex_t lock;
	char wal[4 << 20]; /* as it was when it was last synced */
	size_t wal_size;
	ino_t synced[256];
	size_t count;
	bool all;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void note(int fd)
{
	char link[64], path[512] = "";
	struct stat st;
	ssize_t size;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (readlink(link, path, sizeof path - 1) < 0 || fstat(fd, &st) < 0)
		return;
	(void)pthread_mutex_lock(&disk.lock);
	if (strlen(path) > 4 && strcmp(path + strlen(path) - 4, "-wal") == 0) {
		size = pread(fd, disk.wal, sizeof disk.wal, 0);
		disk.wal_size = size < 0 ? 0 : (size_t)size;
	} else if (disk.count < sizeof disk.synced / sizeof disk.synced[0]) {
		disk.synced[disk.count++] = st.st_ino;
	}
	(void)pthread_mutex_unlock(&disk.lock);
}

int fsync(int fd)
{
	note(fd);
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fildes)
{
	note(fildes);
	return (int)syscall(SYS_fdatasync, fildes);
}

int syncfs(int fd)
{
	disk.all = true;
	return (int)syscall(SYS_syncfs, fd);
}

static bool was_synced(ino_t inode)
{
	for (size_t i = 0; i < disk.count; i++)
		if (disk.synced[i] == inode)
			return true;
	return disk.all;
}

static void lose_bytes(store_box *box, const char *folder)
{
	int dir_fd = openat(box->dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(dir_fd);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): one thread */
		struct stat st;

		CHECK_INT("stat", 0, fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW));
		if (S_ISREG(st.st_mode) && !was_synced(st.st_ino)) {
			int fd = openat(dir_fd, entry->d_name, O_WRONLY | O_TRUNC | O_CLOEXEC);

			CHECK_INT("zeros", 0, ftruncate(fd, st.st_size));
			CHECK_INT("close", 0, close(fd));
		}
	}
	(void)closedir(dir);
}

static void lose_power(store_box *box)
{
	ol_store_close(box->store);
	box->store = NULL;
	CHECK_INT("log", OL_OK,
		ol_publish(box->dir_fd, "root/orlop.db-wal", ol_view_from(disk.wal, disk.wal_size),
			0600, OL_PUBLISH_REPLACE, NULL));
	(void)unlinkat(box->dir_fd, "root/orlop.db-shm", 0);
	lose_bytes(box, "root/blobs/sha256");
	box_boot(box, "boot-after");
}

static int setup(void **state)
{
	int rc = box_setup(state);
	store_box *box = *state;

	/* The store itself is older than the tests, and on disk. */
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	disk.count = 0;
	disk.all = false;
	return rc;
}

static uint64_t count_faults(store_box *box)
{
	const ol_check_options options = { .found = box_print_finding };
	uint64_t faults = 0;

	CHECK_INT("check", OL_OK, ol_check(box->store, &options, &faults, NULL));
	return faults;
}

static int set_name(store_box *box, const char *name, const ol_digest *root)
{
	const ol_name_info info = { .name = name, .root = *root, .media_type = MANIFEST };

	return ol_name_set(box->store, &info, NULL);
}

/* Invariant 3: rows are lost from the end, and their files are garbage. */
static void what_was_not_synced_may_be_lost_but_never_lies(void **state)
{
	store_box *box = *state;
	ol_digest lost = box_blob(box->store, "lost");

	CHECK_INT("name", OL_OK, set_name(box, "x", &lost));
	lose_power(box);
	CHECK_INT("sound", 0, (long long)count_faults(box));
	CHECK_INT("name", OL_ENOTFOUND, ol_name_get(box->store, "x", &(ol_name_info){ 0 }, NULL));
	assert_false(ol_blob_exists(box->store, &lost));
	(void)box_blob(box->store, "lost");
	assert_true(ol_blob_exists(box->store, &lost));
}

/* Invariant 4: a row on disk, its bytes not. */
static void a_row_that_outlives_its_bytes_is_found_out(void **state)
{
	store_box *box = *state;
	ol_digest lost = box_blob(box->store, "lost"), kept = box_digest("kept");

	/* Its commit takes the whole log to disk, the row of "lost" included. */
	CHECK_INT("put", OL_OK, ol_blob_put(box->store, &kept, ol_view_of("kept"), true, NULL));
	lose_power(box);
	assert_true(ol_blob_exists(box->store, &kept));
	CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &lost, &(ol_blob_info){ 0 }, NULL));
	assert_false(ol_blob_exists(box->store, &lost));
	(void)box_blob(box->store, "lost");
	CHECK_INT("sound", 0, (long long)count_faults(box));
}

/* Invariant 5, and the promise of ol_store_sync. */
static void after_sync_nothing_is_lost(void **state)
{
	store_box *box = *state;
	ol_digest kept = box_blob(box->store, "kept");
	ol_name_info info = { 0 };
	ol_blob_info blob;

	CHECK_INT("name", OL_OK, set_name(box, "x", &kept));
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	lose_power(box);
	CHECK_INT("name", OL_OK, ol_name_get(box->store, "x", &info, NULL));
	ol_name_info_done(&info);
	CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &kept, &blob, NULL));
	assert_true(blob.durable);
	CHECK_INT("sound", 0, (long long)count_faults(box));
}

/* The same when there is no blob to sync: names alone. */
static void after_sync_names_are_not_lost(void **state)
{
	store_box *box = *state;
	ol_digest kept = box_blob(box->store, "kept");
	ol_name_info info = { 0 };

	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	CHECK_INT("name", OL_OK, set_name(box, "x", &kept));
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	lose_power(box);
	CHECK_INT("name", OL_OK, ol_name_get(box->store, "x", &info, NULL));
	ol_name_info_done(&info);
}

/* Invariant 2: rows do not come back to files that are gone. */
static void what_gc_removed_stays_removed(void **state)
{
	store_box *box = *state;
	ol_digest kept = box_blob(box->store, "kept"), gone = box_blob(box->store, "gone");

	CHECK_INT("name", OL_OK, set_name(box, "x", &kept));
	CHECK_INT("name", OL_OK, set_name(box, "y", &gone));
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	CHECK_INT("remove", OL_OK, ol_name_remove(box->store, "y", false, NULL));
	CHECK_INT("gc", OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
	lose_power(box);
	CHECK_INT("sound", 0, (long long)count_faults(box));
	CHECK_INT(
		"gone", OL_ENOTFOUND, ol_blob_stat(box->store, &gone, &(ol_blob_info){ 0 }, NULL));
	assert_true(ol_blob_exists(box->store, &kept));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_not_synced_may_be_lost_but_never_lies, setup, box_teardown),
		cmocka_unit_test_setup_teardown(
			a_row_that_outlives_its_bytes_is_found_out, setup, box_teardown),
		cmocka_unit_test_setup_teardown(after_sync_nothing_is_lost, setup, box_teardown),
		cmocka_unit_test_setup_teardown(after_sync_names_are_not_lost, setup, box_teardown),
		cmocka_unit_test_setup_teardown(what_gc_removed_stays_removed, setup, box_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
