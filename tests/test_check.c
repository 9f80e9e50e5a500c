#include <sys/resource.h>

#include "base/clock.h"
#include "store/use.h"
#include "tests/store_box.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"

struct heard {
	char text[4000]; /* "what: why;" of each finding */
	struct asked {
		int tree_rc, trees;
	} asked; /* of verify_tree */
};

static void hear(void *ctx, const ol_finding *finding)
{
	struct heard *heard = ctx;
	size_t used = strlen(heard->text);

	assert_true(finding->hint[0] != '\0');
	(void)snprintf(heard->text + used, sizeof heard->text - used, "%s: %s;", finding->what,
		finding->why);
}

static int verify_tree(void *ctx, const ol_digest *key, bool is_chain, ol_error *err)
{
	struct asked *asked = ctx;

	(void)key;
	(void)is_chain;
	asked->trees++;
	return asked->tree_rc < 0 ? ol_fail(err, asked->tree_rc, "/etc/passwd differs") : OL_OK;
}

static uint64_t check(ol_store *store, struct heard *heard, bool quick)
{
	const ol_check_options options = {
		.found = hear,
		.verify_tree = verify_tree,
		.ctx = heard,
		.verify_ctx = &heard->asked,
		.quick = quick,
	};
	uint64_t faults = 0;
	ol_error err = { 0 };

	heard->text[0] = '\0';
	CHECK_INT(err.text, OL_OK, ol_check(store, &options, &faults, &err));
	return faults;
}

static void a_sound_store_has_no_faults(void **state)
{
	store_box *box = *state;
	struct heard heard = { 0 };
	ol_digest root = box_blob(box->store, "manifest"),
		  child = box_digest("of another platform");
	const ol_name_info name = { .name = "x", .root = root, .media_type = MANIFEST };

	CHECK_INT("edges", OL_OK, ol_blob_set_edges(box->store, &root, &child, 1, NULL));
	CHECK_INT("name", OL_OK, ol_name_set(box->store, &name, NULL));
	CHECK_INT("layer", OL_OK, box_layer(box, box->store, "layer", "index", NULL));
	CHECK_INT("full", 0, (long long)check(box->store, &heard, false));
	CHECK_STR("full", "", heard.text);
	CHECK_INT("quick", 0, (long long)check(box->store, &heard, true));
}

/* That we cannot look says nothing of the blob. */
static void what_cannot_be_looked_at_is_not_damaged(void **state)
{
	store_box *box = *state;
	const ol_digest digest = box_blob(box->store, "blob");
	struct heard heard = { 0 };
	const ol_check_options options = { .found = hear, .ctx = &heard };
	struct rlimit before, none;
	uint64_t faults = 0;
	int rc, next = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(next >= 0);
	(void)close(next);
	assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
	none = (struct rlimit){ (rlim_t)next, before.rlim_max };
	assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &none));
	rc = ol_check(box->store, &options, &faults, NULL);
	assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
	CHECK_INT("check", OL_ESYSTEM, rc);
	assert_true(ol_blob_exists(box->store, &digest));
}

struct harm {
	const char *label;
	void (*harm)(store_box *box, const ol_digest *blob, const ol_digest *layer);
	const char *says;
	bool quick_sees;
};

static void flip(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	char path[256];

	(void)layer;
	box_file(box, box_blob_path(blob, path), "Blob");
}

static void cut(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	char path[256];

	(void)layer;
	box_file(box, box_blob_path(blob, path), "blo");
}

static void lose(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	char path[256];

	(void)layer;
	CHECK_INT("unlink", 0, unlinkat(box->dir_fd, box_blob_path(blob, path), 0));
}

static void link_away(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	char path[256];

	lose(box, blob, layer);
	box_file(box, "elsewhere", "blob");
	CHECK_INT(
		"link", 0, symlinkat("../../../elsewhere", box->dir_fd, box_blob_path(blob, path)));
}

static void flip_index(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	char path[256];

	(void)blob;
	(void)snprintf(
		path, sizeof path, "root/layers/%.64s/index.erofs", ol_digest_hex(layer).text);
	box_file(box, path, "Index");
}

static void lose_layer(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	char path[256];

	(void)blob;
	(void)snprintf(path, sizeof path, "root/layers/%.64s", ol_digest_hex(layer).text);
	CHECK_INT("remove", OL_OK, ol_remove_tree(box->dir_fd, path, NULL));
}

static void orphan_edges(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	(void)blob;
	(void)layer;
	box_sql(box, "INSERT INTO edges(parent, child) VALUES('sha256:' || printf('%064x', 1), "
		     "'sha256:' || "
		     "printf('%064x', 2))");
}

