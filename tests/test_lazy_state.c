/* The shared state (snapshot/lazy_state.h). */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "snapshot/lazy_state.h"
#include "tests/check.h"

#define BLOCK ((uint64_t)OL_LAZY_BLOCK)

typedef struct box {
	char dir[64];
	int fd;
	ol_digest layer;
} box;

static int setup(void **state)
{
	box *b = calloc(1, sizeof *b);

	assert_non_null(b);
	(void)snprintf(b->dir, sizeof b->dir, "/tmp/orlop-state-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->layer = ol_digest_of(OL_SHA256, "layer", 5);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	box *b = *state;

	(void)close(b->fd);
	CHECK_INT("clean up", OL_OK, ol_remove_tree(AT_FDCWD, b->dir, NULL));
	free(b);
	return 0;
}

static ol_lazy_state *open_as(const box *b, const char *boot, uint64_t bytes, bool want_fresh)
{
	ol_lazy_state *state = NULL;
	ol_error err = { 0 };
	bool fresh = !want_fresh;

	CHECK_INT(err.text, OL_OK,
		ol_lazy_state_open(b->fd, &b->layer, bytes, boot, &fresh, &state, &err));
	assert_int_equal(want_fresh, fresh);
	assert_int_equal(bytes, ol_lazy_state_payload_bytes(state));
	return state;
}

static uint64_t present(ol_lazy_state *state)
{
	return ol_lazy_state_counters(state)->payload_present;
}

/* Only blocks that lie wholly inside what was added are there. */
static void whole_blocks_are_there(void **ctx)
{
	static const struct {
		const char *label;
		uint64_t start, end; /* added */
		uint64_t bytes;      /* present then */
	} rows[] = {
		{ "nothing", 0, 0, 0 },
		{ "part of a block", 0, BLOCK - 1, 0 },
		{ "one block", 0, BLOCK, BLOCK },
		{ "its neighbours' parts", BLOCK - 1, 2 * BLOCK + 1, BLOCK },
		{ "no whole one", 1, 2 * BLOCK - 1, 0 },
		{ "over a word's end", 60 * BLOCK, 70 * BLOCK, 10 * BLOCK },
		{ "over three words", 10 * BLOCK, 150 * BLOCK, 140 * BLOCK },
		{ "the short one at the end", 200 * BLOCK, 200 * BLOCK + 512, 512 },
		{ "part of the short one", 200 * BLOCK, 200 * BLOCK + 511, 0 },
		{ "all, and more", 0, 1000 * BLOCK, 200 * BLOCK + 512 },
	};
	const box *b = *ctx;

	OL_EACH (rows, row) {
		char boot[16];
		ol_lazy_state *state;
		uint64_t have = 0;

		(void)snprintf(boot, sizeof boot, "%d", (int)(row - rows));
		state = open_as(b, boot, 200 * BLOCK + 512, true);
		ol_lazy_state_add(state, row->start, row->end);
		ol_lazy_state_add(state, row->start, row->end);
		CHECK_INT(row->label, (long long)row->bytes, (long long)present(state));
		for (uint64_t at = 0; at < 200 * BLOCK + 512; at += BLOCK)
			if (ol_lazy_state_has(state, at, at + 1)) {
				have++;
				assert_true(at >= row->start);
				assert_true(at + BLOCK <= row->end || at == 200 * BLOCK);
			}
		CHECK_INT(
			row->label, (long long)((row->bytes + BLOCK - 1) / BLOCK), (long long)have);
		CHECK_INT(
			row->label, row->bytes == 200 * BLOCK + 512, ol_lazy_state_is_full(state));
		ol_lazy_state_close(state);
	}
}

static void a_range_is_there_if_all_its_blocks_are(void **ctx)
{
	const box *b = *ctx;
	ol_lazy_state *state = open_as(b, "boot", 100 * BLOCK, true);
	static const struct {
		const char *label;
		uint64_t start, end;
		bool has;
		uint64_t missing; /* from start on */
	} rows[] = {
		{ "inside", 10 * BLOCK + 1, 20 * BLOCK - 1, true, 70 * BLOCK },
		{ "exactly", 10 * BLOCK, 70 * BLOCK, true, 70 * BLOCK },
		{ "one byte before", 10 * BLOCK - 1, 20 * BLOCK, false, 10 * BLOCK - 1 },
		{ "one byte behind", 69 * BLOCK, 70 * BLOCK + 1, false, 70 * BLOCK },
		{ "nothing", 5, 5, true, 5 },
		{ "behind the end", 100 * BLOCK, 101 * BLOCK, true, 100 * BLOCK },
		{ "over the end", 99 * BLOCK, 101 * BLOCK, false, 99 * BLOCK },
	};

	ol_lazy_state_add(state, 10 * BLOCK, 70 * BLOCK);
	OL_EACH (rows, row) {
		CHECK_INT(row->label, row->has, ol_lazy_state_has(state, row->start, row->end));
		CHECK_INT(row->label, (long long)row->missing,
			(long long)ol_lazy_state_missing(state, row->start));
	}
	ol_lazy_state_close(state);
}

static void an_empty_payload_is_full(void **ctx)
{
	ol_lazy_state *state = open_as(*ctx, "boot", 0, true);

	assert_true(ol_lazy_state_is_full(state));
	assert_int_equal(0, ol_lazy_state_missing(state, 0));
	ol_lazy_state_add(state, 0, 4096);
	ol_lazy_state_close(state);
}

static void it_lasts_for_one_boot(void **ctx)
{
	const box *b = *ctx;
	ol_lazy_state *state = open_as(b, "boot-1", 10 * BLOCK, true), *again, *found = NULL;

	ol_lazy_state_add(state, 0, BLOCK);
	again = open_as(b, "boot-1", 10 * BLOCK, false);
	assert_true(ol_lazy_state_has(again, 0, BLOCK));
	ol_lazy_state_close(again);
	assert_int_equal(OL_OK, ol_lazy_state_find(b->fd, &b->layer, "boot-1", &found, NULL));
	assert_true(ol_lazy_state_has(found, 0, BLOCK));
	ol_lazy_state_close(found);
	found = NULL;
	assert_int_equal(
		OL_ENOTFOUND, ol_lazy_state_find(b->fd, &b->layer, "boot-2", &found, NULL));
	again = open_as(b, "boot-2", 10 * BLOCK, true);
	assert_false(ol_lazy_state_has(again, 0, BLOCK));
	/* Who had the old one keeps it. */
	assert_true(ol_lazy_state_has(state, 0, BLOCK));
	ol_lazy_state_close(again);
	again = open_as(b, "boot-2", 11 * BLOCK, true);
	ol_lazy_state_close(again);
	ol_lazy_state_close(state);
	assert_int_equal(OL_OK, ol_lazy_state_remove(b->fd, &b->layer, NULL));
	assert_int_equal(OL_OK, ol_lazy_state_remove(b->fd, &b->layer, NULL));
	assert_int_equal(
		OL_ENOTFOUND, ol_lazy_state_find(b->fd, &b->layer, "boot-2", &found, NULL));
}

/* Each row harms the file; it is refused, and opening makes another. */
static void a_damaged_file_is_replaced(void **ctx)
{
	static const struct {
		const char *label;
		off_t size; /* or -1 */
		off_t at;   /* a byte that is changed, or -1 */
	} rows[] = {
		{ "empty", 0, -1 },
		{ "no whole head", 100, -1 },
		{ "no bits", 4096, -1 },
		{ "one byte short", 8191, -1 },
		{ "longer", 12288, -1 },
		{ "magic", -1, 0 },
		{ "version", -1, 8 },
		{ "block", -1, 13 },
		{ "size", -1, 20 },
		{ "absurd size", -1, 23 },
		{ "endless boot", -1, 24 + 63 },
		{ "layer", -1, 92 },
	};
	const box *b = *ctx;
	char path[200];

	(void)snprintf(
		path, sizeof path, "%s/lazy/%s.state", b->dir, ol_digest_hex(&b->layer).text);
	OL_EACH (rows, row) {
		ol_lazy_state *state = NULL;
		ol_error err = { 0 };
		int fd;

		(void)unlink(path);
		state = open_as(b, "boot", 10 * BLOCK, true);
		ol_lazy_state_close(state);
		state = NULL;
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		if (row->size >= 0)
			assert_int_equal(0, ftruncate(fd, row->size));
		if (row->at >= 0)
			assert_int_equal(1, pwrite(fd, "\x77", 1, row->at));
		CHECK_INT(row->label, OL_ECORRUPT,
			ol_lazy_state_find(b->fd, &b->layer, "boot", &state, &err));
		if (row->at != 92)
			CHECK_INT(row->label, OL_ECORRUPT, ol_lazy_state_map(fd, &state, &err));
		assert_int_equal(0, close(fd));
		state = open_as(b, "boot", 10 * BLOCK, true);
		ol_lazy_state_close(state);
	}
	(void)unlink(path);
	assert_int_equal(0, mkfifo(path, 0600));
	ol_lazy_state_close(open_as(b, "boot", 10 * BLOCK, true));
}

static void a_payload_past_the_bound_is_refused(void **ctx)
{
	const box *b = *ctx;
	ol_lazy_state *state = NULL;
	bool fresh = false;

	assert_int_equal(
		OL_EINVAL, ol_lazy_state_open(b->fd, &b->layer, OL_LAYER_TAR_BYTES_MAX + 512, "b",
				   &fresh, &state, NULL));
	assert_int_equal(OL_EINVAL, ol_lazy_state_open(b->fd, &b->layer, 512,
					    "a boot id that has more bytes than there is room for "
					    "in the head of this file",
					    &fresh, &state, NULL));
	assert_null(state);
}

/* What is said stands there for others, whole and ended. */
static void phases_have_words(void **ctx)
{
	const box *b = *ctx;
	ol_lazy_state *state = open_as(b, "boot", 10 * BLOCK, true), *found = NULL;
	char words[OL_LAZY_WORDS_BYTES], long_words[600];

	memset(long_words, 'x', sizeof long_words - 1);
	long_words[sizeof long_words - 1] = '\0';
	ol_lazy_state_say(state, OL_LAZY_STALLED, "no answer");
	assert_int_equal(OL_OK, ol_lazy_state_find(b->fd, &b->layer, "boot", &found, NULL));
	ol_lazy_state_words(found, words);
	assert_string_equal("no answer", words);
	assert_string_equal(
		"stalled", ol_lazy_phase_name((ol_lazy_phase)ol_lazy_state_counters(found)->phase));
	ol_lazy_state_say(state, OL_LAZY_FILLING, NULL);
	ol_lazy_state_words(found, words);
	assert_string_equal("", words);
	ol_lazy_state_say(state, OL_LAZY_POISONED, long_words);
	ol_lazy_state_words(found, words);
	assert_int_equal(sizeof words - 1, strlen(words));
	ol_lazy_state_close(found);
	ol_lazy_state_close(state);
	assert_string_equal("unknown", ol_lazy_phase_name((ol_lazy_phase)77));
	assert_string_equal("ahead", ol_lazy_cause_name(OL_LAZY_AHEAD));
}

#define RACE_BLOCKS 512

struct race {
	ol_lazy_state *state;
	unsigned char *payload; /* plain memory: the sanitizer sees what is not ordered */
	uint64_t from;
};

static void *write_blocks(void *arg)
{
	const struct race *race = arg;

	for (uint64_t i = race->from; i < RACE_BLOCKS; i += 2) {
		memset(race->payload + i * BLOCK, (int)(i % 251 + 1), BLOCK);
		ol_lazy_state_add(race->state, i * BLOCK, (i + 1) * BLOCK);
	}
	return NULL;
}

static void *read_blocks(void *arg)
{
	const struct race *race = arg;

	for (uint64_t i = 0; i < RACE_BLOCKS; i++) {
		while (!ol_lazy_state_has(race->state, i * BLOCK, (i + 1) * BLOCK))
			(void)sched_yield();
		if (race->payload[i * BLOCK] != i % 251 + 1 ||
			race->payload[(i + 1) * BLOCK - 1] != i % 251 + 1)
			return arg;
	}
	return NULL;
}

static void who_sees_a_block_sees_its_bytes(void **ctx)
{
	ol_lazy_state *state = open_as(*ctx, "boot", RACE_BLOCKS * BLOCK, true), *other = NULL;
	ol_autofree unsigned char *payload = ol_alloc(RACE_BLOCKS * BLOCK);
	struct race races[] = { { state, payload, 0 }, { state, payload, 1 } }, reads;
	pthread_t threads[4];

	assert_int_equal(OL_OK, ol_lazy_state_map(ol_lazy_state_fd(state), &other, NULL));
	(void)other; /* a second mapping, as another process has it */
	reads = (struct race){ state, payload, 0 };
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(0, pthread_create(&threads[i], NULL, read_blocks, &reads));
		assert_int_equal(0, pthread_create(&threads[2 + i], NULL, write_blocks, &races[i]));
	}
	for (size_t i = 0; i < 4; i++) {
		void *wrong = NULL;

		assert_int_equal(0, pthread_join(threads[i], &wrong));
		assert_null(wrong);
	}
	assert_true(ol_lazy_state_is_full(other));
	assert_int_equal(RACE_BLOCKS * BLOCK, present(other));
	ol_lazy_state_close(other);
	ol_lazy_state_close(state);
}

