#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "store/ingest.h"
#include "store/lease.h"
#include "store/use.h"
#include "tests/store_box.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define ID       "1111111111111111111111111111111111111111111111111111111111111111"

static void set_edges(ol_store *store, const ol_digest *parent, const ol_digest *child)
{
	CHECK_INT("edges", OL_OK, ol_blob_set_edges(store, parent, child, 1, NULL));
}

static ol_gc_result gc(ol_store *store)
{
	ol_gc_result result = { 0 };
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_gc(store, NULL, &result, &err));
	return result;
}

/* An image: manifest → config, layer tar; layer of the same digest as the tar. */
static ol_digest make_image(store_box *box, const char *name)
{
	char text[64];
	ol_digest manifest, children[2];

	(void)snprintf(text, sizeof text, "%s manifest", name);
	manifest = box_blob(box->store, text);
	(void)snprintf(text, sizeof text, "%s config", name);
	children[0] = box_blob(box->store, text);
	(void)snprintf(text, sizeof text, "%s layer", name);
	children[1] = box_blob(box->store, text);
	CHECK_INT("layer", OL_OK, box_layer(box, box->store, text, "index", NULL));
	CHECK_INT("edges", OL_OK, ol_blob_set_edges(box->store, &manifest, children, 2, NULL));
	return manifest;
}

static bool is_whole(store_box *box, const char *name)
{
	static const char *const parts[] = { "manifest", "config", "layer" };
	char text[64];
	ol_digest digest = { 0 };

	OL_EACH (parts, p) {
		(void)snprintf(text, sizeof text, "%s %s", name, *p);
		digest = box_digest(text);
		if (!ol_blob_exists(box->store, &digest))
			return false;
	}
	return ol_layer_exists(box->store, &digest, false);
}

static void gc_removes_what_nothing_reaches(void **state)
{
	store_box *box = *state;
	ol_gc_result result;
	ol_digest layer = box_digest("app layer");
	char path[256];

	(void)make_image(box, "app");
	result = gc(box->store);
	CHECK_INT("blobs", 3, (long long)result.blobs);
	CHECK_INT("layers", 1, (long long)result.layers);
	assert_true(result.bytes > 0);
	assert_false(is_whole(box, "app"));
	assert_false(box_has(box, box_blob_path(&layer, path)));
	(void)snprintf(path, sizeof path, "root/layers/%.64s", ol_digest_hex(&layer).text);
	assert_false(box_has(box, path));
	result = gc(box->store);
	CHECK_INT("nothing left", 0, (long long)(result.blobs + result.layers + result.bytes));
	CHECK_INT("no edges left", OL_ENOTFOUND,
		ol_blob_set_edges(box->store, &layer, NULL, 0, NULL));
}

/* Invariant 7: one row for each kind of root. */
static void hold_by_name(store_box *box, const ol_digest *root)
{
	const ol_name_info info = { .name = "x", .root = *root, .media_type = MANIFEST };

	CHECK_INT("name", OL_OK, ol_name_set(box->store, &info, NULL));
}

static void hold_nameless(store_box *box, const ol_digest *root)
{
	const ol_name_info info = { .name = "", .root = *root, .media_type = MANIFEST };

	CHECK_INT("nameless", OL_OK, ol_name_set(box->store, &info, NULL));
}

static void hold_by_listed(store_box *box, const ol_digest *root)
{
	const ol_name_info info = { .name = "x",
		.root = box_blob(box->store, "other"),
		.media_type = MANIFEST,
		.listed = *root };

	CHECK_INT("listed", OL_OK, ol_name_set(box->store, &info, NULL));
}

static void hold_by_lease(store_box *box, const ol_digest *root)
{
	ol_lease *lease = NULL;

	CHECK_INT("lease", OL_OK, ol_lease_begin(box->store, "test", &lease, NULL));
	CHECK_INT("lease", OL_OK, ol_lease_add(lease, root, NULL));
	free(lease); /* as a process does that dies */
}

static void hold_by_container(store_box *box, const ol_digest *root)
{
	char id[] = ID, name[] = "c", image[] = "x", command[] = "sh";
	const ol_container_info info = {
		.id = id, .name = name, .image = image, .root = *root, .command = command
	};

	CHECK_INT("container", OL_OK, ol_container_add(box->store, &info, NULL));
}

