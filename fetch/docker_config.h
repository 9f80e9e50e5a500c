#pragma once

/*
 * The credentials part of Docker's config.json and of containers-auth.json(5), which share their
 * shape:
 *
 *	{ "auths": { "reg.example": { "auth": "dXNlcjpwYXNz" }, "reg.example/team": { … } },
 *	  "credHelpers": { "gcr.io": "gcloud" }, "credsStore": "pass" }
 *
 * A key names a host in many spellings: with a scheme and a path as Docker's old ones
 * ("https://index.docker.io/v1/"), or with the beginning of a repository's path. Docker Hub has
 * several names.
 */
#include <stdbool.h>

#include "base/str.h"
#include "fetch/credentials.h"
#include "manifest/json.h"

typedef struct ol_docker_config {
	ol_json *root; /* owned */
} ol_docker_config;

/* OL_EINVAL: not JSON, not an object, or a section of another type. The words quote nothing of the
 * text. */
int ol_docker_config_parse(ol_view text, ol_docker_config *out, ol_error *err);
void ol_docker_config_done(ol_docker_config *config);

/* The entry for host, the longest key first: host/path/…, …, host. *found says whether there was
 * one that holds anything. OL_EINVAL for an entry that cannot be read. */
int ol_docker_config_find(const ol_docker_config *config, const char *host, const char *path,
	ol_credentials *out, bool *found, ol_error *err);

/* The helpers to ask for host, the more specific first: index 0, 1 …; false at the end. suffix: of
 * docker-credential-…, lent; server: what to ask it for (owned by the caller), as it was stored. */
bool ol_docker_config_helper(const ol_docker_config *config, const char *host, unsigned index,
	const char **suffix, char **server);

/* Sets the entry for host; with no user an empty one, as Docker leaves beside a helper. */
void ol_docker_config_set(
	ol_docker_config *config, const char *host, const char *user, const char *password);
/* Removes every entry that means the host as a whole. False when there was none. */
bool ol_docker_config_remove(ol_docker_config *config, const char *host);
/* The key a new entry gets, and what helpers are asked for: "https://index.docker.io/v1/" for
 * Docker Hub. Owned by the caller. */
char *ol_docker_config_key(const char *host);
