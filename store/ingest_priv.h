#pragma once

/* What the two files of an ingest share: ingest.c (whose it is, how it begins and ends),
 * ingest_data.c (the bytes). */
#include "store/ingest.h"
#include "store/range_map_priv.h"
#include "store/store_priv.h"

struct ol_ingest {
	ol_store *store; /* lent */
	ol_digest digest;
	uint64_t size;
	char folder[OL_DIGEST_TEXT_MAX]; /* in store->ingest_fd */
	int dir_fd, lock_fd, data_fd;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t grown; /* the reader waits here */
	pthread_cond_t came;  /* who waits for a range waits here */
	unsigned range_waiters;
	_Atomic uint64_t forgotten; /* how often bytes were forgotten: the reader looks again */
	ol_range_set present;       /* what is in `data` */
	ol_range_set pending;       /* of that, what `map` does not say yet */
	uint64_t flushed_ms;        /* when nothing was pending last */
	int map_fd;
	uint64_t map_bytes;
	bool any_boot; /* what another boot wrote was kept */
	bool reader_waits;
	uint64_t reader_wants; /* wake it when the prefix reaches this */
	bool finished;
	int rc; /* of the writer's last word, and its words */
	ol_error error;
};

/* Reads what an earlier holder left, or begins anew where that cannot be believed. */
int ol_ingest_load(ol_ingest *ingest, ol_error *err);
/* Writes what is pending into the map; what cannot be written is only fetched again. */
void ol_ingest_flush(ol_ingest *ingest);
/* The map of a folder that somebody else holds. */
int ol_ingest_peek(int dir_fd, ol_range_map *out, ol_error *err);