static void hold_by_mount(store_box *box, const ol_digest *root)
{
	char id[] = ID, target[] = "/mnt", image[] = "x";
	const ol_mount_info info = { .id = id, .target = target, .image = image, .root = *root };

	CHECK_INT("mount", OL_OK, ol_mount_add(box->store, &info, NULL));
}

static void hold_by_use(store_box *box, const ol_digest *root)
{
	CHECK_INT("use", OL_OK, ol_use_add(box->store, ID, root, 1, NULL));
}

static void hold_through_an_index(store_box *box, const ol_digest *root)
{
	ol_digest index = box_blob(box->store, "an index");

	set_edges(box->store, &index, root);
	hold_by_name(box, &index);
}

static void hold_in_a_circle(store_box *box, const ol_digest *root)
{
	ol_digest a = box_blob(box->store, "a"), b = box_blob(box->store, "b"),
		  children[2] = { a, *root };

	set_edges(box->store, &a, &b);
	CHECK_INT("edges", OL_OK, ol_blob_set_edges(box->store, &b, children, 2, NULL));
	hold_by_name(box, &a);
}

static void gc_keeps_what_anything_holds(void **state)
{
	static const struct {
		const char *label;
		void (*hold)(store_box *box, const ol_digest *root);
	} cases[] = {
		{ "name", hold_by_name },
		{ "nameless", hold_nameless },
		{ "listed", hold_by_listed },
		{ "lease", hold_by_lease },
		{ "container", hold_by_container },
		{ "mount", hold_by_mount },
		{ "use", hold_by_use },
		{ "index", hold_through_an_index },
		{ "circle", hold_in_a_circle },
	};

	(void)state;
	OL_EACH (cases, c) {
		void *fresh = NULL;
		store_box *box;
		ol_digest root;

		(void)box_setup(&fresh);
		box = fresh;
		root = make_image(box, "kept");
		(void)make_image(box, "lost");
		c->hold(box, &root);
		CHECK_INT(c->label, 3, (long long)gc(box->store).blobs);
		CHECK_INT(c->label, 1, is_whole(box, "kept"));
		assert_true(ol_blob_exists(box->store, &root));
		assert_false(is_whole(box, "lost"));
		(void)box_teardown(&fresh);
	}
}

static void what_is_let_go_is_collected(void **state)
{
	store_box *box = *state;
	ol_digest root = make_image(box, "app");
	ol_lease *lease = NULL;

	hold_by_name(box, &root);
	CHECK_INT("lease", OL_OK, ol_lease_begin(box->store, "test", &lease, NULL));
	CHECK_INT("lease", OL_OK, ol_lease_add(lease, &root, NULL));
	CHECK_INT("remove", OL_OK, ol_name_remove(box->store, "x", false, NULL));
	CHECK_INT("leased", 0, (long long)gc(box->store).blobs);
	ol_lease_end(lease);
	CHECK_INT("let go", 3, (long long)gc(box->store).blobs);
}

static void an_expired_lease_holds_while_its_process_lives(void **state)
{
	store_box *box = *state;
	ol_digest root = box_blob(box->store, "leased");

	hold_by_lease(box, &root);
	box_sql(box, "UPDATE leases SET expires = 1");
	CHECK_INT("we live", 0, (long long)gc(box->store).blobs);
	box_sql(box, "UPDATE leases SET pid_start = pid_start + 1");
	CHECK_INT("the pid is another's", 1, (long long)gc(box->store).blobs);
}

