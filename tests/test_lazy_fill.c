/* The filler (snapshot/lazy_fill.h) against a registry in memory. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "snapshot/lazy_fill.h"
#include "tests/check.h"
#include "tests/lazy_world.h"

#define PATIENT_MS 20000

static const ol_piece_kind kinds[] = { OL_PIECE_RAW, OL_PIECE_GZIP, OL_PIECE_DEFLATE,
	OL_PIECE_ZSTD };

static int setup(void **state)
{
	*state = world_new(7);
	return 0;
}

static int teardown(void **state)
{
	world_free(*state);
	return 0;
}

static ol_filler *new_filler(world *w, uint64_t timeout_ms)
{
	const ol_filler_options options = world_options(w, timeout_ms);

	return ol_filler_new(&options);
}

static ol_lazy_counters *counters(const world *w)
{
	return ol_lazy_state_counters(w->state);
}

static int fill_piece(world *w, ol_filler *filler, uint32_t piece, ol_error *err)
{
	const ol_range range = world_extent(w, piece);

	return ol_filler_fill(filler, range.start, range.end, OL_LAZY_DEMAND, err);
}

struct reader {
	world *w;
	ol_filler *filler;
	uint64_t random;
	int rc;
};

static void *read_here_and_there(void *arg)
{
	struct reader *self = arg;
	const uint64_t bytes = self->w->table.about.payload_bytes;

	for (int i = 0; i < 150 && self->rc == OL_OK; i++) {
		uint64_t start, size, end;

		self->random = self->random * 6364136223846793005U + 1442695040888963407U;
		start = (self->random >> 20) % bytes;
		size = 1 + (self->random >> 10) % (i % 10 ? 9000 : 300000);
		end = start + size < bytes ? start + size : bytes;
		self->rc = ol_filler_fill(self->filler, start, end, OL_LAZY_DEMAND, NULL);
		/* Whole pages, neighbours and gaps included. */
		start -= start % OL_LAZY_BLOCK;
		end += (OL_LAZY_BLOCK - end % OL_LAZY_BLOCK) % OL_LAZY_BLOCK;
		end = end < bytes ? end : bytes;
		if (self->rc == OL_OK && !ol_lazy_state_has(self->w->state, start, end))
			self->rc = OL_EINVAL;
		if (self->rc == OL_OK)
			world_check(self->w, start, end);
	}
	return NULL;
}

static void readers_see_the_truth_and_each_piece_comes_once(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);
	const uint64_t bytes = w->table.about.payload_bytes;
	struct reader readers[6];
	pthread_t threads[6];

	for (size_t i = 0; i < 6; i++) {
		readers[i] = (struct reader){ w, filler, i * 7919 + 3, OL_OK };
		assert_int_equal(
			0, pthread_create(&threads[i], NULL, read_here_and_there, &readers[i]));
	}
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(0, pthread_join(threads[i], NULL));
		CHECK_INT("reader", OL_OK, readers[i].rc);
	}
	assert_int_equal(OL_OK, ol_filler_fill(filler, 0, bytes, OL_LAZY_BACKGROUND, NULL));
	assert_true(ol_lazy_state_is_full(w->state));
	assert_int_equal(bytes, counters(w)->payload_present);
	assert_int_equal(0, counters(w)->waiting);
	assert_int_equal(OL_LAZY_FILLING, counters(w)->phase);
	world_check(w, 0, bytes);
	ol_filler_free(filler);
	for (size_t i = 0; i < w->table.piece_count; i++)
		CHECK_INT("reads of a piece", 1, w->reads[i]);
	assert_int_equal(0, w->blames);
}

static void what_no_extent_touches_is_there_from_the_beginning(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);
	uint64_t at = 0, holes = 0;

	for (size_t i = 0; i < w->table.extent_count; i++) {
		const ol_lazy_extent *extent = &w->table.extents[i];
		const uint64_t low = (at + OL_LAZY_BLOCK - 1) / OL_LAZY_BLOCK * OL_LAZY_BLOCK;
		const uint64_t high = extent->offset / OL_LAZY_BLOCK * OL_LAZY_BLOCK;

		if (low < high) {
			holes++;
			assert_true(ol_lazy_state_has(w->state, low, high));
			assert_int_equal(
				OL_OK, ol_filler_fill(filler, low, high, OL_LAZY_DEMAND, NULL));
		}
		assert_false(ol_lazy_state_has(w->state, extent->offset, extent->offset + 1));
		at = extent->offset + extent->size;
	}
	assert_true(holes > 2);
	assert_int_equal(0, w->gets[OL_LAZY_DEMAND]);
	ol_filler_free(filler);
}

