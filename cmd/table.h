#pragma once

/* Columns of text, aligned as docker's tables are: cells end at tabs, columns are as wide as their
 * widest cell and three spaces, at least ten; the last cell of a line is not padded. */
#include "base/str.h"

/* Lines of cells in, aligned lines out. A column runs on as long as lines next to each other have
 * it, as with Go's tabwriter. */
int ol_table_format(ol_view text, ol_str *out, ol_error *err);
/* Characters of UTF-8 text on a terminal, each one column. */
size_t ol_text_width(ol_view text);
/* At most width characters, the last one an ellipsis where some are left out; owned. */
char *ol_ellipsis(const char *text, size_t width);
