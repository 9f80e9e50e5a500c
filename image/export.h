#pragma once

#include "image/session.h"

typedef enum ol_export_format {
	OL_EXPORT_TAR,
	OL_EXPORT_EROFS, /* an image of its own, data included, for microVMs */
} ol_export_format;

/* A file system flattened: an image's, or a container's with what it wrote. */
typedef struct ol_export_options {
	const char *name; /* a container (id, name), else an image */
	const ol_platform *platform;
	ol_export_format format;
	const char *output; /* NULL or "-": standard output */
} ol_export_options;

/* The same files give the same bytes; a file appears whole or not at all. What the format cannot
 * hold, a socket, is left out and told to the listener. OL_ENOTFOUND: neither a container nor an
 * image; OL_EBUSY: a running container's file became shorter while it was read; OL_EUNSUPPORTED:
 * what the container wrote is not on disk, or EROFS cannot express it. The caller's thread works in
 * a mount namespace of its own meanwhile. */
int ol_export(ol_session *session, const ol_export_options *options, ol_error *err);
