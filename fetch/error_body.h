#pragma once

/* What a registry, a token server or an object store says about its refusal, made fit for a
 * terminal. */
#include "base/str.h"

/* distribution-spec "Error Codes": {"errors":[{"code","message","detail"}]} gives "manifest
 * unknown: no such tag; …". Also OAuth2's
 * {"error","error_description"}, {"message"}, {"details"}, S3's <Code>…</Code><Message>…</Message>,
 * and short plain text. Anything else, HTML among it, adds nothing to out. */
void ol_error_body_words(ol_view body, ol_str *out);
