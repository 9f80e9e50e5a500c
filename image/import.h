#pragma once

#include "image/session.h"

/* A root file system becomes an image of one layer. */
typedef struct ol_import_options {
	const char *input;   /* a tar, plain or compressed; NULL or "-": standard input */
	const char *name;    /* a reference; NULL: nameless */
	const char *message; /* -m: of the one history entry; NULL: ours */
	/* CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, as in a Dockerfile; ended by
	 * NULL, or NULL */
	const char *const *changes;
	const ol_platform *platform; /* NULL: the host's */
	bool pin;
} ol_import_options;

int ol_import(
	ol_session *session, const ol_import_options *options, ol_digest *config, ol_error *err);
