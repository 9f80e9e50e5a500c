#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/capability.h"
#include "exec/seccomp.h"
#include "tests/check.h"

#define NEWER_THAN_ALL 2000
#define NO_FILTER      250 /* the child could not even load it */

typedef struct attempt {
	long number, args[3];
} attempt;

/* One system call in a child under the filter: its errno, or 0. */
static int under(const ol_buf *bpf, const attempt *a)
{
	struct sock_fprog program = { .len = (unsigned short)(bpf->size /
							      sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)(void *)bpf->data };
	int raw = 0;
	pid_t pid = fork();

	if (pid == 0) {
		long rc;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
			_exit(NO_FILTER);
		rc = syscall(a->number, a->args[0], a->args[1], a->args[2]);
		_exit(rc < 0 ? errno : 0);
	}
	assert_int_equal(pid, waitpid(pid, &raw, 0));
	return WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
}

static void the_default_profile_answers_as_dockers(void **state)
{
	const uint64_t admin = ol_capability_bit(CAP_SYS_ADMIN);
	const struct {
		const char *name;
		attempt attempt;
		uint64_t capabilities;
		int want; /* errno */
	} cases[] = {
		{ "getpid", { SYS_getpid, { 0 } }, 0, 0 },
		{ "known and refused", { SYS_swapoff, { 0 } }, 0, EPERM },
		{ "keyctl", { SYS_keyctl, { 99 } }, 0, EPERM },
		{ "io_uring", { SYS_io_uring_setup, { 0 } }, 0, EPERM },
		{ "newer than the profile", { NEWER_THAN_ALL, { 0 } }, 0, ENOSYS },
		{ "clone3", { SYS_clone3, { 0 } }, 0, ENOSYS },
		{ "clone3 with SYS_ADMIN", { SYS_clone3, { 0 } }, admin, EINVAL },
		{ "clone of a namespace", { SYS_clone, { CLONE_NEWUSER } }, 0, EPERM },
		{ "unshare", { SYS_unshare, { 0 } }, 0, EPERM },
		{ "unshare with SYS_ADMIN", { SYS_unshare, { 0 } }, admin, 0 },
		{ "personality of Linux", { SYS_personality, { PER_LINUX } }, 0, 0 },
		{ "asking for the personality", { SYS_personality, { 0xffffffff } }, 0, 0 },
		{ "personality without randomisation", { SYS_personality, { ADDR_NO_RANDOMIZE } },
			0, EPERM },
		{ "a Unix socket", { SYS_socket, { AF_UNIX, SOCK_STREAM } }, 0, 0 },
		{ "a socket to the hypervisor", { SYS_socket, { AF_VSOCK, SOCK_STREAM } }, 0,
			EPERM },
		{ "perf", { SYS_perf_event_open, { 0 } }, 0, EPERM },
		{ "acct with its capability", { SYS_acct, { 1 } }, ol_capability_bit(CAP_SYS_PACCT),
			EFAULT },
		{ "acct without", { SYS_acct, { 1 } }, 0, EPERM },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_seccomp_free) ol_seccomp *profile = ol_seccomp_default(c->capabilities);
		ol_auto_buf ol_buf bpf = OL_BUF((size_t)1 << 20);

		CHECK_INT(c->name, OL_OK, ol_seccomp_compile(profile, &bpf, NULL));
		CHECK_INT(c->name, c->want, under(&bpf, &c->attempt));
	}
}

#if defined(__x86_64__)
/* x32 calls share an architecture with the native ones, and have a bit of their own. */
static void x32_calls_have_their_own_bounds(void **state)
{
	const attempt known = { 0x40000000L | 39, { 0 } }; /* getpid */
	const attempt newer = { 0x40000000L | NEWER_THAN_ALL, { 0 } };
	ol_auto(ol_seccomp_free) ol_seccomp *profile = ol_seccomp_default(0);
	ol_auto_buf ol_buf bpf = OL_BUF((size_t)1 << 20);
	int got;

	(void)state;
	assert_int_equal(OL_OK, ol_seccomp_compile(profile, &bpf, NULL));
	got = under(&bpf, &known);
	assert_true(got == 0 || got == ENOSYS); /* a kernel without x32 says ENOSYS */
	assert_int_equal(ENOSYS, under(&bpf, &newer));
}
#endif

static int parse(const char *text, uint64_t capabilities, ol_seccomp **out)
{
	ol_error err = { .code = 0 };

	return ol_seccomp_parse(ol_view_of(text), capabilities, out, &err);
}

