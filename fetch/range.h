#pragma once

/* Content-Range of a 206 or 416: RFC 9110 section 14.4. */
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