static void files_without_rows_are_removed(void **state)
{
	store_box *box = *state;
	ol_digest orphan = box_digest("orphan"), kept = box_blob(box->store, "kept");
	char blob_path[256], layer_path[256], path[256];
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	hold_by_name(box, &kept);
	box_file(box, box_blob_path(&orphan, blob_path), "orphan");
	(void)snprintf(
		layer_path, sizeof layer_path, "root/chains/%.64s", ol_digest_hex(&orphan).text);
	CHECK_INT("mkdir", 0, mkdirat(box->dir_fd, layer_path, 0700));
	box_file(box, "root/blobs/sha256/.tmp-fresh", "x");
	box_file(box, "root/blobs/sha256/.tmp-old", "x");
	box_file(box, "root/layers/.trash-1", "x");
	box_file(box, "root/blobs/sha256/README", "not ours");
	CHECK_INT("age", 0, utimensat(box->dir_fd, "root/blobs/sha256/.tmp-old", old, 0));
	CHECK_INT("blobs", 1, (long long)gc(box->store).blobs);
	assert_false(box_has(box, blob_path));
	assert_false(box_has(box, layer_path));
	assert_true(box_has(box, box_blob_path(&kept, path)));
	assert_true(box_has(box, "root/blobs/sha256/.tmp-fresh"));
	assert_false(box_has(box, "root/blobs/sha256/.tmp-old"));
	assert_false(box_has(box, "root/layers/.trash-1"));
	assert_true(box_has(box, "root/blobs/sha256/README"));
}

static void only_ingests_that_nobody_resumes_are_removed(void **state)
{
	static const struct {
		const char *label;
		bool held, old, blob;
		int removed;
	} cases[] = {
		{ "left yesterday", false, false, false, 0 },
		{ "left long ago", false, true, false, 1 },
		{ "held", true, true, false, 0 },
		{ "its blob is there", false, false, true, 1 },
	};
	store_box *box = *state;
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	OL_EACH (cases, c) {
		const ol_ingest_options options = { .digest = box_digest(c->label), .size = 1000 };
		ol_ingest *ingest = NULL;
		char path[256], data[280];

		CHECK_INT(c->label, OL_OK, ol_ingest_open(box->store, &options, &ingest, NULL));
		CHECK_INT(c->label, OL_OK, ol_ingest_write(ingest, 0, "abc", 3, NULL));
		(void)snprintf(path, sizeof path, "root/ingest/sha256-%.64s",
			ol_digest_hex(&options.digest).text);
		(void)snprintf(data, sizeof data, "%s/data", path);
		if (!c->held)
			ol_ingest_close(ol_steal(&ingest));
		if (c->blob)
			hold_by_name(box, &(ol_digest[]){ box_blob(box->store, c->label) }[0]);
		if (c->old) {
			CHECK_INT(c->label, 0, utimensat(box->dir_fd, data, old, 0));
			CHECK_INT(c->label, 0, utimensat(box->dir_fd, path, old, 0));
		}
		CHECK_INT(c->label, c->removed, (long long)gc(box->store).ingests);
		CHECK_INT(c->label, !c->removed, box_has(box, path));
		if (ingest)
			CHECK_INT(c->label, OL_OK, ol_ingest_drop(ingest, NULL));
	}
}

static void gc_work(store_box *box, ol_store *store)
{
	(void)box;
	(void)ol_gc(store, NULL, &(ol_gc_result){ 0 }, NULL);
}

/* Invariant 2, at every step. */
static void killed_at_any_step_the_store_is_sound(void **state)
{
	store_box *box = *state;
	static const char *const faults[] = { "store.gc.commit:kill", "store.gc.committed:kill",
		"store.gc.unlinked:kill", "store.gc.unlinked:kill:3", "store.index.publish:kill" };

	OL_EACH (faults, f) {
		const ol_check_options check = { .found = box_print_finding };
		ol_digest root = make_image(box, "kept");
		uint64_t found = 0;
		ol_digest lost;
		char path[256];

		hold_by_name(box, &root);
		lost = make_image(box, "lost");
		assert_true(box_killed_at(box, *f, gc_work));
		CHECK_INT(*f, OL_OK, ol_check(box->store, &check, &found, NULL));
		CHECK_INT(*f, 0, (long long)found);
		assert_true(is_whole(box, "kept"));
		(void)gc(box->store);
		assert_false(box_has(box, box_blob_path(&lost, path)));
		assert_true(is_whole(box, "kept"));
	}
}

struct race {
	ol_store *store;
	atomic_bool stop;
};

static void *collect_all_the_time(void *ctx)
{
	struct race *race = ctx;

	while (!atomic_load(&race->stop))
		(void)gc(race->store);
	return NULL;
}

