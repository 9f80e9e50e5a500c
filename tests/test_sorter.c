#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/sorter.h"
#include "tests/check.h"

#define RECORDS 20000

static int scratch_fd = -1;
static char scratch[] = "/tmp/orlop-sorter-XXXXXX";

static int make_scratch(void **state)
{
	(void)state;
	if (!mkdtemp(scratch))
		return -1;
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return scratch_fd < 0 ? -1 : 0;
}

static int drop_scratch(void **state)
{
	(void)state;
	(void)close(scratch_fd);
	return rmdir(scratch);
}

/* A fixed sequence: the same records in every run. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void must_add(ol_sorter *sorter, ol_view key, ol_view value)
{
	CHECK_INT("add", OL_OK, ol_sorter_add(sorter, key, value, NULL));
}

static ol_sorter *filled(size_t budget, unsigned records)
{
	ol_sorter *sorter = ol_sorter_new(scratch_fd, budget);
	uint32_t seed = 7;

	for (unsigned i = 0; i < records; i++) {
		char key[64], value[32];

		/* Few different keys, so that there are many ties; of every length, so that some
		 * are prefixes. */
		(void)snprintf(key, sizeof key, "%.*u", (int)(next_random(&seed) % 20 + 1),
			next_random(&seed) % 1000);
		(void)snprintf(value, sizeof value, "%u", i);
		must_add(sorter, ol_view_of(key), ol_view_of(value));
	}
	CHECK_INT("sort", OL_OK, ol_sorter_sort(sorter, NULL));
	return sorter;
}

static void next_or_fail(ol_sorter *sorter, ol_view *key, ol_view *value, bool *more)
{
	CHECK_INT("next", OL_OK, ol_sorter_next(sorter, key, value, more, NULL));
}

static void order_is_that_of_keys_then_arrival(void **state)
{
	static const struct {
		const char *name;
		size_t budget;
		bool spills;
	} rows[] = {
		{ "all in memory", (size_t)64 << 20, false },
		{ "a few runs", (size_t)256 << 10, true },
		{ "more runs than are merged at once", (size_t)8 << 10, true },
		{ "a record a run", 1, true },
	};

	(void)state;
	OL_EACH (rows, row) {
		ol_auto(ol_sorter_free) ol_sorter *sorter =
			filled(row->budget, row->budget > 1 ? RECORDS : 500);
		char last_key[64] = "";
		long last_value = -1;
		unsigned seen = 0;
		bool more = true;

		CHECK_INT(row->name, row->spills, ol_sorter_spilled(sorter));
		for (;;) {
			ol_view key, value;
			char now_key[64], digits[32];
			int order;

			next_or_fail(sorter, &key, &value, &more);
			if (!more)
				break;
			(void)snprintf(now_key, sizeof now_key, "%.*s", (int)key.size, key.data);
			(void)snprintf(digits, sizeof digits, "%.*s", (int)value.size, value.data);
			order = strcmp(last_key, now_key);
			assert_true(order <= 0);
			if (order == 0)
				assert_true(last_value < strtol(digits, NULL, 10));
			last_value = strtol(digits, NULL, 10);
			(void)snprintf(last_key, sizeof last_key, "%s", now_key);
			seen++;
		}
		CHECK_INT(row->name, (long long)ol_sorter_count(sorter), seen);
	}
}

static void spilled_and_unspilled_agree_and_rewind_repeats(void **state)
{
	ol_auto(ol_sorter_free) ol_sorter *large = filled((size_t)64 << 20, RECORDS);
	ol_auto(ol_sorter_free) ol_sorter *small = filled((size_t)64 << 10, RECORDS);

	(void)state;
	for (int round = 0; round < 2; round++) {
		bool more = true;

		while (more) {
			ol_view ka, va, kb, vb;
			bool also;

			next_or_fail(large, &ka, &va, &more);
			next_or_fail(small, &kb, &vb, &also);
			CHECK_INT("more", more, also);
			if (!more)
				break;
			CHECK_INT("key size", (long long)ka.size, (long long)kb.size);
			CHECK_INT("value size", (long long)va.size, (long long)vb.size);
			assert_memory_equal(ka.data, kb.data, ka.size);
			assert_memory_equal(va.data, vb.data, va.size);
		}
		CHECK_INT("rewind", OL_OK, ol_sorter_rewind(large, NULL));
		CHECK_INT("rewind", OL_OK, ol_sorter_rewind(small, NULL));
	}
}

static void large_and_empty_values_come_back_whole(void **state)
{
	const size_t large = (size_t)3 << 20;
	ol_auto(ol_sorter_free) ol_sorter *sorter = ol_sorter_new(scratch_fd, (size_t)128 << 10);
	ol_autofree char *bytes = ol_alloc(large);
	ol_view key, value;
	bool more;

	(void)state;
	for (size_t i = 0; i < large; i++)
		bytes[i] = (char)(i * 31 >> 3);
	for (char c = 'h'; c >= 'a'; c--)
		must_add(sorter, ol_view_from(&c, 1), ol_view_from(bytes, c % 2 ? large : 0));
	must_add(sorter, ol_view_from(bytes, (size_t)64 << 10), ol_view_of("long key"));
	must_add(sorter, ol_view_of(""), ol_view_of("no key"));
	CHECK_INT("sort", OL_OK, ol_sorter_sort(sorter, NULL));
	next_or_fail(sorter, &key, &value, &more);
	assert_true(more && key.size == 0 && ol_view_is(value, "no key"));
	next_or_fail(sorter, &key, &value, &more);
	assert_true(more && key.size == (size_t)64 << 10 && ol_view_is(value, "long key"));
	for (int c = 'a'; c <= 'h'; c++) {
		next_or_fail(sorter, &key, &value, &more);
		assert_true(more && key.size == 1 && key.data[0] == c);
		CHECK_INT("size", (long long)(c % 2 ? large : 0), (long long)value.size);
		assert_memory_equal(bytes, value.data, value.size);
	}
	next_or_fail(sorter, &key, &value, &more);
	assert_false(more);
}

static void what_is_too_large_or_too_late_is_refused(void **state)
{
	ol_auto(ol_sorter_free) ol_sorter *sorter = ol_sorter_new(scratch_fd, 1 << 20);
	ol_autofree char *bytes = ol_alloc(((size_t)16 << 20) + 1);
	ol_view key, value;
	bool more;

	(void)state;
	CHECK_INT("key", OL_ELIMIT,
		ol_sorter_add(
			sorter, ol_view_from(bytes, ((size_t)64 << 10) + 1), ol_view_of(""), NULL));
	CHECK_INT("value", OL_ELIMIT,
		ol_sorter_add(
			sorter, ol_view_of(""), ol_view_from(bytes, ((size_t)16 << 20) + 1), NULL));
	CHECK_INT("next", OL_EINVAL, ol_sorter_next(sorter, &key, &value, &more, NULL));
	CHECK_INT("sort", OL_OK, ol_sorter_sort(sorter, NULL));
	next_or_fail(sorter, &key, &value, &more);
	assert_false(more);
	CHECK_INT("late", OL_EINVAL, ol_sorter_add(sorter, ol_view_of("a"), ol_view_of(""), NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_that_of_keys_then_arrival),
		cmocka_unit_test(spilled_and_unspilled_agree_and_rewind_repeats),
		cmocka_unit_test(large_and_empty_values_come_back_whole),
		cmocka_unit_test(what_is_too_large_or_too_late_is_refused),
	};

	return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
