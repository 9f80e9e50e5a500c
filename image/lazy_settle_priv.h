#pragma once

/*
 * A payload and the verified tar it is made of: what it lacks is copied, what it has is compared.
 *
 *	payload  │ a │ b │ ? │ c │     sorted runs, from walking both indexes (packed), or from
 *	           └─┐ └┐      └──┐    the table's extents (the payload is the tar)
 *	tar      │ h a │ h b … h c
 */
#include <pthread.h>

#include "base/cancel.h"
#include "snapshot/erofs_reader.h"
#include "snapshot/lazy_state.h"

typedef struct ol_settle_run {
	uint64_t payload, size;
	uint64_t tar; /* OL_SETTLE_ZEROS: a hole */
} ol_settle_run;
#define OL_SETTLE_ZEROS UINT64_MAX

typedef struct ol_settle_map {
	ol_settle_run *runs; /* owned; sorted by payload, apart */
	size_t count, cap;
} ol_settle_map;
void ol_settle_map_done(ol_settle_map *map);
void ol_settle_map_add(ol_settle_map *map, const ol_settle_run *run);

/* lazy_compare.c: walks both indexes. packed: of layout OL_LAZY_PACKED, whose table may lack
 * fractions of seconds and empty xattrs. OL_ECORRUPT names the first path where they differ. */
int ol_lazy_compare(ol_erofs *lazy, ol_erofs *real, bool packed, ol_settle_map *out, ol_error *err);

typedef struct ol_lazy_settle {
	ol_settle_map map;
	int payload_fd, tar_fd;     /* lent */
	ol_lazy_state *state;       /* lent */
	pthread_mutex_t lock;       /* one settles at a time */
	unsigned char *want, *have; /* owned */
} ol_lazy_settle;

void ol_lazy_settle_init(ol_lazy_settle *settle, int payload_fd, int tar_fd, ol_lazy_state *state);
void ol_lazy_settle_done(ol_lazy_settle *settle);
/* Makes the blocks that start..end-1 touches be there. OL_ECORRUPT: what was there differs from the
 * tar. Threads: any. */
int ol_lazy_settle_range(ol_lazy_settle *settle, uint64_t start, uint64_t end,
	const ol_cancel *cancel, ol_error *err);
