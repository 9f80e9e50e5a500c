/*
 * Payloads as files of a FUSE file system, over /dev/fuse itself: what a kernel without pre-content
 * events can do. EROFS is mounted on such a file and keeps the pages, so what was read once is not
 * asked for again.
 *
 *	EROFS reads <hex> ─▶ FUSE_READ {unique, offset, size} ─▶ next() … answer(): its bytes
 *
 * The file system is mounted nowhere: its one descriptor is kept here, so it goes with this process
 * and leaves nothing behind. To open a file of it would wait for ourselves: device() does that on a
 * thread, and serves meanwhile.
 *
 * Invariant: a read is answered with bytes only once all its blocks are there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "base/trace.h"
#include "snapshot/lazy_engine_priv.h"
#include "snapshot/lazy_fuse_priv.h"

#define READ_BYTES_MAX    ((uint32_t)1 << 20)
#define READ_PAGES_MAX    256  /* of 4096 bytes: READ_BYTES_MAX; the kernel's own bound too */
#define READ_AHEAD_KB     1024 /* a quarter of the requests that the default of 128 makes */
#define BACKGROUND_MAX    256  /* reads ahead under way at once */
#define MINOR_WANTED      38
#define MINOR_MIN         31 /* Linux 5.4 */
#define ATTRIBUTE_SECONDS 1000000
#define TURNS_MAX         256 /* requests answered in one next(): others have their turn then */

/* A file. layer NULL: unwatched, but somebody still has it open. */
struct node {
	uint64_t id;            /* from FUSE_ROOT_ID + 1, never used again */
	ol_engine_layer *layer; /* lent */
	uint64_t opens;
};

typedef struct fuse {
	ol_engine base;
	int fd, mount_fd;
	struct node *nodes; /* owned */
	size_t count, cap;
	uint64_t last_id;
	ol_engine_ask *waiting; /* owned: asks that came while a device was opened */
	size_t waiting_count, waiting_cap;
	char *request; /* owned: OL_FUSE_REQUEST_BYTES */
	char *bytes;   /* owned: READ_BYTES_MAX */
} fuse;

static fuse *fuse_of(ol_engine *engine)
{
	return (fuse *)engine;
}

static void fuse_close(ol_engine *engine)
{
	fuse *f = fuse_of(engine);

	if (f->fd >= 0)
		(void)close(f->fd);
	if (f->mount_fd >= 0)
		(void)close(f->mount_fd);
	free(f->nodes);
	free(f->waiting);
	free(f->request);
	free(f->bytes);
	free(f);
}

static fuse *fuse_new(void)
{
	fuse *f = ol_alloc(sizeof *f);

	f->base.ops = &ol_engine_fuse;
	f->fd = f->mount_fd = -1;
	f->last_id = FUSE_ROOT_ID;
	f->request = ol_alloc(OL_FUSE_REQUEST_BYTES);
	f->bytes = ol_alloc(READ_BYTES_MAX);
	return f;
}

static int mount_fuse(fuse *f, ol_error *err)
{
	ol_autofd int fs = fsopen("fuse", FSOPEN_CLOEXEC);
	char fd_text[16];
	const char *const words[][2] = { { "source", "orlop-lazy" }, { "fd", fd_text },
		{ "rootmode", "40000" }, { "user_id", "0" }, { "group_id", "0" } };
	const char *const flags[] = { "ro", "default_permissions", "allow_other" };

	if (fs < 0)
		return ol_fail(
			err, OL_EUNSUPPORTED, "this kernel has no FUSE (%s)", strerror(errno));
	(void)snprintf(fd_text, sizeof fd_text, "%d", f->fd);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, words[i][0], words[i][1], 0) < 0)
			return ol_fail(err, OL_EUNSUPPORTED, "FUSE takes no %s (%s)", words[i][0],
				strerror(errno));
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (fsconfig(fs, FSCONFIG_SET_FLAG, flags[i], NULL, 0) < 0)
			return ol_fail(err, OL_EUNSUPPORTED, "FUSE takes no %s (%s)", flags[i],
				strerror(errno));
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return ol_fail(
			err, OL_EUNSUPPORTED, "FUSE cannot be mounted (%s)", strerror(errno));
	f->mount_fd = fsmount(fs, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return f->mount_fd < 0 ? ol_fail_sys(err, "mount of FUSE") : OL_OK;
}

