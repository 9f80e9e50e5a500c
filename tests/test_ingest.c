#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "store/ingest_priv.h"
#include "tests/store_box.h"

#define MIB ((size_t)1 << 20)

/* Bytes that depend on their place, so that a byte in the wrong place is seen. */
static unsigned char *make_bytes(size_t size)
{
	unsigned char *bytes = malloc(size ? size : 1);
	uint64_t x = 88172645463325252;

	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = (unsigned char)x;
	}
	return bytes;
}

static ol_ingest *must_open(ol_store *store, const unsigned char *bytes, size_t size)
{
	const ol_ingest_options options = {
		.digest = ol_digest_of(OL_SHA256, bytes, size),
		.size = size,
	};
	ol_ingest *ingest = NULL;
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_ingest_open(store, &options, &ingest, &err));
	return ingest;
}

static void who_cannot_wait_is_told_at_once(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(100);
	const ol_ingest_options options = {
		.digest = ol_digest_of(OL_SHA256, bytes, 100), .size = 100, .no_wait = true
	};
	ol_ingest *first = must_open(box->store, bytes, 100), *second = NULL;

	CHECK_INT("held", OL_EBUSY, ol_ingest_open(box->store, &options, &second, NULL));
	ol_ingest_close(first);
	CHECK_INT("let go", OL_OK, ol_ingest_open(box->store, &options, &second, NULL));
	ol_ingest_close(second);
	free(bytes);
}

static void what_was_received_becomes_a_blob(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(3 * MIB);
	ol_digest digest = ol_digest_of(OL_SHA256, bytes, 3 * MIB);
	ol_ingest *ingest = must_open(box->store, bytes, 3 * MIB);
	ol_range missing[4];
	char path[256];

	CHECK_INT("all missing", 1, (long long)ol_ingest_missing(ingest, missing, 4));
	CHECK_INT("back", OL_OK, ol_ingest_write(ingest, MIB, bytes + MIB, 2 * MIB, NULL));
	CHECK_INT("present", 2 * MIB, (long long)ol_ingest_present(ingest));
	CHECK_INT("front missing", 1, (long long)ol_ingest_missing(ingest, missing, 4));
	CHECK_INT("end", MIB, (long long)missing[0].end);
	CHECK_INT("front", OL_OK, ol_ingest_write(ingest, 0, bytes, MIB, NULL));
	CHECK_INT("none missing", 0, (long long)ol_ingest_missing(ingest, missing, 4));
	CHECK_INT("commit", OL_OK, ol_ingest_commit(ingest, NULL));
	assert_true(ol_blob_exists(box->store, &digest));
	(void)snprintf(path, sizeof path, "root/ingest/sha256-%.64s", ol_digest_hex(&digest).text);
	assert_false(box_has(box, path));
	free(bytes);
}

static void more_than_promised_and_less_than_all_are_refused(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(100);
	ol_ingest *ingest = must_open(box->store, bytes, 100);

	CHECK_INT("past", OL_ECORRUPT, ol_ingest_write(ingest, 90, bytes, 11, NULL));
	CHECK_INT("overflow", OL_ECORRUPT, ol_ingest_write(ingest, UINT64_MAX, bytes, 11, NULL));
	CHECK_INT("some", OL_OK, ol_ingest_write(ingest, 90, bytes, 10, NULL));
	CHECK_INT("commit", OL_EINVAL, ol_ingest_commit(ingest, NULL));
	free(bytes);
}

static void an_empty_ingest_is_complete(void **state)
{
	store_box *box = *state;
	ol_ingest *ingest = must_open(box->store, (const unsigned char *)"", 0);
	ol_reader *reader = ol_ingest_reader(ingest, NULL);
	size_t got = 1;
	char byte;

	CHECK_INT("read", OL_OK, ol_reader_read(reader, &byte, 1, &got, NULL));
	CHECK_INT("end", 0, (long long)got);
	ol_reader_close(reader);
	CHECK_INT("commit", OL_OK, ol_ingest_commit(ingest, NULL));
}

