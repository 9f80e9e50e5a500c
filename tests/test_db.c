#include <pthread.h>

#include "store/store_priv.h"
#include "tests/store_box.h"

static int64_t number(store_box *box, const char *sql)
{
	ol_auto_db ol_db *db = ol_db_reader(box->store);
	int64_t value = -1;

	CHECK_INT(sql, OL_OK, ol_db_number(db, NULL, &value, sql, ""));
	return value;
}

static void a_new_store_has_the_newest_schema(void **state)
{
	store_box *box = *state;

	CHECK_INT("version", ol_schema_newest, number(box, "PRAGMA user_version"));
	CHECK_INT("application", 0x6f726c70, number(box, "PRAGMA application_id"));
	CHECK_INT("synchronous", 1, number(box, "PRAGMA synchronous"));
}

/* Stores as older schemas left them come forward with all they hold, and their rows prove
 * themselves. */
static void an_older_schema_is_brought_forward(void **state)
{
	static const struct {
		const char *recipe;
		int64_t containers;
	} cases[] = { { "schema-1", 0 }, { "schema-2", 1 } };
	store_box *box = *state;

	OL_EACH (cases, c) {
		const ol_store_options options = {
			.root = box->root, .run_root = box->run, .read_only = true
		};
		ol_name_info name = { 0 };
		ol_digest digest = box_digest("from before"), key = box_digest("layer");
		char path[256];

		box_recipe(box, c->recipe);
		box_file(box, box_blob_path(&digest, path), "from before");
		(void)snprintf(path, sizeof path, "root/layers/%.64s", ol_digest_hex(&key).text);
		(void)mkdirat(box->dir_fd, path, 0700);
		(void)snprintf(path, sizeof path, "root/layers/%.64s/index.erofs",
			ol_digest_hex(&key).text);
		box_file(box, path, "index");
		CHECK_INT("read-only", OL_EUNSUPPORTED, ol_store_open(&options, &box->store, NULL));
		box_boot(box, "boot-1");
		CHECK_INT("version", ol_schema_newest, number(box, "PRAGMA user_version"));
		CHECK_INT("containers", c->containers,
			number(box, "SELECT count(*) FROM containers"));
		assert_true(ol_blob_exists(box->store, &digest));
		assert_true(ol_layer_exists(box->store, &key, false));
		CHECK_INT("name", OL_OK, ol_name_get(box->store, "reg.example/app:2", &name, NULL));
		CHECK_INT("created", 1700000001, name.created);
		CHECK_STR("summary", "", name.summary);
		assert_false(name.pinned || name.imported);
		ol_name_info_done(&name);
		{
			ol_auto_db ol_db *db = ol_db_reader(box->store);

			CHECK_INT("sound", OL_OK, ol_rows_check_all(db, NULL));
		}
	}
}

static void a_step_that_fails_leaves_the_old_version(void **state)
{
	store_box *box = *state;
	ol_error err = { 0 };

	box_recipe(box, "schema-1");
	/* mounts is there already: step 2 stops in its middle. */
	box_sql(box, "CREATE TABLE mounts(id)");
	assert_true(box_open_as(box, "boot-1", &box->store, &err) < 0);
	box_sql(box, "CREATE TABLE containers(id)"); /* fails if the step had left its own */
	box_sql(box, "DROP TABLE containers; DROP TABLE mounts");
	box_boot(box, "boot-1");
	CHECK_INT("version", ol_schema_newest, number(box, "PRAGMA user_version"));
}

/* The log stays behind when a store is closed, and would stand in for what is overwritten. */
static void harm_database(store_box *box, const char *bytes)
{
	box_file(box, "root/orlop.db", bytes);
	CHECK_INT("unlink", 0, unlinkat(box->dir_fd, "root/orlop.db-wal", 0));
}

