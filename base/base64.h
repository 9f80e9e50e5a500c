#pragma once

/* Base64 with padding, RFC 4648 section 4: the inline data of descriptors, the credentials of
 * registries. */
#include "base/error.h"
#include "base/str.h"
#include "base/view.h"

/* Adds the bytes to out. OL_EINVAL for anything but the one spelling those bytes have (line breaks,
 * missing padding and stray bits included); OL_ELIMIT when out is full. */
int ol_base64_parse(ol_view text, ol_buf *out, ol_error *err);
/* Adds the text to out. */
int ol_base64_format(ol_view bytes, ol_str *out);