/* A pull under a lease loses nothing to a gc that works beside it, through another handle. */
static void what_comes_under_a_lease_survives_a_busy_gc(void **state)
{
	store_box *box = *state;
	struct race race = { 0 };
	pthread_t thread;

	CHECK_INT("open", OL_OK, box_open_as(box, "boot-1", &race.store, NULL));
	CHECK_INT("thread", 0, pthread_create(&thread, NULL, collect_all_the_time, &race));
	for (int i = 0; i < 30; i++) {
		ol_lease *lease = NULL;
		char name[32], text[64];

		(void)snprintf(name, sizeof name, "image%d", i);
		CHECK_INT(name, OL_OK, ol_lease_begin(box->store, "pull", &lease, NULL));
		for (int part = 0; part < 3; part++) {
			static const char *const parts[] = { "manifest", "config", "layer" };
			ol_digest digest;

			(void)snprintf(text, sizeof text, "%s %s", name, parts[part]);
			digest = box_digest(text);
			CHECK_INT(text, OL_OK, ol_lease_add(lease, &digest, NULL));
		}
		{
			ol_digest root = make_image(box, name);
			const ol_name_info info = {
				.name = name, .root = root, .media_type = MANIFEST
			};

			CHECK_INT(name, OL_OK, ol_name_set(box->store, &info, NULL));
		}
		ol_lease_end(lease);
		assert_true(is_whole(box, name));
	}
	atomic_store(&race.stop, true);
	CHECK_INT("join", 0, pthread_join(thread, NULL));
	for (int i = 0; i < 30; i++) {
		char name[32];

		(void)snprintf(name, sizeof name, "image%d", i);
		assert_true(is_whole(box, name));
	}
	ol_store_close(race.store);
}

static void *collect_once(void *ctx)
{
	(void)gc(ctx);
	return NULL;
}

/* Between mark and delete a name comes: gc has to look again. Its delete waits for the write lock
 * that we hold. */
static void what_comes_alive_after_the_mark_is_kept(void **state)
{
	store_box *box = *state;
	ol_digest root = make_image(box, "app");
	ol_autofree char *insert = NULL;
	char path[160];
	pthread_t thread;
	sqlite3 *db = NULL;

	(void)snprintf(path, sizeof path, "%s/orlop.db", box->root);
	assert_true(asprintf(&insert,
			    "BEGIN IMMEDIATE; INSERT INTO names(name, repo, root, media_type, "
			    "created, listed_size,"
			    " listed_media_type) VALUES('x', '', '%s', '', 0, 0, '')",
			    ol_digest_format(&root).text) > 0);
	CHECK_INT("open", SQLITE_OK, sqlite3_open(path, &db));
	CHECK_INT("sums", SQLITE_OK, ol_row_sum_register(db));
	CHECK_INT("insert", SQLITE_OK, sqlite3_exec(db, insert, NULL, NULL, NULL));
	CHECK_INT("thread", 0, pthread_create(&thread, NULL, collect_once, box->store));
	ol_sleep_ms(200);
	CHECK_INT("commit", SQLITE_OK, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
	CHECK_INT("join", 0, pthread_join(thread, NULL));
	CHECK_INT("close", SQLITE_OK, sqlite3_close(db));
	assert_true(is_whole(box, "app"));
}

static void gc_ends_at_cancel(void **state)
{
	store_box *box = *state;
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();

	(void)make_image(box, "app");
	ol_cancel_fire(cancel);
	CHECK_INT("gc", OL_ECANCELED, ol_gc(box->store, cancel, &(ol_gc_result){ 0 }, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(gc_removes_what_nothing_reaches),
		cmocka_unit_test(gc_keeps_what_anything_holds),
		BOX_TEST(what_is_let_go_is_collected),
		BOX_TEST(an_expired_lease_holds_while_its_process_lives),
		BOX_TEST(files_without_rows_are_removed),
		BOX_TEST(only_ingests_that_nobody_resumes_are_removed),
		BOX_TEST(killed_at_any_step_the_store_is_sound),
		BOX_TEST(what_comes_under_a_lease_survives_a_busy_gc),
		BOX_TEST(what_comes_alive_after_the_mark_is_kept),
		BOX_TEST(gc_ends_at_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
