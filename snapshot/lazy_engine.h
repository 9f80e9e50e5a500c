#pragma once

/*
 * How the kernel asks for bytes of a payload that are not there. Two rows of one table, with one
 * test suite (docs/architecture.md "Lazy layers"):
 *
 *	fanotify  pre-content events on the payload file; Linux ≥ 6.14, root
 *	fuse      the payload is served as a file of a FUSE file system, under EROFS
 *
 * An engine lives in the holder (snapshot/lazy_holder.h), in one thread. It knows payloads and
 * their states, and nothing of registries.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "snapshot/lazy_state.h"

typedef struct ol_engine ol_engine; /* embeds as first member; made by a row */

/* A payload that is watched; the holder's. */
typedef struct ol_engine_layer {
	ol_digest diff_id;
	int payload_fd; /* lent; opened before it was watched, so writing by it raises no event */
	uint64_t payload_bytes;
	uint64_t
		handle; /* the engine's own, given by watch(); what it gave before, after adopt() */
	ol_lazy_state *state; /* lent; NULL: nothing is there, ever (a probe's) */
} ol_engine_layer;

/* Somebody waits for bytes start..end-1, which lie in the payload. */
typedef struct ol_engine_ask {
	ol_engine_layer *layer;
	uint64_t start, end;
	uint64_t handle; /* the engine's own: who waits */
} ol_engine_ask;

/* Descriptors that keep readers waiting while they are open somewhere, whoever dies: what another
 * process needs to go on in an engine's place. */
#define OL_ENGINE_FDS_MAX 2
typedef struct ol_engine_fds {
	int fds[OL_ENGINE_FDS_MAX];
	size_t count;
} ol_engine_fds;

typedef struct ol_lazy_engine {
	const char *name;
	/* Whether payloads that are whole still need it while they are mounted (fuse). */
	bool stays;
	/* Whether what is not there reads as zeros once the engine is gone (fanotify), or as an
	 * error (fuse). */
	bool leaves_zeros;
	/* Does it work here? Tries it out on files in dir_fd, with an EROFS mount. OL_EUNSUPPORTED
	 * says why not. */
	int (*probe)(int dir_fd, ol_error *err);
	int (*open)(ol_engine **out, ol_error *err);
	/* Goes on in the place of an engine whose process died; takes the descriptors. Asks that
	 * were open are answered by their handles, and watch() is called for each of its layers. */
	int (*adopt)(const ol_engine_fds *fds, ol_engine **out, ol_error *err);
	/* Lent. */
	ol_engine_fds (*fds)(const ol_engine *engine);
	int (*poll_fd)(const ol_engine *engine); /* readable: next() has something */
	/* From now on reads of what is not there come as asks. */
	int (*watch)(ol_engine *engine, ol_engine_layer *layer, ol_error *err);
	/* What EROFS is mounted over; the caller's. */
	int (*device)(ol_engine *engine, ol_engine_layer *layer, int *out, ol_error *err);
	/* Does anybody have a device of it open, a mount say? When in doubt: yes. */
	bool (*in_use)(ol_engine *engine, const ol_engine_layer *layer);
	/* No more asks come; those open are to be answered before. fanotify: everything is there,
	 * or nobody has it open. */
	int (*unwatch)(ol_engine *engine, ol_engine_layer *layer, ol_error *err);
	/* 1: out holds an ask; 0: none now. Asks for blocks that are there are answered inside. */
	int (*next)(ol_engine *engine, ol_engine_ask *out, ol_error *err);
	/* sys 0: the bytes are there. Else the reader gets EIO (never zeros); a later read asks
	 * again. A reader that does not wait any more is fine. */
	int (*answer)(ol_engine *engine, const ol_engine_ask *ask, int sys, ol_error *err);
	/* After adopt: asks that the process before this one read and told nobody of are made to
	 * come again; handles are those that are known and will be answered. */
	void (*sweep)(ol_engine *engine, const uint64_t *handles, size_t count);
	void (*close)(ol_engine *engine);
} ol_lazy_engine;

/* The rows in order of preference, ended by NULL. */
const ol_lazy_engine *const *ol_lazy_engines(void);
const ol_lazy_engine *ol_lazy_engine_named(const char *name); /* NULL: none */
/* want: a name, or NULL or "auto" for the best that works; probed in dir_fd, a directory on the
 * store's file system. *why (256 bytes) says why this one. OL_EINVAL, OL_EUNSUPPORTED. */
int ol_lazy_engine_choose(
	int dir_fd, const char *want, const ol_lazy_engine **out, char why[256], ol_error *err);
