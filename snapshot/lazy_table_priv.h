#pragma once

/* The seek table's bytes, apart from its file: for tests. */
#include "base/str.h"
#include "base/view.h"
#include "snapshot/lazy_table.h"

#define OL_SEEK_HEAD_BYTES   280
#define OL_SEEK_PIECE_BYTES  40 /* and a digest */
#define OL_SEEK_EXTENT_BYTES 32 /* and a digest */
#define OL_SEEK_SEAL_BYTES   32

/* All that the file holds. As ol_lazy_table_load. */
int ol_lazy_table_parse(ol_view bytes, ol_lazy_table *out, ol_error *err);
/* What the head of snapshot/lazy_table.h says holds of it. OL_ECORRUPT, OL_ELIMIT. */
int ol_lazy_table_check(const ol_lazy_table *table, ol_error *err);