static void closed_and_opened_it_goes_on(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(2 * MIB);
	ol_ingest *ingest = must_open(box->store, bytes, 2 * MIB);

	CHECK_INT("a", OL_OK, ol_ingest_write(ingest, 0, bytes, 1000, NULL));
	CHECK_INT("b", OL_OK, ol_ingest_write(ingest, MIB, bytes + MIB, 1000, NULL));
	ol_ingest_close(ingest);
	ingest = must_open(box->store, bytes, 2 * MIB);
	CHECK_INT("present", 2000, (long long)ol_ingest_present(ingest));
	CHECK_INT("reset", OL_OK, ol_ingest_reset(ingest, NULL));
	CHECK_INT("present", 0, (long long)ol_ingest_present(ingest));
	ol_ingest_close(ingest);
	ingest = must_open(box->store, bytes, 2 * MIB);
	CHECK_INT("after reset", 0, (long long)ol_ingest_present(ingest));
	CHECK_INT("drop", OL_OK, ol_ingest_drop(ingest, NULL));
	free(bytes);
}

/* Invariant 10: what another boot wrote may not be on the disk. */
static void another_boot_begins_anew(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(MIB);
	ol_ingest *ingest = must_open(box->store, bytes, MIB);

	CHECK_INT("write", OL_OK, ol_ingest_write(ingest, 0, bytes, 1000, NULL));
	ol_ingest_close(ingest);
	box_boot(box, "boot-2");
	ingest = must_open(box->store, bytes, MIB);
	CHECK_INT("present", 0, (long long)ol_ingest_present(ingest));
	ol_ingest_close(ingest);
	free(bytes);
}

/* A map that does not check, of another size, or with less data than it says, is not believed; nor
 * are leftovers kept. */
static void a_map_that_lies_is_not_believed(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(MIB);
	ol_digest digest = ol_digest_of(OL_SHA256, bytes, MIB);
	static const char *const harm[] = { "map", "data" };
	char path[256], leftover[256];

	OL_EACH (harm, h) {
		ol_ingest *ingest = must_open(box->store, bytes, MIB);

		CHECK_INT(*h, 0, (long long)ol_ingest_present(ingest));
		CHECK_INT(*h, OL_OK, ol_ingest_write(ingest, 0, bytes, 1000, NULL));
		ol_ingest_close(ingest);
		(void)snprintf(path, sizeof path, "root/ingest/sha256-%.64s/%s",
			ol_digest_hex(&digest).text, *h);
		(void)snprintf(leftover, sizeof leftover, "root/ingest/sha256-%.64s/tar",
			ol_digest_hex(&digest).text);
		box_file(box, path, "garbage");
		box_file(box, leftover, "half a tar");
		ingest = must_open(box->store, bytes, MIB);
		CHECK_INT(*h, 0, (long long)ol_ingest_present(ingest));
		assert_false(box_has(box, leftover));
		ol_ingest_close(ingest);
	}
	free(bytes);
}

struct writer {
	ol_ingest *ingest;
	const unsigned char *bytes;
	size_t start, end, step;
};

static void *write_part(void *ctx)
{
	const struct writer *w = ctx;

	for (size_t at = w->start; at < w->end; at += w->step) {
		size_t size = w->end - at < w->step ? w->end - at : w->step;

		CHECK_INT(
			"write", OL_OK, ol_ingest_write(w->ingest, at, w->bytes + at, size, NULL));
	}
	return NULL;
}