/* The kernel reads ahead no further than this says; without it all works, with more requests. */
static void set_read_ahead(const fuse *f)
{
	ol_autofd int fd = -1;
	struct statx st;
	char path[64], text[16];

	/* Asked of what the kernel knows: the root's attributes would be asked of us. */
	if (statx(f->mount_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &st) < 0)
		return;
	(void)snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", st.stx_dev_major,
		st.stx_dev_minor);
	(void)snprintf(text, sizeof text, "%d", READ_AHEAD_KB);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		ol_trace("snapshot", "%s: %s", path, strerror(errno));
}

static int fuse_open(ol_engine **out, ol_error *err)
{
	fuse *f = fuse_new();
	int rc = OL_OK;

	f->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0)
		rc = ol_fail(err, OL_EUNSUPPORTED, "/dev/fuse: %s", strerror(errno));
	if (rc == OL_OK)
		rc = mount_fuse(f, err);
	if (rc < 0) {
		fuse_close(&f->base);
		return rc;
	}
	set_read_ahead(f);
	*out = &f->base;
	return OL_OK;
}

static int fuse_adopt(const ol_engine_fds *fds, ol_engine **out, ol_error *err)
{
	fuse *f;

	if (fds->count != 2) {
		for (size_t i = 0; i < fds->count; i++)
			(void)close(fds->fds[i]);
		return ol_fail(
			err, OL_ECORRUPT, "FUSE goes on with two descriptors, not %zu", fds->count);
	}
	f = fuse_new();
	f->fd = fds->fds[0];
	f->mount_fd = fds->fds[1];
	*out = &f->base;
	return OL_OK;
}

static ol_engine_fds fuse_fds(const ol_engine *engine)
{
	const fuse *f = (const fuse *)engine;

	return (ol_engine_fds){ .fds = { f->fd, f->mount_fd }, .count = 2 };
}

static int fuse_poll_fd(const ol_engine *engine)
{
	return ((const fuse *)engine)->fd;
}

/* Data may be NULL. A reader that was killed meanwhile is no failure (ENOENT). */
static int reply(
	const fuse *f, uint64_t unique, int sys, const void *data, size_t size, ol_error *err)
{
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof head + size), .error = -sys, .unique = unique
	};
	struct iovec parts[] = { { &head, sizeof head }, { (void *)(uintptr_t)data, size } };
	ssize_t n;

	do
		n = writev(f->fd, parts, size ? 2 : 1);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ENOENT)
		return ol_fail_sys(err, "answer to the kernel");
	return OL_OK;
}

static struct node *node_of(fuse *f, uint64_t id)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->nodes[i].id == id)
			return &f->nodes[i];
	return NULL;
}

static struct node *node_of_layer(fuse *f, const ol_engine_layer *layer)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->nodes[i].layer == layer)
			return &f->nodes[i];
	return NULL;
}

static void forget_closed(fuse *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->count; i++)
		if (f->nodes[i].layer || f->nodes[i].opens)
			f->nodes[kept++] = f->nodes[i];
	f->count = kept;
}

/* How often a file is open is kept where the next holder finds it, should this one die. */
static void note_opens(const struct node *node)
{
	if (node->layer && node->layer->state)
		atomic_store(&ol_lazy_state_counters(node->layer->state)->mounted, 1 + node->opens);
}

static uint64_t opens_before(const ol_engine_layer *layer)
{
	uint64_t mounted =
		layer->state ? atomic_load(&ol_lazy_state_counters(layer->state)->mounted) : 0;

	return mounted ? mounted - 1 : 0;
}

static int fuse_watch(ol_engine *engine, ol_engine_layer *layer, ol_error *err)
{
	fuse *f = fuse_of(engine);

	(void)err;
	OL_GROW(f->nodes, f->count, f->cap);
	f->nodes[f->count] = (struct node){ .id = layer->handle, .layer = layer };
	if (!layer->handle)
		f->nodes[f->count].id = layer->handle = f->last_id + 1;
	else
		f->nodes[f->count].opens = opens_before(layer);
	if (f->last_id < layer->handle)
		f->last_id = layer->handle;
	f->count++;
	return OL_OK;
}

