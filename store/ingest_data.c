/*
 * The bytes of an ingest: `data`, written at any offset by several threads, and the map of what is
 * there.
 *
 *	write: pwrite ─▶ present (a reader may go on) and pending
 *	       a pending range of 1 MiB ─▶ a record of the map
 *
 * kill -9 loses what is pending: less than 1 MiB for each stream of writes, since a stream's bytes
 * form one range; or, where writes jump, 4 MiB in all; and no more than 50 ms brought. Invariant 10
 * needs no fsync: a killed process leaves its page cache, and after another boot the map is not
 * believed, unless by who verifies what it tells of.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/ckd.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/limits.h"
#include "store/ingest_priv.h"

#define RECORD_BYTES_MIN ((uint64_t)1 << 20)
#define READ_AHEAD_BYTES                                                                           \
	((uint64_t)256 << 10) /* the reader sleeps until so much has come: one wake-up each */
#define CANCEL_INTERVAL_MS 100
/* Of small ranges together, as they come when somebody reads here and there. */
#define PENDING_BYTES_MAX ((uint64_t)4 << 20)
/* Who is killed again and again must get on for all that, however slow the link. */
#define PENDING_MS_MAX 50
/* Past this the map is written anew with merged ranges; records past what then fits are
 * not kept. */
#define COMPACT_BYTES (OL_RANGE_MAP_BYTES_MAX / 2)

/* Publishes a map with the present ranges and appends to that one from now on. Called with the lock
 * held or before others know the ingest. */
static int write_map(ol_ingest *ingest, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_RANGE_MAP_BYTES_MAX);
	unsigned char header[OL_RANGE_MAP_HEADER_BYTES], record[OL_RANGE_MAP_RECORD_BYTES];
	const ol_range_set *set = &ingest->present;
	ol_autofd int fd = -1;
	int rc;

	ol_range_map_header(ingest->size, ingest->store->boot, header);
	(void)ol_buf_add(&text, header, sizeof header);
	for (size_t i = 0; i < set->count && text.size < COMPACT_BYTES; i++) {
		ol_range_map_record(&set->ranges[i], text.size, record);
		(void)ol_buf_add(&text, record, sizeof record);
	}
	rc = ol_publish(ingest->dir_fd, "map", ol_buf_view(&text), 0600, OL_PUBLISH_REPLACE, err);
	if (rc < 0)
		return rc;
	fd = openat(ingest->dir_fd, "map", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return ol_fail_sys(err, "map");
	if (ingest->map_fd >= 0)
		(void)close(ingest->map_fd);
	ingest->map_fd = ol_steal_fd(&fd);
	ingest->map_bytes = text.size;
	ol_range_set_done(&ingest->pending);
	return OL_OK;
}

/* Appends one record. A failure (a full disk) costs a resume, not the transfer. */
static void record(ol_ingest *ingest, const ol_range *range)
{
	unsigned char bytes[OL_RANGE_MAP_RECORD_BYTES];

	if (ol_fault("store.ingest.record", NULL) < 0)
		return;
	ol_range_map_record(range, ingest->map_bytes, bytes);
	if (ol_pwrite_all(ingest->map_fd, bytes, sizeof bytes, ingest->map_bytes, NULL) == OL_OK)
		ingest->map_bytes += sizeof bytes;
	else
		(void)ftruncate(ingest->map_fd, (off_t)ingest->map_bytes);
}

static void flush_range(ol_ingest *ingest, const ol_range *range)
{
	if (ingest->map_bytes < COMPACT_BYTES)
		record(ingest, range);
	else if (ingest->present.count < COMPACT_BYTES / OL_RANGE_MAP_RECORD_BYTES / 2)
		(void)write_map(ingest, NULL);
	/* write_map has emptied the set. */
	if (ingest->pending.count)
		ol_range_set_remove(&ingest->pending, range);
}