static void a_reader_follows_four_writers(void **state)
{
	store_box *box = *state;
	const size_t size = 32 * MIB;
	unsigned char *bytes = make_bytes(size), *chunk = malloc(MIB);
	ol_ingest *ingest = must_open(box->store, bytes, size);
	ol_reader *reader = ol_ingest_reader(ingest, NULL);
	struct writer writers[4];
	pthread_t threads[4];
	size_t got, at = 0;

	assert_non_null(chunk);
	for (size_t i = 0; i < 4; i++) {
		writers[i] = (struct writer){ ingest, bytes, i * size / 4, (i + 1) * size / 4,
			10000 + i * 6000 };
		CHECK_INT("thread", 0, pthread_create(&threads[i], NULL, write_part, &writers[i]));
	}
	do {
		CHECK_INT("read", OL_OK, ol_reader_read(reader, chunk, MIB, &got, NULL));
		assert_true(got <= size - at);
		assert_memory_equal(chunk, bytes + at, got);
		at += got;
	} while (got);
	CHECK_INT("all", (long long)size, (long long)at);
	for (size_t i = 0; i < 4; i++)
		CHECK_INT("join", 0, pthread_join(threads[i], NULL));
	ol_reader_close(reader);
	CHECK_INT("commit", OL_OK, ol_ingest_commit(ingest, NULL));
	free(chunk);
	free(bytes);
}

static void *fail_later(void *ctx)
{
	ol_error err = { 0 };

	ol_sleep_ms(50);
	(void)ol_fail(&err, OL_EUNAVAILABLE, "the line was cut");
	ol_ingest_finish(ctx, OL_EUNAVAILABLE, &err);
	return NULL;
}

static void the_reader_gets_the_writers_error(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(MIB), chunk[100];
	ol_ingest *ingest = must_open(box->store, bytes, MIB);
	ol_reader *reader = ol_ingest_reader(ingest, NULL);
	ol_error err = { 0 };
	pthread_t thread;
	size_t got;

	CHECK_INT("thread", 0, pthread_create(&thread, NULL, fail_later, ingest));
	CHECK_INT("read", OL_EUNAVAILABLE, ol_reader_read(reader, chunk, sizeof chunk, &got, &err));
	CHECK_STR("words", "the line was cut", err.text);
	CHECK_INT("join", 0, pthread_join(thread, NULL));
	ol_reader_close(reader);
	ol_ingest_close(ingest);
	free(bytes);
}

static void a_reader_ends_at_cancel_and_at_an_early_end(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(MIB), chunk[100];
	ol_ingest *ingest = must_open(box->store, bytes, MIB);
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
	ol_reader *reader = ol_ingest_reader(ingest, cancel);
	size_t got;

	ol_cancel_fire(cancel);
	CHECK_INT("cancel", OL_ECANCELED, ol_reader_read(reader, chunk, sizeof chunk, &got, NULL));
	ol_reader_close(reader);
	reader = ol_ingest_reader(ingest, NULL);
	CHECK_INT("write", OL_OK, ol_ingest_write(ingest, 0, bytes, 50, NULL));
	ol_ingest_finish(ingest, OL_OK, NULL);
	CHECK_INT("what is there", OL_OK, ol_reader_read(reader, chunk, sizeof chunk, &got, NULL));
	CHECK_INT("bytes", 50, (long long)got);
	CHECK_INT("early end", OL_EUNAVAILABLE,
		ol_reader_read(reader, chunk, sizeof chunk, &got, NULL));
	ol_reader_close(reader);
	ol_ingest_close(ingest);
	free(bytes);
}

