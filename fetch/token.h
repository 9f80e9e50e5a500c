#pragma once

/* What a token server answers: distribution "token" (Token Response Fields) and "oauth". */
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "base/view.h"

typedef struct ol_token {
	char *text;              /* owned: the bearer token, a secret */
	char *refresh;           /* owned: a refresh token that came with it, or NULL */
	uint64_t renew_after_ms; /* from its arrival: some time before it expires */
} ol_token;

/* `token` or `access_token`; expires_in seconds (60 when not said or not positive), counted from
 * issued_at where that is a time in the past, else from now (unix seconds). OL_EINVAL: no JSON, no
 * token, or one that cannot stand in a header. */
int ol_token_parse(ol_view body, int64_t now, ol_token *out, ol_error *err);
void ol_token_done(ol_token *token); /* wipes */
/* Frees text after overwriting it; NULL is fine. */
void ol_secret_free(char *text);
/* Adds text as application/x-www-form-urlencoded. */
void ol_form_add(ol_str *form, const char *name, const char *value);
