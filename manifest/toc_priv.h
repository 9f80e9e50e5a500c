#pragma once

#include "base/str.h"
#include "manifest/toc.h"

/* The words of all tables of contents: "dir", "reg", … False for any other. */
bool ol_toc_type_of(ol_view word, ol_tar_type *out);
/* A string of JSON. */
void ol_toc_add_text(ol_str *out, ol_view text);
