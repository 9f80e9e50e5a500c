#pragma once

/*
 * The holder: the one process that must not end while an incomplete layer is mounted, and so does
 * next to nothing. It owns the engine, reads its asks, lets through what the shared states say is
 * there, and passes the rest to the worker, which does all the work and may die at any time: its
 * open asks are kept here and passed to the next one, which the holder starts.
 *
 *	kernel ◀─▶ engine ── holder ◀─ socket ─▶ worker ─▶ registry, ingest, payload, state
 *	                       ▲
 *	                       └─ <run dir>/lazy/control ─ orlop run, umount, ps …  (lazy_client.h)
 *
 * If holder and worker are both killed, fanotify lets pending reads go and they see zeros: so the
 * holder notes who it is and what it watches in <run dir>/lazy/held, and the next command finds out
 * (ol_lazy_lost). If the holder alone dies, the worker, which has duplicates of all descriptors,
 * starts another, that adopts them: readers wait meanwhile.
 */
#include "base/error.h"
#include "store/store.h"

typedef struct ol_lazy_hold_options {
	ol_store *store;    /* lent */
	const char *engine; /* name or NULL */
	/* what starts a worker, with its socket as descriptor 3; ended by NULL. argv[0] is looked
	 * up anew each time: after an upgrade the new program is started. */
	const char *const *worker;
	/* what starts a holder that adopts, from the worker: with its descriptors from 3 on */
	const char *const *holder;
	int ready_fd; /* lent: one byte is written when asks are served; -1: nobody waits */
	bool adopt;   /* descriptors from 3 on are another holder's */
} ol_lazy_hold_options;

/* Runs until nothing is mounted that needs it and the worker has nothing more to do. SIGTERM is
 * ignored while incomplete layers are mounted. Its log is <run dir>/lazy/log. */
int ol_lazy_hold(const ol_lazy_hold_options *options, ol_error *err);
