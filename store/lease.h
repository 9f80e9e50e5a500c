#pragma once

/* A lease keeps what it lists from being collected while an operation works. It ends with
 * ol_lease_end or with the process. */
#include "store/store.h"

typedef struct ol_lease ol_lease;

int ol_lease_begin(ol_store *store, const char *why, ol_lease **out, ol_error *err);
/* After a crash it lives on for an hour since the last ol_lease_add, so that who tries again finds
 * what is done. */
int ol_lease_begin_resumable(ol_store *store, const char *why, ol_lease **out, ol_error *err);
int ol_lease_add(ol_lease *lease, const ol_digest *digest,
	ol_error *err);             /* a blob, layer or chain, there or to come */
void ol_lease_end(ol_lease *lease); /* NULL is fine */
OL_DEFINE_AUTO(ol_lease, ol_lease_end)
