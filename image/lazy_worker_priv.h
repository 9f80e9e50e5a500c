#pragma once

/*
 * The worker: fills lazy layers, those that are asked for and then the rest. It may be killed at
 * any moment: all it knows is found again in rows, ingests, sources and states.
 *
 *	holder ─▶ link ─▶ queue ─▶ a few threads ─▶ filler ─┐               lazy_worker.c
 *	                                                    ├─▶ lazy_fetch.c ─▶ registry ─▶ ingest
 *	notes of what was missed ─▶ slices beside readers, lazy_ahead*.c ──┤
 *	rows of driver "lazy" ─▶ background ─▶ slices ──────┘        lazy_background.c      │
 *	                              row and tar ◀─ lazy_complete.c ◀─ ol_unpack ◀─────────┘
 *
 * A job is one lazy layer (lazy_job.c). Jobs live as long as the worker: what ends is their
 * opening. Locks: `serving` of a job before the worker's `lock`; neither is held while a registry
 * is asked, but for `serving` as a reader.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "fetch/registry.h"
#include "image/lazy_ahead_priv.h"
#include "image/lazy_flight_priv.h"
#include "image/lazy_gate_priv.h"
#include "image/lazy_hush_priv.h"
#include "image/lazy_settle_priv.h"
#include "image/lazy_source_priv.h"
#include "image/session_priv.h"
#include "snapshot/lazy_fill.h"
#include "snapshot/lazy_link.h"
#include "snapshot/unpack.h"

typedef struct ol_lazy_worker ol_lazy_worker;
typedef struct ol_lazy_job ol_lazy_job;

/* How layers of one kind of source are fetched: one handle for readers, one for the rest, so that
 * who waits has connections of its own. Made once, lives as long as the worker. */
typedef struct ol_lazy_remote {
	struct ol_lazy_remote *next;
	char *key;                        /* owned: what the handles were made with */
	ol_registry *demand, *background; /* owned */
} ol_lazy_remote;

typedef struct ol_lazy_ask {
	struct ol_lazy_ask *next;
	ol_lazy_job *job;
	uint64_t slot, start, end;
} ol_lazy_ask;

typedef struct ol_lazy_asks {
	ol_lazy_ask *first, *last; /* owned */
} ol_lazy_asks;
void ol_lazy_asks_push(ol_lazy_asks *asks, ol_lazy_ask *ask);
ol_lazy_ask *ol_lazy_asks_pop(ol_lazy_asks *asks);

typedef enum ol_lazy_job_state {
	OL_JOB_CLOSED,  /* it was not opened yet, or could not be: error says why */
	OL_JOB_OPENING, /* a thread does; asks are parked */
	OL_JOB_OPEN,
	OL_JOB_WHOLE, /* it is an ordinary layer now, or its row is gone: no work is left */
} ol_lazy_job_state;

/* What a start needs: bytes of a job's blob, and their place among those of all layers. */
typedef struct ol_lazy_wish {
	ol_range range;
	size_t place;
} ol_lazy_wish;

struct ol_lazy_job {
	ol_lazy_job *next;
	ol_lazy_worker *worker; /* lent */
	ol_digest diff_id;

	/* set by ol_lazy_job_open; fixed until the job is whole */
	ol_layer_info info;
	ol_lazy_source source;
	char *name; /* owned: of image and layer, for lines of the log */
	ol_lazy_table table;
	int dir_fd, window_fd, index_fd; /* index_fd: of the lazy index, which payloads belong to */
	ol_lazy_remote *remote;          /* lent */
	ol_ingest *ingest;               /* owned; held (flock) while it is set */
	ol_source *blob;                 /* owned */
	ol_flight *flight;               /* owned */
	ol_lazy_wish *wanted;            /* owned; what is worth fetching first, in that order */
	size_t wanted_count, wanted_at;  /* those before are there, or under way */
	ol_cancel *stop;                 /* owned; ends fills, e.g. when the row is gone */

