#pragma once

#include "image/session.h"

typedef enum ol_archive_format {
	OL_ARCHIVE_DOCKER,  /* docker-archive and oci-archive in one: docker load and OCI tools */
	OL_ARCHIVE_OCI,     /* oci-archive */
	OL_ARCHIVE_OCI_DIR, /* an OCI layout folder */
} ol_archive_format;

/*
 * Archives out, streaming: identical bytes from identical input. Where the compressed layers were
 * kept they go out as they came and digests are preserved; else the tars do (docker-archive always
 * has tars).
 */
typedef struct ol_save_options {
	const char *const *images; /* as ol_image_find takes them */
	size_t image_count;
	const ol_platform *platforms; /* none: all of an image that are in the store */
	size_t platform_count;
	ol_archive_format format;
	const char *name;   /* what the one image is called there, canonical; NULL or "": its own */
	const char *output; /* a file, for OCI_DIR a folder; NULL or "-": standard output */
	const char *const *since; /* images whose blobs the receiver has; ended by NULL, or NULL */
} ol_save_options;

/* A file appears whole or not at all. What an image lists for other platforms may stay out, as it
 * stayed out of the store. OL_ENOTFOUND: an image, or a platform that was asked for, is not there;
 * OL_ECORRUPT names the layer that is damaged. */
int ol_save(ol_session *session, const ol_save_options *options, ol_error *err);
