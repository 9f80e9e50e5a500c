#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/spill.h"
#include "check.h"

static int here(void)
{
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void what_is_added_is_one_view(void **state)
{
	static const struct {
		const char *label, *first, *second;
		uint64_t max;
		int rc; /* of the second */
	} cases[] = {
		{ "two", "one ", "and more", 100, OL_OK },
		{ "nothing", "", "", 100, OL_OK },
		{ "as many as may be", "1234", "5678", 8, OL_OK },
		{ "one too many", "1234", "56789", 8, OL_ELIMIT },
		{ "none may be", "", "1", 0, OL_ELIMIT },
	};
	const int dir_fd = here();

	(void)state;
	OL_EACH (cases, c) {
		const size_t first = strlen(c->first), second = strlen(c->second);
		ol_spill *spill = NULL;
		ol_view view;

		CHECK_INT(c->label, OL_OK, ol_spill_open(dir_fd, c->max, &spill, NULL));
		CHECK_INT(c->label, OL_OK, ol_spill_add(spill, c->first, first, NULL));
		CHECK_INT(c->label, c->rc, ol_spill_add(spill, c->second, second, NULL));
		CHECK_INT(c->label, OL_OK, ol_spill_map(spill, &view, NULL));
		assert_int_equal(view.size, first + (c->rc == OL_OK ? second : 0));
		assert_int_equal(view.size, ol_spill_size(spill));
		assert_memory_equal(view.data, c->first, first);
		assert_memory_equal(view.data + first, c->second, view.size - first);
		ol_spill_close(spill);
	}
	(void)close(dir_fd);
}

/* Its pages go, and are the same when they are read again. */
static void what_is_relaxed_can_be_read_again(void **state)
{
	enum { SIZE = 1 << 20, PAGE = 4096 };
	const int dir_fd = here();
	unsigned char *bytes = malloc(SIZE);
	ol_spill *spill = NULL;
	ol_view view;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (unsigned char)(i * 7 + i / PAGE);
	ol_spill_relax(NULL);
	assert_int_equal(ol_spill_open(dir_fd, SIZE, &spill, NULL), OL_OK);
	ol_spill_relax(spill);
	assert_int_equal(ol_spill_add(spill, bytes, SIZE, NULL), OL_OK);
	assert_int_equal(ol_spill_map(spill, &view, NULL), OL_OK);
	for (int i = 0; i < 3; i++) {
		assert_memory_equal(view.data, bytes, SIZE);
		ol_spill_relax(spill);
	}
	ol_spill_close(spill);
	free(bytes);
	(void)close(dir_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_added_is_one_view),
		cmocka_unit_test(what_is_relaxed_can_be_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