	/* Fills read-lock it; attaching a payload, settling it and letting it go write-lock. Guards
	 * what follows. */
	pthread_rwlock_t serving;
	int payload_fd, state_fd; /* owned; -1: not mounted */
	/* owned; NULL: never made. What is replaced stays mapped while the job lives: who counts
	 * looks at it without a lock. */
	_Atomic(ol_lazy_state *) state;
	ol_lazy_state **old_states; /* owned, as each */
	size_t old_count, old_cap;
	ol_filler *filler;      /* owned; NULL: not mounted, or settled */
	ol_lazy_settle *settle; /* lent, while lazy_complete.c has one: reads go there */
	bool present;           /* all of the payload is there */

	/* guarded by the worker's lock */
	ol_lazy_job_state is;
	ol_error error;
	bool mounted;                     /* its payload is: asks may come */
	int new_payload_fd, new_state_fd; /* owned; given by the holder, to be attached; -1 */
	ol_lazy_asks parked;
	bool closing;   /* is WHOLE, and what open made goes: what comes meanwhile waits */
	bool listed;    /* the last look at the store found its row */
	bool unpacking; /* a thread follows its prefix */
	bool checked;   /* prefetch was done, or there is none */
	bool poisoned;
	unsigned slices;        /* under way */
	unsigned failures;      /* in a row */
	uint64_t retry_at_ms;   /* it is left alone until then */
	int64_t image_created;  /* of the newest image that has it */
	ol_cancel *attempt;     /* lent: ends the unpacking under way */
	bool passed;            /* while the best is looked for */
	unsigned open_failures; /* in a row */
	unsigned lies;          /* times that all bytes came and were others */
	/* lazy_record.c: reads are written down until then; when to look whether they are */
	uint64_t record_until_ms, record_look_ms;

	atomic_bool cleared; /* whole, and its folder is gone; not among what a lock guards */

	/* guarded by the worker's log_lock: lines about reads that failed, and chunks that did */
	ol_lazy_hush reads_hush, chunks_hush;
};

struct ol_lazy_worker {
	ol_session *session;         /* lent */
	ol_lazy_link *link;          /* owned */
	ol_cancel *stop;             /* owned */
	ol_unpack_gate *unpack_gate; /* owned */

	pthread_mutex_t log_lock; /* no other is taken under it */

	pthread_mutex_t lock;   /* guards what follows */
	pthread_cond_t asked;   /* the queue has something, or it is over */
	pthread_cond_t changed; /* anything the background looks at */
	ol_lazy_asks queue;
	ol_lazy_job *jobs;       /* owned */
	ol_lazy_remote *remotes; /* owned */
	ol_lazy_gate gate;
	ol_ahead ahead;           /* notes are of jobs */
	bool look;                /* the store is to be looked through */
	bool over;                /* all threads end */
	unsigned slices;          /* of the background, under way */
	uint64_t prefetch_flying; /* bytes of those that a start needs */
	unsigned opening;         /* threads that open jobs */
};

/* lazy_worker.c */
/* A line for the log, with the job's name in front. */
void ol_lazy_log(ol_lazy_worker *worker, const ol_lazy_job *job, const char *fmt, ...)
	OL_PRINTF(3, 4);
/* A line of which there may be one for each read: it may be left out, and then counted. hush: one
 * of the job's. */
void ol_lazy_log_often(
	ol_lazy_worker *worker, const ol_lazy_job *job, ol_lazy_hush *hush, const char *text);
/* What was left out of late, if that is to be said now. */
void ol_lazy_log_rest(ol_lazy_job *job);
/* Called with the lock held. The job of a layer, made if there is none. */
ol_lazy_job *ol_lazy_job_of(ol_lazy_worker *worker, const ol_digest *diff_id);
/* Called with the lock held. Has a thread open or attach the job, unless one does. */
void ol_lazy_job_start(ol_lazy_job *job);

/* Called with the lock held. Until something changes, or so long. */
void ol_lazy_worker_wait(ol_lazy_worker *worker, uint64_t ms);

/* For a job that is closing: closes it, and lets what came meanwhile go on. */
void ol_lazy_job_end(ol_lazy_job *job, bool drop);

/* lazy_job.c */
/* Reads what the job is about and takes its ingest, waiting for who has it; attaches the payload
 * that the holder gave. OL_EEXISTS: the layer is whole already; OL_ENOTFOUND: its row is gone. */
int ol_lazy_job_open(ol_lazy_job *job, ol_error *err);
/* Ends the use of what open made, and drops the ingest or keeps it for later. Nobody may be in a
 * fill or slice. */
