#pragma once

/* Where credentials come from, and login/logout. Secrets never reach a log, a trace or an error. */
#include "base/error.h"
#include "base/event.h"
#include "base/own.h"

typedef struct ol_credentials {
	char *user, *password; /* owned; NULL when there are none: anonymous */
	char *identity_token;  /* owned; a refresh token instead of a password */
	char *registry_token;  /* owned; a bearer token to be used as it is */
	char *source;          /* owned; the file, helper or flag it came from, for people */
} ol_credentials;

typedef struct ol_credential_options {
	const char *creds;    /* --creds */
	const char *authfile; /* --authfile */
	/* registries.conf's credential-helpers, ended by NULL, among which
	 * "containers-auth.json" stands for all files; NULL: the files alone */
	const char *const *helpers;
	/* hears OL_EVENT_WARNING: a helper that is missing, a default file that cannot be read */
	const ol_listener *listener;
} ol_credential_options;

/* The first source that has the host (a key may be host or host/path; longest first): --creds,
 * --authfile or REGISTRY_AUTH_FILE, DOCKER_AUTH_CONFIG, $DOCKER_CONFIG/config.json, containers'
 * auth.json; within one file credHelpers before credsStore before auths. Nothing found is OL_OK
 * with all NULL. path: repository, for path-scoped keys. */
int ol_credentials_find(const ol_credential_options *options, const char *host, const char *path,
	ol_credentials *out, ol_error *err);
void ol_credentials_done(ol_credentials *credentials); /* wipes */

/* Writes to the authfile if one is set, else to Docker's file, 0600, keeping what it does not know;
 * or to the credential helper that is configured. *where (owned) says which. */
int ol_credentials_store(const ol_credential_options *options, const char *host, const char *user,
	const char *password, char **where, ol_error *err);
/* OL_ENOTFOUND when there was nothing. */
int ol_credentials_erase(
	const ol_credential_options *options, const char *host, char **where, ol_error *err);