/* A worker that is killed and started again in the same boot does nothing twice. */
static void what_an_earlier_worker_brought_is_not_brought_again(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);
	const uint64_t bytes = w->table.about.payload_bytes, half = bytes / 2;

	assert_int_equal(OL_OK, ol_filler_fill(filler, 0, half, OL_LAZY_BACKGROUND, NULL));
	ol_filler_free(filler);
	filler = new_filler(w, PATIENT_MS);
	assert_int_equal(OL_OK, ol_filler_fill(filler, 0, half, OL_LAZY_DEMAND, NULL));
	assert_int_equal(OL_OK, ol_filler_fill(filler, 0, bytes, OL_LAZY_BACKGROUND, NULL));
	world_check(w, 0, bytes);
	ol_filler_free(filler);
	for (size_t i = 0, twice = 0; i < w->table.piece_count; i++) {
		twice += w->reads[i] > 1;
		assert_true(twice <= 1); /* the one at whose middle the half was */
	}
	/* Another boot: all of it again, from what was fetched. */
	world_reboot(w);
	filler = new_filler(w, PATIENT_MS);
	memset(w->bytes, 0, sizeof w->bytes);
	assert_int_equal(OL_OK, ol_filler_fill(filler, 0, bytes, OL_LAZY_BACKGROUND, NULL));
	world_check(w, 0, bytes);
	assert_int_equal(0, w->bytes[OL_LAZY_BACKGROUND]);
	ol_filler_free(filler);
}

static void wrong_bytes_are_fetched_again(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);

	w->others = true;
	OL_EACH (kinds, kind) {
		const uint32_t piece = world_piece(w, *kind);
		const ol_range range = world_extent(w, piece);
		ol_error err = { 0 };

		(void)pthread_mutex_lock(&w->lock);
		w->lie = piece;
		w->lies = 2;
		w->blames = w->lines = 0;
		memset(w->has, 0, (size_t)w->table.about.blob_size);
		(void)pthread_mutex_unlock(&w->lock);
		CHECK_INT(err.text, OL_OK, fill_piece(w, filler, piece, &err));
		world_check(w, range.start, range.end);
		(void)pthread_mutex_lock(&w->lock);
		CHECK_INT("blamed", 2, w->blames);
		CHECK_INT("told", 2, w->lines);
		(void)pthread_mutex_unlock(&w->lock);
		assert_non_null(strstr(w->line, "reg.example/app:1 layer 2: chunk "));
	}
	assert_int_equal(2 * 4, counters(w)->refetched);
	ol_filler_free(filler);
}

static void bytes_that_stay_wrong_are_never_written(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);

	OL_EACH (kinds, kind) {
		const uint32_t piece = world_piece(w, *kind);
		const ol_range range = world_extent(w, piece);
		unsigned char byte = 1;
		ol_error err = { 0 };

		(void)pthread_mutex_lock(&w->lock);
		w->others = *kind == OL_PIECE_GZIP;
		w->lie = piece;
		w->lies = 100;
		w->blames = 0;
		memset(w->has, 0, (size_t)w->table.about.blob_size);
		(void)pthread_mutex_unlock(&w->lock);
		CHECK_INT("corrupt", OL_ECORRUPT, fill_piece(w, filler, piece, &err));
		assert_non_null(strstr(err.text, "reg.example/app:1 layer 2: chunk "));
		assert_false(ol_lazy_state_has(w->state, range.start, range.end));
		assert_int_equal(1, pread(w->payload_fd, &byte, 1, (off_t)range.start));
		assert_int_equal(0, byte);
		(void)pthread_mutex_lock(&w->lock);
		CHECK_INT("asked in all", w->others ? 3 : 2, w->blames);
		assert_non_null(strstr(w->line, "is wrong"));
		w->lies = 0;
		(void)pthread_mutex_unlock(&w->lock);
		/* Asking again later is allowed. */
		CHECK_INT("later", OL_OK, fill_piece(w, filler, piece, NULL));
		world_check(w, range.start, range.end);
	}
	ol_filler_free(filler);
}

