#pragma once

#include "image/session.h"

/* A root file system becomes an image of one layer. */
typedef struct ol_import_options {
	const char *input;   /* a tar, plain or compressed; NULL or "-": standard input */
	const char *name;    /* a reference; NULL: nameless */
	const char *message; /* -m: of the one history entry; NULL: ours */
	/* CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR, as in a
	 * Dockerfile; ended by NULL, or NULL */
	const char *const *changes;
	const ol_platform *platform; /* NULL: the host's */
	bool pin;
} ol_import_options;

/* All of it is on disk when this returns. *config is the image's ID; it depends on the tar, the
 * options and the time, for which SOURCE_DATE_EPOCH may stand. OL_EINVAL: a change that is none;
 * OL_ECORRUPT, OL_ELIMIT, OL_EUNSUPPORTED: as of ol_layer_take. On failure nothing is kept. */
int ol_import(
	ol_session *session, const ol_import_options *options, ol_digest *config, ol_error *err);
