#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/userns.h"
#include "tests/check.h"

#define NOBODYS 61234 /* a number that no account should have, and no range of ids */

static void maps_become_text_and_back(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{ "0 1000 1\n1 100000 65536\n\n0 1000 1\n", OL_OK },
		{ "0 0 4294967295\n\n0 0 4294967295\n", OL_OK },
		{ "0 1000 1\n", OL_EINVAL },
		{ "", OL_EINVAL },
		{ "0 1000 1\n\n0 1000\n", OL_EINVAL },
		{ "x\n\n0 1000 1\n", OL_EINVAL },
		{ "0 1000 1\n\n0 1000 1\n\n", OL_EINVAL },
	};
	ol_autofree ol_userns *ns = ol_alloc(sizeof *ns);

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str again = OL_STR(256);

		CHECK_INT(c->text, c->rc, ol_userns_parse(ol_view_of(c->text), ns, NULL));
		if (c->rc < 0)
			continue;
		ol_userns_format(ns, &again);
		CHECK_STR(c->text, c->text, ol_str_text(&again));
	}
}

/* In a child of nobody's: 0, or the number of what was wrong. */
static int enter_as_nobody(void)
{
	ol_autofree ol_userns *ns = ol_alloc(sizeof *ns);
	ol_userns_entry how = { .ranged = true };
	pid_t before = getpid();
	ol_error err = { 0 };

	if (setresgid(NOBODYS, NOBODYS, NOBODYS) < 0 || setresuid(NOBODYS, NOBODYS, NOBODYS) < 0)
		return 1;
	/* As a program that was started by this user is. */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		return 2;
	if (ol_userns_owner() != NOBODYS || ol_userns_is_inside())
		return 3;
	if (ol_userns_enter(&how, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		return err.code == OL_EUNSUPPORTED ? 77 : 4;
	}
	if (how.ranged || !strstr(how.why, "only the user's own id"))
		return 5;
	if (getpid() != before || geteuid() != 0 || getegid() != 0)
		return 6;
	if (!ol_userns_is_inside() || ol_userns_owner() != NOBODYS)
		return 7;
	if (ol_userns_read(ns, &err) < 0 || ns->is_initial || ns->has_groups)
		return 8;
	return ol_id_map_has(&ns->uids, 0) && !ol_id_map_has(&ns->uids, 1) ? 0 : 9;
}

static int status_of(int (*child)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child());
	assert_int_equal(pid, waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void who_has_no_ranges_enters_with_the_own_id(void **state)
{
	int status;

	(void)state;
	if (geteuid() != 0) {
		print_message("# not root: cannot become another user\n");
		skip();
	}
	status = status_of(enter_as_nobody);
	if (status == 77) {
		print_message("# no user namespaces for ordinary users here\n");
		skip();
	}
	CHECK_INT("status", 0, status);
}

static int enter_where_none_may(void)
{
	ol_userns_entry how;
	ol_error err = { 0 };
	FILE *bound;

	/* In a namespace of our own the bound is ours to set. */
	if (unshare(CLONE_NEWUSER) < 0)
		return 77;
	bound = fopen("/proc/sys/user/max_user_namespaces", "we");
	if (!bound || fputs("0", bound) < 0 || fclose(bound) != 0)
		return 77;
	if (ol_userns_enter(&how, &err) != OL_EUNSUPPORTED)
		return 1;
	return strstr(err.hint, "user.max_user_namespaces") ? 0 : 2;
}

static void a_system_without_them_is_told_with_its_setting(void **state)
{
	int status = status_of(enter_where_none_may);

	(void)state;
	if (status == 77) {
		print_message("# no user namespaces here, or their bound cannot be set\n");
		skip();
	}
	CHECK_INT("status", 0, status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_become_text_and_back),
		cmocka_unit_test(who_has_no_ranges_enters_with_the_own_id),
		cmocka_unit_test(a_system_without_them_is_told_with_its_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
