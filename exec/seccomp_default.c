#include <errno.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/socket.h>

#include "exec/capability.h"
#include "exec/seccomp_priv.h"

/*
 * Docker's default profile, as docs.docker.com "Seccomp security profiles for Docker" describes it:
 * a list of what is allowed; everything else is EPERM. Two calls that its first versions allowed
 * are left out as its newer ones do: io_uring, and sockets of AF_VSOCK, which lead to the
 * hypervisor.
 */
static const char *const always[] = { "accept", "accept4", "access", "adjtimex", "alarm", "bind",
	"brk", "capget", "capset", "chdir", "chmod", "chown", "chown32", "clock_adjtime",
	"clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
	"clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range",
	"connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
	"epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
	"epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group",
	"faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark",
	"fchdir", "fchmod", "fchmodat", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64",
	"fdatasync", "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr",
	"fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
	"ftruncate64", "futex", "futex_time64", "futex_waitv", "futimesat", "getcpu", "getcwd",
	"getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
	"getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp",
	"getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid",
	"getresuid32", "getrlimit", "get_robust_list", "getrusage", "getsid", "getsockname",
	"getsockopt", "get_thread_area", "gettid", "gettimeofday", "getuid", "getuid32", "getxattr",
	"inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel",
	"ioctl", "io_destroy", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
	"ioprio_get", "ioprio_set", "io_setup", "io_submit", "ipc", "kill", "landlock_add_rule",
	"landlock_create_ruleset", "landlock_restrict_self", "lchown", "lchown32", "lgetxattr",
	"link", "linkat", "listen", "listxattr", "llistxattr", "_llseek", "lremovexattr", "lseek",
	"lsetxattr", "lstat", "lstat64", "madvise", "membarrier", "memfd_create", "memfd_secret",
	"mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap",
	"mmap2", "mprotect", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
	"mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "mq_unlink", "mremap",
	"msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap",
	"nanosleep", "newfstatat", "_newselect", "open", "openat", "openat2", "pause", "pidfd_open",
	"pidfd_send_signal", "pipe", "pipe2", "poll", "ppoll", "ppoll_time64", "prctl", "pread64",
	"preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6", "pselect6_time64",
	"pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv",
	"recv", "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "remap_file_pages",
	"removexattr", "rename", "renameat", "renameat2", "restart_syscall", "rmdir", "rseq",
	"rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo",
	"sched_getaffinity", "sched_getattr", "sched_getparam", "sched_get_priority_max",
	"sched_get_priority_min", "sched_getscheduler", "sched_rr_get_interval",
	"sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
	"sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget", "semop",
	"semtimedop", "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg",
	"sendto", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32",
	"setgroups", "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32",
	"setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32",
	"setrlimit", "set_robust_list", "setsid", "setsockopt", "set_thread_area",
	"set_tid_address", "setuid", "setuid32", "setxattr", "shmat", "shmctl", "shmdt", "shmget",
	"shutdown", "sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn",
	"socketcall", "socketpair", "splice", "stat", "stat64", "statfs", "statfs64", "statx",
	"symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill",
	"time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
	"timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime",
	"timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate",
	"truncate64", "ugetrlimit", "umask", "uname", "unlink", "unlinkat", "utime", "utimensat",
	"utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid", "write",
	"writev", NULL };

