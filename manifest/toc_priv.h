#pragma once

#include "manifest/toc.h"

/* The words of all tables of contents: "dir", "reg", … False for any other. */
bool ol_toc_type_of(ol_view word, ol_tar_type *out);
