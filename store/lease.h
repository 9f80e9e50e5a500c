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

/* From now on and whatever becomes of the process: what the lease lists stays until
 * ol_lease_forget(why); a kept lease of the same why ends with it. ol_lease_end then lets go of the
 * handle alone. why: printable ASCII. */
int ol_lease_keep(ol_lease *lease, const char *why, ol_error *err);
/* Ends the kept lease of this why. OL_ENOTFOUND. */
int ol_lease_forget(ol_store *store, const char *why, ol_error *err);
/* Calls for each kept lease; why is lent for the call. */
int ol_lease_each_kept(ol_store *store, int (*call)(void *ctx, const char *why, ol_error *err),
	void *ctx, ol_error *err);
