#pragma once

/*
 * An ingest is data being received: ingest/<digest>/ with the bytes so far, the map of which ranges
 * are there, and a lock. It survives kill -9 (at most 4 MiB a connection are fetched again) and a
 * later process resumes it. One process at a time holds an ingest; who opens it in the same process
 * waits just as others do.
 *
 * Threads of the process that holds it share it as they like: one reads the contiguous prefix while
 * others write and read anywhere.
 *
 * Life: open → write*, in any order, from any thread | read the contiguous prefix, from another
 * thread → commit (the bytes become a blob) | drop (the bytes were only a means) | close (keep for
 * later)
 */
#include "base/stream.h"
#include "store/store.h"

typedef struct ol_ingest ol_ingest;

typedef struct ol_range {
	uint64_t start, end; /* bytes start..end-1 */
} ol_range;

/* Waits for whoever has it, telling listener OL_LAYER_ELSEWHERE with their progress. done(ctx) is
 * asked after each wait: true means the other one finished the work, and the answer is OL_EEXISTS.
 * size: of the whole, known. */
typedef struct ol_ingest_options {
	ol_digest digest;
	uint64_t size;
	const ol_cancel *cancel;
	const ol_listener *listener;
	unsigned layer; /* for events */
	/* Keeps also what another boot wrote, which may not have reached the disk: for who verifies
	 * each piece before use (ol_ingest_forget) or all of it at the end, as pull does. */
	bool any_boot;
	bool no_wait; /* OL_EBUSY where somebody else has it */
	bool (*done)(void *ctx);
	void *ctx;
} ol_ingest_options;

/* What an earlier holder left is kept as far as its map can be believed; other files in the folder
 * are removed. OL_EEXISTS: done() said so. OL_ECANCELED, OL_EBUSY. */
int ol_ingest_open(
	ol_store *store, const ol_ingest_options *options, ol_ingest **out, ol_error *err);
/* Ends our use; what is there is kept for the next one. */
void ol_ingest_close(ol_ingest *ingest);
OL_DEFINE_AUTO(ol_ingest, ol_ingest_close)

/* Thread-safe; ranges may come in any order. What two write at once is that of either, byte by
 * byte: harmless if both have the right ones. OL_ECORRUPT: more than size was promised. */
int ol_ingest_write(
	ol_ingest *ingest, uint64_t offset, const void *data, size_t size, ol_error *err);
uint64_t ol_ingest_present(const ol_ingest *ingest); /* bytes there are in all */
/* What is missing, in order, at most count ranges. Returns how many. */
size_t ol_ingest_missing(ol_ingest *ingest, ol_range *ranges, size_t count);
/* Whether all bytes start..end-1 have come. */
bool ol_ingest_has(ol_ingest *ingest, uint64_t start, uint64_t end);
/* These bytes were wrong: they are missing again, also for a later holder, and the writer has not
 * had its last word if that was that all had come. Who reads the prefix and has passed them has
 * read what was wrong. Failure: they are missing for us, but a later holder may find them. */
int ol_ingest_forget(ol_ingest *ingest, uint64_t start, uint64_t end, ol_error *err);
/* Waits until all bytes start..end-1 have come; any number of threads. Fails with the writer's last
 * word; OL_EUNAVAILABLE: that was OL_OK, and they are not there. OL_ECANCELED. */
int ol_ingest_wait_range(
	ol_ingest *ingest, uint64_t start, uint64_t end, const ol_cancel *cancel, ol_error *err);
/* The writer's last word: everything has come, or rc and why. Wakes the reader. The first one
 * counts, until ol_ingest_reset. */
void ol_ingest_finish(ol_ingest *ingest, int rc, const ol_error *err);
/* Reads from the front, waiting for bytes to come; ends at size. Fails with the writer's error. The
 * reader is closed before the ingest is. */
ol_reader *ol_ingest_reader(ol_ingest *ingest, const ol_cancel *cancel);
/* Waits until the bytes in front of upto are there, or the writer has had its last word: *have is
 * how far the contiguous prefix goes then. Fails with the writer's error. One thread at a time
 * waits, here or in the reader. */
int ol_ingest_wait(
	ol_ingest *ingest, uint64_t upto, const ol_cancel *cancel, uint64_t *have, ol_error *err);
/* Reads at any offset what is there already, and waits for nothing. Closed before the ingest is. */
ol_source *ol_ingest_source(ol_ingest *ingest);
/* Forgets all bytes (they were wrong): everything is missing again. */
int ol_ingest_reset(ol_ingest *ingest, ol_error *err);
/* The folder, for what is made of the bytes before it is committed (a layer's tar, index or tree).
 * Lent. */
int ol_ingest_dir_fd(const ol_ingest *ingest);
/* The bytes, verified by the caller, become a blob. The ingest is closed, also on failure (then its
 * bytes are kept). */
int ol_ingest_commit(ol_ingest *ingest, ol_error *err);
/* The bytes and everything in the folder go. The ingest is closed, also on failure. */
int ol_ingest_drop(ol_ingest *ingest, ol_error *err);