static void orphan_name(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	const ol_name_info name = {
		.name = "lost", .root = box_digest("gone"), .media_type = MANIFEST
	};

	(void)blob;
	(void)layer;
	CHECK_INT("name", OL_OK, ol_name_set(box->store, &name, NULL));
}

static void no_digest(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	(void)blob;
	(void)layer;
	box_sql(box, "INSERT INTO blobs(digest, size, state, boot, created) VALUES('sha256:XYZ', "
		     "1, 0, '', 0)");
}

static void negative_count(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	(void)blob;
	(void)layer;
	box_sql(box, "UPDATE layers SET tar_bytes = -1");
}

static void damage_row(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	(void)blob;
	(void)layer;
	box_harm(box, "UPDATE layers SET entries = entries + 1");
}

static void cut_index(store_box *box, const ol_digest *blob, const ol_digest *layer)
{
	char path[256];

	(void)blob;
	(void)snprintf(
		path, sizeof path, "root/layers/%.64s/index.erofs", ol_digest_hex(layer).text);
	box_file(box, path, "ind");
}

static void every_fault_is_named(void **state)
{
	static const struct harm harms[] = {
		{ "flip", flip, "another digest", false },
		{ "cut", cut, "wrong size", true },
		{ "lose", lose, "file is missing", true },
		{ "link", link_away, "cannot be opened", true },
		{ "flip index", flip_index, "another digest", false },
		{ "cut index", cut_index, "wrong size", true },
		{ "row", damage_row, "row of layers for sha256:", true },
		{ "lose layer", lose_layer, "index or tree is missing", true },
		{ "orphan edges", orphan_edges, "parent is not in the store", true },
		{ "orphan name", orphan_name, "image lost: its manifest", true },
		{ "no digest", no_digest, "of blobs for ", true },
		{ "negative", negative_count, "of layers for ", true },
	};

	(void)state;
	OL_EACH (harms, h) {
		struct heard heard = { 0 };
		void *fresh = NULL;
		store_box *box;
		ol_digest blob, layer = box_digest("layer");

		(void)box_setup(&fresh);
		box = fresh;
		blob = box_blob(box->store, "blob");
		CHECK_INT(h->label, OL_OK, box_layer(box, box->store, "layer", "index", NULL));
		h->harm(box, &blob, &layer);
		CHECK_INT(h->label, h->quick_sees, (long long)check(box->store, &heard, true));
		if (!h->quick_sees)
			CHECK_INT(h->label, 1, (long long)check(box->store, &heard, false));
		if (!strstr(heard.text, h->says))
			CHECK_STR(h->label, h->says, heard.text);
		CHECK_INT(h->label, 1, (long long)check(box->store, &heard, false));
		(void)box_teardown(&fresh);
	}
}

/* Invariant 6: what check finds, the next put replaces. */
static void what_is_found_wrong_is_replaced(void **state)
{
	store_box *box = *state;
	struct heard heard = { 0 };
	ol_digest blob = box_blob(box->store, "blob");

	flip(box, &blob, NULL);
	CHECK_INT("found", 1, (long long)check(box->store, &heard, false));
	assert_false(ol_blob_exists(box->store, &blob));
	CHECK_INT("still", 1, (long long)check(box->store, &heard, false));
	(void)box_blob(box->store, "blob");
	CHECK_INT("replaced", 0, (long long)check(box->store, &heard, false));
}

static void put_tree(store_box *box)
{
	const ol_layer_info info = {
		.key = box_digest("tree"), .diff_id = box_digest("tree"), .driver = "dir"
	};

	CHECK_INT("mkdir", 0, mkdirat(box->dir_fd, "fs", 0755));
	CHECK_INT("put", OL_OK, ol_layer_put(box->store, &info, box->dir_fd, "fs", NULL));
}

static void a_tree_is_shown_to_who_knows_trees(void **state)
{
	store_box *box = *state;
	struct heard heard = { 0 };
	ol_digest key = box_digest("tree");

	put_tree(box);
	CHECK_INT("sound", 0, (long long)check(box->store, &heard, false));
	CHECK_INT("asked", 1, heard.asked.trees);
	CHECK_INT("quick", 0, (long long)check(box->store, &heard, true));
	CHECK_INT("not asked", 1, heard.asked.trees);
	box_boot(box, "boot-2");
	CHECK_INT("proved after a boot", 0, (long long)check(box->store, &heard, false));
	assert_true(ol_layer_exists(box->store, &key, false));
	heard.asked.tree_rc = OL_ECORRUPT;
	CHECK_INT("unsound", 1, (long long)check(box->store, &heard, false));
	assert_non_null(strstr(heard.text, "/etc/passwd differs"));
	assert_false(ol_layer_exists(box->store, &key, false));
}

