#include <stdio.h>

#include "image/blob_path_priv.h"

ol_blob_path ol_blob_path_of(const ol_digest *digest)
{
	ol_blob_path path;

	(void)snprintf(path.text, sizeof path.text, "blobs/%s/%s",
		ol_algorithm_name(digest->algorithm), ol_digest_hex(digest).text);
	return path;
}
