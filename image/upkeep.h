#pragma once

#include "image/session.h"
#include "store/gc.h"

/* gc: what nothing reaches goes, and mounts whose users are gone. */
int ol_collect(ol_session *session, ol_gc_result *out, ol_error *err);

/* login checks the credentials with the registry before it stores them. *where (owned) says in what
 * file. */
int ol_login(ol_session *session, const char *host, const char *user, const char *password,
	char **where, ol_error *err);
int ol_logout(ol_session *session, const char *host, char **where, ol_error *err);

/* What `info` shows. */
int ol_describe(ol_session *session, ol_json **out, ol_error *err);
