#include "image/lazy_hush_priv.h"
#include "tests/check.h"

/* Reads that fail as fast as they can: a burst of lines, then one a second with what was left out.
 */
static void a_flood_becomes_a_line_a_second(void **state)
{
	ol_lazy_hush hush = { 0 };
	uint64_t said = 0, counted = 0, left_out;

	(void)state;
	for (uint64_t now = 5000; now < 15000; now++)
		if (ol_lazy_hush_pass(&hush, now, &left_out)) {
			said++;
			counted += 1 + left_out;
		}
	/* The second that begins the next line has passed for nine of them. */
	assert_int_equal(OL_LAZY_HUSH_BURST + 9, said);
	assert_int_equal(10000, counted + hush.left_out);
}

static void single_lines_are_all_said(void **state)
{
	ol_lazy_hush hush = { 0 };
	uint64_t left_out = 7;

	(void)state;
	for (uint64_t now = 0; now < 100000; now += OL_LAZY_HUSH_MS) {
		assert_true(ol_lazy_hush_pass(&hush, now, &left_out));
		assert_int_equal(0, left_out);
	}
}

/* When nothing is said any more the last count still is. */
static void what_was_left_out_is_told_once(void **state)
{
	ol_lazy_hush hush = { 0 };
	uint64_t left_out;

	(void)state;
	assert_int_equal(0, ol_lazy_hush_rest(&hush, 1));
	for (int i = 0; i < OL_LAZY_HUSH_BURST + 3; i++)
		(void)ol_lazy_hush_pass(&hush, 1, &left_out);
	assert_int_equal(0, ol_lazy_hush_rest(&hush, 2));
	assert_int_equal(3, ol_lazy_hush_rest(&hush, 2 + OL_LAZY_HUSH_MS));
	assert_int_equal(0, ol_lazy_hush_rest(&hush, 5 + 100 * OL_LAZY_HUSH_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_becomes_a_line_a_second),
		cmocka_unit_test(single_lines_are_all_said),
		cmocka_unit_test(what_was_left_out_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
