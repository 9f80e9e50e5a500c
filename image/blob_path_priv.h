#pragma once

/* What a blob is called in an OCI layout: image-spec image-layout.md "Blobs". */
#include "base/digest.h"

/* "blobs/sha256/<hex>". */
typedef struct ol_blob_path {
	char text[6 + 1 + OL_DIGEST_TEXT_MAX];
} ol_blob_path;
ol_blob_path ol_blob_path_of(const ol_digest *digest);