/* Two processes add to the same words; nothing is lost, and both count. */
static void processes_share_it(void **ctx)
{
	const box *b = *ctx;
	ol_lazy_state *state = open_as(b, "boot", RACE_BLOCKS * BLOCK, true);
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		ol_lazy_state *own = NULL;

		if (ol_lazy_state_map(ol_lazy_state_fd(state), &own, NULL) < 0)
			_exit(1);
		for (uint64_t i = 0; i < RACE_BLOCKS; i += 2)
			ol_lazy_state_add(own, i * BLOCK, (i + 1) * BLOCK);
		_exit(0);
	}
	assert_true(pid > 0);
	for (uint64_t i = 1; i < RACE_BLOCKS; i += 2)
		ol_lazy_state_add(state, i * BLOCK, (i + 1) * BLOCK);
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_int_equal(0, status);
	assert_true(ol_lazy_state_is_full(state));
	assert_int_equal(RACE_BLOCKS * BLOCK, present(state));
	ol_lazy_state_close(state);
}

/* Eight that open it at once have one and the same. */
static void who_opens_at_once_has_the_same(void **ctx)
{
	const box *b = *ctx;
	ol_lazy_state *state;
	pid_t pids[8];

	for (size_t i = 0; i < 8; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			ol_lazy_state *own = NULL;
			bool fresh;

			if (ol_lazy_state_open(
				    b->fd, &b->layer, 8 * BLOCK, "boot", &fresh, &own, NULL) < 0)
				_exit(1);
			ol_lazy_state_add(own, i * BLOCK, (i + 1) * BLOCK);
			_exit(0);
		}
		assert_true(pids[i] > 0);
	}
	for (size_t i = 0; i < 8; i++) {
		int status = 0;

		assert_int_equal(pids[i], waitpid(pids[i], &status, 0));
		assert_int_equal(0, status);
	}
	state = open_as(b, "boot", 8 * BLOCK, false);
	assert_true(ol_lazy_state_is_full(state));
	ol_lazy_state_close(state);
}

#define BOX(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX(whole_blocks_are_there),
		BOX(a_range_is_there_if_all_its_blocks_are),
		BOX(an_empty_payload_is_full),
		BOX(it_lasts_for_one_boot),
		BOX(a_damaged_file_is_replaced),
		BOX(a_payload_past_the_bound_is_refused),
		BOX(phases_have_words),
		BOX(who_sees_a_block_sees_its_bytes),
		BOX(processes_share_it),
		BOX(who_opens_at_once_has_the_same),
	};

	return cmocka_run_group_tests_name("lazy_state", tests, NULL, NULL);
}
