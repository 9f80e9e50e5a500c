#include <stdlib.h>

#include "exec/environment.h"
#include "tests/check.h"

#define PATH_LINE "PATH=" OL_PATH_DEFAULT

static const char *ours(const char *name)
{
	return strcmp(name, "HERE") == 0 ? "from us" : NULL;
}

static void join(const char *const *env, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (; *env && used < size; env++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "|" : "", *env);
}

static void an_environment_is_put_together_in_dockers_order(void **state)
{
	static const struct {
		const char *name;
		const char *image[4], *asked[6];
		int tty;
		const char *want;
	} cases[] = {
		{ "nothing asked", { NULL }, { NULL }, 0, PATH_LINE "|HOSTNAME=h|HOME=/home" },
		{ "terminal", { NULL }, { NULL }, 1,
			PATH_LINE "|HOSTNAME=h|TERM=xterm|HOME=/home" },
		{ "the image's PATH", { "PATH=/bin", "A=1" }, { NULL }, 0,
			"PATH=/bin|HOSTNAME=h|A=1|HOME=/home" },
		{ "later wins", { "A=1", "B=2" }, { "A=3", "A=4" }, 0,
			PATH_LINE "|HOSTNAME=h|A=4|B=2|HOME=/home" },
		{ "ours by name", { "X=1" }, { "HERE", "X", "NOWHERE" }, 0,
			PATH_LINE "|HOSTNAME=h|HERE=from us|HOME=/home" },
		{ "HOME stays", { "HOME=/x" }, { NULL }, 0, PATH_LINE "|HOSTNAME=h|HOME=/x" },
		{ "HOME asked", { NULL }, { "HOME=" }, 0, PATH_LINE "|HOSTNAME=h|HOME=" },
		{ "TERM asked", { NULL }, { "TERM=vt100" }, 1,
			PATH_LINE "|HOSTNAME=h|TERM=vt100|HOME=/home" },
		{ "prefix is not a name", { "AB=1" }, { "A=2" }, 0,
			PATH_LINE "|HOSTNAME=h|AB=1|A=2|HOME=/home" },
		{ "no = in the image", { "JUNK" }, { NULL }, 0,
			PATH_LINE "|HOSTNAME=h|HOME=/home" },
		{ "= in a value", { NULL }, { "A=b=c" }, 0,
			PATH_LINE "|HOSTNAME=h|A=b=c|HOME=/home" },
	};

	(void)state;
	OL_EACH (cases, c) {
		const ol_environment_input input = { .hostname = "h",
			.home = "/home",
			.image = c->image,
			.asked = c->asked,
			.ours = ours,
			.tty = c->tty };
		ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
		const char *const *env = NULL;
		char text[512];

		CHECK_INT(c->name, OL_OK, ol_environment_make(&input, arena, &env, NULL));
		join(env, text, sizeof text);
		CHECK_STR(c->name, c->want, text);
	}
}

static void what_has_no_name_or_is_too_large_is_refused(void **state)
{
	static const char *const nameless[] = { "=x", NULL };
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_autofree char *large = ol_alloc((size_t)3 << 20);
	const char *const huge[] = { large, NULL };
	ol_environment_input input = { .hostname = "h", .home = "/", .asked = nameless };
	const char *const *env = NULL;

	(void)state;
	assert_int_equal(OL_EINVAL, ol_environment_make(&input, arena, &env, NULL));
	memset(large, 'x', ((size_t)3 << 20) - 1);
	large[1] = '=';
	input.asked = huge;
	assert_int_equal(OL_ELIMIT, ol_environment_make(&input, arena, &env, NULL));
	assert_null(env);
}

static void a_value_is_found_by_its_whole_name(void **state)
{
	static const char *const env[] = { "AB=1", "A=2", NULL };

	(void)state;
	assert_string_equal("2", ol_environment_get(env, "A"));
	assert_null(ol_environment_get(env, "B"));
	assert_null(ol_environment_get(NULL, "A"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_environment_is_put_together_in_dockers_order),
		cmocka_unit_test(what_has_no_name_or_is_too_large_is_refused),
		cmocka_unit_test(a_value_is_found_by_its_whole_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
