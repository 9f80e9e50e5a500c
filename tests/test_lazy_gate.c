#include "image/lazy_gate_priv.h"
#include "tests/check.h"

/* Readers first, and a start's prefetch beside them. */
static void the_background_waits_for_readers(void **state)
{
	ol_lazy_gate gate = { 0 };
	uint64_t ms = 0, now = 100000;

	(void)state;
	assert_true(ol_lazy_gate_pass(&gate, false, 0, now, &ms) > 0);
	ol_lazy_gate_demand(&gate, true, now);
	assert_int_equal(0, ol_lazy_gate_pass(&gate, false, 0, now + 1000, &ms));
	assert_true(ms > 0);
	assert_true(ol_lazy_gate_pass(&gate, true, 0, now + 1000, &ms) > 0);
	ol_lazy_gate_demand(&gate, true, now);
	ol_lazy_gate_demand(&gate, false, now + 2000);
	assert_int_equal(0, ol_lazy_gate_pass(&gate, false, 0, now + 3000, &ms));
	ol_lazy_gate_demand(&gate, false, now + 3000);
	assert_int_equal(0, ol_lazy_gate_pass(&gate, false, 0, now + 3001, &ms));
	/* After what it was told to wait it may go on. */
	assert_true(ol_lazy_gate_pass(&gate, false, 0, now + 3001 + ms, &ms) > 0);
}

/* Who finds what a start needs there does not ask, and is not done for all that. */
static void what_a_start_needs_keeps_the_rest_waiting(void **state)
{
	const uint64_t now = 100000;
	ol_lazy_gate gate = { 0 };
	uint64_t ms = 0;

	(void)state;
	assert_true(ol_lazy_gate_pass(&gate, false, 0, now, &ms) > 0);
	ol_lazy_gate_busy(&gate, now);
	assert_int_equal(0, ol_lazy_gate_pass(&gate, false, 0, now + 1, &ms));
	assert_true(ms > 0);
	assert_true(ol_lazy_gate_pass(&gate, true, 0, now + 1, &ms) > 0);
	assert_true(ol_lazy_gate_pass(&gate, false, 0, now + 2000, &ms) > 0);
}

/* Slices are small while somebody may come back, larger later. */
static void long_quiet_makes_slices_larger(void **state)
{
	ol_lazy_gate gate = { 0 };
	uint64_t ms = 0, soon, late;

	(void)state;
	ol_lazy_gate_start(&gate, 1000);
	assert_int_equal(0, ol_lazy_gate_pass(&gate, false, 0, 1200, &ms));
	soon = ol_lazy_gate_pass(&gate, false, 0, 1900, &ms);
	late = ol_lazy_gate_pass(&gate, false, 0, 9000, &ms);
	assert_true(soon > 0);
	assert_true(late > soon);
}

/* Over ten seconds no more than the cap, and not much less. */
static void the_cap_is_kept(void **state)
{
	static const uint64_t rates[] = { 100000, 1000000, 12000000 };

	(void)state;
	OL_EACH (rates, rate) {
		ol_lazy_gate gate = { 0 };
		uint64_t bytes = 0, ms, slice = 0;

		for (uint64_t now = 100000; now < 110000;) {
			const uint64_t size = ol_lazy_gate_pass(&gate, false, *rate, now, &ms);

			bytes += size;
			slice = size > slice ? size : slice;
			now += size ? 0 : ms;
		}
		CHECK_INT("not more", true, bytes <= *rate * 10 + slice);
		CHECK_INT("not less", true, bytes >= *rate * 9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_background_waits_for_readers),
		cmocka_unit_test(what_a_start_needs_keeps_the_rest_waiting),
		cmocka_unit_test(long_quiet_makes_slices_larger),
		cmocka_unit_test(the_cap_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
