#include "base/alloc.h"
#include "image/lazy_ahead_priv.h"
#include "tests/check.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

/* Pieces of 1 MiB, an extent of 4 MiB each: a small file, one of eight pieces, and small ones. */
enum { BIG_FIRST = 1, BIG_LAST = 8, PIECES = 40 };

static ol_lazy_piece pieces[PIECES];
static ol_lazy_extent extents[PIECES];
static const ol_lazy_table table = {
	.about = { .blob_size = PIECES * MIB },
	.pieces = pieces,
	.extents = extents,
	.piece_count = PIECES,
	.extent_count = PIECES,
};

static int make_table(void **state)
{
	uint64_t offset = 0;

	(void)state;
	for (uint32_t i = 0; i < PIECES; i++) {
		/* A file ends anywhere, and the next begins at a multiple of 512. */
		const bool ends = i < BIG_FIRST || i >= BIG_LAST;
		const uint64_t size = 4 * MIB - (ends ? 100 : 0);

		pieces[i] = (ol_lazy_piece){ .begin = i * MIB, .end = (i + 1) * MIB };
		extents[i] = (ol_lazy_extent){ .offset = offset, .size = size, .piece = i };
		offset += 4 * MIB;
	}
	return 0;
}

static void add(ol_ahead *ahead, uint32_t piece, uint64_t now_ms)
{
	static int blob;

	ol_ahead_add(ahead, &blob, &table, extents[piece].offset + 4096,
		extents[piece].offset + 8192, now_ms);
}

/* All that a note still gives. */
static void drain(ol_ahead_note *note, uint64_t *low, uint64_t *high, uint64_t *bytes)
{
	ol_range slice;

	*low = UINT64_MAX;
	*high = *bytes = 0;
	while (ol_ahead_next(note, UINT64_MAX, &slice)) {
		assert_true(slice.start < slice.end);
		assert_true(slice.end - slice.start <= 512 * KIB);
		*low = slice.start < *low ? slice.start : *low;
		*high = slice.end > *high ? slice.end : *high;
		*bytes += slice.end - slice.start;
	}
}

static void the_rest_of_a_large_file_is_fetched_forward_first(void **state)
{
	ol_ahead ahead = { 0 };
	uint64_t low, high, bytes;
	ol_range slice;

	(void)state;
	add(&ahead, 4, 1000);
	assert_true(ol_ahead_next(&ahead.notes[0], UINT64_MAX, &slice));
	assert_int_equal(5 * MIB, slice.start);
	drain(&ahead.notes[0], &low, &high, &bytes);
	assert_int_equal(BIG_FIRST * MIB, low);
	assert_true(high >= (BIG_LAST + 1) * MIB);
	/* Each byte once, and not what the reader itself asks for. */
	assert_int_equal(high - low - MIB - (slice.end - slice.start), bytes);
	assert_false(ol_ahead_next(&ahead.notes[0], UINT64_MAX, &slice));
}

static void a_note_gives_so_much_and_mostly_forward(void **state)
{
	const uint64_t most = 2 * MIB;
	uint64_t forward = 0, backward = 0;
	ol_ahead ahead = { 0 };
	ol_range slice;

	(void)state;
	add(&ahead, 4, 1000);
	while (ol_ahead_next(&ahead.notes[0], most, &slice)) {
		if (slice.start >= 5 * MIB)
			forward += slice.end - slice.start;
		else
			backward += slice.end - slice.start;
	}
	assert_true(forward + backward >= most && forward + backward < most + 512 * KIB);
	assert_true(backward > 0 && forward >= 3 * backward);
	/* And goes on there when others had their turn. */
	assert_true(ol_ahead_next(&ahead.notes[0], 2 * most, &slice));
}

static void around_a_small_file_its_neighbours_are(void **state)
{
	ol_ahead ahead = { 0 };
	uint64_t low, high, bytes;

	(void)state;
	add(&ahead, 20, 1000);
	drain(&ahead.notes[0], &low, &high, &bytes);
	assert_true(low < 20 * MIB && low >= 19 * MIB);
	assert_true(high > 21 * MIB && high <= 23 * MIB);
	/* Nothing is before the first byte or behind the last. */
	add(&ahead, 0, 1000);
	drain(&ahead.notes[0], &low, &high, &bytes);
	assert_int_equal(MIB, low);
	add(&ahead, PIECES - 1, 1000);
	drain(&ahead.notes[0], &low, &high, &bytes);
	assert_true(high <= (PIECES - 1) * MIB);
}

static void the_latest_note_is_first_and_a_file_has_one(void **state)
{
	ol_ahead ahead = { 0 };
	ol_range slice;

	(void)state;
	add(&ahead, 2, 1000);
	add(&ahead, 20, 1001);
	add(&ahead, 6, 1002);
	assert_true(ol_ahead_next(&ahead.notes[0], UINT64_MAX, &slice));
	assert_int_equal(7 * MIB, slice.start);
	assert_true(ol_ahead_next(&ahead.notes[1], UINT64_MAX, &slice));
	assert_int_equal(21 * MIB, slice.start);
	assert_null(ahead.notes[2].of);
	for (uint32_t i = 10; i < PIECES; i++)
		add(&ahead, i, 1003);
	assert_non_null(ahead.notes[OL_AHEAD_NOTES - 1].of);
}

static void it_ends_with_the_reads_and_keeps_the_link_short(void **state)
{
	ol_ahead ahead = { 0 };

	(void)state;
	assert_false(ol_ahead_may(&ahead, 0, 1000));
	add(&ahead, 4, 1000);
	assert_true(ol_ahead_may(&ahead, 0, 1001));
	assert_false(ol_ahead_may(&ahead, 8 * MIB, 1001));
	assert_false(ol_ahead_may(&ahead, 0, 3000));
	assert_false(ol_ahead_is_awake(&ahead, 3000));
	add(&ahead, 5, 3000);
	assert_true(ol_ahead_may(&ahead, 0, 3001));
	/* What nobody reads after all is bounded. */
	ahead.spent = 64 * MIB;
	assert_false(ol_ahead_may(&ahead, 0, 3001));
}

/* Behind the last extent there is nothing to fetch, and a hole is not waited for. */
static void what_is_in_no_file_leaves_no_note(void **state)
{
	ol_ahead ahead = { 0 };
	int blob;

	(void)state;
	ol_ahead_add(&ahead, &blob, &table, (uint64_t)PIECES * 4 * MIB,
		(uint64_t)PIECES * 4 * MIB + 4096, 1000);
	ol_ahead_add(&ahead, &blob, &table, extents[20].offset + extents[20].size,
		extents[21].offset, 1000);
	assert_null(ahead.notes[0].of);
	assert_false(ol_ahead_is_awake(&ahead, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rest_of_a_large_file_is_fetched_forward_first),
		cmocka_unit_test(a_note_gives_so_much_and_mostly_forward),
		cmocka_unit_test(around_a_small_file_its_neighbours_are),
		cmocka_unit_test(the_latest_note_is_first_and_a_file_has_one),
		cmocka_unit_test(it_ends_with_the_reads_and_keeps_the_link_short),
		cmocka_unit_test(what_is_in_no_file_leaves_no_note),
	};

	return cmocka_run_group_tests(tests, make_table, NULL);
}
