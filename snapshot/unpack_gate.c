#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "snapshot/unpack_priv.h"

struct ol_unpack_gate {
	pthread_mutex_t lock; /* guards taken */
	pthread_cond_t changed;
	bool taken;
};

#define LOOK_AGAIN_NS 50000000L /* how long a wish to stop may go unnoticed */

ol_unpack_gate *ol_unpack_gate_new(void)
{
	ol_unpack_gate *gate = ol_alloc(sizeof *gate);
	pthread_condattr_t monotonic;

	pthread_mutex_init(&gate->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&gate->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return gate;
}

void ol_unpack_gate_free(ol_unpack_gate *gate)
{
	if (!gate)
		return;
	pthread_cond_destroy(&gate->changed);
	pthread_mutex_destroy(&gate->lock);
	free(gate);
}

/* A while from now: a stop is a flag that nobody signals here, so waiting goes in short turns. */
static struct timespec next_look(void)
{
	struct timespec when;

	(void)clock_gettime(CLOCK_MONOTONIC, &when);
	when.tv_nsec += LOOK_AGAIN_NS;
	if (when.tv_nsec >= 1000000000L) {
		when.tv_sec++;
		when.tv_nsec -= 1000000000L;
	}
	return when;
}

int ol_unpack_gate_enter(
	ol_unpack_gate *gate, bool (*given_up)(void *ctx), void *ctx, ol_error *err)
{
	bool stopped = false;

	if (!gate)
		return OL_OK;
	pthread_mutex_lock(&gate->lock);
	while (gate->taken && !stopped) {
		struct timespec when = next_look();

		pthread_cond_timedwait(&gate->changed, &gate->lock, &when);
		pthread_mutex_unlock(&gate->lock);
		stopped = given_up(ctx);
		pthread_mutex_lock(&gate->lock);
	}
	if (!stopped)
		gate->taken = true;
	pthread_mutex_unlock(&gate->lock);
	return stopped ? ol_fail(err, OL_ECANCELED, "interrupted") : OL_OK;
}

void ol_unpack_gate_leave(ol_unpack_gate *gate)
{
	if (!gate)
		return;
	pthread_mutex_lock(&gate->lock);
	gate->taken = false;
	pthread_cond_signal(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}
