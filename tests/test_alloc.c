#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "tests/check.h"

static bool is_zero(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

static void memory_is_zeroed_and_never_null(void **state)
{
	ol_autofree unsigned char *some = ol_alloc(1000), *none = ol_alloc(0),
				  *list = ol_alloc_array(10, 100);

	(void)state;
	assert_non_null(none);
	CHECK_INT("alloc", 1, is_zero(some, 1000));
	CHECK_INT("array", 1, is_zero(list, 1000));
}

static void copies_are_their_owners(void **state)
{
	ol_autofree char *all = ol_strdup("text"), *part = ol_strndup("text", 2),
			 *none = ol_strndup(NULL, 0);
	ol_autofree char *bytes = ol_memdup("a\0b", 3), *made = ol_text("%s-%d", "x", 7);

	(void)state;
	CHECK_STR("strdup", "text", all);
	CHECK_STR("strndup", "te", part);
	CHECK_STR("of nothing", "", none);
	CHECK_INT("memdup", 0, memcmp(bytes, "a\0b", 3));
	CHECK_STR("text", "x-7", made);
	assert_null(ol_strdup(NULL));
}

static void an_array_grows_by_doubling(void **state)
{
	ol_autofree size_t *list = NULL;
	size_t count = 0, cap = 0;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		OL_GROW(list, count, cap);
		list[count++] = i;
	}
	CHECK_INT("cap", 1024, (long long)cap);
	for (size_t i = 0; i < 1000; i++)
		CHECK_INT("kept", (long long)i, (long long)list[i]);
}

/* Objects of all sizes, larger than a block among them, are apart, aligned and zero. */
static void an_arena_holds_objects_of_any_size(void **state)
{
	static const size_t sizes[] = { 1, 7, 8, 16, 17, 1000, 16 << 10, (16 << 10) + 1, 100000, 3,
		0, 5 };
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	unsigned char *objects[100][sizeof sizes / sizeof sizes[0]];

	(void)state;
	for (size_t round = 0; round < 100; round++) {
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			objects[round][i] = ol_arena_alloc(arena, sizes[i]);
			CHECK_INT("aligned", 0,
				(long long)((uintptr_t)objects[round][i] % _Alignof(max_align_t)));
			CHECK_INT("zero", 1, is_zero(objects[round][i], sizes[i]));
			memset(objects[round][i], (int)i + 1, sizes[i]);
		}
	}
	for (size_t round = 0; round < 100; round++)
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
			for (size_t k = 0; k < sizes[i]; k += 97)
				CHECK_INT("apart", (long long)i + 1, objects[round][i][k]);
}

static void an_arena_copies_text(void **state)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();

	(void)state;
	CHECK_STR("strdup", "text", ol_arena_strdup(arena, "text"));
	CHECK_STR("strndup", "te", ol_arena_strndup(arena, "text", 2));
	CHECK_STR("of nothing", "", ol_arena_strndup(arena, NULL, 0));
	assert_null(ol_arena_strdup(arena, NULL));
	ol_arena_free(NULL);
}

static void a_size_that_overflows_ends_the_program(void **state)
{
	pid_t pid = fork();
	int status = 0;

	(void)state;
	if (pid == 0) {
		static const struct rlimit none = { 0, 0 };
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		/* Neither a core file nor words among those of the tests. */
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)dup2(null, STDERR_FILENO);
		(void)signal(SIGABRT, SIG_DFL);
		free(ol_alloc_array(SIZE_MAX / 2, 3));
		_exit(0);
	}
	CHECK_INT("wait", pid, waitpid(pid, &status, 0));
	CHECK_INT("aborted", 1, WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_and_never_null),
		cmocka_unit_test(copies_are_their_owners),
		cmocka_unit_test(an_array_grows_by_doubling),
		cmocka_unit_test(an_arena_holds_objects_of_any_size),
		cmocka_unit_test(an_arena_copies_text),
		cmocka_unit_test(a_size_that_overflows_ends_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