/* Promise of the header: at most 4 MiB a connection are lost to kill -9; here there are two. */
static void kill_9_loses_little(void **state)
{
	store_box *box = *state;
	const size_t size = 24 * MIB, half = 12 * MIB;
	unsigned char *bytes = make_bytes(size), *back = malloc(size);
	int ready[2], status, data_fd;
	ol_ingest *ingest;
	ol_range missing[8];
	size_t count;
	pid_t pid;
	char byte;

	assert_non_null(back);
	CHECK_INT("pipe", 0, pipe2(ready, O_CLOEXEC));
	ol_store_close(box->store);
	box->store = NULL;
	pid = fork();
	if (pid == 0) {
		ol_store *store = NULL;

		if (box_open_as(box, "boot-1", &store, NULL) < 0)
			_exit(1);
		ingest = must_open(store, bytes, size);
		for (size_t at = 0; at < 9 * MIB; at += 50000) {
			(void)ol_ingest_write(ingest, at, bytes + at, 50000, NULL);
			(void)ol_ingest_write(ingest, half + at, bytes + half + at, 50000, NULL);
		}
		(void)!write(ready[1], "x", 1);
		(void)pause();
		_exit(1);
	}
	CHECK_INT("ready", 1, read(ready[0], &byte, 1));
	CHECK_INT("kill", 0, kill(pid, SIGKILL));
	assert_int_equal(pid, waitpid(pid, &status, 0));
	(void)close(ready[0]);
	(void)close(ready[1]);
	box_boot(box, "boot-1");
	ingest = must_open(box->store, bytes, size);
	assert_true(ol_ingest_present(ingest) >= 16 * MIB);
	count = ol_ingest_missing(ingest, missing, 8);
	CHECK_INT("two streams", 2, (long long)count);
	for (size_t i = 0; i < count; i++)
		CHECK_INT("rest", OL_OK,
			ol_ingest_write(ingest, missing[i].start, bytes + missing[i].start,
				(size_t)(missing[i].end - missing[i].start), NULL));
	data_fd = openat(ol_ingest_dir_fd(ingest), "data", O_RDONLY | O_CLOEXEC);
	CHECK_INT("read", OL_OK, ol_pread_all(data_fd, back, size, 0, NULL));
	CHECK_INT("close", 0, close(data_fd));
	assert_memory_equal(bytes, back, size);
	CHECK_INT("commit", OL_OK, ol_ingest_commit(ingest, NULL));
	free(bytes);
	free(back);
}

struct second {
	ol_store *store;
	const unsigned char *bytes;
	atomic_bool finished, waiting;
	uint64_t seen;
	int rc;
};

static bool first_is_done(void *ctx)
{
	struct second *second = ctx;

	return atomic_load(&second->finished);
}

static void see(void *ctx, const ol_event *event)
{
	struct second *second = ctx;

	if (event->kind == OL_EVENT_LAYER && event->state == OL_LAYER_ELSEWHERE) {
		second->seen = event->done;
		atomic_store(&second->waiting, true);
	}
}

static void *open_second(void *ctx)
{
	struct second *second = ctx;
	const ol_listener listener = { see, second };
	const ol_ingest_options options = {
		.digest = ol_digest_of(OL_SHA256, second->bytes, 4 * MIB),
		.size = 4 * MIB,
		.listener = &listener,
		.done = first_is_done,
		.ctx = second,
	};
	ol_ingest *ingest = NULL;

	second->rc = ol_ingest_open(second->store, &options, &ingest, NULL);
	ol_ingest_close(ingest);
	return NULL;
}

static void let_second_wait(struct second *second, pthread_t *thread)
{
	CHECK_INT("thread", 0, pthread_create(thread, NULL, open_second, second));
	while (!atomic_load(&second->waiting))
		ol_sleep_ms(5);
}

static void a_second_opener_waits_and_learns_that_it_is_done(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(4 * MIB);
	ol_ingest *ingest = must_open(box->store, bytes, 4 * MIB);
	struct second second = { .store = box->store, .bytes = bytes };
	pthread_t thread;

	CHECK_INT("write", OL_OK, ol_ingest_write(ingest, 0, bytes, 2 * MIB, NULL));
	let_second_wait(&second, &thread);
	atomic_store(&second.finished, true);
	CHECK_INT("drop", OL_OK, ol_ingest_drop(ingest, NULL));
	CHECK_INT("join", 0, pthread_join(thread, NULL));
	CHECK_INT("second", OL_EEXISTS, second.rc);
	CHECK_INT("progress", 2 * MIB, (long long)second.seen);
	free(bytes);
}

