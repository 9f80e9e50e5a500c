#include "base/alloc.h"
#include "store/attached.h"
#include "store/lease.h"
#include "store/row_mend_priv.h"
#include "store/use.h"
#include "tests/store_box.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define ID       "1111111111111111111111111111111111111111111111111111111111111111"
#define ID_2     "2222222222222222222222222222222222222222222222222222222222222222"

/* A row at least in every table. */
static void fill(store_box *box)
{
	ol_digest root = box_blob(box->store, "manifest"), child = box_blob(box->store, "config");
	const ol_name_info name = { .name = "reg.example/app:1",
		.repo = "reg.example/app",
		.root = root,
		.media_type = MANIFEST,
		.summary = "{}" };
	char id[] = ID, other[] = ID_2, word[] = "c", image[] = "x", command[] = "sh -c true",
	     target[] = "/mnt";
	const ol_container_info container = {
		.id = id, .name = word, .image = image, .root = root, .command = command
	};
	const ol_mount_info mount = { .id = other, .target = target, .image = image, .root = root };
	ol_lease *lease = NULL;

	CHECK_INT("edges", OL_OK, ol_blob_set_edges(box->store, &root, &child, 1, NULL));
	CHECK_INT("layer", OL_OK, box_layer(box, box->store, "layer", "index", NULL));
	CHECK_INT("name", OL_OK, ol_name_set(box->store, &name, NULL));
	CHECK_INT("container", OL_OK, ol_container_add(box->store, &container, NULL));
	CHECK_INT("mount", OL_OK, ol_mount_add(box->store, &mount, NULL));
	CHECK_INT("use", OL_OK, ol_use_add(box->store, ID, &child, 1, NULL));
	CHECK_INT("attach", OL_OK, ol_attach(box->store, &root, "profile", &child, NULL));
	CHECK_INT("lease", OL_OK, ol_lease_begin_resumable(box->store, "pull", &lease, NULL));
	CHECK_INT("lease", OL_OK, ol_lease_add(lease, &child, NULL));
	free(lease); /* as a process does that dies */
}

static void open_raw(store_box *box, ol_db *db, bool sums)
{
	ol_autofree char *path = ol_text("%s/orlop.db", box->root);

	ol_db_init(db);
	CHECK_INT("open", OL_OK, ol_db_open(db, path, false, NULL));
	/* A flipped bit asks for no leave. */
	CHECK_INT("free", SQLITE_OK,
		sqlite3_exec(db->handle, "PRAGMA ignore_check_constraints = ON", NULL, NULL, NULL));
	if (!sums)
		CHECK_INT("no sums", SQLITE_OK,
			sqlite3_db_config(
				db->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)NULL));
}

/* All rows of all tables but what counts changes, as text. */
static char *dump(store_box *box)
{
	ol_auto_str ol_str out = OL_STR((size_t)1 << 20);
	ol_db db;

	open_raw(box, &db, true);
	for (size_t t = 0; t < OL_TABLE_COUNT; t++) {
		ol_autofree char *sql = ol_text("SELECT * FROM %s%s ORDER BY 1, 2",
			ol_tables[t].name, t == 0 ? " WHERE key = 'id'" : "");
		sqlite3_stmt *stmt = NULL;

		CHECK_INT(sql, SQLITE_OK, sqlite3_prepare_v2(db.handle, sql, -1, &stmt, NULL));
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			(void)ol_str_addf(&out, "%s:", ol_tables[t].name);
			for (int i = 0; i < sqlite3_column_count(stmt); i++) {
				const char *text = (const char *)sqlite3_column_text(stmt, i);

				(void)ol_str_addf(&out, " %s", text ? text : "NULL");
			}
			(void)ol_str_addc(&out, '\n');
		}
		(void)sqlite3_finalize(stmt);
	}
	ol_db_done(&db);
	return ol_strdup(ol_str_text(&out));
}

struct heard {
	int mended, left;
	char text[8000];
};

static void hear(void *ctx, const ol_mended *mended)
{
	struct heard *heard = ctx;
	size_t used = strlen(heard->text);

	*(mended->mended ? &heard->mended : &heard->left) += 1;
	(void)snprintf(heard->text + used, sizeof heard->text - used, "%s: %s\n", mended->what,
		mended->how);
}

static void mend(store_box *box, struct heard *heard)
{
	const ol_mender mender = { hear, heard };
	const ol_store_options options = {
		.root = box->root, .run_root = box->run, .boot_id = "boot-1", .mender = &mender
	};
	ol_error err = { 0 };

	ol_store_close(box->store);
	box->store = NULL;
	*heard = (struct heard){ 0 };
	CHECK_INT(err.text, OL_OK, ol_store_open(&options, &box->store, &err));
}

