#pragma once

/* Content-Range of a 206 or 416: RFC 9110 section 14.4. And what uploads say of themselves. */
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/view.h"

typedef struct ol_content_range {
	bool unsatisfied;    /* "bytes * / total": start and end mean nothing */
	uint64_t start, end; /* bytes start..end-1 */
	bool has_total;      /* false for "*" */
	uint64_t total;
} ol_content_range;

/* OL_EINVAL unless it is the grammar with start < end <= total. */
int ol_content_range_parse(ol_view text, ol_content_range *out, ol_error *err);

/* Range of an upload, distribution-spec "Pushing a blob in chunks": "0-9" (or "bytes=0-9") says
 * that ten bytes are there. "0-0" says that none is: registries answer it for a new upload, and
 * nobody sends a single byte. OL_EINVAL. */
int ol_upload_range_parse(ol_view text, uint64_t *offset, ol_error *err);
/* A header that is one number: OCI-Chunk-Min-Length. OL_EINVAL. */
int ol_length_parse(ol_view text, uint64_t *out, ol_error *err);
