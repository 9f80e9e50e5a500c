#pragma once

/*
 * When the background may ask for more: readers come first, and a cap on the bandwidth is kept.
 * Plain numbers, with the time as an argument; the worker's lock guards it.
 */
#include <stdbool.h>
#include <stdint.h>

typedef struct ol_lazy_gate {
	unsigned demands;    /* fetches under way that somebody waits for */
	uint64_t quiet_from; /* when the last of them ended; ms, 0: there was none yet */
	uint64_t started;    /* when something was last mounted; ms, 0: not yet */
	uint64_t free_at;    /* when the bytes that were let through so far are paid for; ms */
} ol_lazy_gate;

/* Something is being mounted: reads will come. */
void ol_lazy_gate_start(ol_lazy_gate *gate, uint64_t now_ms);
/* Something came that a start needs: whoever finds it there goes on without asking. */
void ol_lazy_gate_busy(ol_lazy_gate *gate, uint64_t now_ms);
void ol_lazy_gate_demand(ol_lazy_gate *gate, bool begins, uint64_t now_ms);
/* How many bytes the background may ask for now; 0: none, and look again in *wait_ms. urgent: a
 * start's own prefetch, which does not wait for readers to be quiet. rate_bytes: a second; 0: as
 * much as comes. What is answered counts as asked for. */
uint64_t ol_lazy_gate_pass(
	ol_lazy_gate *gate, bool urgent, uint64_t rate_bytes, uint64_t now_ms, uint64_t *wait_ms);
