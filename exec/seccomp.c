/*
 * From a profile to a BPF program: libseccomp makes the program, and a few instructions are put in
 * front that answer ENOSYS to what is newer than the profile:
 *
 *	arch = A?  no → next architecture
 *	nr > the highest number the profile names for A?  yes → ENOSYS, no → libseccomp's program
 *
 * libseccomp alone cannot: its default action is one answer for both "known and refused" and "never
 * heard of".
 */
#include "exec/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exec/seccomp_priv.h"

#define X32_BIT 0x40000000U

static const struct {
	const char *name;
	uint32_t token;
} archs[] = {
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86 },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32 },
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM },
	{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS },
	{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 },
	{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 },
	{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC },
	{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 },
	{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
	{ "SCMP_ARCH_S390", SCMP_ARCH_S390 },
	{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X },
	{ "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64 },
};

static const struct {
	const char *name;
	uint32_t action;
} actions[] = {
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(EPERM) },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(EPERM) },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
};

static const struct {
	const char *name;
	int op;
} ops[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

ol_seccomp *ol_seccomp_new(void)
{
	ol_seccomp *profile = ol_alloc(sizeof *profile);

	profile->arena = ol_arena_new();
	profile->default_errno = -1;
	return profile;
}

void ol_seccomp_free(ol_seccomp *profile)
{
	if (!profile)
		return;
	ol_arena_free(profile->arena);
	free(profile->rules);
	free(profile);
}

ol_seccomp_rule *ol_seccomp_add(ol_seccomp *profile)
{
	OL_GROW(profile->rules, profile->rule_count, profile->rule_cap);
	profile->rules[profile->rule_count] = (ol_seccomp_rule){ .errno_ret = -1 };
	return &profile->rules[profile->rule_count++];
}

void ol_seccomp_native_archs(ol_seccomp *profile)
{
	static const char *const besides[][3] = {
		{ "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32" },
		{ "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", NULL },
		{ "SCMP_ARCH_S390X", "SCMP_ARCH_S390", NULL },
	};
	uint32_t native = seccomp_arch_native();

	for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
		if (archs[i].token == native)
			profile->archs[profile->arch_count++] = archs[i].name;
	for (size_t i = 0; i < sizeof besides / sizeof besides[0]; i++)
		for (size_t k = 1; ol_seccomp_arch(besides[i][0]) == native && k < 3; k++)
			if (besides[i][k])
				profile->archs[profile->arch_count++] = besides[i][k];
}

uint32_t ol_seccomp_arch(const char *name)
{
	for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
		if (strcmp(archs[i].name, name) == 0)
			return archs[i].token;
	return 0;
}

uint32_t ol_seccomp_action(const char *name, int errno_ret, bool *ok)
{
	*ok = true;
	if (errno_ret >= 0 && strcmp(name, "SCMP_ACT_ERRNO") == 0)
		return SCMP_ACT_ERRNO((uint32_t)errno_ret & 0xffff);
	if (errno_ret >= 0 && strcmp(name, "SCMP_ACT_TRACE") == 0)
		return SCMP_ACT_TRACE((uint32_t)errno_ret & 0xffff);
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (strcmp(actions[i].name, name) == 0)
			return actions[i].action;
	*ok = false;
	return 0;
}

int ol_seccomp_op(const char *name)
{
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		if (strcmp(ops[i].name, name) == 0)
			return ops[i].op;
	return 0;
}

static struct scmp_arg_cmp comparison(const ol_seccomp_arg *arg)
{
	return (struct scmp_arg_cmp){
		.arg = arg->index,
		.op = (enum scmp_compare)ol_seccomp_op(arg->op),
		.datum_a = arg->value,
		.datum_b = arg->value_two,
	};
}

static bool same_argument_twice(const ol_seccomp_rule *rule)
{
	for (size_t i = 0; i < rule->arg_count; i++)
		for (size_t k = 0; k < i; k++)
			if (rule->args[i].index == rule->args[k].index)
				return true;
	return false;
}

/* One call of one rule. Conditions on one argument are alternatives, as Docker reads them; on
 * several, all must hold. */
static int add_call(scmp_filter_ctx filter, const ol_seccomp_rule *rule, int call, uint32_t action)
{
	struct scmp_arg_cmp args[OL_SECCOMP_ARGS_MAX];
	int rc = 0;

	for (size_t i = 0; i < rule->arg_count; i++)
		args[i] = comparison(&rule->args[i]);
	if (!same_argument_twice(rule))
		return seccomp_rule_add_array(
			filter, action, call, (unsigned)rule->arg_count, args);
	for (size_t i = 0; i < rule->arg_count && rc == 0; i++)
		rc = seccomp_rule_add_array(filter, action, call, 1, &args[i]);
	return rc;
}

static int add_rule(
	scmp_filter_ctx filter, const ol_seccomp_rule *rule, uint32_t otherwise, ol_error *err)
{
	bool ok;
	uint32_t action = ol_seccomp_action(rule->action, rule->errno_ret, &ok);

	if (action == otherwise)
		return OL_OK;
	for (const char *const *name = rule->names; *name; name++) {
		int call = seccomp_syscall_resolve_name(*name), rc;

		/* Not on this machine, or newer than libseccomp: nothing to allow. */
		if (call == __NR_SCMP_ERROR)
			continue;
		rc = add_call(filter, rule, call, action);
		if (rc < 0 && rc != -EEXIST)
			return ol_fail(
				err, OL_EINVAL, "seccomp profile: %s: %s", *name, strerror(-rc));
	}
	return OL_OK;
}

static int build(
	const ol_seccomp *profile, scmp_filter_ctx filter, uint32_t otherwise, ol_error *err)
{
	int rc = 0;

	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
	/* A binary tree: a call costs a few comparisons, not hundreds. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < profile->arch_count; i++) {
		rc = seccomp_arch_add(filter, ol_seccomp_arch(profile->archs[i]));
		if (rc < 0 && rc != -EEXIST)
			return ol_fail(err, OL_EINVAL, "seccomp profile: %s: %s", profile->archs[i],
				strerror(-rc));
	}
	for (size_t i = 0; i < profile->rule_count; i++) {
		rc = add_rule(filter, &profile->rules[i], otherwise, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

/* The highest number that the profile names on an architecture; -1 for none. */
static int highest(const ol_seccomp *profile, uint32_t arch)
{
	int max = -1;

	for (size_t i = 0; i < profile->rule_count; i++)
		for (const char *const *name = profile->rules[i].names; *name; name++) {
			int call = seccomp_syscall_resolve_name_arch(arch, *name);

			if (call > max)
				max = call;
		}
	return max;
}

static void emit(ol_buf *bpf, struct sock_filter insn)
{
	(void)ol_buf_add(bpf, &insn, sizeof insn);
}

#define LOAD(member)                                                                               \
	((struct sock_filter)BPF_STMT(                                                             \
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member)))
#define JUMP(test, value, yes, no)                                                                 \
	((struct sock_filter)BPF_JUMP(BPF_JMP | (test) | BPF_K, (value), (yes), (no)))
#define ANSWER_ENOSYS ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS))

/* Both x86-64 and x32 come as AUDIT_ARCH_X86_64; x32's numbers have a bit of their own. */
static void emit_newer(const ol_seccomp *profile, ol_buf *bpf)
{
	for (size_t i = 0; i < profile->arch_count; i++) {
		uint32_t arch = ol_seccomp_arch(profile->archs[i]);
		int max = highest(profile, arch);

		if (max < 0)
			continue;
		emit(bpf, LOAD(arch));
		if (arch == SCMP_ARCH_X32) {
			emit(bpf, JUMP(BPF_JEQ, AUDIT_ARCH_X86_64, 0, 3));
			emit(bpf, LOAD(nr));
			emit(bpf, JUMP(BPF_JGT, (uint32_t)max | X32_BIT, 0, 1));
		} else if (arch == SCMP_ARCH_X86_64) {
			emit(bpf, JUMP(BPF_JEQ, AUDIT_ARCH_X86_64, 0, 4));
			emit(bpf, LOAD(nr));
			emit(bpf, JUMP(BPF_JGE, X32_BIT, 2, 0));
			emit(bpf, JUMP(BPF_JGT, (uint32_t)max, 0, 1));
		} else {
			emit(bpf, JUMP(BPF_JEQ, arch, 0, 3));
			emit(bpf, LOAD(nr));
			emit(bpf, JUMP(BPF_JGT, (uint32_t)max, 0, 1));
		}
		emit(bpf, ANSWER_ENOSYS);
	}
}

/* libseccomp writes only to descriptors. */
static int export(scmp_filter_ctx filter, ol_buf *bpf, ol_error *err)
{
	ol_autofd int fd = memfd_create("seccomp", MFD_CLOEXEC);
	off_t size;
	char *room;
	int rc;

	if (fd < 0)
		return ol_fail_sys(err, "seccomp profile");
	rc = seccomp_export_bpf(filter, fd);
	if (rc < 0)
		return ol_fail(err, OL_EINVAL, "seccomp profile: %s", strerror(-rc));
	size = lseek(fd, 0, SEEK_END);
	room = size < 0 ? NULL : ol_buf_room(bpf, (size_t)size);
	if (!room)
		return ol_fail(err, OL_ELIMIT, "the seccomp profile becomes too long a program");
	if (pread(fd, room, (size_t)size, 0) != size)
		return ol_fail_sys(err, "seccomp profile");
	bpf->size += (size_t)size;
	return OL_OK;
}

int ol_seccomp_compile(const ol_seccomp *profile, ol_buf *bpf, ol_error *err)
{
	bool ok;
	uint32_t otherwise =
		ol_seccomp_action(profile->default_action, profile->default_errno, &ok);
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int rc;

	if (!filter)
		return ol_fail(err, OL_EINVAL, "seccomp profile: default action %s",
			profile->default_action);
	if (otherwise != SCMP_ACT_ALLOW && otherwise != SCMP_ACT_LOG &&
		otherwise != SCMP_ACT_ERRNO(ENOSYS))
		emit_newer(profile, bpf);
	rc = build(profile, filter, otherwise, err);
	if (rc == OL_OK)
		rc = export(filter, bpf, err);
	seccomp_release(filter);
	if (rc == OL_OK && bpf->size / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return ol_fail(err, OL_ELIMIT, "the seccomp profile becomes too long a program");
	return rc;
}
