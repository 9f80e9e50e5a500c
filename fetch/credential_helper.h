#pragma once

/* docker-credential-<suffix>: docker/docker-credential-helpers. Servers and secrets go over stdin,
 * never in arguments. */
#include <stdbool.h>

#include "fetch/credentials.h"

/* *found: whether it knows the server. OL_ENOTFOUND: there is no such program. OL_EINVAL: a suffix
 * that is none, or an answer that is not understood. OL_EUNAVAILABLE: it failed, with its words. */
int ol_credential_helper_get(
	const char *suffix, const char *server, ol_credentials *out, bool *found, ol_error *err);
int ol_credential_helper_store(const char *suffix, const char *server, const char *user,
	const char *password, ol_error *err);
int ol_credential_helper_erase(const char *suffix, const char *server, ol_error *err);
