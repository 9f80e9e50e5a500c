/*
 * The moment at which a lazy layer becomes an ordinary one:
 *
 *	unpacked, both digests right ─▶ compare indexes ─▶ settle payload ─▶ tar, index, row ─▶ done
 *	                                       └─ differ: poison
 *
 * Killed anywhere in between, the next worker finds the row lazy and all bytes in the ingest, and
 * does it again; or the row ordinary, and settles from the tar in the store.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "image/layer_take_priv.h"
#include "image/lazy_worker_priv.h"
#include "snapshot/erofs_reader.h"
#include "store/lease.h"

#define HASH_BYTES ((size_t)256 << 10)

/* What a layer really is; descriptors owned. */
struct real {
	int tar_fd, index_fd;
	ol_digest index_digest;
};

static void real_done(struct real *real)
{
	if (real->tar_fd >= 0)
		(void)close(real->tar_fd);
	if (real->index_fd >= 0)
		(void)close(real->index_fd);
}

static int hash_index(int fd, ol_digest *out, ol_error *err)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	ol_autofree unsigned char *block = ol_alloc(HASH_BYTES);
	off_t at = 0;
	ssize_t got;

	while ((got = pread(fd, block, HASH_BYTES, at)) > 0) {
		ol_hasher_update(hasher, block, (size_t)got);
		at += got;
	}
	if (got < 0)
		return ol_fail_sys(err, "index");
	*out = ol_hasher_final(hasher);
	return OL_OK;
}

static int open_index(int fd, ol_erofs **out, ol_error *err)
{
	struct stat st;
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (own < 0 || fstat(own, &st) < 0) {
		int rc = ol_fail_sys(err, "index");

		if (own >= 0)
			(void)close(own);
		return rc;
	}
	return ol_erofs_open(ol_source_of_fd(own, (uint64_t)st.st_size), out, err);
}

/* The payload is the tar, as far as extents go: between them are the tar's headers, which a table
 * with a tar-split does not give and nobody can read. */
static void map_extents(const ol_lazy_table *table, ol_settle_map *map)
{
	for (size_t i = 0; i < table->extent_count; i++) {
		const ol_lazy_extent *extent = &table->extents[i];
		ol_settle_run *last = map->count ? &map->runs[map->count - 1] : NULL;

		if (last && last->payload + last->size == extent->offset)
			last->size += extent->size;
		else
			ol_settle_map_add(map, &(ol_settle_run){ .payload = extent->offset,
						       .tar = extent->offset,
						       .size = extent->size });
	}
}

/* Where the payload's bytes are in the tar. OL_ECORRUPT: the table of contents lied. */
static int map_payload(
	const ol_lazy_job *job, const struct real *real, ol_settle_map *map, ol_error *err)
{
	const bool packed = job->table.about.layout == OL_LAZY_PACKED;
	ol_auto(ol_erofs_close) ol_erofs *lazy = NULL, *whole = NULL;
	ol_digest lazy_digest;
	int rc = hash_index(job->index_fd, &lazy_digest, err);

	if (rc < 0)
		return rc;
	if (!packed && ol_digest_eq(&lazy_digest, &real->index_digest)) {
		map_extents(&job->table, map);
		return OL_OK;
	}
	rc = open_index(job->index_fd, &lazy, err);
	if (rc == OL_OK)
		rc = open_index(real->index_fd, &whole, err);
	if (rc == OL_OK)
		rc = ol_lazy_compare(lazy, whole, packed, map, err);
	return rc;
}

void ol_lazy_poison(ol_lazy_job *job, const ol_error *why)
{
	pthread_rwlock_wrlock(&job->serving);
	job->poisoned = true;
	job->error = *why;
	if (job->filler)
		ol_filler_poison(job->filler, why->text);
	pthread_rwlock_unlock(&job->serving);
	ol_lazy_job_say(job, OL_LAZY_POISONED, why->text);
	ol_lazy_log(job->worker, job, "is not what its table of contents says: %s", why->text);
}

/* From now on reads are served from the tar, with what lies behind the one that settles. */
static int settle_with(ol_lazy_job *job, ol_lazy_settle *settle, ol_error *err)
{
	int rc;

	pthread_rwlock_wrlock(&job->serving);
	job->settle = settle;
	pthread_rwlock_unlock(&job->serving);
	rc = ol_lazy_settle_range(
		settle, 0, ol_lazy_state_payload_bytes(settle->state), job->stop, err);
	pthread_rwlock_wrlock(&job->serving);
	job->settle = NULL;
	job->present = rc == OL_OK;
	pthread_rwlock_unlock(&job->serving);
	return rc;
}

