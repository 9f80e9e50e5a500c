#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/clock.h"
#include "tests/check.h"

/* Input goes in, output comes out, the status is told; what cannot be started is named. */
static void a_child_takes_input_and_gives_output(void **state)
{
	static const struct {
		const char *label, *script, *input, *output;
		size_t max;
		int rc, status;
	} cases[] = {
		{ "echo", "cat", "hello", "hello", 64, OL_OK, 0 },
		{ "status", "exit 3", "", "", 64, OL_OK, 3 },
		{ "signal", "kill -TERM $$", "", "", 64, OL_OK, 128 + 15 },
		{ "reads nothing", "echo done", "ignored", "done\n", 64, OL_OK, 0 },
		{ "too much", "yes", "", NULL, 64, OL_ELIMIT, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		const char *argv[] = { "sh", "-c", c->script, NULL };
		ol_auto_buf ol_buf out = OL_BUF(c->max);
		int status = 0;

		CHECK_INT(c->label, c->rc,
			ol_child_run(argv, ol_view_of(c->input), &out, &status, NULL));
		if (c->rc < 0)
			continue;
		CHECK_INT(c->label, c->status, status);
		CHECK_STR(c->label, c->output, ol_str_text(&out));
	}
}

static void a_missing_program_is_not_found(void **state)
{
	const char *argv[] = { "orlop-no-such-program", NULL };
	ol_auto_buf ol_buf out = OL_BUF(16);
	ol_error err = { 0 };
	int status;

	(void)state;
	CHECK_INT("rc", OL_ENOTFOUND, ol_child_run(argv, ol_view_of(""), &out, &status, &err));
	assert_non_null(strstr(err.text, "orlop-no-such-program"));
	argv[0] = "/etc/passwd";
	assert_true(ol_child_run(argv, ol_view_of(""), &out, &status, &err) < 0);
}

/* A child has the three descriptors it was given and no other. */
static void a_child_inherits_no_descriptor(void **state)
{
	const char *argv[] = { "sh", "-c", "ls /proc/self/fd | wc -l", NULL };
	ol_auto_buf ol_buf out = OL_BUF(16);
	int status;

	(void)state;
	CHECK_INT("rc", OL_OK, ol_child_run(argv, ol_view_of(""), &out, &status, NULL));
	CHECK_STR("0, 1, 2 and the listing's own", "4\n", ol_str_text(&out));
}

/* More than a pipe holds, to a child that takes all of it, some of it or nothing. */
static void large_input_blocks_nobody_and_kills_nobody(void **state)
{
	static const struct {
		const char *label, *script;
		size_t output_size;
		int status;
	} cases[] = {
		{ "takes all", "cat", (size_t)1 << 20, 0 },
		{ "takes a little", "head -c 3", 3, 0 },
		{ "closes stdin early", "exec <&-; sleep 0.1; printf closed", 6, 0 },
		{ "ends at once", "exit 5", 0, 5 },
	};
	ol_autofree char *input = ol_alloc((size_t)1 << 20);
	struct sigaction action;
	sigset_t mask, waiting;

	(void)state;
	memset(input, 'x', (size_t)1 << 20);
	OL_EACH (cases, c) {
		const char *argv[] = { "sh", "-c", c->script, NULL };
		ol_auto_buf ol_buf out = OL_BUF((size_t)2 << 20);
		int status = 0;

		CHECK_INT(c->label, OL_OK,
			ol_child_run(
				argv, ol_view_from(input, (size_t)1 << 20), &out, &status, NULL));
		CHECK_INT(c->label, c->status, status);
		CHECK_INT(c->label, (long long)c->output_size, (long long)out.size);
	}
	/* The signal is as it was: neither ignored nor held back, nor still to come. */
	assert_int_equal(0, sigaction(SIGPIPE, NULL, &action));
	assert_true(action.sa_handler == SIG_DFL);
	assert_int_equal(0, pthread_sigmask(SIG_SETMASK, NULL, &mask));
	assert_false(sigismember(&mask, SIGPIPE));
	assert_int_equal(0, sigpending(&waiting));
	assert_false(sigismember(&waiting, SIGPIPE));
}

/* One that hangs is killed: while it may still speak, and after it has closed its output. */
static void a_child_that_hangs_is_killed(void **state)
{
	static const struct {
		const char *label, *script;
		int rc;
	} cases[] = {
		{ "in time", "cat; exit 0", OL_OK },
		{ "says nothing", "exec sleep 100", OL_EUNAVAILABLE },
		{ "says a lot", "while :; do echo x; sleep 0.01; done", OL_EUNAVAILABLE },
		{ "says all and stays", "echo x; exec >&-; exec sleep 100", OL_EUNAVAILABLE },
		{ "reads nothing", "exec sleep 100 <&-", OL_EUNAVAILABLE },
	};

	(void)state;
	OL_EACH (cases, c) {
		const char *argv[] = { "sh", "-c", c->script, NULL };
		ol_auto_buf ol_buf out = OL_BUF((size_t)1 << 20);
		const uint64_t began = ol_now_ms();
		int status = 0;

		CHECK_INT(c->label, c->rc,
			ol_child_run_for(argv, ol_view_of("in"), &out, &status, 300, NULL));
		assert_true(ol_now_ms() - began < 20000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_takes_input_and_gives_output),
		cmocka_unit_test(a_missing_program_is_not_found),
		cmocka_unit_test(a_child_inherits_no_descriptor),
		cmocka_unit_test(large_input_blocks_nobody_and_kills_nobody),
		cmocka_unit_test(a_child_that_hangs_is_killed),
	};

	(void)signal(SIGPIPE, SIG_DFL); /* whatever started us ignores */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