static void *read_one(void *arg)
{
	struct reader *self = arg;

	self->rc = fill_piece(self->w, self->filler, (uint32_t)self->random, NULL);
	return NULL;
}

static void all_who_wait_learn_that_it_is_wrong(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);
	const uint32_t piece = world_piece(w, OL_PIECE_ZSTD);
	struct reader readers[5];
	pthread_t threads[5];

	w->lie = piece;
	w->lies = 1000;
	for (size_t i = 0; i < 5; i++) {
		readers[i] = (struct reader){ w, filler, piece, OL_OK };
		assert_int_equal(0, pthread_create(&threads[i], NULL, read_one, &readers[i]));
	}
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(0, pthread_join(threads[i], NULL));
		CHECK_INT("reader", OL_ECORRUPT, readers[i].rc);
	}
	ol_filler_free(filler);
}

/* The bytes are what their digest says, and still do not give what the table promised: nobody can
 * bring better ones. */
static void a_table_that_lies_is_not_blamed_on_others(void **state)
{
	world *w = *state;
	const uint32_t piece = world_piece(w, OL_PIECE_DEFLATE);
	ol_filler *filler;

	for (size_t i = 0; i < w->table.extent_count; i++)
		if (w->table.extents[i].piece == piece)
			w->table.extents[i].digest = ol_digest_of(OL_SHA256, "other", 5);
	filler = new_filler(w, PATIENT_MS);
	assert_int_equal(OL_ECORRUPT, fill_piece(w, filler, piece, NULL));
	assert_int_equal(0, w->blames);
	assert_int_equal(1, w->gets[OL_LAZY_DEMAND]);
	assert_int_equal(1, w->reads[piece]);
	ol_filler_free(filler);
}

static void a_damaged_file_of_windows_serves_nothing(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);
	uint32_t piece = world_piece(w, OL_PIECE_DEFLATE);
	unsigned char byte = 0;
	ol_error err = { 0 };

	while (w->table.pieces[piece].window == OL_PIECE_NO_WINDOW)
		piece++;
	/* Not even in the window that is needed. */
	assert_int_equal(1, pread(w->window_fd, &byte, 1, 5 * 32768 + 7));
	byte ^= 1;
	assert_int_equal(1, pwrite(w->window_fd, &byte, 1, 5 * 32768 + 7));
	assert_int_equal(OL_ECORRUPT, fill_piece(w, filler, piece, &err));
	assert_non_null(strstr(err.text, "windows"));
	assert_int_equal(0, w->blames);
	assert_int_equal(OL_OK, fill_piece(w, filler, world_piece(w, OL_PIECE_RAW), NULL));
	ol_filler_free(filler);
}

static void a_registry_that_comes_back_is_waited_for(void **state)
{
	static const struct {
		const char *label;
		int silent_rc, rc;
	} rows[] = {
		{ "no answer", OL_EUNAVAILABLE, OL_OK },
		{ "not allowed", OL_EAUTH, OL_OK },
		{ "not there", OL_ENOTFOUND, OL_OK },
		{ "the disk is full", OL_ESYSTEM, OL_ESYSTEM },
		{ "it is over", OL_ECANCELED, OL_ECANCELED },
	};
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);
	uint32_t piece = 3;

	OL_EACH (rows, row) {
		(void)pthread_mutex_lock(&w->lock);
		w->silent = 2;
		w->silent_rc = row->silent_rc;
		w->was_stalled = false;
		(void)pthread_mutex_unlock(&w->lock);
		CHECK_INT(row->label, row->rc, fill_piece(w, filler, piece, NULL));
		(void)pthread_mutex_lock(&w->lock);
		w->silent = 0;
		(void)pthread_mutex_unlock(&w->lock);
		CHECK_INT(row->label, OL_OK, fill_piece(w, filler, piece, NULL));
		CHECK_INT(row->label, OL_LAZY_FILLING, counters(w)->phase);
		piece += 7;
	}
	ol_filler_free(filler);
}

