#pragma once

/* The little that is needed of URLs (RFC 3986), by libcurl's own parser so that no two opinions
 * exist. */
#include <stdbool.h>

#include "base/error.h"

/* Resolves a Location header against the URL that answered with it. Only http and https; a user
 * name, password or fragment inside is dropped. *out is owned by the caller. OL_EINVAL. */
int ol_url_join(const char *base, const char *location, char **out, ol_error *err);
/* "host:port" in lower case, the port always there; owned by the caller. OL_EINVAL. */
int ol_url_authority(const char *text, char **out, ol_error *err);
/* Scheme, host and port are the same: credentials may go along. */
bool ol_url_same_origin(const char *a, const char *b);
bool ol_url_is_https(const char *url);
/* localhost, anything.localhost, 127.0.0.0/8 or [::1]. */
bool ol_url_is_loopback(const char *url);
/* Without query (which may be signed: a secret), user or fragment: fit to be shown. Owned by the
 * caller. */
char *ol_url_shown(const char *text);
