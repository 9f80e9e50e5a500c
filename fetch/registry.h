#pragma once

/*
 * The registry client: distribution-spec pull. A reference's endpoints (mirrors, then the registry
 * itself) are asked one after the other, for each manifest and blob: see endpoints.h. One handle
 * serves a whole command: one transfer thread (libcurl multi) with its connections, tokens and
 * per-host penalties; calls block, and any number of threads may call at once. Nothing of libcurl
 * is touched before the first call that asks a registry.
 */
#include "base/cancel.h"
#include "base/event.h"
#include "base/str.h"
#include "fetch/registries_conf.h"
#include "manifest/descriptor.h"
#include "manifest/ref.h"

typedef struct ol_registry ol_registry;

/* How long things may take. Zero is the default of each; tests make them short. */
typedef struct ol_registry_timing {
	unsigned connect_ms;    /* until a connection (with its TLS) stands */
	unsigned stall_seconds; /* that a transfer may stay below stall_bytes_per_second */
	/* fewer bytes a second than this is a stall, whatever still drips */
	unsigned stall_bytes_per_second;
	unsigned backoff_ms; /* the first wait before a retry; each next one doubles */
	unsigned backoff_max_ms;
} ol_registry_timing;

/* All strings are lent until ol_registry_new returns. Zero is the default of everything. */
typedef struct ol_registry_options {
	/* --plain-http: loopback hosts get plain HTTP when TLS is not answered anyway */
	bool plain_http;
	/* hosts that may get plain HTTP anyway are asked by it first, and by TLS where that is not
	 * answered: what ol_registry_found_http said of them before */
	bool http_first;
	bool skip_tls_verify; /* --tls-verify=false: also allows falling back to plain HTTP */
	/* --cert-dir: *.crt CAs, *.cert + *.key client pairs; NULL: the systems' places */
	const char *cert_dir;
	const char *creds;           /* --creds USER[:PASS] */
	const char *authfile;        /* --authfile */
	const char *hosts_dir;       /* --hosts-dir: hosts.toml */
	const char *registries_conf; /* --registries-conf */
	/* --retry: further tries after a failed one; -1 (or 0 with never_retry unset):
	 * the default */
	int retries;
	bool never_retry;       /* --retry=0 */
	const char *user_agent; /* appended to ours */
	unsigned connections;   /* ranges of one large blob fetched at once; 0: the default */
	uint64_t piece_bytes;   /* of a blob that is uploaded; 0: the default */
	ol_registry_timing timing;
	const ol_cancel *cancel;     /* lent for the handle's life */
	const ol_listener *listener; /* copied; called from any thread */
} ol_registry_options;

/* OL_EINVAL for credentials or a certificate directory that cannot be meant. */
int ol_registry_new(const ol_registry_options *options, ol_registry **out, ol_error *err);
/* No call may be under way. Closes the connections and wipes what is secret. */
void ol_registry_free(ol_registry *registry);
/* Whether a host answered plain HTTP after TLS was tried in vain. */
bool ol_registry_found_http(ol_registry *registry);
OL_DEFINE_AUTO(ol_registry, ol_registry_free)

/* What the tag (or digest) means now: HEAD, or GET where HEAD does not say. OL_ENOTFOUND, OL_EAUTH,
 * OL_EUNAVAILABLE. */
typedef struct ol_resolved {
	ol_digest digest;
	uint64_t size;        /* bytes of the manifest */
	char media_type[128]; /* as the registry says, without parameters; "" where it does not */
} ol_resolved;
int ol_registry_resolve(ol_registry *registry, const ol_ref *ref, ol_resolved *out, ol_error *err);
/* The same with the manifest's bytes, by one GET: for who will need them anyway. They hash to
 * out->digest; OL_ECORRUPT where the reference has another digest. */
int ol_registry_get_named(
	ol_registry *registry, const ol_ref *ref, ol_buf *body, ol_resolved *out, ol_error *err);

/* A manifest's bytes, verified against digest: OL_ECORRUPT when they are others. out may
 * be NULL. */
int ol_registry_get_manifest(ol_registry *registry, const ol_ref *ref, const ol_digest *digest,
	ol_buf *body, ol_resolved *out, ol_error *err);

/* Where a blob's bytes go, in any order; called from the transfer thread, so it must only copy and
 * note. Never called twice for one byte, never for two pieces at once, and not after the fetch has
 * returned. A negative return ends the fetch with it. */
typedef struct ol_blob_target {
	int (*write)(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err);
	void *ctx;
} ol_blob_target;
typedef struct ol_fetch_range {
	uint64_t start, end; /* bytes start..end-1 */
} ol_fetch_range;

/* Fetches the given ranges of a blob (all of it: one range 0..size), in order and apart; large ones
 * over several connections. Resumes, retries, re-authenticates and follows new redirects by itself.
 * The caller verifies the digest. What one endpoint has begun the next one goes on with.
 * OL_ENOTFOUND, OL_EAUTH, OL_EUNAVAILABLE; OL_ECORRUPT when the blob's size is not the
 * descriptor's. */
int ol_registry_get_blob(ol_registry *registry, const ol_ref *ref, const ol_descriptor *blob,
	const ol_fetch_range *ranges, size_t range_count, const ol_blob_target *target,
	ol_error *err);
/* A small blob whole, verified; OL_ELIMIT when its descriptor says more than max bytes. */
int ol_registry_get_small_blob(ol_registry *registry, const ol_ref *ref, const ol_descriptor *blob,
	size_t max, ol_buf *body, ol_error *err);

/* Bytes of this blob that came by this handle were other ones than its digest says: whoever gave
 * them is not asked any more. False when that leaves nobody to ask: then nothing changes. */
bool ol_registry_blame(ol_registry *registry, const ol_ref *ref, const ol_digest *digest);

/* registries.conf with its drop-ins, read at the first use; lent for the handle's life. */
int ol_registry_conf(ol_registry *registry, const ol_registries_conf **out, ol_error *err);

/* Tries credentials: GET /v2/. OL_EAUTH when they are refused, OL_EUNSUPPORTED when host is no
 * registry. */
int ol_registry_ping(ol_registry *registry, const char *host, ol_error *err);