/* Turns a bit of a column (-1: the sum) of the table's first row. False: there is nothing to turn
 * (a NULL, an empty text). */
static bool turn(store_box *box, const ol_table *table, int column, size_t byte, unsigned char mask)
{
	const ol_flip flip = { column, byte, mask };
	ol_auto_str ol_str sql = OL_STR(4096);
	ol_rows rows = { 0 };
	sqlite3_stmt *stmt = NULL;
	const ol_row *row;
	ol_db db;
	bool can = true;

	open_raw(box, &db, false);
	CHECK_INT("read", OL_OK, ol_rows_read(&db, table, OL_ROWS_ALL, &rows, NULL));
	assert_true(rows.count > 0);
	row = &rows.list[0];
	if (column >= 0) {
		const int type = sqlite3_value_type(row->values[column]);

		can = type == SQLITE_INTEGER ||
		      (type == SQLITE_TEXT &&
			      (size_t)sqlite3_value_bytes(row->values[column]) > byte);
	}
	if (can) {
		(void)ol_str_addf(&sql, "UPDATE %s SET (%s) = (", table->name, table->row);
		for (int i = 1; i <= row->count; i++)
			(void)ol_str_addf(&sql, "%s?%d", i > 1 ? ", " : "", i);
		(void)ol_str_addf(&sql,
			"), sum = %lld WHERE rowid IN (SELECT rowid FROM %s LIMIT 1)",
			(long long)(column < 0 ? row->sum ^ mask : row->sum), table->name);
		if (table->ids[1] || strcmp(table->name, "store") == 0 ||
			strcmp(table->name, "containers") == 0 ||
			strcmp(table->name, "mounts") == 0) {
			char *at = strstr(sql.data, " WHERE rowid");

			*at = '\0';
			sql.size = (size_t)(at - sql.data);
			(void)ol_str_addf(&sql, " WHERE sum = %lld", (long long)row->sum);
		}
		CHECK_INT(sql.data, SQLITE_OK,
			sqlite3_prepare_v2(db.handle, sql.data, -1, &stmt, NULL));
		CHECK_INT(sql.data, SQLITE_OK, ol_row_bind(stmt, row, column < 0 ? NULL : &flip));
		CHECK_INT(sql.data, SQLITE_DONE, sqlite3_step(stmt));
		CHECK_INT(sql.data, 1, sqlite3_changes(db.handle));
		(void)sqlite3_finalize(stmt);
	}
	ol_rows_done(&rows);
	ol_db_done(&db);
	return can;
}

/* Each bit of each column would take hours: one low bit and, in text, one of its middle. */
static void one_wrong_bit_of_any_row_is_turned_back(void **state)
{
	store_box *box = *state;
	ol_autofree char *before = NULL;
	int turned = 0;

	fill(box);
	before = dump(box);
	OL_EACH (ol_tables, table) {
		ol_autofree char *columns = ol_strdup(table->row);
		int count = 1;

		for (const char *p = columns; (p = strchr(p, ',')); p++)
			count++;
		for (int column = -1; column < count; column++) {
			struct heard heard = { 0 };
			ol_autofree char *after = NULL;

			if (!turn(box, table, column, column % 3 ? 1 : 0, 1))
				continue;
			turned++;
			mend(box, &heard);
			CHECK_INT(heard.text, 1, heard.mended);
			CHECK_INT(heard.text, 0, heard.left);
			assert_non_null(strstr(heard.text, table->name));
			assert_non_null(strstr(heard.text, "one bit"));
			after = dump(box);
			CHECK_STR(table->name, before, after);
			assert_false(ol_store_is_rebuilding(box->store));
		}
	}
	assert_true(turned > 60);
}