/* With the lock held. */
static void flush_all(ol_ingest *ingest)
{
	while (ingest->map_fd >= 0 && ingest->pending.count)
		flush_range(ingest, &ingest->pending.ranges[ingest->pending.count - 1]);
}

void ol_ingest_flush(ol_ingest *ingest)
{
	(void)pthread_mutex_lock(&ingest->lock);
	flush_all(ingest);
	(void)pthread_mutex_unlock(&ingest->lock);
}

int ol_ingest_peek(int dir_fd, ol_range_map *out, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_RANGE_MAP_BYTES_MAX);
	int rc = ol_file_read(dir_fd, "map", true, &text, err);

	return rc == OL_OK ? ol_range_map_parse(ol_buf_view(&text), out, err) : rc;
}

int ol_ingest_load(ol_ingest *ingest, ol_error *err)
{
	ol_range_map map = { 0 };
	struct stat st;
	bool believed;

	ingest->data_fd =
		openat(ingest->dir_fd, "data", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ingest->data_fd < 0 || fstat(ingest->data_fd, &st) < 0)
		return ol_fail_sys(err, "data");
	/* No words for a map that is not believed: everything is then missing, and the digest
	 * decides either way. */
	believed = ol_ingest_peek(ingest->dir_fd, &map, NULL) == OL_OK &&
		   map.size == ingest->size &&
		   (ingest->any_boot || strcmp(map.boot, ingest->store->boot) == 0) &&
		   (uint64_t)st.st_size == ingest->size;
	if (believed)
		ingest->present = map.set;
	else
		ol_range_set_done(&map.set);
	if (!believed && ftruncate(ingest->data_fd, 0) < 0)
		return ol_fail_sys(err, "data");
	if (ftruncate(ingest->data_fd, (off_t)ingest->size) < 0)
		return ol_fail_sys(err, "data of %llu bytes", (unsigned long long)ingest->size);
	return write_map(ingest, err);
}

int ol_ingest_reset(ol_ingest *ingest, ol_error *err)
{
	int rc;

	(void)pthread_mutex_lock(&ingest->lock);
	ol_range_set_done(&ingest->present);
	ingest->finished = false;
	ingest->rc = OL_OK;
	/* The map first: it must never say more than there is. */
	rc = write_map(ingest, err);
	if (rc == OL_OK && (ftruncate(ingest->data_fd, 0) < 0 ||
				   ftruncate(ingest->data_fd, (off_t)ingest->size) < 0))
		rc = ol_fail_sys(err, "data");
	(void)pthread_mutex_unlock(&ingest->lock);
	return rc;
}

static void wake_readers(ol_ingest *ingest, bool always)
{
	if (ingest->range_waiters)
		(void)pthread_cond_broadcast(&ingest->came);
	if (!ingest->reader_waits)
		return;
	if (!always && ol_range_set_prefix(&ingest->present) < ingest->reader_wants)
		return;
	ingest->reader_waits = false;
	(void)pthread_cond_signal(&ingest->grown);
}

int ol_ingest_write(
	ol_ingest *ingest, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	const uint64_t now_ms = ol_now_ms();
	const ol_range *range;
	uint64_t end;
	int rc;

	if (size == 0)
		return OL_OK;
	if (ckd_add(&end, offset, size) || end > ingest->size)
		return ol_fail(err, OL_ECORRUPT, "more came than the %llu bytes promised",
			(unsigned long long)ingest->size);
	rc = ol_pwrite_all(ingest->data_fd, data, size, offset, err);
	if (rc < 0) {
		if (err && err->sys == ENOSPC)
			(void)ol_hint(err, rc, "make room in %.100s, for example with `orlop gc`",
				ingest->store->root);
		return ol_wrap(err, rc, "receive %s", ol_digest_short(&ingest->digest).text);
	}
	(void)pthread_mutex_lock(&ingest->lock);
	ol_range_set_add(&ingest->present, offset, end);
	ol_range_set_add(&ingest->pending, offset, end);
	range = ol_range_set_find(&ingest->pending, offset);
	if (range->end - range->start >= RECORD_BYTES_MIN)
		flush_range(ingest, range);
	else if (ingest->pending.present >= PENDING_BYTES_MAX ||
		 now_ms - ingest->flushed_ms >= PENDING_MS_MAX)
		flush_all(ingest);
	if (ingest->pending.count == 0)
		ingest->flushed_ms = now_ms;
	wake_readers(ingest, false);
	(void)pthread_mutex_unlock(&ingest->lock);
	return OL_OK;
}