/* What a capability opens besides. */
static const struct {
	int capability;
	const char *names[24];
} with_capability[] = {
	{ CAP_DAC_READ_SEARCH, { "open_by_handle_at" } },
	{ CAP_SYS_ADMIN, { "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount",
				 "fsopen", "fspick", "lookup_dcookie", "mount", "mount_setattr",
				 "move_mount", "name_to_handle_at", "open_tree", "perf_event_open",
				 "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns",
				 "umount", "umount2", "unshare" } },
	{ CAP_SYS_BOOT, { "reboot" } },
	{ CAP_SYS_CHROOT, { "chroot" } },
	{ CAP_SYS_MODULE, { "delete_module", "init_module", "finit_module" } },
	{ CAP_SYS_PACCT, { "acct" } },
	{ CAP_SYS_PTRACE, { "kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv",
				  "process_vm_writev" } },
	{ CAP_SYS_RAWIO, { "iopl", "ioperm" } },
	{ CAP_SYS_TIME, { "settimeofday", "stime", "clock_settime" } },
	{ CAP_SYS_TTY_CONFIG, { "vhangup" } },
	{ CAP_SYS_NICE, { "get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node" } },
	{ CAP_SYSLOG, { "syslog" } },
	{ CAP_BPF, { "bpf" } },
	{ CAP_PERFMON, { "perf_event_open" } },
};

/* Calls that only some machines have. */
static const char *const of_arch[] = {
#if defined(__x86_64__) || defined(__i386__)
	"arch_prctl", "modify_ldt",
#elif defined(__arm__) || defined(__aarch64__)
	"arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush",
	"set_tls",
#elif defined(__powerpc__)
	"sync_file_range2", "swapcontext",
#elif defined(__s390__)
	"s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr",
#elif defined(__riscv)
	"riscv_flush_icache",
#endif
	NULL
};

/* personality(2): PER_LINUX, PER_LINUX32, UNAME26 and both, and asking. */
static const uint64_t personalities[] = { 0x0, 0x8, 0x20000, 0x20008, 0xffffffff };

#define NAMESPACE_FLAGS                                                                            \
	((uint64_t)(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |     \
		    CLONE_NEWNET | CLONE_NEWCGROUP))

static const char *const personality_call[] = { "personality", NULL };
static const char *const socket_call[] = { "socket", NULL };
static const char *const ptrace_call[] = { "ptrace", NULL };
static const char *const clone_call[] = { "clone", NULL };
static const char *const clone3_call[] = { "clone3", NULL };

static ol_seccomp_rule *allow(ol_seccomp *profile, const char *const *names)
{
	ol_seccomp_rule *rule = ol_seccomp_add(profile);

	rule->names = names;
	rule->action = "SCMP_ACT_ALLOW";
	return rule;
}

static void allow_where(
	ol_seccomp *profile, const char *const *names, const char *op, uint64_t value, uint64_t two)
{
	ol_seccomp_rule *rule = allow(profile, names);

	rule->args[rule->arg_count++] =
		(ol_seccomp_arg){ .index = 0, .op = op, .value = value, .value_two = two };
}

ol_seccomp *ol_seccomp_default(uint64_t capabilities)
{
	ol_seccomp *profile = ol_seccomp_new();

	profile->ours = true;
	profile->default_action = "SCMP_ACT_ERRNO";
	profile->default_errno = EPERM;
	ol_seccomp_native_archs(profile);
	(void)allow(profile, always);
	(void)allow(profile, ptrace_call);
	if (of_arch[0])
		(void)allow(profile, of_arch);
	allow_where(profile, socket_call, "SCMP_CMP_NE", AF_VSOCK, 0);
	for (size_t i = 0; i < sizeof personalities / sizeof personalities[0]; i++)
		allow_where(profile, personality_call, "SCMP_CMP_EQ", personalities[i], 0);
	for (size_t i = 0; i < sizeof with_capability / sizeof with_capability[0]; i++)
		if (capabilities & ol_capability_bit(with_capability[i].capability))
			(void)allow(profile, with_capability[i].names);
	if (!(capabilities & ol_capability_bit(CAP_SYS_ADMIN))) {
		ol_seccomp_rule *rule;

		/* A new namespace needs CAP_SYS_ADMIN; a filter cannot look into clone3's struct,
		 * so that one does not exist, and libraries then use clone. */
		allow_where(profile, clone_call, "SCMP_CMP_MASKED_EQ", NAMESPACE_FLAGS, 0);
		rule = allow(profile, clone3_call);
		rule->action = "SCMP_ACT_ERRNO";
		rule->errno_ret = ENOSYS;
	}
	return profile;
}
