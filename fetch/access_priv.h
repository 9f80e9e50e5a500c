#pragma once

/*
 * Being let in: one access is what we know for one repository of one host (or for the host alone,
 * in a ping): which scheme it challenged with, the credentials found for it, the token in hand.
 *
 *	unknown ──401 Basic──▶ basic     the credentials with each request
 *	        └─401 Bearer─▶ bearer    a token for realm, service and scopes, renewed before
 *	                                 it expires
 *
 * Tokens thus live by host, service, scopes and credentials. RFC 7235, RFC 6750, distribution
 * "token" and "oauth".
 */
#include <stdbool.h>

#include "fetch/host_priv.h"
#include "fetch/transfer_priv.h"

typedef struct ol_access ol_access;

/* repository: "library/alpine", or "" for the host alone. Lent for the host's life.
 * Threads: any. */
ol_access *ol_access_get(ol_host *host, const char *repository);
void ol_access_free_all(ol_host *host);

/* From now on tokens are asked for with this as well ("repository:app:pull,push"), whatever the
 * challenge says: one token for all requests of a push instead of one for each kind. */
void ol_access_widen(ol_access *access, const char *scope);

/* One exchange's dealings with an access. Starts as zeros. */
typedef struct ol_access_use {
	unsigned serial; /* of what was given last */
	bool renewed;    /* what was refused has been asked for anew once */
} ol_access_use;

/* What the next request says in Authorization: *out (owned by the caller, a secret: ol_secret_free)
 * or NULL for nothing. May ask the token server. */
int ol_access_header(struct ol_registry *registry, ol_access *access, char **out,
	ol_access_use *use, ol_error *err);
/* The host answered 401, or 400 or 403 to a request that carried authorization. *again: what is
 * known now may be let in. OL_EAUTH with the reason when credentials must not or cannot be used. */
int ol_access_refused(struct ol_registry *registry, ol_access *access, const ol_reply *reply,
	ol_access_use *use, bool *again, ol_error *err);
/* Credentials exist and were used: what is refused now is refused to them. */
bool ol_access_has_credentials(ol_access *access);
