#include "exec/capability.h"

#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(CAP_CHECKPOINT_RESTORE + 1 == OL_CAPABILITY_COUNT, "the table below is complete");

static const char *const names[OL_CAPABILITY_COUNT] = {
	[CAP_CHOWN] = "CAP_CHOWN",
	[CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
	[CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
	[CAP_FOWNER] = "CAP_FOWNER",
	[CAP_FSETID] = "CAP_FSETID",
	[CAP_KILL] = "CAP_KILL",
	[CAP_SETGID] = "CAP_SETGID",
	[CAP_SETUID] = "CAP_SETUID",
	[CAP_SETPCAP] = "CAP_SETPCAP",
	[CAP_LINUX_IMMUTABLE] = "CAP_LINUX_IMMUTABLE",
	[CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
	[CAP_NET_BROADCAST] = "CAP_NET_BROADCAST",
	[CAP_NET_ADMIN] = "CAP_NET_ADMIN",
	[CAP_NET_RAW] = "CAP_NET_RAW",
	[CAP_IPC_LOCK] = "CAP_IPC_LOCK",
	[CAP_IPC_OWNER] = "CAP_IPC_OWNER",
	[CAP_SYS_MODULE] = "CAP_SYS_MODULE",
	[CAP_SYS_RAWIO] = "CAP_SYS_RAWIO",
	[CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
	[CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
	[CAP_SYS_PACCT] = "CAP_SYS_PACCT",
	[CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
	[CAP_SYS_BOOT] = "CAP_SYS_BOOT",
	[CAP_SYS_NICE] = "CAP_SYS_NICE",
	[CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
	[CAP_SYS_TIME] = "CAP_SYS_TIME",
	[CAP_SYS_TTY_CONFIG] = "CAP_SYS_TTY_CONFIG",
	[CAP_MKNOD] = "CAP_MKNOD",
	[CAP_LEASE] = "CAP_LEASE",
	[CAP_AUDIT_WRITE] = "CAP_AUDIT_WRITE",
	[CAP_AUDIT_CONTROL] = "CAP_AUDIT_CONTROL",
	[CAP_SETFCAP] = "CAP_SETFCAP",
	[CAP_MAC_OVERRIDE] = "CAP_MAC_OVERRIDE",
	[CAP_MAC_ADMIN] = "CAP_MAC_ADMIN",
	[CAP_SYSLOG] = "CAP_SYSLOG",
	[CAP_WAKE_ALARM] = "CAP_WAKE_ALARM",
	[CAP_BLOCK_SUSPEND] = "CAP_BLOCK_SUSPEND",
	[CAP_AUDIT_READ] = "CAP_AUDIT_READ",
	[CAP_PERFMON] = "CAP_PERFMON",
	[CAP_BPF] = "CAP_BPF",
	[CAP_CHECKPOINT_RESTORE] = "CAP_CHECKPOINT_RESTORE",
};

/* docs.docker.com, "Runtime privilege and Linux capabilities": the fourteen kept by default. */
static const int defaults[] = { CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FSETID, CAP_FOWNER, CAP_MKNOD,
	CAP_NET_RAW, CAP_SETGID, CAP_SETUID, CAP_SETFCAP, CAP_SETPCAP, CAP_NET_BIND_SERVICE,
	CAP_SYS_CHROOT, CAP_KILL, CAP_AUDIT_WRITE };

const char *ol_capability_name(int capability)
{
	return capability >= 0 && capability < OL_CAPABILITY_COUNT ? names[capability] : "CAP_?";
}

int ol_capability_find(const char *name)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (int i = 0; i < OL_CAPABILITY_COUNT; i++)
		if (strcasecmp(names[i] + 4, name) == 0)
			return i;
	return -1;
}

int ol_capability_held(uint64_t *out, ol_error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = 0 } };
	uint64_t held;

	if (syscall(SYS_capget, &header, data) < 0)
		return ol_fail_sys(err, "cannot read our own capabilities");
	held = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	for (int i = 0; i < OL_CAPABILITY_COUNT; i++)
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 1)
			held &= ~ol_capability_bit(i);
	*out = held & (ol_capability_bit(OL_CAPABILITY_COUNT) - 1);
	return OL_OK;
}

/* A list of names as a mask; *all when ALL is among them. */
static int read_list(
	const char *const *list, const char *flag, uint64_t *mask, bool *all, ol_error *err)
{
	*mask = 0;
	*all = false;
	for (; list && *list; list++) {
		int found = ol_capability_find(*list);

		if (strcasecmp(*list, "ALL") == 0 || strcasecmp(*list, "CAP_ALL") == 0)
			*all = true;
		else if (found < 0)
			return ol_fail(
				err, OL_EINVAL, "%s: there is no capability \"%s\"", flag, *list);
		else
			*mask |= ol_capability_bit(found);
	}
	return OL_OK;
}

static int refuse_missing(uint64_t missing, ol_error *err)
{
	int first = __builtin_ctzll(missing);

	(void)ol_fail(err, OL_EINVAL,
		"--cap-add: orlop does not hold %s itself, so it cannot give it", names[first]);
	return ol_hint(err, OL_EINVAL, "leave it out, or start orlop with that capability");
}

int ol_capability_choose(const char *const *add, const char *const *drop, bool privileged,
	uint64_t held, uint64_t *out, ol_error *err)
{
	uint64_t added = 0, dropped = 0, set = 0;
	bool add_all = false, drop_all = false;
	int rc;

	rc = read_list(add, "--cap-add", &added, &add_all, err);
	if (rc == OL_OK)
		rc = read_list(drop, "--cap-drop", &dropped, &drop_all, err);
	if (rc < 0)
		return rc;
	if (privileged) {
		*out = held;
		return OL_OK;
	}
	if (added & ~held)
		return refuse_missing(added & ~held, err);
	if (add_all)
		set = held & ~dropped;
	else if (drop_all)
		set = added;
	else {
		for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
			set |= ol_capability_bit(defaults[i]);
		set = (set & ~dropped) | added;
	}
	*out = set & held;
	return OL_OK;
}
