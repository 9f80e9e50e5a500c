#pragma once

#include "image/session.h"

/* source: as ol_image_find takes it. target: a new name, which then means that image. */
int ol_tag(ol_session *session, const char *source, const char *target, ol_error *err);
/* The name goes, the image stays, as <none> when it was its last. */
int ol_untag(ol_session *session, const char *name, ol_error *err);

/* What rmi did, told one by one: "Untagged: …", "Deleted: sha256:…". */
typedef struct ol_removed {
	bool untagged;
	const char *text;
} ol_removed;
typedef struct ol_remove_options {
	bool force;      /* also with several names, containers made from it, or a pin */
	bool gc_follows; /* what only the image needed is left to a collection of all */
} ol_remove_options;
/* By name: removes that name, and the image if it was the last. By ID: refuses when it has several
 * names unless force. OL_EBUSY when a container uses it or it is pinned, unless force. */
int ol_remove_image(ol_session *session, const char *name, const ol_remove_options *options,
	void (*call)(void *ctx, const ol_removed *removed), void *ctx, ol_error *err);

/* A pinned image is never pruned, and removed by force only. All its names share the pin. */
int ol_pin(ol_session *session, const char *name, bool pinned, ol_error *err);
