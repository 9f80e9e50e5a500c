#include <signal.h>

#include "base/alloc.h"
#include "store/draft.h"
#include "store/gc_priv.h"
#include "tests/store_box.h"

static int drafts(store_box *box)
{
	ol_autofree char *command = ol_text("ls %s/ingest | grep -c ^draft-", box->root);
	FILE *pipe = popen(command, "re");
	int count = -1;

	assert_non_null(pipe);
	assert_int_equal(1, fscanf(pipe, "%d", &count));
	(void)pclose(pipe);
	return count;
}

static ol_gc_result gc(store_box *box)
{
	ol_gc_result result = { 0 };

	CHECK_INT("gc", OL_OK, ol_gc(box->store, NULL, &result, NULL));
	return result;
}

static void a_draft_is_gone_when_it_is_closed(void **state)
{
	store_box *box = *state;
	ol_draft *draft = NULL;

	CHECK_INT("open", OL_OK, ol_draft_open(box->store, &draft, NULL));
	CHECK_INT("file", OL_OK,
		ol_publish(ol_draft_dir_fd(draft), "blob", ol_view_of("x"), 0600, 0, NULL));
	CHECK_INT("one", 1, drafts(box));
	ol_draft_close(draft);
	CHECK_INT("none", 0, drafts(box));
	ol_draft_close(NULL);
}

static void drafts_are_apart(void **state)
{
	store_box *box = *state;
	ol_draft *one = NULL, *two = NULL;

	CHECK_INT("one", OL_OK, ol_draft_open(box->store, &one, NULL));
	CHECK_INT("two", OL_OK, ol_draft_open(box->store, &two, NULL));
	CHECK_INT("two", 2, drafts(box));
	CHECK_INT("file", OL_OK,
		ol_publish(ol_draft_dir_fd(one), "blob", ol_view_of("x"), 0600, 0, NULL));
	CHECK_INT("not the other's", -1, faccessat(ol_draft_dir_fd(two), "blob", F_OK, 0));
	ol_draft_close(one);
	CHECK_INT("one left", 1, drafts(box));
	ol_draft_close(two);
}

static void gc_leaves_a_draft_that_is_held(void **state)
{
	store_box *box = *state;
	ol_draft *draft = NULL;

	CHECK_INT("open", OL_OK, ol_draft_open(box->store, &draft, NULL));
	CHECK_INT("file", OL_OK,
		ol_publish(ol_draft_dir_fd(draft), "blob", ol_view_of("x"), 0600, 0, NULL));
	CHECK_INT("none removed", 0, (long long)gc(box).ingests);
	CHECK_INT("there", 0, faccessat(ol_draft_dir_fd(draft), "blob", F_OK, 0));
	ol_draft_close(draft);
}

/* Between its making and its lock a draft looks like one of the dead. */
static void who_loses_a_draft_to_gc_makes_another(void **state)
{
	store_box *box = *state;
	pid_t pid;

	ol_store_close(box->store);
	box->store = NULL;
	pid = fork();
	if (pid == 0) {
		ol_gc_result result = { 0 };

		(void)box_open_as(box, "boot-1", &box->store, NULL);
		while (getppid() != 1 && box->store)
			(void)ol_gc_ingests(box->store, NULL, &result, NULL);
		_exit(0);
	}
	box_boot(box, "boot-1");
	for (int i = 0; i < 500; i++) {
		ol_draft *draft = NULL;
		ol_error err = { 0 };

		CHECK_INT(err.text, OL_OK, ol_draft_open(box->store, &draft, &err));
		CHECK_INT("ours", 0, faccessat(ol_draft_dir_fd(draft), "lock", F_OK, 0));
		ol_draft_close(draft);
	}
	(void)kill(pid, SIGKILL);
	assert_int_equal(pid, waitpid(pid, NULL, 0));
}

static void open_and_die(store_box *box, ol_store *store)
{
	ol_draft *draft = NULL;

	(void)box;
	(void)ol_draft_open(store, &draft, NULL);
	(void)ol_publish(ol_draft_dir_fd(draft), "blob", ol_view_of("x"), 0600, 0, NULL);
	(void)raise(SIGKILL);
}

static void gc_removes_the_draft_of_a_process_that_died(void **state)
{
	store_box *box = *state;

	assert_true(box_killed_at(box, "none", open_and_die));
	CHECK_INT("left", 1, drafts(box));
	CHECK_INT("removed", 1, (long long)gc(box).ingests);
	CHECK_INT("none", 0, drafts(box));
}

static void what_is_worth_keeping_moves_out(void **state)
{
	store_box *box = *state;
	ol_digest digest = box_digest("x");
	ol_draft *draft = NULL;

	CHECK_INT("open", OL_OK, ol_draft_open(box->store, &draft, NULL));
	CHECK_INT("file", OL_OK,
		ol_publish(ol_draft_dir_fd(draft), "blob", ol_view_of("x"), 0600, 0, NULL));
	CHECK_INT("adopt", OL_OK,
		ol_blob_adopt(box->store, &digest, 1, ol_draft_dir_fd(draft), "blob", NULL));
	ol_draft_close(draft);
	assert_true(ol_blob_exists(box->store, &digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(a_draft_is_gone_when_it_is_closed),
		BOX_TEST(drafts_are_apart),
		BOX_TEST(gc_leaves_a_draft_that_is_held),
		BOX_TEST(who_loses_a_draft_to_gc_makes_another),
		BOX_TEST(gc_removes_the_draft_of_a_process_that_died),
		BOX_TEST(what_is_worth_keeping_moves_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