static void a_second_opener_takes_over_what_the_first_left(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(4 * MIB);
	ol_ingest *ingest = must_open(box->store, bytes, 4 * MIB);
	struct second second = { .store = box->store, .bytes = bytes };
	pthread_t thread;

	let_second_wait(&second, &thread);
	ol_ingest_close(ingest);
	CHECK_INT("join", 0, pthread_join(thread, NULL));
	CHECK_INT("second", OL_OK, second.rc);
	free(bytes);
}

/* Another process dies while we wait for it: the kernel drops its lock, and its bytes are ours. */
static void a_waiting_process_inherits_from_one_that_is_killed(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(4 * MIB);
	struct second second = { .bytes = bytes };
	int ready[2], status;
	pthread_t thread;
	char byte;
	pid_t pid;

	CHECK_INT("pipe", 0, pipe2(ready, O_CLOEXEC));
	ol_store_close(box->store);
	box->store = NULL;
	pid = fork();
	if (pid == 0) {
		ol_store *store = NULL;

		if (box_open_as(box, "boot-1", &store, NULL) < 0)
			_exit(1);
		(void)ol_ingest_write(must_open(store, bytes, 4 * MIB), 0, bytes, 3 * MIB, NULL);
		(void)!write(ready[1], "x", 1);
		(void)pause();
		_exit(1);
	}
	CHECK_INT("ready", 1, read(ready[0], &byte, 1));
	box_boot(box, "boot-1");
	second.store = box->store;
	let_second_wait(&second, &thread);
	CHECK_INT("kill", 0, kill(pid, SIGKILL));
	assert_int_equal(pid, waitpid(pid, &status, 0));
	CHECK_INT("join", 0, pthread_join(thread, NULL));
	CHECK_INT("second", OL_OK, second.rc);
	CHECK_INT("seen", 3 * MIB, (long long)second.seen);
	{
		ol_ingest *ingest = must_open(box->store, bytes, 4 * MIB);

		CHECK_INT("inherited", 3 * MIB, (long long)ol_ingest_present(ingest));
		ol_ingest_close(ingest);
	}
	(void)close(ready[0]);
	(void)close(ready[1]);
	free(bytes);
}

static void waiting_ends_at_cancel(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(100);
	ol_ingest *ingest = must_open(box->store, bytes, 100), *other = NULL;
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
	const ol_ingest_options options = {
		.digest = ol_digest_of(OL_SHA256, bytes, 100),
		.size = 100,
		.cancel = cancel,
	};

	ol_cancel_fire(cancel);
	CHECK_INT("open", OL_ECANCELED, ol_ingest_open(box->store, &options, &other, NULL));
	ol_ingest_close(ingest);
	free(bytes);
}

/* Many tiny ranges: the map is written anew, merged, and never outgrows its bound. */
static void a_map_of_many_pieces_is_merged(void **state)
{
	store_box *box = *state;
	const size_t size = 4 * MIB;
	unsigned char *bytes = make_bytes(size);
	ol_ingest *ingest = must_open(box->store, bytes, size);

	for (size_t at = 0; at < size; at += 128) {
		CHECK_INT("even", OL_OK, ol_ingest_write(ingest, at, bytes + at, 64, NULL));
	}
	ol_ingest_close(ingest);
	ingest = must_open(box->store, bytes, size);
	assert_true(ol_ingest_present(ingest) > size / 4);
	for (size_t at = 0; at < size; at += 128)
		CHECK_INT(
			"odd", OL_OK, ol_ingest_write(ingest, at + 64, bytes + at + 64, 64, NULL));
	for (size_t at = 0; at < size; at += 128)
		CHECK_INT("even", OL_OK, ol_ingest_write(ingest, at, bytes + at, 64, NULL));
	CHECK_INT("commit", OL_OK, ol_ingest_commit(ingest, NULL));
	free(bytes);
}

static void commit_work(store_box *box, ol_store *store)
{
	unsigned char *bytes = make_bytes(3 * MIB);
	ol_ingest *ingest = must_open(store, bytes, 3 * MIB);

	(void)box;
	(void)ol_ingest_write(ingest, 0, bytes, MIB, NULL);
	(void)ol_ingest_write(ingest, MIB, bytes + MIB, 2 * MIB, NULL);
	(void)ol_ingest_commit(ingest, NULL);
	free(bytes);
}

