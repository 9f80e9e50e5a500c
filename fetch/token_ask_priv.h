#pragma once

/* Asking a token server: distribution "token" (GET) and "oauth" (POST). */
#include "fetch/credentials.h"
#include "fetch/registry_priv.h"
#include "fetch/token.h"

typedef struct ol_token_ask {
	const char *realm;   /* absolute URL; may have a query */
	const char *service; /* or NULL */
	const char *scope;   /* separated by spaces, or NULL */
	const ol_credentials *credentials;
	const char *refresh;    /* from an earlier answer, or NULL */
	bool registry_is_https; /* then credentials do not go to a realm that is not */
	ol_host *via;           /* the registry */
	const char *for_host;   /* the registry's name, for words */
	const char *repository; /* "" in a ping */
	bool pushes;            /* for words */
} ol_token_ask;

/* GET, or POST where there is an identity or refresh token or the server wants it. OL_EAUTH,
 * OL_EUNAVAILABLE. */
int ol_token_fetch(ol_registry *registry, const ol_token_ask *ask, ol_token *out, ol_error *err);
/* "Basic …", a secret: ol_secret_free. */
char *ol_basic_header(const char *user, const char *password);
