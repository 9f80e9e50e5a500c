#pragma once

#include "image/session.h"

/* What a name stands for here, and for each reference it may mean the endpoints in the order they
 * are asked: where, what for, with what TLS, credentials (never the secret) and proxy, and which
 * file says so. Nobody is asked but credential helpers. *out is owned by the caller. */
int ol_explain(ol_session *session, const char *name, ol_json **out, ol_error *err);
