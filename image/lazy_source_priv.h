#pragma once

/*
 * Where a lazy layer's blob comes from, and how: lazy/<hex>/source, JSON of ours. Written when the
 * image is pulled lazily, read by the worker. Credentials that were given on the command line are
 * not in it: they are in <run dir>/lazy/<hex>.creds (0600) until the next boot; after that those of
 * the configuration count.
 */
#include "image/lazy.h"
#include "manifest/descriptor.h"
#include "manifest/ref.h"

typedef struct ol_lazy_source {
	ol_ref ref;         /* repository, with the tag or digest it was pulled by */
	ol_digest manifest; /* of the image */
	ol_digest blob;
	uint64_t blob_size;
	char *media_type; /* owned, as all strings; NULL: not given */
	bool plain_http, skip_tls_verify;
	bool http_first; /* ol_registry_found_http */
	char *cert_dir, *authfile, *hosts_dir, *registries_conf, *creds;
	int retries; /* -1: the default */
	bool no_fill;
	uint64_t rate_bytes, timeout_ms;
	char *engine;
} ol_lazy_source;

/* dir_fd: the folder it lies in, or a staging folder that becomes it. Paths are made absolute:
 * whoever reads it works elsewhere. */
int ol_lazy_source_write(ol_store *store, int dir_fd, const ol_digest *diff_id,
	const ol_lazy_source *source, ol_error *err);
/* OL_ENOTFOUND: there is none. OL_ECORRUPT, OL_ELIMIT: it is not ours. */
int ol_lazy_source_read(
	ol_store *store, int dir_fd, const ol_digest *diff_id, ol_lazy_source *out, ol_error *err);
/* The file's bytes alone; creds stay NULL. */
int ol_lazy_source_parse(ol_view text, ol_lazy_source *out, ol_error *err);
void ol_lazy_source_done(ol_lazy_source *source);
