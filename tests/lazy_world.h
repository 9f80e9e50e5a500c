#pragma once

/*
 * A lazy layer that is made up, for tests of its filler: pieces of all kinds, the payload they
 * give, and a registry in memory that can be slow, silent, or lie.
 */
#include <pthread.h>

#include "snapshot/lazy_fill.h"

typedef struct world {
	ol_lazy_table table;
	unsigned char *truth, *blob; /* owned; the payload, the compressed blob */
	int dir_fd, window_fd, payload_fd;
	char dir[64];
	ol_lazy_state *state;

	pthread_mutex_t lock; /* guards all below */
	unsigned char *got;   /* owned: what was fetched of the blob */
	unsigned char *has;   /* owned: of each byte, whether it was */
	unsigned *reads;      /* owned: of each piece, how often it was read */
	unsigned gets[OL_LAZY_CAUSES];
	uint64_t bytes[OL_LAZY_CAUSES];
	unsigned silent; /* so many get()s fail with this */
	int silent_rc;
	unsigned lies; /* so many times the piece comes wrong */
	uint32_t lie;  /* which one */
	bool others;   /* what blame() says */
	unsigned blames, lines;
	bool was_stalled; /* when get() was called */
	char line[400];   /* last of the log */
	ol_source source;
} world;

/* seed: other sizes and kinds. */
world *world_new(unsigned seed);
void world_free(world *w);
/* With patience of timeout_ms; more may be set before ol_filler_new. */
ol_filler_options world_options(world *w, uint64_t timeout_ms);
/* Another payload and state, as after a reboot. */
void world_reboot(world *w);
/* Fails the test unless the payload's bytes are right. */
void world_check(const world *w, uint64_t start, uint64_t end);
/* A piece of a kind; those of different kinds lie apart. */
uint32_t world_piece(const world *w, ol_piece_kind kind);
/* The payload's bytes that come from a piece. */
ol_range world_extent(const world *w, uint32_t piece);