static bool fuse_in_use(ol_engine *engine, const ol_engine_layer *layer)
{
	const struct node *node = node_of_layer(fuse_of(engine), layer);

	return node && node->opens > 0;
}

static int fuse_unwatch(ol_engine *engine, ol_engine_layer *layer, ol_error *err)
{
	fuse *f = fuse_of(engine);
	struct node *node = node_of_layer(f, layer);

	(void)err;
	if (node)
		node->layer = NULL;
	forget_closed(f);
	return OL_OK;
}

static struct fuse_attr attributes(const struct node *node)
{
	struct fuse_attr a = {
		.ino = FUSE_ROOT_ID, .mode = S_IFDIR | 0500, .nlink = 2, .blksize = OL_LAZY_BLOCK
	};

	if (node) {
		a.ino = node->id;
		a.mode = S_IFREG | 0400;
		a.nlink = 1;
		a.size = node->layer ? node->layer->payload_bytes : 0;
		a.blocks = a.size / 512;
	}
	return a;
}

static int on_init(fuse *f, const ol_fuse_request *request, ol_error *err)
{
	const struct fuse_init_in *in = &request->init;
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
		.minor = in->minor < MINOR_WANTED ? in->minor : MINOR_WANTED,
		.max_readahead = READ_BYTES_MAX,
		.max_write = OL_LAZY_BLOCK,
		.max_pages = READ_PAGES_MAX,
		.max_background = BACKGROUND_MAX,
		.congestion_threshold = BACKGROUND_MAX * 3 / 4,
		.time_gran = 1,
		.flags = in->flags & (FUSE_ASYNC_READ | FUSE_MAX_PAGES | FUSE_PARALLEL_DIROPS) };

	if (in->major != FUSE_KERNEL_VERSION || in->minor < MINOR_MIN)
		return reply(f, request->unique, EPROTO, NULL, 0, err);
	return reply(f, request->unique, 0, &out, sizeof out, err);
}

static int on_lookup(fuse *f, const ol_fuse_request *request, ol_error *err)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct node *node = &f->nodes[i];
		/* Not kept by the kernel: the next file of this name is another one. */
		struct fuse_entry_out out = { .nodeid = node->id,
			.attr_valid = ATTRIBUTE_SECONDS,
			.attr = attributes(node) };

		if (node->layer && request->node == FUSE_ROOT_ID &&
			strcmp(ol_digest_hex(&node->layer->diff_id).text, request->name) == 0)
			return reply(f, request->unique, 0, &out, sizeof out, err);
	}
	return reply(f, request->unique, ENOENT, NULL, 0, err);
}

static int on_getattr(fuse *f, const ol_fuse_request *request, ol_error *err)
{
	const struct node *node = node_of(f, request->node);
	struct fuse_attr_out out = { .attr_valid = ATTRIBUTE_SECONDS, .attr = attributes(node) };

	if (!node && request->node != FUSE_ROOT_ID)
		return reply(f, request->unique, ENOENT, NULL, 0, err);
	return reply(f, request->unique, 0, &out, sizeof out, err);
}

static int on_open(fuse *f, const ol_fuse_request *request, ol_error *err)
{
	/* A close need not be told of before it is done: it may be ours. */
	struct fuse_open_out out = { .open_flags = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH };
	struct node *node = node_of(f, request->node);

	if (!node || !node->layer)
		return reply(f, request->unique, ENOENT, NULL, 0, err);
	node->opens++;
	note_opens(node);
	return reply(f, request->unique, 0, &out, sizeof out, err);
}

static int on_release(fuse *f, const ol_fuse_request *request, ol_error *err)
{
	struct node *node = node_of(f, request->node);

	if (node && node->opens) {
		node->opens--;
		note_opens(node);
	}
	forget_closed(f);
	return reply(f, request->unique, 0, NULL, 0, err);
}

