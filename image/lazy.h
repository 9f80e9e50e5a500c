#pragma once

/*
 * Lazy pull: an image is usable after a few requests; the rest arrives when it is read, or in the
 * background: docs/architecture.md "Lazy layers".
 *
 *	pull --lazy    image/pull_lazy.c      table of contents ─▶ index, seek table; the name
 *	run            ol_lazy_start          a holder, which starts a worker
 *	worker         image/lazy_worker.c    fills what is asked for, and the rest behind it
 */
#include "image/session.h"
#include "snapshot/lazy_state.h"
#include "store/layer.h"

typedef struct ol_lazy_options {
	bool lazy;
	bool unbound;        /* also tables of contents that the manifest does not bind (SOCI v1) */
	bool no_fill;        /* nothing in the background */
	uint64_t rate_bytes; /* a second in the background; 0: as much as comes */
	uint64_t timeout_ms; /* how long readers wait for a registry; 0: OL_LAZY_TIMEOUT_MS */
	const char *engine;  /* "fanotify", "fuse"; NULL: the best */
} ol_lazy_options;

/* Before it is known what is lazy: a holder is started while tables of contents are still fetched.
 * What fails is told by ol_lazy_start, which has to be called all the same. */
void ol_lazy_start_early(ol_session *session, const char *engine);
/* Makes sure a holder runs for this session's run dir, if any of these layers is lazy, and tells it
 * to look. Before they are mounted. Warns, through the listener, of what a lost holder left. */
int ol_lazy_start(ol_session *session, const ol_layer_info *layers, size_t count, ol_error *err);

/* The holder may end again, as far as this session is concerned: its layers are mounted. */
void ol_lazy_let_go(ol_session *session);
/* Warns, through the listener, of what a lost holder left: who may have read zeros. */
void ol_lazy_tell_lost(ol_session *session);
/* For `info`: LazyEngine, LazyEngineReason. */
void ol_lazy_describe(ol_session *session, ol_json *object);

/* The hidden commands `lazy-holder` and `lazy-worker`. */
int ol_lazy_holder_main(
	ol_session *session, const char *engine, bool adopt, int ready_fd, ol_error *err);
int ol_lazy_worker_main(ol_session *session, int link_fd, ol_error *err);

/* One lazy layer, for `ps --lazy`. Lent for the call. */
typedef struct ol_lazy_row {
	const char *image; /* a name of an image that has it; "" if none */
	ol_layer_info layer;
	const char *format, *engine;      /* engine "" while it is not mounted */
	uint64_t payload_bytes;           /* 0, as format is "", where its folder cannot be read */
	const char *words;                /* why it is stalled or poisoned; else "" */
	const ol_lazy_counters *counters; /* zeros where nobody filled it yet */
} ol_lazy_row;
/* Calls for each; what cannot be read of one is told the listener. A negative return of call ends
 * it and is passed on. */
int ol_lazy_each(ol_session *session, int (*call)(void *ctx, const ol_lazy_row *row, ol_error *err),
	void *ctx, ol_error *err);

/* Until every layer of the image is complete, with events as of a pull. Without a holder it is
 * completed by an ordinary pull. OL_ECORRUPT: a layer turned out to be another than its table said.
 */
int ol_lazy_wait(ol_session *session, const char *image, ol_error *err);