static void killed_at_any_step_it_can_be_done_again(void **state)
{
	store_box *box = *state;
	static const char *const faults[] = { "store.ingest.record:kill",
		"store.ingest.record:kill:2", "store.blob.adopt:kill", "store.blob.named:kill",
		"store.blob.commit:kill", "store.blob.committed:kill", "store.ingest.drop:kill",
		"store.ingest.renamed:kill" };
	unsigned char *bytes = make_bytes(3 * MIB);
	ol_digest digest = ol_digest_of(OL_SHA256, bytes, 3 * MIB);
	const ol_check_options check = { .found = box_print_finding };

	OL_EACH (faults, f) {
		uint64_t faults_found = 0;

		assert_true(box_killed_at(box, *f, commit_work));
		CHECK_INT(*f, OL_OK, ol_check(box->store, &check, &faults_found, NULL));
		CHECK_INT(*f, 0, (long long)faults_found);
		commit_work(box, box->store);
		assert_true(ol_blob_exists(box->store, &digest));
		CHECK_INT(*f, OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
		assert_false(ol_blob_exists(box->store, &digest));
	}
	free(bytes);
}

static ol_ingest *open_any_boot(ol_store *store, const unsigned char *bytes, size_t size)
{
	const ol_ingest_options options = {
		.digest = ol_digest_of(OL_SHA256, bytes, size),
		.size = size,
		.any_boot = true,
	};
	ol_ingest *ingest = NULL;
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_ingest_open(store, &options, &ingest, &err));
	return ingest;
}

/* Who verifies what he uses need not fetch again after a reboot. */
static void another_boots_bytes_are_kept_for_who_asks(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(MIB);
	ol_ingest *ingest = must_open(box->store, bytes, MIB);

	CHECK_INT("write", OL_OK, ol_ingest_write(ingest, 500, bytes + 500, 1000, NULL));
	ol_ingest_close(ingest);
	box_boot(box, "boot-2");
	ingest = open_any_boot(box->store, bytes, MIB);
	CHECK_INT("has", true, ol_ingest_has(ingest, 500, 1500));
	CHECK_INT("has more", false, ol_ingest_has(ingest, 500, 1501));
	CHECK_INT("past the end", false, ol_ingest_has(ingest, MIB, MIB + 1));
	ol_ingest_close(ingest);
	box_boot(box, "boot-3");
	ingest = must_open(box->store, bytes, MIB);
	CHECK_INT("for others it is gone", 0, (long long)ol_ingest_present(ingest));
	ol_ingest_close(ingest);
	free(bytes);
}

static void what_is_forgotten_is_missing_for_the_next_holder_too(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(3 * MIB);
	ol_ingest *ingest = must_open(box->store, bytes, 3 * MIB);

	CHECK_INT("write", OL_OK, ol_ingest_write(ingest, 0, bytes, 3 * MIB, NULL));
	CHECK_INT("nothing", OL_OK, ol_ingest_forget(ingest, 7, 7, NULL));
	CHECK_INT("forget", OL_OK, ol_ingest_forget(ingest, MIB, MIB + 1000, NULL));
	for (int pass = 0; pass < 2; pass++) {
		ol_range missing[2];

		CHECK_INT("missing", 1, (long long)ol_ingest_missing(ingest, missing, 2));
		CHECK_INT("from", MIB, (long long)missing[0].start);
		CHECK_INT("to", MIB + 1000, (long long)missing[0].end);
		ol_ingest_close(ingest);
		ingest = must_open(box->store, bytes, 3 * MIB);
	}
	CHECK_INT("again", OL_OK, ol_ingest_write(ingest, MIB, bytes + MIB, 1000, NULL));
	CHECK_INT("commit", OL_OK, ol_ingest_commit(ingest, NULL));
	free(bytes);
}

