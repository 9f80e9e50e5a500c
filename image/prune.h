#pragma once

#include "image/session.h"

/* prune: what nobody uses goes. */
typedef struct ol_prune_options {
	bool all;      /* images with names, too; else those that lost theirs */
	bool imported; /* also what was loaded or imported, and may exist nowhere else */
	/* "until=…", "label=…", "label!=…", "dangling=…" (images alone); ended by NULL, or
	 * NULL */
	const char *const *filters;
} ol_prune_options;

typedef enum ol_prune_kind {
	OL_PRUNE_UNTAGGED,  /* text: a name */
	OL_PRUNE_DELETED,   /* text: an image ID */
	OL_PRUNE_CONTAINER, /* text: a container's id */
	OL_PRUNE_KEPT,      /* text: an image that would have gone; why says what keeps it */
} ol_prune_kind;

typedef struct ol_prune_event {
	ol_prune_kind kind;
	const char *text, *why;
} ol_prune_event;

typedef struct ol_prune_listener {
	void (*call)(void *ctx, const ol_prune_event *event);
	void *ctx;
} ol_prune_listener;

/* Images that no container, mount or pin needs, then what only they needed. *reclaimed (bytes on
 * disk) is added to. OL_EINVAL: a filter that is none. */
int ol_prune_images(ol_session *session, const ol_prune_options *options,
	const ol_prune_listener *listener, uint64_t *reclaimed, ol_error *err);
/* Containers that do not run, with what they wrote. */
int ol_prune_containers(ol_session *session, const ol_prune_options *options,
	const ol_prune_listener *listener, uint64_t *reclaimed, ol_error *err);
