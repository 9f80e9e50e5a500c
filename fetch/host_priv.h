#pragma once

/*
 * What is known of one network host, shared by all that talk to it: how (TLS or plain), with what
 * TLS material, whether it wants to be left alone for a while. Hosts live as long as their registry
 * handle.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "fetch/endpoints.h"
#include "fetch/tls_priv.h"

typedef enum ol_scheme {
	OL_SCHEME_UNKNOWN, /* https is tried first */
	OL_SCHEME_HTTPS,
	OL_SCHEME_HTTP,
	OL_SCHEME_TRY_HTTP, /* https was not answered */
} ol_scheme;

typedef struct ol_host {
	struct ol_host *next;
	char *key;  /* owned: the name, and for whom else it stands */
	char *name; /* owned; as in references and URLs, without a default port: "127.0.0.1:5000" */
	/* How it is configured; lent for the registry's life. NULL: not at all. */
	const ol_endpoint *endpoint;
	bool borrowed; /* endpoint is another's, which led here: headers and path are not for it */
	ol_tls tls;    /* fixed once made */
	bool loopback;
	bool may_be_plain; /* plain HTTP may be tried where TLS is not spoken */

	pthread_mutex_t lock; /* guards what follows */
	ol_scheme scheme;
	bool found_http;            /* TLS was tried in vain, now or earlier */
	bool assumed;               /* earlier: nobody has answered yet */
	uint64_t penalty_until_ms;  /* no request before this (ol_now_ms) */
	struct ol_access *accesses; /* owned: see access_priv.h */
	/* Not asked any more while there are others: why. Set once; "" is not so. */
	char out[160];
} ol_host;

struct ol_registry;

/* name: "reg.example:5000" or "docker.io" (whose API lives elsewhere). Lent for the registry's
 * life. Fails when its certificates cannot be read. */
int ol_host_get(struct ol_registry *registry, const char *name, ol_host **out, ol_error *err);
int ol_host_of_url(struct ol_registry *registry, const char *url, ol_host **out, ol_error *err);
/* The host of a URL that via led to (a redirect, a token's realm): via itself if it is its own,
 * else one that is believed as via is configured. */
int ol_host_via(
	struct ol_registry *registry, const char *url, ol_host *via, ol_host **out, ol_error *err);
/* As endpoint says, which is lent for the registry's life. source: its file; NULL: none, and then
 * it is ol_host_get's. */
int ol_host_of_endpoint(struct ol_registry *registry, const ol_endpoint *endpoint,
	const char *source, ol_host **out, ol_error *err);
void ol_host_free(ol_host *host);

/* "https://host" or "http://host"; owned by the caller. */
char *ol_host_base(ol_host *host);
/* The URL of a path of the API ("/v2/…") there, wherever its API begins; owned by the caller. */
char *ol_host_url(ol_host *host, const char *path);
/* The name a user knows it by, which stands in configuration files. */
const char *ol_host_known_as(const ol_host *host);
/* --creds are for it: it is the registry that was named, and no mirror. */
bool ol_host_takes_creds(const ol_host *host);
/* A reply came by this URL: from now on the host has that scheme. */
void ol_host_answered(ol_host *host, const char *url);
/* Nobody answered https with TLS (refused: nobody was there at all). True when plain HTTP may be
 * tried instead: from now on it will be, until somebody answers by one or the other. */
bool ol_host_fall_back(ol_host *host, bool refused);
/* Whether it answered plain HTTP, though it was not said that it does. */
bool ol_host_found_http(ol_host *host);
/* No reply came, or a 400, as from servers of TLS that are asked without. True when plain HTTP was
 * no more than assumed: from now on https is tried. */
bool ol_host_doubt(ol_host *host);
/* Nobody answered http: what was tried last proves nothing. */
void ol_host_unreached(ol_host *host);
/* No request before until_ms. True when that is news (and worth telling). */
bool ol_host_penalise(ol_host *host, uint64_t until_ms);
uint64_t ol_host_penalty(ol_host *host);
/* Not to be asked any more. True when that is news. */
bool ol_host_put_out(ol_host *host, const char *why);
bool ol_host_is_out(ol_host *host);
