/*
 * fanotify pre-content events: the kernel asks before it reads a range of a file that is marked.
 *
 *	EROFS reads payload ─▶ FAN_PRE_ACCESS {fd, offset, count} ─▶ next() … answer() ─▶ it reads
 *
 * Invariants:
 *   1. A payload is marked before it is mounted: a file that was opened before the mark never
 *      raises an event, and its holes read as zeros. For the same reason payload_fd, opened before,
 *      writes without one.
 *   2. An event is answered by its descriptor's number, so that stays open until then: another
 *      event could get the same number.
 *   3. A mark is removed when all is there, or nobody has the file open.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/trace.h"
#include "snapshot/lazy_engine_priv.h"

/* linux/fanotify.h of Linux 6.14; headers of 6.1 lack them. */
#define PRE_ACCESS UINT64_C(0x00100000)
#define INFO_RANGE 6
#define DENY_EIO   ((uint32_t)FAN_DENY | ((uint32_t)EIO << 24))
/* An event with its range has 48: two do not fit, so one read is one event. */
#define EVENT_BYTES 64
#define TURNS_MAX   256 /* events answered in one next(): others have their turn then */
/* Numbers of descriptors that events of a process before this one may have. */
#define SWEEP_FDS 65536

struct info_range {
	struct fanotify_event_info_header head;
	uint32_t pad;
	uint64_t offset, count;
};
_Static_assert(sizeof(struct info_range) == 24, "linux/fanotify.h");

/* A payload by its inode. layer NULL: unwatched since, but events of it may still be queued. */
struct watched {
	dev_t dev;
	ino_t ino;
	ol_engine_layer *layer; /* lent */
};

typedef struct fan {
	ol_engine base;
	int fd;
	struct watched *list; /* owned */
	size_t count, cap;
} fan;

static fan *fan_of(ol_engine *engine)
{
	return (fan *)engine;
}

static void fan_close(ol_engine *engine)
{
	fan *f = fan_of(engine);

	(void)close(f->fd);
	free(f->list);
	free(f);
}

static const char *refusal_means(int sys)
{
	switch (sys) {
	case EPERM:
		return "only root may use fanotify";
	case EINVAL:
	case ENOSYS:
		return "this kernel has no pre-content events (Linux 6.14 has)";
	default:
		return "fanotify cannot be used here";
	}
}

static int take(int fd, ol_engine **out)
{
	fan *f = ol_alloc(sizeof *f);

	f->base.ops = &ol_engine_fanotify;
	f->fd = fd;
	*out = &f->base;
	return OL_OK;
}

static int fan_open(ol_engine **out, ol_error *err)
{
	int fd = fanotify_init(FAN_CLASS_PRE_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
				       FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
		O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	int sys = errno;

	if (fd < 0)
		return ol_fail(err, OL_EUNSUPPORTED, "%s (%s)", refusal_means(sys), strerror(sys));
	return take(fd, out);
}

static int fan_adopt(const ol_engine_fds *fds, ol_engine **out, ol_error *err)
{
	if (fds->count == 1)
		return take(fds->fds[0], out);
	for (size_t i = 0; i < fds->count; i++)
		(void)close(fds->fds[i]);
	return ol_fail(
		err, OL_ECORRUPT, "fanotify goes on with one descriptor, not %zu", fds->count);
}

static ol_engine_fds fan_fds(const ol_engine *engine)
{
	return (ol_engine_fds){ .fds = { ((const fan *)engine)->fd, -1 }, .count = 1 };
}

static int fan_poll_fd(const ol_engine *engine)
{
	return ((const fan *)engine)->fd;
}

static struct watched *find(fan *f, dev_t dev, ino_t ino)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].dev == dev && f->list[i].ino == ino)
			return &f->list[i];
	return NULL;
}

