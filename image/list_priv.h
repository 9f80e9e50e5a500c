#pragma once

#include "image/session_priv.h"

/* The bytes of an image's layer tars: what SIZE shows. */
uint64_t ol_layers_bytes(ol_store *store, const ol_config *config);
/* RFC 3339 to Unix seconds; 0 for what is not a time. */
int64_t ol_time_seconds(const char *text);
