#include "image/lazy_gate_priv.h"

/* A program that starts reads, computes, and reads again: so long a pause means no end. */
#define QUIET_MS 150
/* Between the mount and the first read, and in the first seconds, pauses are longer. */
#define START_QUIET_MS 500
#define START_MS       5000
/* Small while a reader may come back at any moment and then waits behind what is under way; larger
 * when nobody has asked for long. Three at once fill a link of 12 MB/s and 50 ms. */
#define SLICE_BYTES       ((uint64_t)1 << 20)
#define SLICE_BYTES_LARGE ((uint64_t)4 << 20)
#define SLICE_BYTES_MIN   ((uint64_t)64 << 10) /* however low the cap is */
#define LONG_QUIET_MS     2000

void ol_lazy_gate_start(ol_lazy_gate *gate, uint64_t now_ms)
{
	gate->started = now_ms;
	if (gate->quiet_from < now_ms)
		gate->quiet_from = now_ms;
}

void ol_lazy_gate_busy(ol_lazy_gate *gate, uint64_t now_ms)
{
	gate->quiet_from = now_ms;
}

void ol_lazy_gate_demand(ol_lazy_gate *gate, bool begins, uint64_t now_ms)
{
	if (begins)
		gate->demands++;
	else if (gate->demands > 0)
		gate->demands--;
	ol_lazy_gate_busy(gate, now_ms);
}

uint64_t ol_lazy_gate_pass(
	ol_lazy_gate *gate, bool urgent, uint64_t rate_bytes, uint64_t now_ms, uint64_t *wait_ms)
{
	const uint64_t quiet_ms = gate->quiet_from ? now_ms - gate->quiet_from : LONG_QUIET_MS;
	const uint64_t enough_ms =
		gate->started && now_ms - gate->started < START_MS ? START_QUIET_MS : QUIET_MS;
	uint64_t slice = quiet_ms < LONG_QUIET_MS || urgent ? SLICE_BYTES : SLICE_BYTES_LARGE;

	*wait_ms = 0;
	if (!urgent && gate->demands > 0)
		*wait_ms = enough_ms;
	else if (!urgent && quiet_ms < enough_ms)
		*wait_ms = enough_ms - quiet_ms;
	if (rate_bytes && gate->free_at > now_ms && gate->free_at - now_ms > *wait_ms)
		*wait_ms = gate->free_at - now_ms;
	if (*wait_ms)
		return 0;
	if (rate_bytes) {
		if (slice > rate_bytes / 4)
			slice = rate_bytes / 4;
		if (slice < SLICE_BYTES_MIN)
			slice = SLICE_BYTES_MIN;
		if (gate->free_at < now_ms)
			gate->free_at = now_ms;
		gate->free_at += slice * 1000 / rate_bytes;
	}
	return slice;
}
