/*
 * A job's opening: row, folder, source, table, ingest; and the payload, while it is mounted.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/lazy_worker_priv.h"
#include "snapshot/lazy_client.h"
#include "store/lazy.h"

#define INDEX_FILE "index.erofs"
/* A hard link to the lazy index, in the layer's lazy folder: mounts need it after the row has
 * another. */
#define KEPT_INDEX "index"

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* The index that the payload belongs to is the row's as long as that is lazy. */
static int keep_index(ol_lazy_job *job, ol_error *err)
{
	ol_store *store = job->worker->session->store;
	ol_autofd int layer_fd = -1;
	int rc = OL_OK;

	if (strcmp(job->info.driver, OL_LAZY_DRIVER) == 0) {
		rc = ol_layer_open(store, &job->diff_id, false, &layer_fd, err);
		if (rc == OL_OK && linkat(layer_fd, INDEX_FILE, job->dir_fd, KEPT_INDEX, 0) < 0 &&
			errno != EEXIST)
			rc = ol_fail_sys(err, "keep the index");
	}
	if (rc < 0)
		return rc;
	job->index_fd = openat(job->dir_fd, KEPT_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return job->index_fd < 0 ? ol_fail_sys(err, "the index of its table of contents") : OL_OK;
}

static int read_folder(ol_lazy_job *job, ol_error *err)
{
	ol_store *store = job->worker->session->store;
	int rc = ol_lazy_open(store, &job->diff_id, &job->dir_fd, err);

	if (rc == OL_OK)
		rc = ol_lazy_source_read(store, job->dir_fd, &job->diff_id, &job->source, err);
	if (rc == OL_OK)
		rc = ol_lazy_table_load(job->dir_fd, &job->table, err);
	if (rc == OL_OK && (!ol_digest_eq(&job->table.about.blob, &job->source.blob) ||
				   job->table.about.blob_size != job->source.blob_size))
		rc = ol_fail(err, OL_ECORRUPT, "its table and its source name different blobs");
	if (rc == OL_OK)
		rc = keep_index(job, err);
	if (rc < 0)
		return rc;
	job->window_fd = openat(job->dir_fd, OL_LAZY_WINDOW, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (job->window_fd < 0 && errno != ENOENT)
		return ol_fail_sys(err, OL_LAZY_WINDOW);
	free(job->name);
	job->name = ol_text("%s, layer %s", ol_ref_format_familiar(&job->source.ref).text,
		ol_digest_format(&job->diff_id).text);
	return OL_OK;
}

static bool is_lazy(ol_lazy_job *job)
{
	return ol_layer_recorded(job->worker->session->store, &job->diff_id, false, &job->info,
		       NULL) == OL_OK &&
	       strcmp(job->info.driver, OL_LAZY_DRIVER) == 0;
}

static bool became_whole(void *ctx)
{
	return !is_lazy(ctx);
}

static int take_ingest(ol_lazy_job *job, ol_error *err)
{
	const ol_ingest_options options = {
		.digest = job->source.blob,
		.size = job->source.blob_size,
		.cancel = job->stop,
		.any_boot = true,
		.done = became_whole,
		.ctx = job,
	};
	ol_ingest *ingest = NULL;
	int rc = ol_ingest_open(job->worker->session->store, &options, &ingest, err);

	if (rc < 0)
		return rc;
	/* Other jobs look whether there is one (check_single). */
	pthread_mutex_lock(&job->worker->lock);
	job->ingest = ingest;
	pthread_mutex_unlock(&job->worker->lock);
	job->blob = ol_ingest_source(job->ingest);
	return OL_OK;
}

/* Two rows may name one blob only if a manifest lies: its ingest can be held once. */
static int check_single(ol_lazy_job *job, ol_error *err)
{
	ol_lazy_worker *worker = job->worker;
	int rc = OL_OK;

	pthread_mutex_lock(&worker->lock);
	for (ol_lazy_job *other = worker->jobs; other; other = other->next)
		if (other != job && other->ingest &&
			ol_digest_eq(&other->source.blob, &job->source.blob))
			rc = ol_fail(err, OL_ECORRUPT, "layer %s has the same blob",
				ol_digest_format(&other->diff_id).text);
	pthread_mutex_unlock(&worker->lock);
	return rc;
}

static void log_fill(void *ctx, const char *line)
{
	ol_lazy_job *job = ctx;

	ol_lazy_log_often(job->worker, NULL, &job->chunks_hush, line);
}

static bool is_same(const ol_lazy_state *state, int fd)
{
	struct stat ours, given;

	return fstat(ol_lazy_state_fd(state), &ours) == 0 && fstat(fd, &given) == 0 &&
	       ours.st_dev == given.st_dev && ours.st_ino == given.st_ino;
}

static void set_state(ol_lazy_job *job, ol_lazy_state *state)
{
	if (job->state) {
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): a list of pointers */
		OL_GROW(job->old_states, job->old_count, job->old_cap);
		job->old_states[job->old_count++] = job->state;
	}
	job->state = state;
}

static int open_state(ol_lazy_job *job, ol_error *err)
{
	ol_store *store = job->worker->session->store;
	ol_lazy_state *state = NULL;
	ol_autofd int lock = -1;
	bool fresh = false;
	int rc = OL_OK;

	if (job->state && (job->state_fd < 0 || is_same(job->state, job->state_fd)))
		return OL_OK;
	if (job->state_fd >= 0)
		rc = ol_lazy_state_map(job->state_fd, &state, err);
	else
		rc = ol_lazy_lock(store, &lock, err);
	if (rc == OL_OK && !state)
		rc = ol_lazy_state_open(ol_store_run_fd(store), &job->diff_id,
			job->table.about.payload_bytes, ol_store_boot_id(store), &fresh, &state,
			err);
	if (rc < 0)
		return rc;
	/* Of another boot, and nothing of it is mounted: whoever mounts it makes another. */
	if (fresh)
		(void)unlinkat(job->dir_fd, OL_LAZY_PAYLOAD, 0);
	set_state(job, state);
	return OL_OK;
}

/* The payload that the holder gave, if it did. */
static int attach(ol_lazy_job *job, ol_error *err)
{
	ol_lazy_worker *worker = job->worker;
	int rc = OL_OK;

	pthread_rwlock_wrlock(&job->serving);
	pthread_mutex_lock(&worker->lock);
	if (job->new_payload_fd >= 0) {
		close_fd(&job->payload_fd);
		close_fd(&job->state_fd);
		ol_filler_free(job->filler);
		job->filler = NULL;
		job->present = false;
		job->payload_fd = ol_steal_fd(&job->new_payload_fd);
		job->state_fd = ol_steal_fd(&job->new_state_fd);
	}
	pthread_mutex_unlock(&worker->lock);
	rc = open_state(job, err);
	if (rc == OL_OK && job->payload_fd >= 0 && !job->filler && job->ingest)
		job->filler = ol_filler_new(&(ol_filler_options){
			.table = &job->table,
			.window_fd = job->window_fd,
			.payload_fd = job->payload_fd,
			.state = job->state,
			.blob = job->blob,
			.fetch = ol_lazy_fetch_of(job),
			.timeout_ms = job->source.timeout_ms ? job->source.timeout_ms
							     : OL_LAZY_TIMEOUT_MS,
			.name = job->name,
			.cancel = job->stop,
			.log = log_fill,
			.log_ctx = job,
		});
	if (rc == OL_OK && job->ingest)
		ol_lazy_state_counters(job->state)->blob_bytes = ol_ingest_present(job->ingest);
	pthread_rwlock_unlock(&job->serving);
	return rc;
}

static int open_new(ol_lazy_job *job, ol_error *err)
{
	const bool lazy = is_lazy(job);
	int rc = read_folder(job, err);

	if (rc == OL_OK)
		rc = ol_lazy_remote_get(job->worker, &job->source, &job->remote, err);
	if (rc == OL_OK)
		rc = check_single(job, err);
	if (rc == OL_OK && lazy)
		rc = take_ingest(job, err);
	else if (rc == OL_OK)
		rc = OL_EEXISTS;
	return rc;
}

int ol_lazy_job_open(ol_lazy_job *job, ol_error *err)
{
	int rc = OL_OK, attached;

	if (!job->ingest) {
		ol_lazy_job_close(job, false);
		if (!job->flight)
			job->flight = ol_flight_new();
		rc = open_new(job, err);
	}
	if (rc < 0 && rc != OL_EEXISTS)
		return rc;
	if (rc == OL_OK && !job->wanted)
		job->wanted_count = ol_lazy_prefetch_wishes(job, &job->wanted);
	attached = attach(job, err);
	return attached < 0 ? attached : rc;
}

static void let_payload_go(ol_lazy_job *job)
{
	ol_filler_free(job->filler);
	job->filler = NULL;
	close_fd(&job->payload_fd);
	close_fd(&job->state_fd);
}

void ol_lazy_job_detach(ol_lazy_job *job)
{
	bool mounted;

	pthread_rwlock_wrlock(&job->serving);
	/* Another payload may have come, and been attached, since it was decided. */
	pthread_mutex_lock(&job->worker->lock);
	mounted = job->mounted;
	pthread_mutex_unlock(&job->worker->lock);
	if (!mounted)
		let_payload_go(job);
	pthread_rwlock_unlock(&job->serving);
}

void ol_lazy_job_close(ol_lazy_job *job, bool drop)
{
	ol_ingest *ingest;

	pthread_rwlock_wrlock(&job->serving);
	ol_filler_free(job->filler);
	job->filler = NULL;
	ol_source_close(job->blob);
	job->blob = NULL;
	pthread_mutex_lock(&job->worker->lock);
	ingest = ol_steal(&job->ingest);
	pthread_mutex_unlock(&job->worker->lock);
	if (drop && ingest)
		(void)ol_ingest_drop(ingest, NULL); /* what stays is gc's */
	else
		ol_ingest_close(ingest);
	free(job->wanted);
	job->wanted = NULL;
	job->wanted_count = job->wanted_at = 0;
	ol_lazy_table_done(&job->table);
	ol_lazy_source_done(&job->source);
	close_fd(&job->dir_fd);
	close_fd(&job->window_fd);
	close_fd(&job->index_fd);
	pthread_rwlock_unlock(&job->serving);
}

void ol_lazy_job_free(ol_lazy_job *job)
{
	if (!job)
		return;
	let_payload_go(job);
	ol_lazy_job_close(job, false);
	ol_lazy_state_close(job->state);
	for (size_t i = 0; i < job->old_count; i++)
		ol_lazy_state_close(job->old_states[i]);
	free(job->old_states);
	close_fd(&job->new_payload_fd);
	close_fd(&job->new_state_fd);
	ol_flight_free(job->flight);
	ol_cancel_free(job->stop);
	(void)pthread_rwlock_destroy(&job->serving);
	free(job->name);
	free(job);
}

void ol_lazy_job_say(ol_lazy_job *job, ol_lazy_phase phase, const char *words)
{
	if (job->state)
		ol_lazy_state_say(job->state, phase, words);
}
