/*
 * Which devices a container may open. Without this, CAP_MKNOD, which Docker gives by default, would
 * make every disk of the host readable: mknod is allowed, opening is not. v1 has a list in the
 * group, v2 a BPF program on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec/cgroup_priv.h"

#define ANY UINT32_MAX

/* Beside making nodes of any kind: the defaults, the console, ptmx and the pseudo terminals. */
static const struct {
	uint32_t major, minor;
} allowed[] = {
	{ 1, 3 },
	{ 1, 5 },
	{ 1, 7 },
	{ 1, 8 },
	{ 1, 9 },
	{ 5, 0 },
	{ 5, 1 },
	{ 5, 2 },
	{ 136, ANY },
};

#define ALLOWED_COUNT (sizeof allowed / sizeof allowed[0])

int ol_cgroup_guard_v1(const char *dir, ol_error *err)
{
	int rc = ol_cgroup_write(dir, "devices.deny", "a", err);

	if (rc == OL_OK)
		rc = ol_cgroup_write(dir, "devices.allow", "c *:* m", err);
	if (rc == OL_OK)
		rc = ol_cgroup_write(dir, "devices.allow", "b *:* m", err);
	for (size_t i = 0; rc == OL_OK && i < ALLOWED_COUNT; i++) {
		char rule[64];

		if (allowed[i].minor == ANY)
			(void)snprintf(rule, sizeof rule, "c %u:* rwm", allowed[i].major);
		else
			(void)snprintf(rule, sizeof rule, "c %u:%u rwm", allowed[i].major,
				allowed[i].minor);
		rc = ol_cgroup_write(dir, "devices.allow", rule, err);
	}
	return rc;
}

static struct bpf_insn load(int reg, int offset)
{
	return (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_W,
		.dst_reg = (uint8_t)(reg & 0xf),
		.src_reg = BPF_REG_1,
		.off = (int16_t)offset };
}

/* Jumps over skip instructions unless the register has the value. */
static struct bpf_insn unless(int reg, uint32_t value, size_t skip)
{
	return (struct bpf_insn){ .code = BPF_JMP | BPF_JNE | BPF_K,
		.dst_reg = (uint8_t)(reg & 0xf),
		.off = (int16_t)skip,
		.imm = (int32_t)value };
}

static struct bpf_insn answer(int value)
{
	return (struct bpf_insn){
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value
	};
}

static struct bpf_insn leave(void)
{
	return (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
}

/*
 *	r2 = type, r3 = access, r4 = major, r5 = minor
 *	access is mknod alone → 1
 *	type is char and (major, minor) is in the table → 1
 *	→ 0
 */
static size_t program(struct bpf_insn *code)
{
	size_t n = 0;

	code[n++] = load(BPF_REG_2, 0); /* struct bpf_cgroup_dev_ctx: access << 16 | type */
	code[n++] = load(BPF_REG_4, 4);
	code[n++] = load(BPF_REG_5, 8);
	code[n++] = (struct bpf_insn){
		.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_2
	};
	code[n++] = (struct bpf_insn){
		.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = BPF_REG_2, .imm = 0xffff
	};
	code[n++] = (struct bpf_insn){
		.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_3, .imm = 16
	};
	code[n++] = unless(BPF_REG_3, BPF_DEVCG_ACC_MKNOD, 2);
	code[n++] = answer(1);
	code[n++] = leave();
	code[n++] = (struct bpf_insn){ .code = BPF_JMP | BPF_JEQ | BPF_K,
		.dst_reg = BPF_REG_2,
		.off = 2,
		.imm = BPF_DEVCG_DEV_CHAR };
	code[n++] = answer(0);
	code[n++] = leave();
	for (size_t i = 0; i < ALLOWED_COUNT; i++) {
		bool any = allowed[i].minor == ANY;

		code[n++] = unless(BPF_REG_4, allowed[i].major, any ? 2 : 3);
		if (!any)
			code[n++] = unless(BPF_REG_5, allowed[i].minor, 2);
		code[n++] = answer(1);
		code[n++] = leave();
	}
	code[n++] = answer(0);
	code[n++] = leave();
	return n;
}

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof *attr);
}

int ol_cgroup_guard_v2(const char *dir, ol_error *err)
{
	struct bpf_insn code[16 + 4 * ALLOWED_COUNT];
	static const char license[] = "Apache-2.0";
	ol_autofd int group = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC), loaded = -1;
	union bpf_attr load_attr, attach;

	if (group < 0)
		return ol_fail_sys(err, "%s", dir);
	memset(&load_attr, 0, sizeof load_attr);
	load_attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	load_attr.insn_cnt = (uint32_t)program(code);
	load_attr.insns = (uint64_t)(uintptr_t)code;
	load_attr.license = (uint64_t)(uintptr_t)license;
	loaded = (int)bpf(BPF_PROG_LOAD, &load_attr);
	if (loaded < 0)
		return ol_fail(
			err, OL_EUNSUPPORTED, "cannot load a device filter: %s", strerror(errno));
	memset(&attach, 0, sizeof attach);
	attach.target_fd = (uint32_t)group;
	attach.attach_bpf_fd = (uint32_t)loaded;
	attach.attach_type = BPF_CGROUP_DEVICE;
	attach.attach_flags = BPF_F_ALLOW_MULTI;
	if (bpf(BPF_PROG_ATTACH, &attach) < 0)
		return ol_fail(
			err, OL_EUNSUPPORTED, "cannot attach a device filter: %s", strerror(errno));
	return OL_OK;
}
