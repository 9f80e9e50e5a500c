#pragma once

/*
 * Sorts records that may not fit in memory. Records are bytes, ordered by memcmp of their keys,
 * equal keys in the order they came. Up to budget_bytes stay in memory; past that, sorted runs go
 * to an unlinked temporary file in dir_fd and are merged while they are read back.
 *
 *	add* → sort → next* (→ rewind → next*)…
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/view.h"

typedef struct ol_sorter ol_sorter;

/* dir_fd is lent and outlives the sorter. */
ol_sorter *ol_sorter_new(int dir_fd, size_t budget_bytes);
void ol_sorter_free(ol_sorter *sorter);
OL_DEFINE_AUTO(ol_sorter, ol_sorter_free)
/* A key of at most 64 KiB, a value of at most 16 MiB. */
int ol_sorter_add(ol_sorter *sorter, ol_view key, ol_view value, ol_error *err);
int ol_sorter_sort(ol_sorter *sorter, ol_error *err);
/* The next record in order; key and value are lent until the next call. *more is false at
 * the end. */
int ol_sorter_next(ol_sorter *sorter, ol_view *key, ol_view *value, bool *more, ol_error *err);
/* Reads it all once more from the first. */
int ol_sorter_rewind(ol_sorter *sorter, ol_error *err);
uint64_t ol_sorter_count(const ol_sorter *sorter);
bool ol_sorter_spilled(const ol_sorter *sorter);
