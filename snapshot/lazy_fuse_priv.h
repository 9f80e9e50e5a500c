#pragma once

/*
 * Requests of the kernel to a FUSE file system that has one directory of files that are only read:
 * linux/fuse.h, protocol 7. What comes is checked against its own sizes before it is used.
 */
#include <linux/fuse.h>
#include <stdint.h>

#include "base/error.h"
#include "base/view.h"

/* What is read of /dev/fuse at once: the kernel wants room for the largest request. */
#define OL_FUSE_REQUEST_BYTES ((size_t)64 << 10)

typedef struct ol_fuse_request {
	uint32_t opcode; /* FUSE_READ … */
	uint64_t unique, node;
	const char *name; /* LOOKUP: in the request; else NULL */
	uint64_t offset;  /* READ */
	uint32_t size;    /* READ */
	struct fuse_init_in init;
} ol_fuse_request;

/* A whole request; one of an opcode we do not serve is fine, its arguments are not looked at.
 * OL_ECORRUPT. */
int ol_fuse_request_parse(ol_view bytes, ol_fuse_request *out, ol_error *err);