/* The bytes of an ask, which are there, out of the payload. */
static int send_bytes(fuse *f, const ol_engine_ask *ask, ol_error *err)
{
	size_t size = (size_t)(ask->end - ask->start);
	ol_error why = { 0 };

	if (ol_pread_all(ask->layer->payload_fd, f->bytes, size, ask->start, &why) < 0) {
		ol_trace("snapshot", "fuse: %s", why.text);
		return reply(f, ask->handle, EIO, NULL, 0, err);
	}
	return reply(f, ask->handle, 0, f->bytes, size, err);
}

/* 1: it is an ask; 0: it was answered. */
static int on_read(fuse *f, const ol_fuse_request *request, ol_engine_ask *out, ol_error *err)
{
	const struct node *node = node_of(f, request->node);
	ol_engine_ask ask = { .layer = node ? node->layer : NULL, .handle = request->unique };

	if (!ask.layer || request->size > READ_BYTES_MAX)
		return reply(f, request->unique, EIO, NULL, 0, err);
	if (request->offset >= ask.layer->payload_bytes || !request->size)
		return reply(f, request->unique, 0, NULL, 0, err);
	ask.start = request->offset;
	ask.end = request->size < ask.layer->payload_bytes - ask.start ? ask.start + request->size
								       : ask.layer->payload_bytes;
	if (ol_engine_has(ask.layer, ask.start, ask.end))
		return send_bytes(f, &ask, err);
	*out = ask;
	return 1;
}

static int handle(fuse *f, const ol_fuse_request *request, ol_engine_ask *out, ol_error *err)
{
	const struct fuse_open_out opened = { 0 };
	const struct fuse_statfs_out room = { .st.bsize = OL_LAZY_BLOCK };

	switch (request->opcode) {
	case FUSE_INIT:
		return on_init(f, request, err);
	case FUSE_LOOKUP:
		return on_lookup(f, request, err);
	case FUSE_GETATTR:
		return on_getattr(f, request, err);
	case FUSE_OPEN:
		return on_open(f, request, err);
	case FUSE_READ:
		return on_read(f, request, out, err);
	case FUSE_RELEASE:
		return on_release(f, request, err);
	case FUSE_OPENDIR:
		return reply(f, request->unique, 0, &opened, sizeof opened, err);
	case FUSE_READDIR: /* nobody lists it: it is empty */
	case FUSE_RELEASEDIR:
		return reply(f, request->unique, 0, NULL, 0, err);
	case FUSE_STATFS:
		return reply(f, request->unique, 0, &room, sizeof room, err);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_DESTROY: /* these three have no answer */
		return OL_OK;
	default: /* FUSE_INTERRUPT too: then the kernel sends no more of them */
		return reply(f, request->unique, ENOSYS, NULL, 0, err);
	}
}

/* One request, answered or an ask (1). OL_EBUSY: there is none. */
static int take_request(fuse *f, ol_engine_ask *out, ol_error *err)
{
	ol_fuse_request request;
	ssize_t n = read(f->fd, f->request, OL_FUSE_REQUEST_BYTES);
	int rc;

	if (n < 0 && errno == EAGAIN)
		return OL_EBUSY;
	/* ENOENT: it was interrupted before we read it. */
	if (n < 0 && (errno == EINTR || errno == ENOENT))
		return OL_OK;
	if (n < 0)
		return ol_fail_sys(err, "/dev/fuse");
	rc = ol_fuse_request_parse(ol_view_from(f->request, (size_t)n), &request, err);
	return rc < 0 ? rc : handle(f, &request, out, err);
}

static int fuse_next(ol_engine *engine, ol_engine_ask *out, ol_error *err)
{
	fuse *f = fuse_of(engine);

	if (f->waiting_count) {
		*out = f->waiting[--f->waiting_count];
		return 1;
	}
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		int rc = take_request(f, out, err);

		if (rc == OL_EBUSY)
			return 0;
		if (rc != OL_OK)
			return rc;
	}
	return 0;
}

