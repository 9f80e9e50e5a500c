#pragma once

/* The worker's end of its socket to the holder: snapshot/lazy_holder.h. */
#include <stdint.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"

/* Called from the thread in ol_lazy_link_run: they must not wait. */
typedef struct ol_lazy_link_handler {
	/* A payload is mounted, or about to be. Both descriptors become the callee's. */
	void (*layer)(void *ctx, const ol_digest *diff_id, int payload_fd, int state_fd);
	/* Somebody waits; ol_lazy_link_answer with this slot ends it. The same slot is never asked
	 * twice without an answer. */
	void (*ask)(
		void *ctx, uint64_t slot, const ol_digest *diff_id, uint64_t start, uint64_t end);
	/* It is no longer mounted. */
	void (*gone)(void *ctx, const ol_digest *diff_id);
	/* Look for new lazy layers in the store. Comes once at the start. */
	void (*wake)(void *ctx);
	void *ctx;
} ol_lazy_link_handler;

typedef struct ol_lazy_link ol_lazy_link;

ol_lazy_link *ol_lazy_link_new(int fd); /* takes it */
void ol_lazy_link_free(ol_lazy_link *link);
OL_DEFINE_AUTO(ol_lazy_link, ol_lazy_link_free)
/* What starts another holder where this one dies (ended by NULL; lent; its socket is descriptor 3):
 * readers wait meanwhile. Without it ol_lazy_link_run ends then. Before that. */
void ol_lazy_link_rescue(ol_lazy_link *link, const char *const *holder);
/* Until the holder wants no more of it (OL_OK), or is gone (OL_EUNAVAILABLE). */
int ol_lazy_link_run(ol_lazy_link *link, const ol_lazy_link_handler *handler,
	const ol_cancel *cancel, ol_error *err);

/* From any thread: */
void ol_lazy_link_answer(ol_lazy_link *link, uint64_t slot, int sys); /* 0: it is there */
/* All of its payload is there and stays: it is watched no more. */
void ol_lazy_link_done(ol_lazy_link *link, const ol_digest *diff_id);
/* Nothing is left to do: the holder ends this worker (a wake or an ask starts another). */
void ol_lazy_link_idle(ol_lazy_link *link);
