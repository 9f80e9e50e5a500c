#pragma once

/*
 * Bytes too many for memory, that come in one go and are then read as one view: they lie in a file
 * without a name, so that what of them is in memory is the page cache's, which the kernel takes
 * back when it likes.
 *
 *	ol_spill_open, ol_spill_add …, ol_spill_map, ol_spill_relax …, ol_spill_close
 */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/view.h"

typedef struct ol_spill ol_spill;

/* dir_fd: on whose file system. For one thread at a time. */
int ol_spill_open(int dir_fd, uint64_t bytes_max, ol_spill **out, ol_error *err);
/* Appends; not after ol_spill_map. OL_ELIMIT: they would be more than bytes_max. */
int ol_spill_add(ol_spill *spill, const void *data, size_t size, ol_error *err);
/* How many there are. */
uint64_t ol_spill_size(const ol_spill *spill);
/* All of them, lent until ol_spill_close. */
int ol_spill_map(ol_spill *spill, ol_view *out, ol_error *err);
/* What was read counts no more as this process's memory; it may be read again. Accepts NULL. */
void ol_spill_relax(ol_spill *spill);
void ol_spill_close(ol_spill *spill);
OL_DEFINE_AUTO(ol_spill, ol_spill_close)