uint64_t ol_ingest_present(const ol_ingest *ingest)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&ingest->lock;
	uint64_t present;

	(void)pthread_mutex_lock(lock);
	present = ingest->present.present;
	(void)pthread_mutex_unlock(lock);
	return present;
}

size_t ol_ingest_missing(ol_ingest *ingest, ol_range *ranges, size_t count)
{
	size_t found;

	(void)pthread_mutex_lock(&ingest->lock);
	found = ol_range_set_missing(&ingest->present, ingest->size, ranges, count);
	(void)pthread_mutex_unlock(&ingest->lock);
	return found;
}

bool ol_ingest_has(ol_ingest *ingest, uint64_t start, uint64_t end)
{
	bool has;

	(void)pthread_mutex_lock(&ingest->lock);
	has = end <= ingest->size && ol_range_set_has(&ingest->present, start, end);
	(void)pthread_mutex_unlock(&ingest->lock);
	return has;
}

int ol_ingest_forget(ol_ingest *ingest, uint64_t start, uint64_t end, ol_error *err)
{
	int rc;

	if (start >= end)
		return OL_OK;
	(void)pthread_mutex_lock(&ingest->lock);
	ol_range_set_cut(&ingest->present, start, end);
	if (ingest->pending.count)
		ol_range_set_cut(&ingest->pending, start, end);
	if (ingest->finished && ingest->rc == OL_OK)
		ingest->finished = false;
	ingest->forgotten++;
	/* A map is only added to: without them it is another one. */
	rc = write_map(ingest, err);
	(void)pthread_mutex_unlock(&ingest->lock);
	return rc < 0 ? ol_wrap(err, rc, "ingest/%s", ingest->folder) : OL_OK;
}

void ol_ingest_finish(ol_ingest *ingest, int rc, const ol_error *err)
{
	(void)pthread_mutex_lock(&ingest->lock);
	if (!ingest->finished) {
		ingest->finished = true;
		ingest->rc = rc;
		if (rc < 0 && err)
			ingest->error = *err;
		else if (rc < 0)
			(void)ol_fail(&ingest->error, rc, "the transfer failed");
	}
	wake_readers(ingest, true);
	(void)pthread_mutex_unlock(&ingest->lock);
}

struct reader {
	ol_reader reader;
	ol_ingest *ingest;       /* lent */
	const ol_cancel *cancel; /* lent */
	uint64_t at, limit;      /* limit: known to be there; below it no lock is needed, unless */
	uint64_t forgotten;      /* bytes were forgotten since */
};

/* Sleeps until there is a signal, or for as long as a cancel may go unnoticed. */
static void sleep_on(ol_ingest *ingest, pthread_cond_t *signal)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += CANCEL_INTERVAL_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(signal, &ingest->lock, &until);
}

/* The writer's failure, with its words. */
static int last_word(const ol_ingest *ingest, ol_error *err)
{
	if (!ingest->finished || ingest->rc == OL_OK)
		return OL_OK;
	if (err)
		*err = ingest->error;
	return ingest->rc;
}

