#pragma once

/*
 * What long operations tell while they work. Library folders call; only cmd/ draws. The callback
 * may come from any thread and must not block for long; data is lent for the call.
 */
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"

typedef enum ol_event_kind {
	OL_EVENT_RESOLVED, /* name → digest; text = the reference */
	OL_EVENT_LAYER,    /* one layer's state or progress */
	OL_EVENT_NOTE,     /* one line worth knowing: text */
	OL_EVENT_WARNING,  /* one line worth acting on: text */
	OL_EVENT_PROGRESS, /* anything else that takes long: text, done, total */
	OL_EVENT_DONE,     /* the operation's result: text, digest */
} ol_event_kind;

typedef enum ol_layer_state {
	OL_LAYER_WAITING,
	OL_LAYER_FETCHING,  /* done, total: compressed bytes */
	OL_LAYER_UNPACKING, /* all fetched, still being decoded; done, total as before */
	OL_LAYER_EXISTS,
	OL_LAYER_ELSEWHERE, /* another process fetches it: we wait */
	OL_LAYER_RETRYING,  /* text = why */
	OL_LAYER_COMPLETE,
	OL_LAYER_FAILED,
	OL_LAYER_LAZY,    /* can be mounted; done, total: compressed bytes that are here */
	OL_LAYER_MOUNTED, /* the registry had it elsewhere; text = in which repository */
} ol_layer_state;

typedef struct ol_event {
	ol_event_kind kind;
	ol_layer_state state;
	ol_digest digest;       /* of the layer's blob, or of the result */
	uint64_t done, total;   /* bytes, or items */
	uint64_t resumed;       /* of done, bytes that an earlier try had left on disk */
	unsigned layer, layers; /* layer is from 0, bottom first */
	const char *text;       /* or NULL */
} ol_event;

typedef struct ol_listener {
	void (*call)(void *ctx, const ol_event *event); /* NULL: nobody listens */
	void *ctx;
} ol_listener;

static inline void ol_tell(const ol_listener *listener, const ol_event *event)
{
	if (listener && listener->call)
		listener->call(listener->ctx, event);
}
void ol_tell_text(const ol_listener *listener, ol_event_kind kind, const char *fmt, ...)
	OL_PRINTF(3, 4);