static int fan_watch(ol_engine *engine, ol_engine_layer *layer, ol_error *err)
{
	fan *f = fan_of(engine);
	struct watched *known;
	struct stat st;

	if (fstat(layer->payload_fd, &st) < 0)
		return ol_fail_sys(err, "payload");
	if (fanotify_mark(f->fd, FAN_MARK_ADD, PRE_ACCESS, layer->payload_fd, NULL) < 0) {
		int sys = errno;

		return ol_fail(err, OL_EUNSUPPORTED, "the payload cannot be watched: %s",
			sys == EOPNOTSUPP || sys == EINVAL
				? "its file system has no pre-content events"
				: strerror(sys));
	}
	known = find(f, st.st_dev, st.st_ino);
	if (!known) {
		OL_GROW(f->list, f->count, f->cap);
		known = &f->list[f->count++];
	}
	*known = (struct watched){ st.st_dev, st.st_ino, layer };
	return OL_OK;
}

static int fan_device(ol_engine *engine, ol_engine_layer *layer, int *out, ol_error *err)
{
	int fd = open(ol_fd_path_of(layer->payload_fd).text, O_RDONLY | O_CLOEXEC);

	(void)engine;
	if (fd < 0)
		return ol_fail_sys(err, "payload");
	*out = fd;
	return OL_OK;
}

/* A write lease is given to whoever alone has a file open: copies of payload_fd are the same open
 * file and do not count, EROFS's own and loop devices' do. Who opens it meanwhile waits for us. */
static bool fan_in_use(ol_engine *engine, const ol_engine_layer *layer)
{
	(void)engine;
	if (fcntl(layer->payload_fd, F_SETLEASE, F_WRLCK) < 0)
		return true;
	(void)fcntl(layer->payload_fd, F_SETLEASE, F_UNLCK);
	return false;
}

static int fan_unwatch(ol_engine *engine, ol_engine_layer *layer, ol_error *err)
{
	fan *f = fan_of(engine);

	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].layer == layer)
			f->list[i].layer = NULL;
	if (fanotify_mark(f->fd, FAN_MARK_REMOVE, PRE_ACCESS, layer->payload_fd, NULL) < 0 &&
		errno != ENOENT)
		return ol_fail_sys(err, "the payload's mark");
	return OL_OK;
}

static int respond(const fan *f, int event_fd, uint32_t response, ol_error *err)
{
	const struct fanotify_response r = { .fd = event_fd, .response = response };

	/* ENOENT: it was killed while it waited. */
	if (write(f->fd, &r, sizeof r) != (ssize_t)sizeof r && errno != ENOENT)
		return ol_fail_sys(err, "answer to the kernel");
	return OL_OK;
}

static int fan_answer(ol_engine *engine, const ol_engine_ask *ask, int sys, ol_error *err)
{
	int event_fd = (int)ask->handle;
	int rc = respond(fan_of(engine), event_fd, sys == 0 ? FAN_ALLOW : DENY_EIO, err);

	(void)close(event_fd);
	return rc;
}

/* All is queued before a mark is removed that was read by the time the queue is empty. */
static void forget_unwatched(fan *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].layer)
			f->list[kept++] = f->list[i];
	f->count = kept;
}

/* The range of an event; false: it has none, as far as we understand it. */
static bool range_of(const char *event, size_t at, size_t size, struct info_range *out)
{
	while (size - at >= sizeof out->head) {
		struct fanotify_event_info_header head;

		memcpy(&head, event + at, sizeof head);
		if (head.len < sizeof head || head.len > size - at)
			return false;
		if (head.info_type == INFO_RANGE && head.len >= sizeof *out) {
			memcpy(out, event + at, sizeof *out);
			return true;
		}
		at += head.len;
	}
	return false;
}

