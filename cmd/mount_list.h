#pragma once

/* The list of mounts, which `mounts` and a `mount` without words show. */
#include "cmd/listing.h"

/* With the options of OL_LISTING_OPTIONS and --quiet. */
int ol_show_mounts(ol_context *ctx, ol_error *err);
