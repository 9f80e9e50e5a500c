#pragma once

/*
 * How far a lazy layer is, in a file that is shared by mapping it: <run dir>/lazy/<hex of
 * DiffID>.state. The worker writes, the holder and every `orlop ps --lazy` read, without locks. It
 * means something during one boot only (its head has the boot's id), as the payload does whose
 * blocks it lists: after a reboot both begin anew, and what was fetched is in the ingest.
 *
 *	page 0      head: magic, boot id, sizes, counters, last words
 *	page 1 …    a bit for each 4096 bytes of the payload: all of them are there
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/own.h"

#define OL_LAZY_BLOCK       4096
#define OL_LAZY_WORDS_BYTES 256

/* Why bytes were fetched. */
typedef enum ol_lazy_cause {
	OL_LAZY_DEMAND,     /* somebody reads them */
	OL_LAZY_AHEAD,      /* beside what somebody reads */
	OL_LAZY_PREFETCH,   /* landmark or recorded profile */
	OL_LAZY_BACKGROUND, /* the rest */
	OL_LAZY_CAUSES,
} ol_lazy_cause;
const char *ol_lazy_cause_name(ol_lazy_cause cause);

typedef enum ol_lazy_phase {
	OL_LAZY_IDLE, /* nobody fills it (yet) */
	OL_LAZY_FILLING,
	OL_LAZY_STALLED,  /* the registry does not answer, or the disk is full: last_words */
	OL_LAZY_CHECKING, /* all of it is here and is verified as a whole */
	OL_LAZY_COMPLETE,
	OL_LAZY_POISONED, /* it is not what its table said: no more of it is served */
} ol_lazy_phase;
const char *ol_lazy_phase_name(ol_lazy_phase phase);

/* In the shared page; each is written by one process and read by any. */
typedef struct ol_lazy_counters {
	_Atomic uint32_t phase;
	_Atomic uint64_t blob_bytes;      /* compressed bytes there are */
	_Atomic uint64_t payload_present; /* inflated, verified and there */
	_Atomic uint64_t fetching;        /* compressed bytes asked for and not yet there */
	_Atomic uint64_t requests;        /* ranges asked of registries */
	_Atomic uint64_t bytes[OL_LAZY_CAUSES];
	_Atomic uint64_t hits, misses; /* reads that found all of it, or waited; by the holder */
	_Atomic uint64_t waiting;      /* readers that wait now */
	_Atomic uint64_t failures;     /* reads answered with an error */
	_Atomic uint64_t refetched;    /* pieces whose bytes were wrong */
	_Atomic uint64_t mounted;      /* not 0: its payload is watched, and may be mounted */
	/* why it is stalled or poisoned: read with ol_lazy_state_words; may be torn */
	char last_words[OL_LAZY_WORDS_BYTES];
} ol_lazy_counters;

typedef struct ol_lazy_state ol_lazy_state;

/* Opens or makes it, in the folder "lazy" (made if needed) of run_fd, ol_store_run_fd's. A file of
 * another boot, layer or size is replaced; *fresh then says that no block is present and what
 * payload there is must be emptied. Processes exclude each other. */
int ol_lazy_state_open(int run_fd, const ol_digest *diff_id, uint64_t payload_bytes,
	const char *boot_id, bool *fresh, ol_lazy_state **out, ol_error *err);
/* The one of this boot, if there is one, for those who only look. OL_ENOTFOUND; OL_ECORRUPT. */
int ol_lazy_state_find(int run_fd, const ol_digest *diff_id, const char *boot_id,
	ol_lazy_state **out, ol_error *err);
/* Its name goes; those who have it mapped keep it. Nothing there is OK. */
int ol_lazy_state_remove(int run_fd, const ol_digest *diff_id, ol_error *err);
/* From a descriptor that was passed over; it is lent (the state has its own duplicate). */
int ol_lazy_state_map(int fd, ol_lazy_state **out, ol_error *err);
void ol_lazy_state_close(ol_lazy_state *state);
OL_DEFINE_AUTO(ol_lazy_state, ol_lazy_state_close)
int ol_lazy_state_fd(const ol_lazy_state *state); /* lent */
uint64_t ol_lazy_state_payload_bytes(const ol_lazy_state *state);
ol_lazy_counters *ol_lazy_state_counters(ol_lazy_state *state); /* lent */

/* Are all blocks that bytes start..end-1 touch there? Threads and processes: any. */
bool ol_lazy_state_has(const ol_lazy_state *state, uint64_t start, uint64_t end);
/* All blocks wholly inside start..end-1 (the payload's end counts as a block's) are there; their
 * bytes were written before. */
void ol_lazy_state_add(ol_lazy_state *state, uint64_t start, uint64_t end);
bool ol_lazy_state_is_full(const ol_lazy_state *state);
/* The first byte from start on of a block that is not there; payload_bytes if all are. */
uint64_t ol_lazy_state_missing(const ol_lazy_state *state, uint64_t start);
void ol_lazy_state_say(ol_lazy_state *state, ol_lazy_phase phase, const char *words);
/* Its last words, always terminated. */
void ol_lazy_state_words(const ol_lazy_state *state, char out[OL_LAZY_WORDS_BYTES]);