static int fuse_answer(ol_engine *engine, const ol_engine_ask *ask, int sys, ol_error *err)
{
	fuse *f = fuse_of(engine);

	return sys == 0 ? send_bytes(f, ask, err) : reply(f, ask->handle, EIO, NULL, 0, err);
}

struct opening {
	int mount_fd, over_fd, fd, sys;
	char name[OL_DIGEST_TEXT_MAX];
};

static void *open_file(void *arg)
{
	struct opening *opening = arg;

	opening->fd = openat(opening->mount_fd, opening->name, O_RDONLY | O_CLOEXEC);
	opening->sys = errno;
	(void)close(opening->over_fd);
	return NULL;
}

static int put_off(fuse *f, const ol_engine_ask *ask)
{
	OL_GROW(f->waiting, f->waiting_count, f->waiting_cap);
	f->waiting[f->waiting_count++] = *ask;
	return OL_OK;
}

/* Serves until over_fd ends; what is asked meanwhile waits for next(). */
static int serve_until(fuse *f, int over_fd, ol_error *err)
{
	int rc = OL_OK;

	while (rc == OL_OK || rc == OL_EBUSY) {
		struct pollfd fds[] = { { .fd = f->fd, .events = POLLIN },
			{ .fd = over_fd, .events = POLLIN } };
		ol_engine_ask ask;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return ol_fail_sys(err, "poll");
		if (fds[1].revents)
			return OL_OK;
		rc = take_request(f, &ask, err);
		if (rc == 1)
			rc = put_off(f, &ask);
	}
	return rc;
}

static int fuse_device(ol_engine *engine, ol_engine_layer *layer, int *out, ol_error *err)
{
	fuse *f = fuse_of(engine);
	struct opening opening = { .mount_fd = f->mount_fd, .fd = -1 };
	int over[2], rc;
	pthread_t thread;

	if (pipe2(over, O_CLOEXEC) < 0)
		return ol_fail_sys(err, "pipe");
	opening.over_fd = over[1];
	(void)snprintf(
		opening.name, sizeof opening.name, "%s", ol_digest_hex(&layer->diff_id).text);
	if (pthread_create(&thread, NULL, open_file, &opening) != 0) {
		(void)close(over[0]);
		(void)close(over[1]);
		return ol_fail(err, OL_ESYSTEM, "a thread cannot be started");
	}
	rc = serve_until(f, over[0], err);
	/* Without us the thread would wait for ever. */
	if (rc < 0)
		(void)close(ol_steal_fd(&f->fd));
	(void)pthread_join(thread, NULL);
	(void)close(over[0]);
	if (rc == OL_OK && opening.fd < 0) {
		errno = opening.sys;
		rc = ol_fail_sys(err, "a file of FUSE");
	}
	if (rc == OL_OK)
		*out = opening.fd;
	else if (opening.fd >= 0)
		(void)close(opening.fd);
	return rc;
}

/* Reads that were handed out and not answered: the kernel gives them again (FUSE_NOTIFY_RESEND,
 * Linux 6.9); before, those readers wait until they are killed. */
static void fuse_sweep(ol_engine *engine, const uint64_t *handles, size_t count)
{
	const fuse *f = fuse_of(engine);
	/* error: the notification's number, which linux/fuse.h of 6.1 has not */
	const struct fuse_out_header head = { .len = sizeof head, .error = 7 };

	(void)handles;
	(void)count;
	if (write(f->fd, &head, sizeof head) < 0)
		ol_trace("snapshot", "fuse: requests are not given again: %s", strerror(errno));
}

static int fuse_probe(int dir_fd, ol_error *err)
{
	return ol_engine_probe(&ol_engine_fuse, dir_fd, err);
}

const ol_lazy_engine ol_engine_fuse = {
	.name = "fuse",
	.stays = true,
	.probe = fuse_probe,
	.open = fuse_open,
	.adopt = fuse_adopt,
	.fds = fuse_fds,
	.poll_fd = fuse_poll_fd,
	.watch = fuse_watch,
	.device = fuse_device,
	.in_use = fuse_in_use,
	.unwatch = fuse_unwatch,
	.next = fuse_next,
	.answer = fuse_answer,
	.sweep = fuse_sweep,
	.close = fuse_close,
};
