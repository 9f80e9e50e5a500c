#pragma once

/* WWW-Authenticate: RFC 7235 section 2.1 and 4.1, RFC 6750 section 3. */
#include <stddef.h>

#include "base/error.h"
#include "base/view.h"

typedef enum ol_auth_scheme {
	OL_AUTH_OTHER,
	OL_AUTH_BASIC,
	OL_AUTH_BEARER,
} ol_auth_scheme;

typedef struct ol_challenge {
	ol_auth_scheme scheme;
	char *realm, *service, *scope, *error; /* owned; NULL where not said */
} ol_challenge;

/* One reply offers so many at most; the rest is passed over. */
#define OL_CHALLENGES_MAX 8

/* Adds the challenges of one header line, of which there may be several, to list[*count…]. A value
 * without quotes may hold what a token may not (":" and "/": some registries forget the quotes);
 * apart from that it is the grammar. OL_EINVAL says at which byte it is left; what stood complete
 * before that is kept. */
int ol_challenges_parse(ol_view line, ol_challenge *list, size_t *count, ol_error *err);
void ol_challenges_done(ol_challenge *list, size_t count);