static void a_profile_is_read_strictly(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", OL_OK },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"architectures\":["
		  "\"SCMP_ARCH_X86_64\"],"
		  "\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
			OL_OK },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"name\":\"mkdir\","
		  "\"action\":\"SCMP_ACT_ERRNO\","
		  "\"args\":[{\"index\":1,\"value\":511,\"op\":\"SCMP_CMP_EQ\"}]}]}",
			OL_OK },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":null}", OL_OK },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"nosuchcall\"],"
		  "\"action\":\"SCMP_ACT_LOG\"}]}",
			OL_OK },
		{ "", OL_EINVAL },
		{ "[]", OL_EINVAL },
		{ "{}", OL_EINVAL },
		{ "{\"defaultAction\":7}", OL_EINVAL },
		{ "{\"defaultAction\":\"ALLOW\"}", OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", OL_EUNSUPPORTED },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":5000}", OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":\"1\"}", OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_PDP11\"]}",
			OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":\"SCMP_ACT_"
		  "LOG\"}]}",
			OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"name\":\"a\",\"names\":["
		  "\"b\"],\"action\":\"SCMP_ACT_LOG\"}]}",
			OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[7],\"action\":"
		  "\"SCMP_ACT_LOG\"}]}",
			OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"]}]}",
			OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],"
		  "\"action\":\"SCMP_ACT_NOTIFY\"}]}",
			OL_EUNSUPPORTED },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		  "\"action\":\"SCMP_ACT_LOG\","
		  "\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}",
			OL_EINVAL },
		{ "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		  "\"action\":\"SCMP_ACT_LOG\","
		  "\"args\":[{\"index\":0,\"value\":1,\"op\":\"==\"}]}]}",
			OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_seccomp *profile = NULL;

		CHECK_INT(c->text, c->rc, parse(c->text, 0, &profile));
		if (c->rc == OL_OK) {
			ol_auto_buf ol_buf bpf = OL_BUF((size_t)1 << 20);

			CHECK_INT(c->text, OL_OK, ol_seccomp_compile(profile, &bpf, NULL));
		}
		ol_seccomp_free(profile);
	}
}

#define WHEN(condition)                                                                            \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getppid\"],"            \
	"\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":95," condition "}]}"

static void conditions_are_decided_when_read(void **state)
{
	const uint64_t chown = ol_capability_bit(CAP_CHOWN), kill = ol_capability_bit(CAP_KILL);
	const struct {
		const char *text;
		uint64_t capabilities;
		int want;
	} cases[] = {
		{ WHEN("\"includes\":{}"), 0, EOPNOTSUPP },
		{ WHEN("\"includes\":{\"caps\":[\"CAP_CHOWN\"]}"), chown, EOPNOTSUPP },
		{ WHEN("\"includes\":{\"caps\":[\"CAP_CHOWN\"]}"), 0, 0 },
		{ WHEN("\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_KILL\"]}"), chown, 0 },
		{ WHEN("\"includes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_KILL\"]}"), chown | kill,
			EOPNOTSUPP },
		{ WHEN("\"excludes\":{\"caps\":[\"CAP_CHOWN\",\"CAP_KILL\"]}"), kill, 0 },
		{ WHEN("\"excludes\":{\"caps\":[\"CAP_CHOWN\"]}"), kill, EOPNOTSUPP },
		{ WHEN("\"includes\":{\"minKernel\":\"4.8\"}"), 0, EOPNOTSUPP },
		{ WHEN("\"includes\":{\"minKernel\":\"99.1\"}"), 0, 0 },
		{ WHEN("\"includes\":{\"arches\":[\"pdp11\"]}"), 0, 0 },
#if defined(__x86_64__)
		{ WHEN("\"includes\":{\"arches\":[\"s390x\",\"amd64\"]}"), 0, EOPNOTSUPP },
		{ WHEN("\"excludes\":{\"arches\":[\"amd64\"]}"), 0, 0 },
#endif
	};
	const attempt getppid_call = { SYS_getppid, { 0 } };

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_seccomp_free) ol_seccomp *profile = NULL;
		ol_auto_buf ol_buf bpf = OL_BUF((size_t)1 << 20);

		CHECK_INT(c->text, OL_OK, parse(c->text, c->capabilities, &profile));
		CHECK_INT(c->text, OL_OK, ol_seccomp_compile(profile, &bpf, NULL));
		CHECK_INT(c->text, c->want, under(&bpf, &getppid_call));
	}
}

/* What goes out to a runtime can be read back in, and answers the same. */
static void the_json_form_round_trips(void **state)
{
	ol_auto(ol_seccomp_free) ol_seccomp *profile = ol_seccomp_default(0);
	ol_auto(ol_seccomp_free) ol_seccomp *again = NULL;
	ol_auto(ol_json_free) ol_json *json = ol_seccomp_json(profile);
	ol_auto_str ol_str text = OL_STR((size_t)1 << 20);
	ol_auto_buf ol_buf bpf = OL_BUF((size_t)1 << 20);
	const attempt refused = { SYS_swapoff, { 0 } }, newer = { NEWER_THAN_ALL, { 0 } },
		      fine = { SYS_getpid, { 0 } };

	(void)state;
	assert_int_equal(OL_OK, ol_json_format(json, OL_JSON_COMPACT, &text, NULL));
	assert_int_equal(OL_OK, ol_seccomp_parse(ol_buf_view(&text), 0, &again, NULL));
	assert_int_equal(OL_OK, ol_seccomp_compile(again, &bpf, NULL));
	assert_int_equal(EPERM, under(&bpf, &refused));
	assert_int_equal(ENOSYS, under(&bpf, &newer));
	assert_int_equal(0, under(&bpf, &fine));
}

static void a_missing_profile_is_named(void **state)
{
	ol_seccomp *profile = NULL;
	ol_error err = { .code = 0 };

	(void)state;
	assert_int_equal(OL_ENOTFOUND, ol_seccomp_read("/nowhere/profile.json", 0, &profile, &err));
	assert_non_null(strstr(err.text, "/nowhere/profile.json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_profile_answers_as_dockers),
#if defined(__x86_64__)
		cmocka_unit_test(x32_calls_have_their_own_bounds),
#endif
		cmocka_unit_test(a_profile_is_read_strictly),
		cmocka_unit_test(conditions_are_decided_when_read),
		cmocka_unit_test(the_json_form_round_trips),
		cmocka_unit_test(a_missing_profile_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
