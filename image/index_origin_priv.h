#pragma once

#include "image/copy_priv.h"

/* The manifests whose index was published. */
typedef struct ol_index_published {
	ol_digest *list; /* owned */
	size_t count, cap;
} ol_index_published;

/* An ol_copy_wrap; ctx is an ol_index_published. The origin resolves with OL_ENOTFOUND where no
 * index was made of the image. */
int ol_index_origin(void *ctx, ol_copy *copy, ol_origin *base, ol_origin **out, ol_error *err);
