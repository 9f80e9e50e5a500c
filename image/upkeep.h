#pragma once

#include "image/session.h"
#include "store/gc.h"

/* check: every blob, layer, index, tree, row. OL_ECORRUPT when there were faults; each was told to
 * found. */
typedef struct ol_verify_options {
	bool quick;
	void (*found)(void *ctx, const ol_finding *finding);
	void *ctx;
} ol_verify_options;
int ol_verify(
	ol_session *session, const ol_verify_options *options, uint64_t *faults, ol_error *err);

/* gc: what nothing reaches goes, and mounts whose users are gone. */
int ol_collect(ol_session *session, ol_gc_result *out, ol_error *err);

/* login checks the credentials with the registry before it stores them. *where (owned) says in what
 * file. */
int ol_login(ol_session *session, const char *host, const char *user, const char *password,
	char **where, ol_error *err);
int ol_logout(ol_session *session, const char *host, char **where, ol_error *err);

/* What `info` shows. */
int ol_describe(ol_session *session, ol_json **out, ol_error *err);
