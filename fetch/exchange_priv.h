#pragma once

/*
 * One question to a registry and its final answer: with authorization where it is asked for,
 * redirects followed, and as much patience as the caller has.
 */
#include "fetch/registry_priv.h"

typedef struct ol_ask {
	ol_method method;
	ol_host *host;
	const char *repository; /* whose access is used; "" for the host's own */
	const char *path;       /* behind the host: "/v2/…" */
	/* In place of path: where the registry said that an upload goes on. Authorization goes
	 * there only if it is the registry's own. */
	const char *url;
	const char *accept;                       /* media types, or NULL */
	const char *range;                        /* "bytes=0-9", or NULL */
	const char *content_type, *content_range; /* of what is sent, or NULL */
	const ol_payload *payload;                /* of PUT and PATCH */
	/* What failed half-way is not tried again: the caller has to ask how far it came. Nor is
	 * what asks for time; see ol_exchange_wait. */
	bool once;
	size_t body_max;
	bool decode, http1;  /* as in ol_request */
	bool plain_redirect; /* may be led from https to http: its bytes are verified by digest */
	int (*accept_reply)(void *ctx, const ol_reply *reply, ol_error *err);
	int (*body)(void *ctx, const void *data, size_t size, ol_error *err);
	void *ctx;
	const atomic_bool *stop;
	/* Where an earlier ask was led to (owned, or NULL): tried first, given up when it has
	 * expired, and brought up to date. For one thread at a time. NULL: not wanted. */
	char **location;
	ol_patience *patience;
} ol_ask;

/* OL_OK: a reply that another try would not change (or would no more, patience being at an end):
 * look at its status. Below zero there was none, err says why. Once bytes were handed to ask->body
 * nothing is tried again here: reply->handed_bytes is then above 0 and reply->outcome says what
 * happened. The caller frees reply either way. */
int ol_exchange(ol_registry *registry, const ol_ask *ask, ol_reply *reply, ol_error *err);

/* After a reply to an ask with `once` that asks for time, or none: takes one try of the patience,
 * tells the user, and gives the host its penalty, which the next request waits out. *again is
 * false when there are no more. */
int ol_exchange_wait(ol_registry *registry, const ol_ask *ask, const ol_reply *reply, bool *again,
	ol_error *err);

/* A request that is no question to a registry (a token's): patience alone. */
int ol_exchange_plain(ol_registry *registry, ol_host *host, const ol_request *request,
	ol_patience *patience, ol_reply *reply, ol_error *err);

/* The words and the code for a reply that is not what was asked for. what: "manifest for app:1.4",
 * "blob sha256:…"; NULL for a ping. */
int ol_exchange_refusal(const ol_ask *ask, const ol_reply *reply, const char *what, ol_error *err);