/* kill -9 loses little, also when what comes is small and everywhere. */
static void scattered_bytes_are_noted(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(16 * MIB);
	ol_ingest *ingest = must_open(box->store, bytes, 16 * MIB);
	ol_range_map map = { 0 };

	for (size_t at = 0; at < 16 * MIB; at += MIB)
		CHECK_INT("write", OL_OK, ol_ingest_write(ingest, at, bytes + at, MIB / 2, NULL));
	CHECK_INT("map", OL_OK, ol_ingest_peek(ol_ingest_dir_fd(ingest), &map, NULL));
	assert_true(map.set.present >= 4 * MIB);
	ol_range_set_done(&map.set);
	ol_ingest_close(ingest);
	free(bytes);
}

struct waiter {
	ol_ingest *ingest;
	uint64_t start, end;
	int rc;
};

static void *wait_for_range(void *ctx)
{
	struct waiter *waiter = ctx;

	waiter->rc = ol_ingest_wait_range(waiter->ingest, waiter->start, waiter->end, NULL, NULL);
	return NULL;
}

static void many_wait_for_their_ranges(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(MIB);
	ol_ingest *ingest = must_open(box->store, bytes, MIB);
	struct waiter waiters[] = { { ingest, 0, 10, 1 }, { ingest, 500, 600, 1 },
		{ ingest, 500, 700, 1 }, { ingest, 1000, MIB, 1 } };
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(0, pthread_create(&threads[i], NULL, wait_for_range, &waiters[i]));
	CHECK_INT("write", OL_OK, ol_ingest_write(ingest, 500, bytes + 500, 300, NULL));
	assert_int_equal(0, pthread_join(threads[1], NULL));
	assert_int_equal(0, pthread_join(threads[2], NULL));
	CHECK_INT("write", OL_OK, ol_ingest_write(ingest, 0, bytes, 500, NULL));
	assert_int_equal(0, pthread_join(threads[0], NULL));
	ol_ingest_finish(ingest, OL_EAUTH, NULL);
	assert_int_equal(0, pthread_join(threads[3], NULL));
	CHECK_INT("first", OL_OK, waiters[0].rc);
	CHECK_INT("second", OL_OK, waiters[1].rc);
	CHECK_INT("third", OL_OK, waiters[2].rc);
	CHECK_INT("what never came", OL_EAUTH, waiters[3].rc);
	CHECK_INT("what had come before", OL_OK, ol_ingest_wait_range(ingest, 0, 800, NULL, NULL));
	ol_ingest_close(ingest);
	free(bytes);
}

static void a_wait_ends_at_cancel_and_at_the_last_word(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(MIB);
	ol_ingest *ingest = must_open(box->store, bytes, MIB);
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();

	ol_cancel_fire(cancel);
	CHECK_INT("cancel", OL_ECANCELED, ol_ingest_wait_range(ingest, 0, 1, cancel, NULL));
	ol_ingest_finish(ingest, OL_OK, NULL);
	CHECK_INT("the end", OL_EUNAVAILABLE, ol_ingest_wait_range(ingest, 0, 1, NULL, NULL));
	/* That all had come is no longer so. */
	CHECK_INT("forget", OL_OK, ol_ingest_forget(ingest, 0, 1, NULL));
	CHECK_INT("waits again", OL_ECANCELED, ol_ingest_wait_range(ingest, 0, 1, cancel, NULL));
	ol_ingest_close(ingest);
	free(bytes);
}

#define SHARED_BYTES (4 * MIB)
#define SHARED_PART  ((size_t)64 << 10)

struct shared {
	ol_ingest *ingest;
	const unsigned char *bytes;
	unsigned seed;
};