int ol_ingest_wait_range(
	ol_ingest *ingest, uint64_t start, uint64_t end, const ol_cancel *cancel, ol_error *err)
{
	bool has = false;
	int rc = OL_OK;

	(void)pthread_mutex_lock(&ingest->lock);
	ingest->range_waiters++;
	while (rc == OL_OK && !(has = ol_range_set_has(&ingest->present, start, end)) &&
		!ingest->finished) {
		sleep_on(ingest, &ingest->came);
		rc = ol_cancel_check(cancel, err);
	}
	ingest->range_waiters--;
	if (rc == OL_OK && !has)
		rc = last_word(ingest, err);
	(void)pthread_mutex_unlock(&ingest->lock);
	if (rc == OL_OK && !has)
		rc = ol_fail(err, OL_EUNAVAILABLE, "the transfer ended without bytes %llu to %llu",
			(unsigned long long)start, (unsigned long long)end);
	return rc;
}

int ol_ingest_wait(
	ol_ingest *ingest, uint64_t upto, const ol_cancel *cancel, uint64_t *have, ol_error *err)
{
	int rc = OL_OK;

	(void)pthread_mutex_lock(&ingest->lock);
	while (ol_range_set_prefix(&ingest->present) < upto && !ingest->finished && rc == OL_OK) {
		ingest->reader_waits = true;
		ingest->reader_wants = upto;
		sleep_on(ingest, &ingest->grown);
		ingest->reader_waits = false;
		rc = ol_cancel_check(cancel, err);
	}
	*have = ol_range_set_prefix(&ingest->present);
	if (rc == OL_OK)
		rc = last_word(ingest, err);
	(void)pthread_mutex_unlock(&ingest->lock);
	return rc;
}

static int wait_for_more(struct reader *self, ol_error *err)
{
	ol_ingest *ingest = self->ingest;
	uint64_t left = ingest->size - self->at;
	uint64_t wants = self->at + (left < READ_AHEAD_BYTES ? left : READ_AHEAD_BYTES);
	int rc = ol_ingest_wait(ingest, wants, self->cancel, &self->limit, err);

	if (rc == OL_OK && self->limit <= self->at)
		rc = ol_fail(err, OL_EUNAVAILABLE, "the transfer ended at byte %llu of %llu",
			(unsigned long long)self->limit, (unsigned long long)ingest->size);
	return rc;
}

static int read_some(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct reader *self = (struct reader *)reader;
	ssize_t n;
	int rc;

	*got = 0;
	if (self->at == self->ingest->size || size == 0)
		return OL_OK;
	if (self->at >= self->limit || self->forgotten != self->ingest->forgotten) {
		self->forgotten = self->ingest->forgotten;
		rc = wait_for_more(self, err);
		if (rc < 0)
			return rc;
	}
	if (size > self->limit - self->at)
		size = (size_t)(self->limit - self->at);
	do
		n = pread(self->ingest->data_fd, data, size, (off_t)self->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ol_fail_sys(err, "read what was received");
	if (n == 0)
		return ol_fail(err, OL_ECORRUPT, "what was received was cut short on disk");
	self->at += (uint64_t)n;
	*got = (size_t)n;
	return OL_OK;
}

static void close_reader(ol_reader *reader)
{
	free(reader);
}

ol_reader *ol_ingest_reader(ol_ingest *ingest, const ol_cancel *cancel)
{
	static const ol_reader_ops ops = { read_some, close_reader };
	struct reader *self = ol_alloc(sizeof *self);

	self->reader.ops = &ops;
	self->ingest = ingest;
	self->cancel = cancel;
	return &self->reader;
}

struct source {
	ol_source source;
	ol_ingest *ingest; /* lent */
};

static int read_source(ol_source *source, uint64_t offset, void *data, size_t size, ol_error *err)
{
	return ol_pread_all(((struct source *)source)->ingest->data_fd, data, size, offset, err);
}

static void close_source(ol_source *source)
{
	free(source);
}

ol_source *ol_ingest_source(ol_ingest *ingest)
{
	static const ol_source_ops ops = { read_source, close_source };
	struct source *self = ol_alloc(sizeof *self);

	self->source = (ol_source){ &ops, ingest->size };
	self->ingest = ingest;
	return &self->source;
}
