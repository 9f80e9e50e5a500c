#pragma once

#include "image/session.h"

typedef struct ol_pull_options {
	const char *ref; /* as typed */
	/* none: the host's (or DOCKER_DEFAULT_PLATFORM, which cmd/ has looked at) */
	const ol_platform *platforms;
	size_t platform_count;
	bool all_platforms;
	bool keep_blobs; /* --keep-blobs: the compressed layers too */
	bool pin;        /* --pin: never pruned */
	/* --durable: fsynced before return; else the caller syncs behind
	 * (ol_session_sync_behind) */
	bool durable;
	const struct ol_lazy_options *lazy; /* --lazy: image/lazy.h; NULL: all of it now. Lent. */
} ol_pull_options;

typedef struct ol_pull_result {
	ol_ref ref;
	ol_digest root;   /* what the tag means: the digest docker prints */
	ol_digest config; /* image ID of the (first) platform */
	bool up_to_date;  /* the reference meant this image before, and all of it was there */
	uint64_t fetched_bytes, resumed_bytes;
	size_t lazy_layers, eager_layers; /* of all platforms that were asked for, each once */
	uint64_t missing_bytes; /* compressed, of lazy layers: what comes when they are read */
} ol_pull_result;

/* Pulls an image so that it can be mounted: docs/architecture.md "One pull, step by
 * step". */
int ol_pull(
	ol_session *session, const ol_pull_options *options, ol_pull_result *out, ol_error *err);
/* What a name stands for, as ol_pull takes it (the first choice where it would search). */
int ol_pull_ref(ol_session *session, const char *text, ol_ref *out, ol_error *err);
/* A detached child fsyncs what is `written`; it closes the standard descriptors and may be killed
 * at any time. */
int ol_session_sync_behind(ol_session *session, ol_error *err);
