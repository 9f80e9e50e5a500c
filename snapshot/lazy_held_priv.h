#pragma once

/*
 * <run dir>/lazy/held: who holds, and what is watched. Written before a layer is watched and after
 * it is not any more, so that a command finds out if a holder was lost while layers were mounted
 * that were not complete. Text (docs/formats.md):
 *
 *	orlop-held 1
 *	boot 0a1b…
 *	engine fanotify
 *	holder 4711 123456
 *	worker 4712 123460
 *	layer sha256:… incomplete
 */
#include <sys/types.h>

#include "base/digest.h"
#include "base/str.h"
#include "store/store.h"

typedef struct ol_held_process {
	pid_t pid;      /* 0: none */
	uint64_t start; /* clock ticks since boot */
} ol_held_process;

typedef struct ol_held_layer {
	ol_digest diff_id;
	bool complete;
} ol_held_layer;

typedef struct ol_held {
	char boot_id[64];
	char engine[16];
	ol_held_process holder, worker;
	ol_held_layer *layers; /* owned */
	size_t count;
} ol_held;
void ol_held_done(ol_held *held);

/* OL_ECORRUPT, OL_ELIMIT. */
int ol_held_parse(ol_view text, ol_held *out, ol_error *err);
void ol_held_format(const ol_held *held, ol_str *out);

/* In lazy_fd, the folder. OL_ENOTFOUND: nothing is held. */
int ol_held_read(int lazy_fd, ol_held *out, ol_error *err);
int ol_held_write(int lazy_fd, const ol_held *held, ol_error *err);
int ol_held_remove(int lazy_fd, ol_error *err);
#define OL_HELD_NAME      "held"
#define OL_HELD_BYTES_MAX ((size_t)256 << 10) /* 2,500 layers */