static void what_is_not_ours_is_refused_with_words(void **state)
{
	static const struct {
		const char *label, *sql, *bytes;
		int rc;
		const char *says;
	} cases[] = {
		{ "newer", "PRAGMA user_version = 99", NULL, OL_EUNSUPPORTED, "schema 99" },
		{ "negative", "PRAGMA user_version = -1", NULL, OL_EUNSUPPORTED, "schema -1" },
		{ "a stranger's", "PRAGMA application_id = 7", NULL, OL_EUNSUPPORTED,
			"not made by orlop" },
		{ "garbage", NULL,
			"this is no database, and is longer than its header of a hundred bytes "
			"would be, "
			"so that it is read at all, which shorter ones are not",
			OL_ECORRUPT, "damaged" },
		{ "no id", "DELETE FROM store", NULL, OL_ECORRUPT, "store id" },
		{ "bad id", "UPDATE store SET value = '../../../../etc/' WHERE key = 'id'", NULL,
			OL_ECORRUPT, "store id" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_error err = { 0 };
		void *fresh = NULL;
		store_box *box;

		(void)box_setup(&fresh);
		box = fresh;
		ol_store_close(box->store);
		box->store = NULL;
		if (c->sql)
			box_sql(box, c->sql);
		else
			harm_database(box, c->bytes);
		CHECK_INT(c->label, c->rc, box_open_as(box, "boot-1", &box->store, &err));
		if (!strstr(err.text, c->says))
			CHECK_STR(c->label, c->says, err.text);
		(void)box_teardown(&fresh);
	}
}

/* Pages of a table overwritten: whoever reads them is told, and what to do. */
static void a_damaged_page_is_named_as_such(void **state)
{
	store_box *box = *state;
	char path[160], junk[4096];
	ol_error err = { 0 };
	struct stat st;
	int fd, rc;

	(void)box_blob(box->store, "x");
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	ol_store_close(box->store);
	box->store = NULL;
	(void)snprintf(path, sizeof path, "%s/orlop.db", box->root);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK_INT("stat", 0, fstat(fd, &st));
	memset(junk, 0xa5, sizeof junk);
	for (off_t at = sizeof junk; at < st.st_size; at += (off_t)sizeof junk)
		CHECK_INT("write", OL_OK, ol_pwrite_all(fd, junk, sizeof junk, (uint64_t)at, NULL));
	CHECK_INT("close", 0, close(fd));
	CHECK_INT("unlink", 0, unlinkat(box->dir_fd, "root/orlop.db-wal", 0));
	rc = box_open_as(box, "boot-1", &box->store, &err);
	CHECK_INT("open", OL_ECORRUPT, rc);
	assert_non_null(strstr(err.text, "damaged"));
	assert_non_null(strstr(err.hint, "check --repair"));
}

static void a_row_that_cannot_be_is_corrupt_by_name(void **state)
{
	store_box *box = *state;
	ol_error err = { 0 };
	ol_layer_info info;
	ol_digest key = box_digest("layer");

	CHECK_INT("put", OL_OK, box_layer(box, box->store, "layer", "index", NULL));
	box_sql(box, "UPDATE layers SET diff_id = 'sha256:nonsense'");
	CHECK_INT("layer", OL_ECORRUPT, ol_layer_get(box->store, &key, false, &info, &err));
	assert_non_null(strstr(err.text, "diff_id"));
	box_sql(box, "INSERT INTO names(name, repo, root, media_type, created, listed_size, "
		     "listed_media_type) VALUES('x', '', 'md5:0', '', 0, 0, '')");
	{
		ol_name_info name = { 0 };

		CHECK_INT("name", OL_ECORRUPT, ol_name_get(box->store, "x", &name, &err));
	}
	assert_non_null(strstr(err.text, "image x"));
	CHECK_INT("removed all the same", OL_OK, ol_name_remove(box->store, "x", true, NULL));
	box_sql(box, "UPDATE layers SET diff_id = key, origin = 'a' || char(10) || 'b'");
	CHECK_INT("control", OL_ECORRUPT, ol_layer_get(box->store, &key, false, &info, &err));
}

static void a_transaction_that_ends_early_changes_nothing(void **state)
{
	store_box *box = *state;

	{
		ol_auto_txn ol_txn txn = { 0 };

		CHECK_INT("begin", OL_OK, ol_txn_begin(box->store, true, &txn, NULL));
		CHECK_INT("insert", OL_OK,
			ol_db_run(txn.db, NULL, NULL,
				"INSERT INTO store(key, value) VALUES('x', 1)", ""));
	}
	CHECK_INT("rows", 0, number(box, "SELECT count(*) FROM store WHERE key = 'x'"));
}

struct adder {
	store_box *box;
	ol_store *store; /* NULL: opens its own */
	int base;
};

static void *add_blobs(void *ctx)
{
	const struct adder *adder = ctx;
	ol_store *own = NULL;

	if (!adder->store)
		CHECK_INT("open", OL_OK, box_open_as(adder->box, "boot-1", &own, NULL));
	for (int i = 0; i < 50; i++) {
		char text[32];

		(void)snprintf(text, sizeof text, "%d", adder->base + i);
		(void)box_blob(own ? own : adder->store, text);
	}
	ol_store_close(own);
	return NULL;
}

/* Two threads of one handle and two handles of their own: they wait for each other and
 * never fail. */
static void writers_wait_for_each_other(void **state)
{
	store_box *box = *state;
	struct adder adders[4] = { { box, box->store, 0 }, { box, box->store, 25 },
		{ box, NULL, 50 }, { box, NULL, 75 } };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		CHECK_INT("thread", 0, pthread_create(&threads[i], NULL, add_blobs, &adders[i]));
	for (int i = 0; i < 4; i++)
		CHECK_INT("join", 0, pthread_join(threads[i], NULL));
	CHECK_INT("rows", 125, number(box, "SELECT count(*) FROM blobs"));
}

/* Many processes find no store at the same moment. */
static void a_store_is_made_once(void **state)
{
	store_box *box = *state;
	pid_t children[6];

	ol_store_close(box->store);
	box->store = NULL;
	CHECK_INT("remove", OL_OK, ol_remove_tree(box->dir_fd, "root", NULL));
	OL_EACH (children, child) {
		*child = fork();
		if (*child == 0) {
			ol_store *store = NULL;
			int rc = box_open_as(box, "boot-1", &store, NULL);

			ol_store_close(store);
			_exit(rc < 0);
		}
	}
	OL_EACH (children, child) {
		int status = 1;

		assert_int_equal(*child, waitpid(*child, &status, 0));
		CHECK_INT("child", 0, status);
	}
	box_boot(box, "boot-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(a_new_store_has_the_newest_schema),
		BOX_TEST(an_older_schema_is_brought_forward),
		BOX_TEST(a_step_that_fails_leaves_the_old_version),
		cmocka_unit_test(what_is_not_ours_is_refused_with_words),
		BOX_TEST(a_damaged_page_is_named_as_such),
		BOX_TEST(a_row_that_cannot_be_is_corrupt_by_name),
		BOX_TEST(a_transaction_that_ends_early_changes_nothing),
		BOX_TEST(writers_wait_for_each_other),
		BOX_TEST(a_store_is_made_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