void ol_lazy_job_close(ol_lazy_job *job, bool drop);
/* Lets the payload go, if it is not mounted. */
void ol_lazy_job_detach(ol_lazy_job *job);
void ol_lazy_job_free(ol_lazy_job *job);
void ol_lazy_job_say(ol_lazy_job *job, ol_lazy_phase phase, const char *words);

/* lazy_fetch.c */
int ol_lazy_remote_get(
	ol_lazy_worker *worker, const ol_lazy_source *source, ol_lazy_remote **out, ol_error *err);
void ol_lazy_remote_free_all(ol_lazy_worker *worker);
/* The callbacks of the job's filler. */
ol_lazy_fetch ol_lazy_fetch_of(ol_lazy_job *job);
/* Makes ranges (sorted, apart) be in the job's ingest. */
int ol_lazy_fetch_get(
	ol_lazy_job *job, const ol_range *ranges, size_t count, ol_lazy_cause cause, ol_error *err);
/* Fetches what the caller has taken from the job's flight, and lands it. */
int ol_lazy_fetch_taken(
	ol_lazy_job *job, const ol_range *mine, size_t count, ol_lazy_cause cause, ol_error *err);

/* lazy_ahead_fetch.c */
void *ol_lazy_ahead_fetch(void *arg); /* arg is the worker: a thread that fetches beside readers */
/* Of bytes that came: those pieces that are complete with them become bytes of the payload, so that
 * the next read finds them there. Not while a start is recorded. With the job's serving held. */
void ol_lazy_inflate(ol_lazy_job *job, const ol_range *came, size_t count, ol_lazy_cause cause);

/* lazy_background.c */
/* Whether a is to be filled before b (NULL: none), by benefit: what is being unpacked and what is
 * mounted, then newer images, then what is done soonest. Under the worker's lock; both are open. */
bool ol_lazy_job_is_better(const ol_lazy_job *a, const ol_lazy_job *b);
/* arg is the worker */
void *ol_lazy_background_fetch(void *arg);  /* a thread that fetches slices */
void *ol_lazy_background_unpack(void *arg); /* a thread that makes layers whole */
void *ol_lazy_background_look(void *arg);   /* the thread that looks for work */
/* Is there something left that starts need? With the worker's lock held. */
bool ol_lazy_wants_prefetch(const ol_lazy_worker *worker);

/* lazy_prefetch.c */
/* What is worth fetching before the rest: the landmark and the recorded profile. *out is the
 * caller's; within the blob, in the order in which a start asked for them. */
size_t ol_lazy_prefetch_wishes(ol_lazy_job *job, ol_lazy_wish **out);
/* Whether a byte of the payload is made of what is in the list. */
bool ol_lazy_prefetch_knows(const ol_lazy_job *job, uint64_t offset);
/* Those from job->wanted_at on, as many as make up size bytes, at most cap; *used: of how many.
 * They come out sorted and apart. */
size_t ol_lazy_prefetch_next(
	const ol_lazy_job *job, uint64_t size, ol_range *out, size_t cap, size_t *used);

/* lazy_record.c */
/* Writes down what a read needs of the blob, if its start is being recorded. */
void ol_lazy_record_ask(ol_lazy_job *job, uint64_t start, uint64_t end);
bool ol_lazy_is_recorded(ol_lazy_job *job);

/* lazy_complete.c */
/* What was unpacked in the ingest's folder becomes the layer; a payload that is mounted gets what
 * it lacks first. The job is whole then. */
int ol_lazy_complete(ol_lazy_job *job, const ol_unpacked *unpacked, ol_error *err);
/* The same for a payload whose layer somebody else made whole. */
int ol_lazy_complete_payload(ol_lazy_job *job, ol_error *err);
/* Nobody serves it any more: err says why, at which path. */
void ol_lazy_poison(ol_lazy_job *job, const ol_error *why);

/* lazy_whole.c */
/* What is left to do for images once a layer of theirs is whole: chains, index.json. Images that
 * are not whole yet are passed over. One that fails keeps no other back; err is of the first. */
int ol_lazy_whole_images(ol_session *session, const ol_digest *diff_id, ol_error *err);