/* On descriptors of its own: the payload may be let go meanwhile. */
static int settle_mounted(
	ol_lazy_job *job, const struct real *real, ol_settle_map *map, ol_error *err)
{
	ol_auto(ol_lazy_state_close) ol_lazy_state *state = NULL;
	ol_lazy_settle settling;
	ol_autofd int fd = -1;
	int rc = OL_OK;

	pthread_rwlock_rdlock(&job->serving);
	if (job->payload_fd >= 0) {
		fd = fcntl(job->payload_fd, F_DUPFD_CLOEXEC, 3);
		rc = fd < 0 ? ol_fail_sys(err, "payload")
			    : ol_lazy_state_map(ol_lazy_state_fd(job->state), &state, err);
	}
	pthread_rwlock_unlock(&job->serving);
	if (rc < 0 || fd < 0)
		return rc;
	ol_lazy_settle_init(&settling, fd, real->tar_fd, state);
	settling.map = *map;
	*map = (ol_settle_map){ 0 };
	rc = settle_with(job, &settling, err);
	ol_lazy_settle_done(&settling);
	if (rc < 0)
		return rc;
	ol_lazy_job_say(job, OL_LAZY_COMPLETE, "");
	ol_lazy_link_done(job->worker->link, &job->diff_id);
	return OL_OK;
}

/* All of the payload becomes present, if it is mounted. A lie is no failure: it is told, and the
 * layer becomes what it is. */
static int settle(ol_lazy_job *job, const struct real *real, ol_error *err)
{
	ol_settle_map map = { 0 };
	ol_error why = { 0 };
	int rc = map_payload(job, real, &map, &why);

	if (rc == OL_OK)
		rc = settle_mounted(job, real, &map, &why);
	ol_settle_map_done(&map);
	if (rc == OL_ECORRUPT) {
		ol_lazy_poison(job, &why);
		return OL_OK;
	}
	if (rc < 0 && err)
		*err = why;
	return rc;
}

static int publish(ol_lazy_job *job, const ol_unpacked *unpacked, ol_error *err)
{
	ol_store *store = job->worker->session->store;
	const ol_layer_facts facts = { .media_type = job->info.media_type,
		.origin = job->info.origin };
	ol_auto(ol_lease_end) ol_lease *lease = NULL;
	ol_layer_info row;
	int rc = ol_lease_begin(store, "lazy", &lease, err);

	if (rc == OL_OK)
		rc = ol_lease_add(lease, &job->diff_id, err);
	/* An image that was removed meanwhile does not come back. */
	if (rc == OL_OK)
		rc = ol_layer_recorded(store, &job->diff_id, false, &row, err);
	return rc < 0 ? rc
		      : ol_layer_keep(store, ol_ingest_dir_fd(job->ingest), unpacked, &facts, err);
}

/* True: nobody uses the ingest any more, and nobody will. False: a payload came meanwhile. */
static bool retire(ol_lazy_job *job)
{
	ol_lazy_worker *worker = job->worker;
	bool settled;

	pthread_mutex_lock(&worker->lock);
	while (job->is == OL_JOB_OPENING)
		pthread_cond_wait(&worker->changed, &worker->lock);
	settled = job->payload_fd < 0 || job->present || job->poisoned;
	if (settled) {
		job->is = OL_JOB_WHOLE;
		job->closing = true;
		while (job->slices > 0)
			pthread_cond_wait(&worker->changed, &worker->lock);
	}
	pthread_mutex_unlock(&worker->lock);
	return settled;
}

int ol_lazy_complete(ol_lazy_job *job, const ol_unpacked *unpacked, ol_error *err)
{
	const int dir_fd = ol_ingest_dir_fd(job->ingest);
	struct real real = { .tar_fd = openat(dir_fd, "tar", O_RDONLY | O_CLOEXEC | O_NOFOLLOW),
		.index_fd = openat(dir_fd, "index.erofs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW),
		.index_digest = unpacked->built.index_digest };
	int rc = OL_OK;

	if (real.tar_fd < 0 || real.index_fd < 0)
		rc = unpacked->built.has_tar
			     ? ol_fail_sys(err, "what was unpacked")
			     : ol_fail(err, OL_EUNSUPPORTED, "it cannot be an EROFS layer");
	if (rc == OL_OK)
		rc = settle(job, &real, err);
	if (rc == OL_OK)
		rc = publish(job, unpacked, err);
	while (rc == OL_OK && !retire(job))
		rc = settle(job, &real, err);
	real_done(&real);
	if (rc == OL_OK)
		ol_lazy_job_end(job, true);
	return rc;
}

int ol_lazy_complete_payload(ol_lazy_job *job, ol_error *err)
{
	ol_store *store = job->worker->session->store;
	struct real real = { .tar_fd = -1, .index_fd = -1 };
	ol_autofd int layer_fd = -1;
	int rc = ol_blob_open(store, &job->diff_id, &real.tar_fd, err);

	if (rc == OL_OK)
		rc = ol_layer_open(store, &job->diff_id, false, &layer_fd, err);
	if (rc == OL_OK) {
		real.index_digest = job->info.index_digest;
		real.index_fd = openat(layer_fd, "index.erofs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (real.index_fd < 0)
			rc = ol_fail_sys(err, "index.erofs");
	}
	if (rc == OL_OK)
		rc = settle(job, &real, err);
	real_done(&real);
	return rc;
}