/* What is not mended is not used, by whomever. */
static void a_damaged_row_is_never_used(void **state)
{
	store_box *box = *state;
	ol_digest root = box_digest("manifest"), key = box_digest("layer");
	ol_name_info name = { 0 };
	ol_container_info container = { 0 };
	ol_mount_info mount = { 0 };
	ol_layer_info layer;
	ol_blob_info blob;
	ol_error err = { 0 };
	int fd = -1;

	fill(box);
	box_harm(box,
		"UPDATE blobs SET created = created + 1; UPDATE layers SET created = created + 1;"
		"UPDATE names SET created = created + 1; UPDATE mounts SET created = 5;"
		"UPDATE containers SET created = 5");
	CHECK_INT("stat", OL_ECORRUPT, ol_blob_stat(box->store, &root, &blob, &err));
	assert_non_null(strstr(err.text, "row of blobs"));
	assert_non_null(strstr(err.text, ol_digest_format(&root).text));
	assert_non_null(strstr(err.hint, "check --repair"));
	CHECK_INT("open", OL_ECORRUPT, ol_blob_open(box->store, &root, &fd, NULL));
	assert_false(ol_blob_exists(box->store, &root));
	CHECK_INT("layer", OL_ECORRUPT, ol_layer_get(box->store, &key, false, &layer, NULL));
	CHECK_INT("name", OL_ECORRUPT, ol_name_get(box->store, "reg.example/app:1", &name, &err));
	assert_non_null(strstr(err.text, "reg.example/app:1"));
	CHECK_INT("container", OL_ECORRUPT, ol_container_get(box->store, "c", &container, NULL));
	CHECK_INT("mount", OL_ECORRUPT, ol_mount_get(box->store, "/mnt", &mount, NULL));
	CHECK_INT("gc", OL_ECORRUPT, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, &err));
	assert_non_null(strstr(err.hint, "check --repair"));
}

static int count_name(void *ctx, const ol_name_info *info, ol_error *err)
{
	(void)info;
	(void)err;
	++*(int *)ctx;
	return OL_OK;
}

static void a_damaged_row_does_not_hide_the_others(void **state)
{
	store_box *box = *state;
	ol_digest root = box_blob(box->store, "manifest");
	int count = 0;

	for (int i = 0; i < 3; i++) {
		char text[8];
		const ol_name_info name = { .name = text, .root = root, .media_type = MANIFEST };

		(void)snprintf(text, sizeof text, "n%d", i);
		CHECK_INT("name", OL_OK, ol_name_set(box->store, &name, NULL));
	}
	box_harm(box, "UPDATE names SET media_type = 'x' WHERE name = 'n1'");
	CHECK_INT("each", OL_OK, ol_name_each(box->store, count_name, &count, NULL));
	CHECK_INT("count", 2, count);
	CHECK_INT("passed over", 1, (long long)ol_store_passed_over(box->store));
}

/* An update of a damaged row does not make it look sound. */
static void damage_is_not_sealed_in(void **state)
{
	store_box *box = *state;
	ol_digest root = box_digest("manifest");
	ol_name_info name = { 0 };

	fill(box);
	box_harm(box, "UPDATE names SET media_type = 'x'");
	CHECK_INT("pin", OL_OK, ol_name_pin(box->store, &root, true, NULL));
	CHECK_INT("name", OL_ECORRUPT, ol_name_get(box->store, "reg.example/app:1", &name, NULL));
}

