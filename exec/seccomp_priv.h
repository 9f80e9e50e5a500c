#pragma once

#include "base/alloc.h"
#include "exec/seccomp.h"

#define OL_SECCOMP_ARGS_MAX  6 /* a system call has six arguments */
#define OL_SECCOMP_ARCHS_MAX 4 /* an architecture and those it can run besides */

typedef struct ol_seccomp_arg {
	unsigned index;
	uint64_t value, value_two;
	const char *op; /* "SCMP_CMP_EQ" */
} ol_seccomp_arg;

typedef struct ol_seccomp_rule {
	const char *const *names; /* ended by NULL */
	const char *action;       /* "SCMP_ACT_ALLOW" */
	int errno_ret;            /* -1: the action's default, EPERM */
	ol_seccomp_arg args[OL_SECCOMP_ARGS_MAX];
	size_t arg_count;
} ol_seccomp_rule;

struct ol_seccomp {
	ol_arena *arena; /* owned; all below is its, or static */
	const char *default_action;
	int default_errno;                       /* -1: EPERM */
	const char *archs[OL_SECCOMP_ARCHS_MAX]; /* "SCMP_ARCH_X86_64"; the native one first */
	size_t arch_count;
	ol_seccomp_rule *rules; /* owned */
	size_t rule_count, rule_cap;
	bool ours; /* made from our own table */
};

ol_seccomp *ol_seccomp_new(void);
/* A new rule, zeroed but for errno_ret; valid until the next one. */
ol_seccomp_rule *ol_seccomp_add(ol_seccomp *profile);
/* The native architecture and those it runs besides, as Docker's archMap has them. */
void ol_seccomp_native_archs(ol_seccomp *profile);
/* SCMP_ACT_* with its errno as libseccomp's number; 0 when there is no such action (SCMP_ACT_KILL
 * is 0 too: ok tells). */
uint32_t ol_seccomp_action(const char *name, int errno_ret, bool *ok);
/* SCMP_ARCH_X86_64 → libseccomp's token; 0 when unknown. */
uint32_t ol_seccomp_arch(const char *name);
/* SCMP_CMP_EQ → libseccomp's enum; 0 when unknown. */
int ol_seccomp_op(const char *name);
