#pragma once

/*
 * The holder's parts (snapshot/lazy_holder.h). One thread; nothing here waits, but for the end.
 *
 *	lazy_holder.c          begins, polls, ends
 *	lazy_holder_table.c    what is watched, and who waits
 *	lazy_holder_worker.c   the worker: started, told, listened to, replaced
 *	lazy_holder_control.c  what commands ask
 *	lazy_holder_adopt.c    taking over from a holder that died
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "snapshot/lazy_engine.h"
#include "snapshot/lazy_holder.h"
#include "snapshot/lazy_wire_priv.h"

/* Asks open at once: as many threads wait. Past it the kernel's own queue has room. */
#define OL_HOLDER_SLOTS_MAX 16384
/* Commands talking at once; others wait to be let in. */
#define OL_HOLDER_CLIENTS_MAX 64

typedef struct ol_holder_layer {
	ol_engine_layer base; /* first: asks lead here */
	int payload_fd;       /* owned; the state is too */
	size_t asks;          /* open ones */
	bool told;            /* the worker knows it */
	bool complete;        /* all is there; watched because the engine stays */
	bool released;        /* a mount of it ended */
} ol_holder_layer;

typedef struct ol_holder_slot {
	ol_engine_ask ask;
	uint32_t generation; /* the slot's number is this << 32 | index: an answer that comes twice
				or late fits no other ask */
	bool used, sent;
	unsigned tries; /* how many workers were told */
	uint64_t since_ms;
} ol_holder_slot;

typedef struct ol_holder_gone {
	ol_digest diff_id;
	bool complete; /* the worker said so itself */
} ol_holder_gone;

typedef struct ol_holder {
	const ol_lazy_hold_options *options;
	const ol_lazy_engine *ops;
	ol_engine *engine; /* owned, as are all descriptors */
	char why[256];
	int lazy_fd, lock_fd, listen_fd, signal_fd, log_fd;
	uint64_t next_trim_ms; /* when the log's size is looked at */
	uint64_t asked_us;     /* when a reader last asked; 0: not yet */
	/* what is watched, and who waits */
	ol_holder_layer **layers; /* owned, each too */
	size_t layer_count, layer_cap;
	ol_holder_slot *slots; /* owned */
	size_t slot_count, slot_cap, open_count, unsent_count;
	uint64_t next_look_ms; /* when it is looked whether layers are in use */
	/* the worker */
	pid_t worker_pid; /* 0: none runs */
	int worker_fd, worker_pidfd;
	uint64_t worker_since_ms, next_start_ms, backoff_ms, end_since_ms;
	ol_holder_gone *gone; /* owned: it is still to be told */
	size_t gone_count, gone_cap;
	bool work;        /* there may be something to do for a worker */
	bool wake;        /* it is to be told to look */
	bool kept;        /* it has what it needs to replace us */
	bool idle;        /* it said so, after all it was told */
	bool ending;      /* it was told to end */
	bool worker_full; /* its socket takes no more now */
	/* commands */
	int clients[OL_HOLDER_CLIENTS_MAX];
	size_t client_count;
	uint64_t quiet_since_ms; /* nothing to hold, nobody there; 0: there is */
	bool stopping;           /* SIGTERM, and nothing needs us */
} ol_holder;

void ol_holder_log(ol_holder *h, const char *fmt, ...) OL_PRINTF(2, 3);
int ol_holder_log_open(ol_holder *h, ol_error *err);
/* Begins the log anew where it has become too large; what was in it is log.1 then. */
void ol_holder_log_trim(ol_holder *h);
/* Must it go on whoever asks it to end? */
bool ol_holder_is_needed(const ol_holder *h);
/* Notes in lazy/held who we are and what is watched; extra: what is about to be, or NULL. */
int ol_holder_note(ol_holder *h, const ol_digest *extra, ol_error *err);

ol_holder_layer *ol_holder_find(const ol_holder *h, const ol_digest *diff_id); /* or NULL */
/* By a packet with payload and state, which become ours. OL_EINVAL: they do not fit together. */
int ol_holder_add(ol_holder *h, ol_wire_packet *packet, ol_holder_layer **out, ol_error *err);
/* All of it is there: the worker says so. */
void ol_holder_complete(ol_holder *h, const ol_digest *diff_id);
/* Stops watching what nobody has open. */
void ol_holder_look(ol_holder *h, uint64_t now_ms);
void ol_holder_tables_done(ol_holder *h);

/* Takes asks from the engine until there are none. */
int ol_holder_take_asks(ol_holder *h, ol_error *err);
bool ol_holder_has_room(const ol_holder *h);
uint64_t ol_holder_slot_number(const ol_holder *h, const ol_holder_slot *slot);
/* An ask under a number given out before; NULL: that is taken, or out of bounds. */
ol_holder_slot *ol_holder_restore(ol_holder *h, uint64_t number, const ol_engine_ask *ask);
/* The worker's answer; one of no open slot is passed over. */
void ol_holder_answer(ol_holder *h, uint64_t number, int sys);
/* Answers what is there by now, and what five workers did not answer in a minute. */
void ol_holder_recheck(ol_holder *h, uint64_t now_ms);

void ol_holder_worker_start(ol_holder *h, uint64_t now_ms);
bool ol_holder_worker_wanted(const ol_holder *h);
/* Tells it what it does not know yet, as far as its socket takes it. */
void ol_holder_worker_tell(ol_holder *h);
void ol_holder_worker_listen(ol_holder *h);
/* Ends one that has nothing to do, and one that does not end. */
void ol_holder_worker_mind(ol_holder *h, uint64_t now_ms);
void ol_holder_worker_gone(ol_holder *h, uint64_t now_ms);

int ol_holder_listen(ol_holder *h, ol_error *err);
void ol_holder_accept(ol_holder *h);
/* Client i has said something, or is gone; then the last one is in its place. */
void ol_holder_serve(ol_holder *h, size_t i);

/* From fd 3: engine, control socket, layers, open asks, and the worker. */
int ol_holder_adopt(ol_holder *h, ol_error *err);
