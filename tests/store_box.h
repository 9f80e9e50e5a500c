#pragma once

/* A store in a folder of its own, for the tests of store/. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "store/blob.h"
#include "store/gc.h"
#include "store/layer.h"
#include "store/name.h"
#include "store/row_priv.h"
#include "store/store.h"
#include "tests/check.h"

typedef struct store_box {
	char dir[64]; /* holds root/ and run/ */
	char root[80], run[80];
	int dir_fd;
	ol_store *store;
} store_box;

static inline int box_open_as(store_box *box, const char *boot_id, ol_store **out, ol_error *err)
{
	const ol_store_options options = {
		.root = box->root, .run_root = box->run, .boot_id = boot_id
	};

	return ol_store_open(&options, out, err);
}

#ifdef STORE_SOURCE_DIR
/* Puts the database of a recipe of fixtures/store in place of the box's own. */
static inline void box_recipe(store_box *box, const char *recipe)
{
	ol_auto_buf ol_buf sql = OL_BUF((size_t)1 << 20);
	char path[4096];
	sqlite3 *db = NULL;

	ol_store_close(box->store);
	box->store = NULL;
	(void)unlinkat(box->dir_fd, "root/orlop.db", 0);
	(void)unlinkat(box->dir_fd, "root/orlop.db-wal", 0);
	(void)unlinkat(box->dir_fd, "root/orlop.db-shm", 0);
	(void)snprintf(path, sizeof path, "%s/fixtures/store/%s.sql", STORE_SOURCE_DIR, recipe);
	CHECK_INT(path, OL_OK, ol_file_read(AT_FDCWD, path, true, &sql, NULL));
	(void)snprintf(path, sizeof path, "%s/orlop.db", box->root);
	CHECK_INT(recipe, SQLITE_OK, sqlite3_open(path, &db));
	CHECK_INT(recipe, SQLITE_OK, sqlite3_exec(db, ol_str_text(&sql), NULL, NULL, NULL));
	CHECK_INT(recipe, SQLITE_OK, sqlite3_close(db));
}
#endif

/* Closes and opens the store as if the machine had been started anew. */
static inline void box_boot(store_box *box, const char *boot_id)
{
	ol_error err = { 0 };

	ol_store_close(box->store);
	box->store = NULL;
	CHECK_INT(err.text, OL_OK, box_open_as(box, boot_id, &box->store, &err));
}

static inline int box_setup(void **state)
{
	store_box *box = calloc(1, sizeof *box);
	const char *tmp = getenv("TMPDIR");

	assert_non_null(box);
	(void)snprintf(box->dir, sizeof box->dir, "%.40s/orlop-store-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(box->dir));
	(void)snprintf(box->root, sizeof box->root, "%s/root", box->dir);
	(void)snprintf(box->run, sizeof box->run, "%s/run", box->dir);
	box->dir_fd = open(box->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	box_boot(box, "boot-1");
	*state = box;
	return 0;
}

static inline int box_teardown(void **state)
{
	store_box *box = *state;

	ol_store_close(box->store);
	(void)close(box->dir_fd);
	CHECK_INT("clean up", OL_OK, ol_remove_tree(AT_FDCWD, box->dir, NULL));
	free(box);
	return 0;
}

#define BOX_TEST(test) cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

static inline ol_digest box_digest(const char *text)
{
	return ol_digest_of(OL_SHA256, text, strlen(text));
}

/* Puts text as a blob. */
static inline ol_digest box_blob(ol_store *store, const char *text)
{
	ol_digest digest = box_digest(text);
	ol_error err = { 0 };

	CHECK_INT(text, OL_OK, ol_blob_put(store, &digest, ol_view_of(text), false, &err));
	return digest;
}

/* Writes a file beneath the box. */
static inline void box_file(store_box *box, const char *path, const char *text)
{
	CHECK_INT(path, OL_OK,
		ol_publish(box->dir_fd, path, ol_view_of(text), 0600, OL_PUBLISH_REPLACE, NULL));
}

/* root/blobs/sha256/<hex> */
static inline const char *box_blob_path(const ol_digest *digest, char path[256])
{
	(void)snprintf(path, 256, "root/blobs/%s/%s", ol_algorithm_name(digest->algorithm),
		ol_digest_hex(digest).text);
	return path;
}

static inline bool box_has(store_box *box, const char *path)
{
	return faccessat(box->dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void box_print_finding(void *ctx, const ol_finding *finding)
{
	(void)ctx;
	print_error("%s: %s (%s)\n", finding->what, finding->why, finding->hint);
}

/* Puts a layer of a driver, whose index holds text, from a file of the box. */
static inline int box_layer_of(const char *driver, store_box *box, ol_store *store, const char *key,
	const char *text, ol_error *err)
{
	ol_layer_info info = {
		.key = box_digest(key),
		.diff_id = box_digest(key),
		.tar_bytes = 10240,
		.disk_bytes = strlen(text),
		.entries = 3,
		.blob = box_digest("compressed"),
		.blob_size = 10,
		.media_type = "application/vnd.oci.image.layer.v1.tar+gzip",
		.index_digest = box_digest(text),
		.origin = "reg.example/app:1",
	};

	(void)snprintf(info.driver, sizeof info.driver, "%s", driver);
	box_file(box, "staged", text);
	return ol_layer_put(store, &info, box->dir_fd, "staged", err);
}

static inline int box_layer(
	store_box *box, ol_store *store, const char *key, const char *text, ol_error *err)
{
	return box_layer_of("erofs", box, store, key, text, err);
}

/* Runs work in a child that a fault point kills, or that ends by itself. Returns whether it was
 * killed. */
static inline bool box_killed_at(
	store_box *box, const char *fault, void (*work)(store_box *box, ol_store *store))
{
	int status = 0;
	pid_t pid;

	/* A handle must not live on both sides of a fork. */
	ol_store_close(box->store);
	box->store = NULL;
	pid = fork();
	if (pid == 0) {
		ol_store *store = NULL;

		if (box_open_as(box, "boot-1", &store, NULL) < 0)
			_exit(2);
		(void)setenv("ORLOP_FAULT", fault, 1);
		work(box, store);
		ol_store_close(store);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(pid, waitpid(pid, &status, 0));
	box_boot(box, "boot-1");
	if (WIFEXITED(status))
		CHECK_INT(fault, 0, WEXITSTATUS(status));
	return WIFSIGNALED(status);
}

static inline void box_exec(store_box *box, const char *sql, bool sums)
{
	char path[160];
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof path, "%s/orlop.db", box->root);
	CHECK_INT(sql, SQLITE_OK, sqlite3_open(path, &db));
	CHECK_INT(sql, SQLITE_OK, ol_row_sum_register(db));
	if (!sums)
		CHECK_INT(sql, SQLITE_OK,
			sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)NULL));
	CHECK_INT(sql, SQLITE_OK, sqlite3_exec(db, sql, NULL, NULL, NULL));
	CHECK_INT(sql, SQLITE_OK, sqlite3_close(db));
}

/* SQL on the database from outside, as another program that knows the format: rows stay sound. */
static inline void box_sql(store_box *box, const char *sql)
{
	box_exec(box, sql, true);
}

/* The same, behind the checksums' back: what it changes is damaged. */
static inline void box_harm(store_box *box, const char *sql)
{
	box_exec(box, sql, false);
}