static void patience_ends(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, 400);
	char words[OL_LAZY_WORDS_BYTES];
	const uint64_t from = ol_now_ms();
	uint64_t took;
	struct reader readers[3];
	pthread_t threads[3];

	w->silent = UINT32_MAX;
	w->silent_rc = OL_EUNAVAILABLE;
	for (size_t i = 0; i < 3; i++) {
		readers[i] = (struct reader){ w, filler, 4, OL_OK };
		assert_int_equal(0, pthread_create(&threads[i], NULL, read_one, &readers[i]));
	}
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(0, pthread_join(threads[i], NULL));
		CHECK_INT("no answer", OL_EUNAVAILABLE, readers[i].rc);
	}
	took = ol_now_ms() - from;
	assert_true(took >= 390 && took < 5000);
	assert_int_equal(OL_LAZY_STALLED, counters(w)->phase);
	ol_lazy_state_words(w->state, words);
	assert_string_equal("nobody answers", words);
	(void)pthread_mutex_lock(&w->lock);
	assert_true(w->was_stalled);
	w->silent = 0;
	(void)pthread_mutex_unlock(&w->lock);
	assert_int_equal(OL_OK, fill_piece(w, filler, 4, NULL));
	assert_int_equal(OL_LAZY_FILLING, counters(w)->phase);
	assert_int_equal(0, counters(w)->waiting);
	ol_filler_free(filler);
}

static void *fire_soon(void *arg)
{
	ol_sleep_ms(100);
	ol_cancel_fire(arg);
	return NULL;
}

static void a_wish_to_stop_ends_patience(void **state)
{
	world *w = *state;
	ol_auto(ol_cancel_free) ol_cancel *cancel = ol_cancel_new();
	ol_filler_options options = world_options(w, 60000);
	const uint64_t from = ol_now_ms();
	ol_filler *filler;
	pthread_t thread;

	options.cancel = cancel;
	w->silent = UINT32_MAX;
	w->silent_rc = OL_EUNAVAILABLE;
	filler = ol_filler_new(&options);
	assert_int_equal(0, pthread_create(&thread, NULL, fire_soon, cancel));
	assert_int_equal(OL_ECANCELED, fill_piece(w, filler, 4, NULL));
	assert_int_equal(0, pthread_join(thread, NULL));
	assert_true(ol_now_ms() - from < 10000);
	ol_filler_free(filler);
}

/* As on a full disk: an error with its number, no wrong byte, and afterwards it goes on. */
static void what_cannot_be_written_is_told(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);
	const uint32_t piece = (uint32_t)w->table.piece_count - 3;
	const ol_range range = world_extent(w, piece);
	struct rlimit old, small;
	ol_error err = { 0 };
	int rc;

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &old));
	small = (struct rlimit){ 65536, old.rlim_max };
	assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &small));
	rc = fill_piece(w, filler, piece, &err);
	assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &old));
	CHECK_INT(err.text, OL_ESYSTEM, rc);
	assert_int_equal(EFBIG, err.sys);
	assert_int_equal(OL_LAZY_STALLED, counters(w)->phase);
	assert_false(ol_lazy_state_has(w->state, range.start, range.end));
	assert_int_equal(OL_OK, fill_piece(w, filler, piece, NULL));
	world_check(w, range.start, range.end);
	ol_filler_free(filler);
}

static void a_prefetch_fetches_and_inflates_nothing(void **state)
{
	world *w = *state;
	ol_filler_options options = world_options(w, PATIENT_MS);
	const uint64_t end = w->table.about.blob_size / 2;
	ol_filler *filler;

	options.payload_fd = -1;
	filler = ol_filler_new(&options);
	assert_int_equal(OL_EINVAL, ol_filler_fill(filler, 0, 512, OL_LAZY_DEMAND, NULL));
	assert_int_equal(OL_OK, ol_filler_prefetch(filler, 0, end, OL_LAZY_PREFETCH, NULL));
	for (size_t i = 0; i < w->table.piece_count; i++) {
		const ol_lazy_piece *piece = &w->table.pieces[i];

		assert_int_equal(0, w->reads[i]);
		if (piece->end <= end)
			assert_true(w->has[piece->begin] && w->has[piece->end - 1]);
	}
	assert_false(w->has[w->table.about.blob_size - 1]);
	assert_true(w->gets[OL_LAZY_PREFETCH] <= 2);
	/* What lies in pieces only in part is not worth it. */
	memset(w->has, 0, (size_t)w->table.about.blob_size);
	assert_int_equal(OL_OK, ol_filler_prefetch(filler, w->table.pieces[3].begin + 1,
					w->table.pieces[5].end - 1, OL_LAZY_PREFETCH, NULL));
	assert_false(w->has[w->table.pieces[3].begin]);
	assert_true(w->has[w->table.pieces[4].begin]);
	assert_false(w->has[w->table.pieces[5].end - 1]);
	ol_filler_free(filler);
}

