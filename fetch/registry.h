#pragma once

/*
 * The registry client: distribution-spec pull. One handle serves a whole command: one transfer thread (libcurl multi)
 * with its connections, tokens and per-host penalties; calls block, and any number of threads may call at once.
 */
#include "base/cancel.h"
#include "base/event.h"
#include "base/str.h"
#include "manifest/descriptor.h"
#include "manifest/ref.h"

typedef struct ol_registry ol_registry;

/* All strings are lent until ol_registry_new returns. Zero is the default of everything. */
typedef struct ol_registry_options {
	bool plain_http;         /* --plain-http: loopback hosts get plain HTTP when TLS is not answered anyway */
	bool skip_tls_verify;    /* --tls-verify=false: also allows falling back to plain HTTP */
	const char *cert_dir;    /* --cert-dir: *.crt CAs, *.cert + *.key client pairs; NULL: the systems' places */
	const char *creds;       /* --creds USER[:PASS] */
	const char *authfile;    /* --authfile */
	int retries;             /* --retry; -1: the default */
	const char *user_agent;  /* appended to ours */
	unsigned connections;    /* ranges of one large blob fetched at once; 0: the default */
	const ol_cancel *cancel; /* lent for the handle's life */
	const ol_listener *listener;
} ol_registry_options;

int ol_registry_new(const ol_registry_options *options, ol_registry **out, ol_error *err);
void ol_registry_free(ol_registry *registry);
OL_DEFINE_AUTO(ol_registry, ol_registry_free)

/* What the tag (or digest) means now: HEAD, or GET where HEAD does not say. OL_ENOTFOUND, OL_EAUTH, OL_EUNAVAILABLE. */
typedef struct ol_resolved {
	ol_digest digest;
	uint64_t size;
	char media_type[128];
} ol_resolved;
int ol_registry_resolve(ol_registry *registry, const ol_ref *ref, ol_resolved *out, ol_error *err);

/* A manifest's bytes, verified against digest. */
int ol_registry_get_manifest(ol_registry *registry, const ol_ref *ref, const ol_digest *digest, ol_buf *body,
	ol_resolved *out, ol_error *err);

/* Where a blob's bytes go, in any order; called from the transfer thread, so it must only copy and note. */
typedef struct ol_blob_target {
	int (*write)(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err);
	void *ctx;
} ol_blob_target;
typedef struct ol_fetch_range {
	uint64_t start, end;
} ol_fetch_range;

/* Fetches the given ranges of a blob (all of it: one range 0..size); large ones over several connections. Resumes, retries,
 * re-authenticates and follows new redirects by itself. The caller verifies the digest. */
int ol_registry_get_blob(ol_registry *registry, const ol_ref *ref, const ol_descriptor *blob, const ol_fetch_range *ranges,
	size_t range_count, const ol_blob_target *target, ol_error *err);
/* A small blob whole, verified. */
int ol_registry_get_small_blob(
	ol_registry *registry, const ol_ref *ref, const ol_descriptor *blob, size_t max, ol_buf *body, ol_error *err);

/* Tries credentials: GET /v2/. OL_EAUTH when they are refused. */
int ol_registry_ping(ol_registry *registry, const char *host, ol_error *err);