/* Writes parts in an order of its own, some of which others write as well, and reads back. */
static void *fill_parts(void *ctx)
{
	struct shared *shared = ctx;
	ol_source *source = ol_ingest_source(shared->ingest);
	const size_t parts = SHARED_BYTES / SHARED_PART;
	unsigned char back[100];
	void *wrong = NULL;

	for (size_t i = 0; i < parts; i++) {
		const size_t at = (i * 37 + shared->seed) % parts * SHARED_PART;

		if (!ol_ingest_has(shared->ingest, at, at + SHARED_PART) &&
			ol_ingest_write(shared->ingest, at, shared->bytes + at, SHARED_PART, NULL) <
				0)
			wrong = ctx;
		if (ol_source_read_at(source, at + 5, back, sizeof back, NULL) < 0 ||
			memcmp(back, shared->bytes + at + 5, sizeof back) != 0)
			wrong = ctx;
		if (i % 16 == shared->seed % 16 &&
			(ol_ingest_forget(shared->ingest, at, at + 10, NULL) < 0 ||
				ol_ingest_write(shared->ingest, at, shared->bytes + at, 10, NULL) <
					0))
			wrong = ctx;
	}
	ol_source_close(source);
	return wrong;
}

static void a_reader_goes_on_beside_random_fills(void **state)
{
	store_box *box = *state;
	unsigned char *bytes = make_bytes(SHARED_BYTES), *got = malloc(SHARED_BYTES);
	ol_ingest *ingest = must_open(box->store, bytes, SHARED_BYTES);
	struct shared shared[3];
	ol_reader *reader = ol_ingest_reader(ingest, NULL);
	pthread_t threads[3];
	size_t at = 0, n = 1;

	assert_non_null(got);
	for (unsigned i = 0; i < 3; i++) {
		shared[i] = (struct shared){ ingest, bytes, i * 23 };
		assert_int_equal(0, pthread_create(&threads[i], NULL, fill_parts, &shared[i]));
	}
	while (n > 0) {
		CHECK_INT("read", OL_OK,
			ol_reader_read(reader, got + at, SHARED_BYTES - at, &n, NULL));
		at += n;
	}
	CHECK_INT("all", SHARED_BYTES, (long long)at);
	assert_memory_equal(bytes, got, SHARED_BYTES);
	for (size_t i = 0; i < 3; i++) {
		void *wrong = NULL;

		assert_int_equal(0, pthread_join(threads[i], &wrong));
		assert_null(wrong);
	}
	ol_reader_close(reader);
	CHECK_INT("commit", OL_OK, ol_ingest_commit(ingest, NULL));
	free(bytes);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(another_boots_bytes_are_kept_for_who_asks),
		BOX_TEST(what_is_forgotten_is_missing_for_the_next_holder_too),
		BOX_TEST(scattered_bytes_are_noted),
		BOX_TEST(many_wait_for_their_ranges),
		BOX_TEST(a_wait_ends_at_cancel_and_at_the_last_word),
		BOX_TEST(a_reader_goes_on_beside_random_fills),
		BOX_TEST(who_cannot_wait_is_told_at_once),
		BOX_TEST(what_was_received_becomes_a_blob),
		BOX_TEST(more_than_promised_and_less_than_all_are_refused),
		BOX_TEST(an_empty_ingest_is_complete),
		BOX_TEST(closed_and_opened_it_goes_on),
		BOX_TEST(another_boot_begins_anew),
		BOX_TEST(a_map_that_lies_is_not_believed),
		BOX_TEST(a_reader_follows_four_writers),
		BOX_TEST(the_reader_gets_the_writers_error),
		BOX_TEST(a_reader_ends_at_cancel_and_at_an_early_end),
		BOX_TEST(kill_9_loses_little),
		BOX_TEST(a_second_opener_waits_and_learns_that_it_is_done),
		BOX_TEST(a_second_opener_takes_over_what_the_first_left),
		BOX_TEST(a_waiting_process_inherits_from_one_that_is_killed),
		BOX_TEST(waiting_ends_at_cancel),
		BOX_TEST(a_map_of_many_pieces_is_merged),
		BOX_TEST(killed_at_any_step_it_can_be_done_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