static void rows_of_another_boot_are_proved(void **state)
{
	store_box *box = *state;
	struct heard heard = { 0 };
	ol_digest good = box_blob(box->store, "good"), bad = box_blob(box->store, "blob");

	flip(box, &bad, NULL);
	box_boot(box, "boot-2");
	CHECK_INT("one", 1, (long long)check(box->store, &heard, false));
	CHECK_INT("sync", OL_OK, ol_store_sync(box->store, NULL, NULL));
	CHECK_INT("one", 1, (long long)check(box->store, &heard, false));
	{
		ol_blob_info info;

		CHECK_INT("stat", OL_OK, ol_blob_stat(box->store, &good, &info, NULL));
		assert_true(info.durable);
	}
}

static int slow_tree(void *ctx, const ol_digest *key, bool is_chain, ol_error *err)
{
	(void)key;
	(void)is_chain;
	(void)err;
	ol_sleep_ms(1500); /* what was done before is remembered once a second */
	ol_cancel_fire(ctx);
	return OL_OK;
}

static uint64_t count_rows(store_box *box)
{
	ol_auto_db ol_db *db = ol_db_reader(box->store);
	int64_t count = -1;

	CHECK_INT(
		"count", OL_OK, ol_db_number(db, NULL, &count, "SELECT count(*) FROM checked", ""));
	return (uint64_t)count;
}

/* A check that is stopped goes on where it was, unless it is told not to, or the machine was
 * started anew; and nothing of it is left when it has ended. What is harmed in between tells what
 * was looked at again. */
static void an_interrupted_check_goes_on(void **state)
{
	static const struct {
		const char *label, *boot;
		bool restart;
		uint64_t faults;
	} cases[] = { { "goes on", "boot-1", false, 0 }, { "restart", "boot-1", true, 1 },
		{ "another boot", "boot-2", false, 1 } };

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
		ol_check_options options = {
			.cancel = cancel, .verify_tree = slow_tree, .verify_ctx = cancel
		};
		uint64_t faults = 0;
		void *fresh = NULL;
		ol_error err = { 0 };
		ol_digest blob;
		store_box *box;

		(void)box_setup(&fresh);
		box = fresh;
		blob = box_blob(box->store, "blob");
		put_tree(box); /* of no bytes: it is the last */
		CHECK_INT(c->label, OL_ECANCELED, ol_check(box->store, &options, &faults, NULL));
		CHECK_INT(c->label, 1, (long long)(count_rows(box) > 0));
		flip(box, &blob, NULL);
		box_boot(box, c->boot);
		options = (ol_check_options){ .restart = c->restart };
		CHECK_INT(err.text, OL_OK, ol_check(box->store, &options, &faults, &err));
		CHECK_INT(c->label, (long long)c->faults, (long long)faults);
		CHECK_INT(c->label, 0, (long long)count_rows(box));
		(void)box_teardown(&fresh);
	}
}

struct events {
	uint64_t done, total;
	int notes;
};

static void see(void *ctx, const ol_event *event)
{
	struct events *events = ctx;

	if (event->kind == OL_EVENT_NOTE)
		events->notes++;
	if (event->kind != OL_EVENT_PROGRESS)
		return;
	assert_true(event->done >= events->done);
	events->done = event->done;
	events->total = event->total;
}

static void progress_ends_at_all_and_orphans_are_a_note(void **state)
{
	store_box *box = *state;
	struct events events = { 0 };
	const ol_listener listener = { see, &events };
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
	const ol_check_options options = { .listener = &listener, .cancel = cancel };
	uint64_t faults = 9;
	ol_digest orphan = box_digest("orphan");
	char path[256];

	for (int i = 0; i < 100; i++) {
		char text[16];

		(void)snprintf(text, sizeof text, "%d", i);
		(void)box_blob(box->store, text);
	}
	box_file(box, box_blob_path(&orphan, path), "orphan");
	CHECK_INT("check", OL_OK, ol_check(box->store, &options, &faults, NULL));
	CHECK_INT("faults", 0, (long long)faults);
	CHECK_INT("done", 190, (long long)events.done);
	CHECK_INT("total", 190, (long long)events.total);
	CHECK_INT("note", 1, events.notes);
	ol_cancel_fire(cancel);
	CHECK_INT("cancel", OL_ECANCELED, ol_check(box->store, &options, &faults, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(a_sound_store_has_no_faults),
		BOX_TEST(what_cannot_be_looked_at_is_not_damaged),
		cmocka_unit_test(every_fault_is_named),
		BOX_TEST(what_is_found_wrong_is_replaced),
		BOX_TEST(a_tree_is_shown_to_who_knows_trees),
		BOX_TEST(rows_of_another_boot_are_proved),
		cmocka_unit_test(an_interrupted_check_goes_on),
		BOX_TEST(progress_ends_at_all_and_orphans_are_a_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
