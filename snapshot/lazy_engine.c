/*
 * The table of engines, best first; choosing one, by trying it out. A new one is a file and a row
 * here.
 */
#include "snapshot/lazy_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/temp.h"
#include "snapshot/erofs_driver_priv.h"
#include "snapshot/lazy_engine_priv.h"

/* A busy machine may take its time; a kernel that does not ask never will. */
#define PROBE_MS 3000

const ol_lazy_engine *const *ol_lazy_engines(void)
{
	static const ol_lazy_engine *const rows[] = { &ol_engine_fanotify, &ol_engine_fuse, NULL };

	return rows;
}

const ol_lazy_engine *ol_lazy_engine_named(const char *name)
{
	for (const ol_lazy_engine *const *row = ol_lazy_engines(); *row; row++)
		if (strcmp((*row)->name, name) == 0)
			return *row;
	return NULL;
}

bool ol_engine_has(const ol_engine_layer *layer, uint64_t start, uint64_t end)
{
	ol_lazy_counters *counters;
	bool has;

	if (!layer->state)
		return false;
	counters = ol_lazy_state_counters(layer->state);
	has = ol_lazy_state_has(layer->state, start, end);
	(void)atomic_fetch_add_explicit(
		has ? &counters->hits : &counters->misses, 1, memory_order_relaxed);
	return has;
}

static int choose_named(
	int dir_fd, const char *want, const ol_lazy_engine **out, char why[256], ol_error *err)
{
	const ol_lazy_engine *engine = ol_lazy_engine_named(want);
	int rc;

	if (!engine) {
		ol_fail(err, OL_EINVAL, "there is no lazy engine \"%.64s\"", want);
		return ol_hint(err, OL_EINVAL, "the engines are fanotify and fuse");
	}
	rc = engine->probe(dir_fd, err);
	if (rc < 0)
		return ol_wrap(err, rc, "lazy engine %s cannot be used here", want);
	(void)snprintf(why, 256, "asked for");
	*out = engine;
	return OL_OK;
}

int ol_lazy_engine_choose(
	int dir_fd, const char *want, const ol_lazy_engine **out, char why[256], ol_error *err)
{
	ol_auto_str ol_str refusals = OL_STR(400);

	if (want && *want && strcmp(want, "auto") != 0)
		return choose_named(dir_fd, want, out, why, err);
	for (const ol_lazy_engine *const *row = ol_lazy_engines(); *row; row++) {
		ol_error refusal = { 0 };

		if ((*row)->probe(dir_fd, &refusal) == OL_OK) {
			(void)snprintf(why, 256, "%.255s",
				refusals.size ? ol_str_text(&refusals) : "the best there is");
			*out = *row;
			return OL_OK;
		}
		(void)ol_str_addf(&refusals, "%s%s: %.120s", refusals.size ? "; " : "",
			(*row)->name, refusal.text);
	}
	return ol_fail(
		err, OL_EUNSUPPORTED, "no lazy engine works here: %s", ol_str_text(&refusals));
}

/* Who reads what is not there: mounts, and reads the one file of the mount. */
struct reading {
	int index_fd, device_fd;
	int over_fd; /* its end */
	int rc;
	ol_error err;
};

static void *read_probe(void *arg)
{
	struct reading *reading = arg;
	ol_autofd int mount_fd = -1;
	int rc =
		ol_erofs_mount(reading->index_fd, &reading->device_fd, 1, &mount_fd, &reading->err);

	if (rc == OL_OK)
		rc = ol_erofs_probe_read(mount_fd, &reading->err);
	reading->rc = rc;
	(void)close(reading->over_fd);
	return NULL;
}

/* Answers what comes; 1: the reader is done, 0: time is over. */
static int serve(ol_engine *engine, int tar_fd, int over_fd, unsigned *asked, ol_error *err)
{
	const ol_lazy_engine *ops = engine->ops;
	uint64_t until = ol_now_ms() + PROBE_MS, now;
	char block[OL_EROFS_PROBE_BYTES];
	int rc = ol_pread_all(tar_fd, block, sizeof block, 0, err);

	while (rc == OL_OK && (now = ol_now_ms()) < until) {
		struct pollfd fds[] = { { .fd = ops->poll_fd(engine), .events = POLLIN },
			{ .fd = over_fd, .events = POLLIN } };
		ol_engine_ask ask;

		if (poll(fds, 2, (int)(until - now)) < 0 && errno != EINTR)
			return ol_fail_sys(err, "poll");
		if (fds[1].revents)
			return 1;
		while (rc == OL_OK && (rc = ops->next(engine, &ask, err)) == 1) {
			(*asked)++;
			rc = ol_pwrite_all(ask.layer->payload_fd, block, sizeof block, 0, err);
			if (rc == OL_OK)
				rc = ops->answer(engine, &ask, 0, err);
		}
	}
	return rc;
}

/* Takes engine, whose end lets a reader go that nobody answered. */
static int read_through(ol_engine *engine, struct reading *reading, int tar_fd, ol_error *err)
{
	unsigned asked = 0;
	int over[2], rc;
	pthread_t thread;

	if (pipe2(over, O_CLOEXEC) < 0) {
		engine->ops->close(engine);
		return ol_fail_sys(err, "pipe");
	}
	reading->over_fd = over[1];
	if (pthread_create(&thread, NULL, read_probe, reading) != 0) {
		engine->ops->close(engine);
		(void)close(over[0]);
		(void)close(over[1]);
		return ol_fail(err, OL_ESYSTEM, "a thread cannot be started");
	}
	rc = serve(engine, tar_fd, over[0], &asked, err);
	engine->ops->close(engine);
	(void)pthread_join(thread, NULL);
	(void)close(over[0]);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return ol_fail(err, OL_EUNSUPPORTED, "a test read was not answered in time");
	if (reading->rc < 0 && !asked)
		return ol_fail(err, OL_EUNSUPPORTED,
			"this kernel does not ask for what is not there: %.200s",
			reading->err.text);
	if (reading->rc < 0)
		return ol_fail(err, OL_EUNSUPPORTED, "%.400s", reading->err.text);
	return OL_OK;
}

int ol_engine_probe(const ol_lazy_engine *ops, int dir_fd, ol_error *err)
{
	ol_autofd int index_fd = -1, tar_fd = -1, payload_fd = -1, device_fd = -1;
	ol_engine_layer layer = { .diff_id = ol_digest_of(OL_SHA256, "probe", 5),
		.payload_bytes = OL_EROFS_PROBE_BYTES };
	ol_engine *engine = NULL;
	int rc = ops->open(&engine, err);

	if (rc < 0)
		return rc;
	rc = ol_erofs_probe_make(dir_fd, &index_fd, &tar_fd, err);
	if (rc == OL_OK)
		rc = ol_temp_open(dir_fd, &payload_fd, err);
	if (rc == OL_OK && ftruncate(payload_fd, OL_EROFS_PROBE_BYTES) < 0)
		rc = ol_fail_sys(err, "test payload");
	layer.payload_fd = payload_fd;
	if (rc == OL_OK)
		rc = ops->watch(engine, &layer, err);
	if (rc == OL_OK)
		rc = ops->device(engine, &layer, &device_fd, err);
	if (rc < 0) {
		ops->close(engine);
		return rc;
	}
	return read_through(engine,
		&(struct reading){ .index_fd = index_fd, .device_fd = device_fd }, tar_fd, err);
}