/* Their bytes have come: they are there before somebody reads them, and cost nothing then. */
static void a_piece_is_brought_before_it_is_read(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);

	assert_int_equal(OL_OK,
		ol_filler_prefetch(filler, 0, w->table.about.blob_size, OL_LAZY_AHEAD, NULL));
	for (uint32_t piece = 0; piece < w->table.piece_count; piece++)
		ol_filler_piece(filler, piece, OL_LAZY_AHEAD);
	ol_filler_piece(filler, 2, OL_LAZY_AHEAD); /* twice is as once */
	assert_int_equal(OL_OK, fill_piece(w, filler, 2, NULL));
	assert_int_equal(0, w->gets[OL_LAZY_DEMAND]);
	ol_filler_free(filler);
}

static void *poison_soon(void *arg)
{
	ol_sleep_ms(100);
	ol_filler_poison(arg, "it is another layer");
	return NULL;
}

static void what_is_poisoned_serves_nothing(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);
	ol_error err = { 0 };
	pthread_t thread;

	assert_int_equal(OL_OK, fill_piece(w, filler, 4, NULL));
	w->silent = 2;
	w->silent_rc = OL_EUNAVAILABLE;
	assert_int_equal(0, pthread_create(&thread, NULL, poison_soon, filler));
	assert_int_equal(OL_ECORRUPT, fill_piece(w, filler, 9, &err));
	assert_int_equal(0, pthread_join(thread, NULL));
	assert_string_equal("reg.example/app:1 layer 2: it is another layer", err.text);
	/* Not even what is there. */
	assert_int_equal(OL_ECORRUPT, fill_piece(w, filler, 4, NULL));
	assert_int_equal(OL_ECORRUPT, ol_filler_prefetch(filler, 0, 100000, OL_LAZY_AHEAD, NULL));
	assert_int_equal(OL_LAZY_POISONED, counters(w)->phase);
	ol_filler_free(filler);
}

static void ranges_at_the_edges_are_fine(void **state)
{
	world *w = *state;
	ol_filler *filler = new_filler(w, PATIENT_MS);
	const uint64_t bytes = w->table.about.payload_bytes;

	assert_int_equal(OL_OK, ol_filler_fill(filler, 5, 5, OL_LAZY_DEMAND, NULL));
	assert_int_equal(OL_OK, ol_filler_fill(filler, bytes, bytes + 9, OL_LAZY_DEMAND, NULL));
	assert_int_equal(
		OL_OK, ol_filler_fill(filler, bytes - 1, UINT64_MAX, OL_LAZY_DEMAND, NULL));
	world_check(w, bytes - bytes % OL_LAZY_BLOCK, bytes);
	ol_filler_free(filler);
	ol_filler_free(NULL);
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(readers_see_the_truth_and_each_piece_comes_once),
		WORLD(what_no_extent_touches_is_there_from_the_beginning),
		WORLD(what_an_earlier_worker_brought_is_not_brought_again),
		WORLD(wrong_bytes_are_fetched_again),
		WORLD(bytes_that_stay_wrong_are_never_written),
		WORLD(all_who_wait_learn_that_it_is_wrong),
		WORLD(a_table_that_lies_is_not_blamed_on_others),
		WORLD(a_damaged_file_of_windows_serves_nothing),
		WORLD(a_registry_that_comes_back_is_waited_for),
		WORLD(patience_ends),
		WORLD(a_wish_to_stop_ends_patience),
		WORLD(what_cannot_be_written_is_told),
		WORLD(a_prefetch_fetches_and_inflates_nothing),
		WORLD(a_piece_is_brought_before_it_is_read),
		WORLD(what_is_poisoned_serves_nothing),
		WORLD(ranges_at_the_edges_are_fine),
	};

	return cmocka_run_group_tests_name("lazy_fill", tests, NULL, NULL);
}
