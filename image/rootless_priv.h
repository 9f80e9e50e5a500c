#pragma once

/*
 * What an ordinary user's store has that root's has not: owners on its disk that mean something in
 * one mapping of ids only, and layers that were not given all they ask for.
 *
 * Invariant: all that is in a store made in a user namespace was made under a mapping that the
 * store's "idmap" covers; a session under any other is refused.
 */
#include "image/session_priv.h"

/* Holds the store's mapping against this process's, and notes it where there is none yet. OL_EINVAL
 * says what differs. Sets session->rootless. */
int ol_rootless_begin(ol_session *session, ol_error *err);
/* The folder of /tmp that stands in for XDG_RUNTIME_DIR, made or found to be nobody else's. */
int ol_rootless_own(const char *path, ol_error *err);
/* Tells once what trees built since lack. */
void ol_rootless_tell_lacks(ol_session *session);
/* For `info`. */
void ol_rootless_describe(const ol_session *session, ol_json *object);
