#pragma once

/*
 * Which system calls a container may make: a profile, from our table or from Docker's JSON, made
 * definite for a set of capabilities; then compiled to a BPF program for the kernel, or written as
 * runtime-spec's linux.seccomp.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "manifest/json.h"

typedef struct ol_seccomp ol_seccomp;

/* Docker's default profile for a process with these capabilities (a mask of exec/capability.h). */
ol_seccomp *ol_seccomp_default(uint64_t capabilities);
/*
 * A profile in Docker's JSON ("defaultAction", "archMap" or "architectures", "syscalls" with names,
 * args, includes, excludes). OL_EINVAL names what is wrong; an action that needs a listener is
 * OL_EUNSUPPORTED.
 */
int ol_seccomp_parse(ol_view json, uint64_t capabilities, ol_seccomp **out, ol_error *err);
/* The same from a file of the host. OL_ENOTFOUND, OL_ELIMIT. */
int ol_seccomp_read(const char *path, uint64_t capabilities, ol_seccomp **out, ol_error *err);
void ol_seccomp_free(ol_seccomp *profile);
OL_DEFINE_AUTO(ol_seccomp, ol_seccomp_free)

/*
 * An array of struct sock_filter, for seccomp(2). Calls with a number past all that the profile
 * names are answered with ENOSYS, so that programs newer than the profile fall back as they would
 * on an older kernel.
 */
int ol_seccomp_compile(const ol_seccomp *profile, ol_buf *bpf, ol_error *err);
/* runtime-spec config-linux.md "Seccomp"; the caller's. */
ol_json *ol_seccomp_json(const ol_seccomp *profile);