/* More than a bit: rows that can be made again go, and the store waits for that. */
static void lost_rows_keep_everybody_out_until_they_are_made_again(void **state)
{
	store_box *box = *state;
	struct heard heard = { 0 };
	ol_digest root = box_digest("manifest");
	ol_name_info name = { .name = "reg.example/app:1", .root = root, .media_type = MANIFEST };
	ol_store *other = NULL;
	ol_error err = { 0 };
	size_t added = 0;
	char path[256];

	fill(box);
	box_harm(box, "UPDATE names SET name = 'xxx'; UPDATE blobs SET digest = 'yyy', size = 9999 "
		      "WHERE digest LIKE '%'||substr(digest, 9) AND id = 1");
	mend(box, &heard);
	assert_non_null(strstr(heard.text, "row of names for xxx: removed, to be made again"));
	assert_non_null(strstr(heard.text, "row of blobs for yyy: removed, to be made again"));
	assert_true(ol_store_is_rebuilding(box->store));
	assert_true(ol_blob_exists(box->store, &root)); /* its file proved itself */
	CHECK_INT("gc", OL_EBUSY, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
	CHECK_INT("others", OL_ECORRUPT, box_open_as(box, "boot-1", &other, &err));
	assert_non_null(strstr(err.hint, "check --repair"));
	{
		ol_auto_buf ol_buf text = OL_BUF(4096);

		(void)snprintf(path, sizeof path, "%s/index.json", box->root);
		CHECK_INT("listed", OL_OK, ol_file_read(AT_FDCWD, path, true, &text, NULL));
		assert_non_null(strstr(text.data, "reg.example/app:1"));
	}
	CHECK_INT("restore", OL_OK, ol_name_restore(box->store, &name, 1, &added, NULL));
	CHECK_INT("added", 1, (long long)added);
	CHECK_INT("restore", OL_OK, ol_name_restore(box->store, &name, 1, &added, NULL));
	CHECK_INT("once", 0, (long long)added);
	CHECK_INT("done", OL_OK, ol_store_rebuilt(box->store, NULL));
	CHECK_INT("others", OL_OK, box_open_as(box, "boot-1", &other, NULL));
	ol_store_close(other);
}

/* A container's row is nobody else's to know: its folder stays. */
static void a_lost_container_leaves_its_files(void **state)
{
	store_box *box = *state;
	struct heard heard = { 0 };

	fill(box);
	box_file(box, "root/containers/" ID, "stands for a folder");
	box_harm(box, "UPDATE containers SET command = 'something else', pid = 77");
	mend(box, &heard);
	CHECK_INT(heard.text, 1, heard.left);
	assert_non_null(strstr(heard.text, "containers/lost-" ID));
	assert_true(box_has(box, "root/containers/lost-" ID));
	assert_false(ol_store_is_rebuilding(box->store));
	CHECK_INT("gc", OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
	assert_true(box_has(box, "root/containers/lost-" ID));
}

static void overwrite_pages(store_box *box, off_t from)
{
	char junk[4096];
	struct stat st;
	int fd;

	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	ol_store_close(box->store);
	box->store = NULL;
	fd = openat(box->dir_fd, "root/orlop.db", O_WRONLY | O_CLOEXEC);
	CHECK_INT("stat", 0, fstat(fd, &st));
	memset(junk, 0xa5, sizeof junk);
	for (off_t at = from; at < st.st_size; at += (off_t)sizeof junk)
		CHECK_INT("write", OL_OK, ol_pwrite_all(fd, junk, sizeof junk, (uint64_t)at, NULL));
	(void)close(fd);
}

static void remove_database(store_box *box)
{
	ol_store_close(box->store);
	box->store = NULL;
	(void)unlinkat(box->dir_fd, "root/orlop.db", 0);
	(void)unlinkat(box->dir_fd, "root/orlop.db-wal", 0);
	(void)unlinkat(box->dir_fd, "root/orlop.db-shm", 0);
}

static void overwrite_all_but_the_first_page(store_box *box)
{
	overwrite_pages(box, 4096);
}

static void overwrite_all(store_box *box)
{
	overwrite_pages(box, 0);
}

static void cut_in_half(store_box *box)
{
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	ol_store_close(box->store);
	box->store = NULL;
	{
		ol_autofree char *path = ol_text("%s/orlop.db", box->root);

		CHECK_INT("cut", 0, truncate(path, 3L * 4096));
	}
}

/* A store whose database is beyond reading is refused, and made again from its files. */
static void a_database_beyond_reading_is_made_again(void **state)
{
	static const struct {
		const char *label;
		void (*harm)(store_box *box);
	} cases[] = {
		{ "missing", remove_database },
		{ "pages", overwrite_all_but_the_first_page },
		{ "all", overwrite_all },
		{ "cut", cut_in_half },
	};

	(void)state;
	OL_EACH (cases, c) {
		struct heard heard = { 0 };
		ol_error err = { 0 };
		void *fresh = NULL;
		store_box *box;
		ol_digest root = box_digest("manifest"), config = box_digest("config");

		(void)box_setup(&fresh);
		box = fresh;
		fill(box);
		c->harm(box);
		CHECK_INT(c->label, OL_ECORRUPT, box_open_as(box, "boot-1", &box->store, &err));
		assert_non_null(strstr(err.hint, "check --repair"));
		mend(box, &heard);
		assert_non_null(strstr(heard.text, "made again"));
		assert_true(ol_store_is_rebuilding(box->store));
		assert_true(ol_blob_exists(box->store, &root));
		assert_true(ol_blob_exists(box->store, &config));
		CHECK_INT(c->label, OL_OK, ol_store_rebuilt(box->store, NULL));
		(void)box_teardown(&fresh);
	}
}

/* One page of many: the rows of the others are copied as they are. */
static void sound_rows_of_a_damaged_database_are_kept(void **state)
{
	store_box *box = *state;
	struct heard heard = { 0 };
	ol_container_info container = { 0 };
	ol_name_info name = { 0 };

	fill(box);
	/* An index that lies cannot be put right by itself when two rows say the same. */
	box_harm(box, "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = "
		      "'sqlite_autoindex_names_1'");
	mend(box, &heard);
	assert_non_null(strstr(heard.text, "moved aside"));
	CHECK_INT("container", OL_OK, ol_container_get(box->store, "c", &container, NULL));
	ol_container_info_done(&container);
	CHECK_INT("name", OL_OK, ol_name_get(box->store, "reg.example/app:1", &name, NULL));
	ol_name_info_done(&name);
}

static void mend_and_settle(store_box *box)
{
	const ol_store_options options = { .root = box->root,
		.run_root = box->run,
		.boot_id = "boot-1",
		.mender = &(ol_mender){ 0 } };
	ol_store *own = NULL;

	(void)ol_store_open(&options, &own, NULL);
	if (own)
		(void)ol_store_rebuilt(own, NULL);
	ol_store_close(own);
}

static bool killed_at(store_box *box, const char *fault)
{
	pid_t pid;
	int status = 0;

	ol_store_close(box->store);
	box->store = NULL;
	pid = fork();
	if (pid == 0) {
		ol_autofree char *point = ol_text("%s:kill", fault);

		(void)setenv("ORLOP_FAULT", point, 1);
		mend_and_settle(box);
		_exit(0);
	}
	assert_int_equal(pid, waitpid(pid, &status, 0));
	return WIFSIGNALED(status);
}

/* Killed anywhere, the next repair does all of it. */
static void a_killed_repair_is_begun_again(void **state)
{
	static const char *const faults[] = { "store.mend.rows", "store.rescue.made",
		"store.rescue.aside", "store.readopt.commit", "store.rebuilt" };

	(void)state;
	OL_EACH (faults, f) {
		struct heard heard = { 0 };
		void *fresh = NULL;
		store_box *box;
		ol_digest root = box_digest("manifest");

		(void)box_setup(&fresh);
		box = fresh;
		fill(box);
		if (strstr(*f, "mend"))
			box_harm(box, "UPDATE blobs SET digest = 'y' || id");
		else
			overwrite_all_but_the_first_page(box);
		CHECK_INT(*f, 1, killed_at(box, *f));
		mend(box, &heard);
		assert_true(ol_blob_exists(box->store, &root));
		CHECK_INT(*f, OL_OK, ol_store_rebuilt(box->store, NULL));
		(void)box_teardown(&fresh);
	}
}

/* What nothing but a row knows, a container, is still known when the old database was moved aside
 * and the new one has not taken its place. */
static void a_repair_killed_as_it_replaces_loses_no_sound_row(void **state)
{
	store_box *box = *state;
	struct heard heard = { 0 };
	ol_container_info container = { 0 };

	fill(box);
	box_harm(box, "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = "
		      "'sqlite_autoindex_names_1'");
	assert_true(killed_at(box, "store.rescue.aside"));
	CHECK_INT("nobody else", OL_ECORRUPT, box_open_as(box, "boot-1", &box->store, NULL));
	mend(box, &heard);
	assert_false(box_has(box, "root/orlop.db.mended"));
	CHECK_INT("container", OL_OK, ol_container_get(box->store, "c", &container, NULL));
	ol_container_info_done(&container);
}

static void what_is_damaged_and_useless_goes(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_blob(box->store, "x");
	char path[256];

	CHECK_INT("sound", OL_EBUSY, ol_blob_forget(box->store, &digest, NULL));
	box_sql(box, "UPDATE blobs SET state = 2");
	CHECK_INT("forget", OL_OK, ol_blob_forget(box->store, &digest, NULL));
	assert_false(box_has(box, box_blob_path(&digest, path)));
	CHECK_INT("gone", OL_ENOTFOUND, ol_blob_forget(box->store, &digest, NULL));
	CHECK_INT("no layer", OL_ENOTFOUND, ol_layer_forget(box->store, &digest, false, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(one_wrong_bit_of_any_row_is_turned_back),
		BOX_TEST(a_damaged_row_is_never_used),
		BOX_TEST(a_damaged_row_does_not_hide_the_others),
		BOX_TEST(damage_is_not_sealed_in),
		BOX_TEST(lost_rows_keep_everybody_out_until_they_are_made_again),
		BOX_TEST(a_lost_container_leaves_its_files),
		cmocka_unit_test(a_database_beyond_reading_is_made_again),
		BOX_TEST(sound_rows_of_a_damaged_database_are_kept),
		cmocka_unit_test(a_killed_repair_is_begun_again),
		BOX_TEST(a_repair_killed_as_it_replaces_loses_no_sound_row),
		BOX_TEST(what_is_damaged_and_useless_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
