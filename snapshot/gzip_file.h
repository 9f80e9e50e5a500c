#pragma once

/* A layer's tar compressed, for registries: RFC 1952. The bytes follow from the tar and zlib's
 * version alone: no name, no time. */
#include "base/cancel.h"
#include "base/digest.h"
#include "base/stream.h"

typedef struct ol_gzipped {
	ol_digest digest; /* sha256 */
	uint64_t size;    /* bytes */
} ol_gzipped;

/* Reads reader (lent) to its end and writes to fd (lent) from its position on.
 * OL_ECANCELED. */
int ol_gzip_file(
	ol_reader *reader, int fd, const ol_cancel *cancel, ol_gzipped *out, ol_error *err);