/* What an event asks for, in whole blocks: the kernel caches whole pages. False: beyond the end. */
static bool ask_of(ol_engine_layer *layer, const char *event,
	const struct fanotify_event_metadata *meta, ol_engine_ask *out)
{
	struct info_range range;
	uint64_t end = layer->payload_bytes;

	*out = (ol_engine_ask){ .layer = layer, .handle = (uint64_t)meta->fd };
	if (range_of(event, meta->metadata_len, meta->event_len, &range)) {
		uint64_t count = range.count ? range.count : OL_LAZY_BLOCK;

		out->start = range.offset - range.offset % OL_LAZY_BLOCK;
		if (range.offset < end && count < end - range.offset) {
			uint64_t blocks =
				(range.offset + count + OL_LAZY_BLOCK - 1) / OL_LAZY_BLOCK;

			if (blocks * OL_LAZY_BLOCK < end)
				end = blocks * OL_LAZY_BLOCK;
		}
	}
	out->end = end;
	return out->start < end;
}

/* 1: it is an ask; 0: it was answered. */
static int take_event(fan *f, const char *event, const struct fanotify_event_metadata *meta,
	ol_engine_ask *out, ol_error *err)
{
	const struct watched *known = NULL;
	uint32_t response = DENY_EIO;
	struct stat st;
	int rc;

	if (fstat(meta->fd, &st) == 0)
		known = find(f, st.st_dev, st.st_ino);
	if (known && known->layer && ask_of(known->layer, event, meta, out) &&
		!ol_engine_has(known->layer, out->start, out->end))
		return 1;
	/* Unwatched while this was queued: all of it was there by then (invariant 3). */
	if (known)
		response = FAN_ALLOW;
	rc = respond(f, meta->fd, response, err);
	(void)close(meta->fd);
	return rc;
}

static int fan_next(ol_engine *engine, ol_engine_ask *out, ol_error *err)
{
	fan *f = fan_of(engine);
	char event[EVENT_BYTES] __attribute__((aligned(8)));

	for (int turn = 0; turn < TURNS_MAX; turn++) {
		struct fanotify_event_metadata meta;
		ssize_t n = read(f->fd, event, sizeof event);
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			forget_unwatched(f);
			return 0;
		}
		if (n < 0)
			return ol_fail_sys(err, "fanotify");
		if ((size_t)n < sizeof meta)
			return ol_fail(err, OL_ESYSTEM, "fanotify gave %zd bytes", n);
		memcpy(&meta, event, sizeof meta);
		if (meta.vers != FANOTIFY_METADATA_VERSION || meta.event_len > (size_t)n ||
			meta.metadata_len > meta.event_len)
			return ol_fail(err, OL_ESYSTEM, "fanotify speaks another version");
		if (meta.fd < 0)
			continue;
		rc = take_event(f, event, &meta, out, err);
		if (rc != OL_OK)
			return rc;
	}
	return 0;
}

/* An event that is refused is asked for again, where it was for reading ahead; else its reader gets
 * an error. */
static void fan_sweep(ol_engine *engine, const uint64_t *handles, size_t count)
{
	const fan *f = fan_of(engine);
	ol_autofree bool *known = ol_alloc_array(SWEEP_FDS, sizeof *known);
	size_t swept = 0;

	for (size_t i = 0; i < count; i++)
		if (handles[i] < SWEEP_FDS)
			known[handles[i]] = true;
	for (int fd = 0; fd < SWEEP_FDS; fd++) {
		const struct fanotify_response r = { .fd = fd, .response = DENY_EIO };

		if (!known[fd])
			swept += write(f->fd, &r, sizeof r) == (ssize_t)sizeof r;
	}
	ol_trace("snapshot", "fanotify: %zu events of the holder before are asked again", swept);
}

static int fan_probe(int dir_fd, ol_error *err)
{
	return ol_engine_probe(&ol_engine_fanotify, dir_fd, err);
}

const ol_lazy_engine ol_engine_fanotify = {
	.name = "fanotify",
	.leaves_zeros = true,
	.probe = fan_probe,
	.open = fan_open,
	.adopt = fan_adopt,
	.fds = fan_fds,
	.poll_fd = fan_poll_fd,
	.watch = fan_watch,
	.device = fan_device,
	.in_use = fan_in_use,
	.unwatch = fan_unwatch,
	.next = fan_next,
	.answer = fan_answer,
	.sweep = fan_sweep,
	.close = fan_close,
};
