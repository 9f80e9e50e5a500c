#include <pthread.h>

#include "base/clock.h"
#include "image/lazy_flight_priv.h"
#include "tests/store_box.h"

/* Offsets of these tests are small. */
#define CHECK_BYTES(label, want, got) CHECK_INT(label, (long long)(want), (long long)(got))
#define NONE                                                                                       \
	{                                                                                          \
		0, 0                                                                               \
	}

/* What is under way is nobody else's, the rest is whoever's comes first. */
static void each_byte_is_taken_once(void **state)
{
	static const struct {
		const char *label;
		ol_range taken[2], wanted[2];
		uint64_t size_max;
		ol_range mine[3];
		bool busy;
	} cases[] = {
		{ "nothing taken", { NONE }, { { 0, 10 }, { 20, 30 } }, 100,
			{ { 0, 10 }, { 20, 30 } }, false },
		{ "all of it taken", { { 0, 40 } }, { { 5, 10 } }, 100, { NONE }, true },
		{ "the front", { { 0, 7 } }, { { 5, 10 } }, 100, { { 7, 10 } }, true },
		{ "the end", { { 8, 20 } }, { { 5, 10 } }, 100, { { 5, 8 } }, false },
		{ "the middle", { { 6, 8 } }, { { 5, 10 } }, 100, { { 5, 6 }, { 8, 10 } }, true },
		{ "two of three", { { 6, 7 }, { 8, 9 } }, { { 5, 10 } }, 100,
			{ { 5, 6 }, { 7, 8 }, { 9, 10 } }, true },
		{ "beside", { { 10, 20 } }, { { 5, 10 }, { 20, 25 } }, 100,
			{ { 5, 10 }, { 20, 25 } }, false },
		{ "a bound", { NONE }, { { 0, 10 }, { 20, 30 } }, 12, { { 0, 10 }, { 20, 22 } },
			false },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_flight *flight = ol_flight_new();
		ol_range mine[8] = { NONE };
		size_t count = 0;
		bool busy = true;

		while (count < 2 && c->taken[count].end)
			count++;
		CHECK_BYTES(c->label, count,
			ol_flight_take(flight, &(ol_flight_wish){ c->taken, count, UINT64_MAX },
				mine, 8, &busy));
		CHECK_INT(c->label, false, busy);
		memset(mine, 0, sizeof mine);
		for (count = 0; count < 2 && c->wanted[count].end; count++)
			continue;
		count = ol_flight_take(
			flight, &(ol_flight_wish){ c->wanted, count, c->size_max }, mine, 8, &busy);
		for (size_t i = 0; i < 3; i++) {
			CHECK_BYTES(c->label, c->mine[i].start, mine[i].start);
			CHECK_BYTES(c->label, c->mine[i].end, mine[i].end);
		}
		if (c->busy)
			CHECK_INT(c->label, true, busy);
		ol_flight_land(flight, mine, count);
		ol_flight_land(flight, c->taken, 2);
		/* All of it is free again. */
		CHECK_BYTES(c->label, 1,
			ol_flight_take(flight,
				&(ol_flight_wish){ &(ol_range){ 0, 50 }, 1, UINT64_MAX }, mine, 8,
				&busy));
		ol_flight_free(flight);
	}
}

static void *land_later(void *arg)
{
	ol_flight *flight = arg;
	const ol_range mine = { 0, 10 };

	ol_sleep_ms(30);
	ol_flight_land(flight, &mine, 1);
	return NULL;
}

static void who_waits_learns_of_what_landed(void **state)
{
	ol_flight *flight = ol_flight_new();
	const ol_range all = { 0, 10 };
	const uint64_t before = ol_flight_mark(flight);
	ol_range mine[1];
	pthread_t thread;
	bool busy;

	(void)state;
	assert_int_equal(1,
		ol_flight_take(flight, &(ol_flight_wish){ &all, 1, UINT64_MAX }, mine, 1, &busy));
	assert_false(ol_flight_wait(flight, before, 10, NULL));
	assert_int_equal(0, pthread_create(&thread, NULL, land_later, flight));
	assert_true(ol_flight_wait(flight, before, 10000, NULL));
	/* News from before are not slept through. */
	assert_true(ol_flight_wait(flight, before, 10000, NULL));
	assert_int_equal(0, pthread_join(thread, NULL));
	ol_flight_free(flight);
}

static void a_wish_to_stop_ends_the_wait(void **state)
{
	ol_flight *flight = ol_flight_new();
	ol_cancel *cancel = ol_cancel_new();

	(void)state;
	ol_cancel_fire(cancel);
	assert_false(ol_flight_wait(flight, ol_flight_mark(flight), 60000, cancel));
	ol_cancel_free(cancel);
	ol_flight_free(flight);
}

/* What is missing of what is wanted. */
static void missing_is_what_was_not_written(void **state)
{
	store_box *box = *state;
	const ol_ingest_options options = { .digest = box_digest("blob"), .size = 1000 };
	const ol_range wanted[] = { { 0, 50 }, { 90, 210 }, { 300, 310 }, { 990, 1000 } };
	ol_range out[8];
	ol_ingest *ingest = NULL;
	char bytes[200] = "";

	CHECK_INT("open", OL_OK, ol_ingest_open(box->store, &options, &ingest, NULL));
	CHECK_INT("write", OL_OK, ol_ingest_write(ingest, 100, bytes, 100, NULL));
	CHECK_INT("write", OL_OK, ol_ingest_write(ingest, 280, bytes, 100, NULL));
	CHECK_BYTES("count", 4, ol_flight_missing(ingest, wanted, 4, out, 8));
	CHECK_BYTES("first", 50, out[0].end);
	CHECK_BYTES("cut", 100, out[1].end);
	CHECK_BYTES("rest", 200, out[2].start);
	CHECK_BYTES("last", 990, out[3].start);
	CHECK_BYTES("bounded", 2, ol_flight_missing(ingest, wanted, 4, out, 2));
	ol_ingest_close(ingest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_is_taken_once),
		cmocka_unit_test(who_waits_learns_of_what_landed),
		cmocka_unit_test(a_wish_to_stop_ends_the_wait),
		BOX_TEST(missing_is_what_was_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
