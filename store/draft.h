#pragma once

/*
 * A draft is a folder of one's own in the store, on the file system of the blobs, for what has no
 * digest yet: an archive's entry, an import. ingest/draft-<random>/, held by the flock of its
 * `lock`; what a killed process left is removed by gc. What is worth keeping moves out of it
 * (ol_blob_adopt, ol_layer_put).
 */
#include "store/store.h"

typedef struct ol_draft ol_draft;

int ol_draft_open(ol_store *store, ol_draft **out, ol_error *err);
int ol_draft_dir_fd(const ol_draft *draft); /* lent */
/* The folder goes with all that is still in it. NULL is fine. */
void ol_draft_close(ol_draft *draft);
OL_DEFINE_AUTO(ol_draft, ol_draft_close)
