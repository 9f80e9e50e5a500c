/*
 * Check, the bytes: hashed by one thread a processor, largest first, so that all of them end
 * together. The calling thread waits for the results in order and is the only one that tells
 * anything.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "store/check_priv.h"
#include "store/lazy.h"

#define THREADS_MAX   16
#define TELL_EVERY_MS 100
#define REMEMBER_MS   1000

struct work {
	ol_checker *checker;    /* lent */
	ol_check_tasks tasks;   /* owned; an entry is the worker's that took it until it is done */
	uint64_t before, total; /* bytes done by an earlier check, and in all */
	_Atomic uint64_t bytes; /* read by now */
	pthread_mutex_t lock;   /* guards next, stop, and done of the tasks */
	pthread_cond_t changed;
	size_t next;
	bool stop;
};

/* A row that cannot be believed is a finding of ol_check_rows, and no task. */
static void read_task(ol_store *store, sqlite3_stmt *stmt, ol_check_tasks *tasks)
{
	ol_check_task task = {
		.id = sqlite3_column_int64(stmt, 0),
		.state = (ol_row_state)sqlite3_column_int(stmt, 3),
		.is_layer = sqlite3_column_int(stmt, 5) != 0,
		.is_chain = sqlite3_column_int(stmt, 6) != 0,
	};
	const char *boot = (const char *)sqlite3_column_text(stmt, 4);

	if (ol_column_digest(stmt, 1, false, &task.digest, NULL) < 0 ||
		ol_column_u64(stmt, 2, &task.size, NULL) < 0 ||
		ol_column_digest(stmt, 7, true, &task.index_digest, NULL) < 0 ||
		ol_column_digest(stmt, 8, true, &task.lazy, NULL) < 0)
		return;
	task.of_this_boot = boot && strcmp(boot, store->boot) == 0;
	OL_GROW(tasks->list, tasks->count, tasks->cap);
	tasks->list[tasks->count++] = task;
}

#define BLOBS                                                                                      \
	OL_SOUND_ROWS("blobs", OL_ROW_BLOBS, "id, digest, size, state, boot, 0, 0, NULL, NULL")
#define LAYERS                                                                                     \
	OL_SOUND_ROWS("layers", OL_ROW_LAYERS,                                                     \
		"id, key, disk_bytes, state, boot, 1, is_chain, index_digest, CASE WHEN driver = " \
		"'" OL_LAZY_DRIVER "' THEN diff_id END")
static const char tasks_sql[] = BLOBS " UNION ALL " LAYERS " ORDER BY 3 DESC, 6, 2";

static int list_tasks(ol_store *store, ol_check_tasks *tasks, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt, tasks_sql, "");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1)
		read_task(store, stmt, tasks);
	return rc;
}

/* Our own limits, not the file's fault. */
static bool is_ours(int sys)
{
	return sys == EMFILE || sys == ENFILE || sys == ENOMEM;
}

/* sys: the errno that tells so, or 0. */
static void is_wrong(ol_check_task *task, int sys, const char *why)
{
	task->sys = is_ours(sys) ? sys : 0;
	task->wrong = !task->sys;
	(void)snprintf(task->why, sizeof task->why, "%s", why);
}

static void check_digest(struct work *work, ol_check_task *task, int fd, const ol_digest *want)
{
	const ol_hash_watch watch = { work->checker->options->cancel, &work->bytes };
	ol_error err = { 0 };
	ol_digest got;
	int rc = ol_hash_fd(fd, want->algorithm, &watch, &got, &err);

	if (rc == OL_ECANCELED)
		task->skipped = true;
	else if (rc < 0)
		is_wrong(task, err.sys, err.text);
	else if (!ol_digest_eq(want, &got))
		is_wrong(task, 0, "its bytes have another digest");
}

static void check_blob(struct work *work, ol_check_task *task)
{
	ol_store *store = work->checker->store;
	ol_autofd int fd = openat(store->blobs_fd[task->digest.algorithm],
		ol_digest_hex(&task->digest).text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (task->state == OL_ROW_DAMAGED)
		is_wrong(task, 0, "it was found damaged before");
	else if (fd < 0)
		is_wrong(task, errno,
			errno == ENOENT ? "its file is missing" : "its file cannot be opened");
	else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != task->size)
		is_wrong(task, 0, "its file has the wrong size");
	else if (!work->checker->options->quick)
		check_digest(work, task, fd, &task->digest);
}

/* A tree is beyond the store: whoever knows trees is asked. */
static void check_tree(struct work *work, ol_check_task *task)
{
	const ol_check_options *options = work->checker->options;
	ol_error err = { 0 };
	int rc = options->verify_tree(options->verify_ctx, &task->digest, task->is_chain, &err);

	if (rc == OL_ECANCELED)
		task->skipped = true;
	else if (rc == OL_EUNAVAILABLE || (rc == OL_ENOTFOUND && work->checker->rows_damaged))
		task->unproved = true;
	else if (rc < 0)
		is_wrong(task, err.sys, err.text);
	work->bytes += task->size;
}

/* A lazy layer's row counts what lies in lazy/ as well. */
static bool has_size(const ol_check_task *task, const struct stat *st)
{
	const uint64_t size = (uint64_t)st->st_size;

	return ol_digest_is_set(&task->lazy) ? size <= task->size : size == task->size;
}

/* As a tree: the store does not know what is in the folder. */
static bool has_sound_folder(struct work *work, ol_check_task *task)
{
	const ol_check_options *options = work->checker->options;
	ol_error err = { 0 };

	if (!ol_digest_is_set(&task->lazy) || options->quick || !options->verify_lazy ||
		options->verify_lazy(options->verify_ctx, &task->lazy, &err) == OL_OK)
		return true;
	is_wrong(task, err.sys, err.text);
	return false;
}

static void check_layer(struct work *work, ol_check_task *task)
{
	ol_store *store = work->checker->store;
	const bool has_index = ol_digest_is_set(&task->index_digest);
	ol_autofree char *path = ol_text("%s/%s", ol_digest_hex(&task->digest).text,
		has_index ? OL_LAYER_INDEX : OL_LAYER_TREE);
	ol_autofd int fd = openat(ol_layers_dir(store, task->is_chain), path,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (task->state == OL_ROW_DAMAGED)
		is_wrong(task, 0, "it was found damaged before");
	else if (fd < 0)
		is_wrong(task, errno,
			errno == ENOENT ? "its index or tree is missing"
					: "its folder cannot be opened");
	else if (fstat(fd, &st) < 0 || (has_index && !has_size(task, &st)))
		is_wrong(task, 0, "its index has the wrong size");
	else if (ol_digest_is_set(&task->lazy) && !ol_lazy_is_there(store, &task->lazy))
		is_wrong(task, 0, "the table that says how to fill it is missing");
	else if (work->checker->options->quick || !has_sound_folder(work, task))
		return;
	else if (has_index)
		check_digest(work, task, fd, &task->index_digest);
	else if (work->checker->options->verify_tree)
		check_tree(work, task);
}

static void *work_off(void *ctx)
{
	struct work *work = ctx;

	(void)pthread_mutex_lock(&work->lock);
	while (!work->stop && work->next < work->tasks.count) {
		ol_check_task *task = &work->tasks.list[work->next++];

		(void)pthread_mutex_unlock(&work->lock);
		if (task->is_layer)
			check_layer(work, task);
		else
			check_blob(work, task);
		(void)pthread_mutex_lock(&work->lock);
		task->done = true;
		(void)pthread_cond_broadcast(&work->changed);
	}
	(void)pthread_mutex_unlock(&work->lock);
	return NULL;
}

/* gc may have removed the row, and then the file, after we read it. */
static bool is_still_a_row(ol_store *store, const ol_check_task *task)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	int64_t there = 0;
	int rc =
		task->is_layer
			? ol_db_number(db, NULL, &there,
				  "SELECT EXISTS(SELECT 1 FROM layers WHERE id = ?)", "i", task->id)
			: ol_db_number(db, NULL, &there,
				  "SELECT EXISTS(SELECT 1 FROM blobs WHERE id = ?)", "i", task->id);

	return rc < 0 || there;
}

static void mark(ol_store *store, const ol_check_task *task, ol_row_state state)
{
	if (store->read_only)
		return;
	/* Only advice to the next pull: what check says does not depend on it. */
	if (task->is_layer)
		(void)ol_layer_mark(store, task->id, state, NULL);
	else
		(void)ol_blob_mark(store, task->id, state, NULL);
}

/* Proved for this boot, if it was not: invariant 4. A tree only if somebody proved it. */
static void tell_sound(ol_checker *checker, const ol_check_task *task)
{
	const bool proved = !checker->options->quick &&
			    (!task->is_layer || ol_digest_is_set(&task->index_digest) ||
				    checker->options->verify_tree);

	if (proved && task->state == OL_ROW_WRITTEN && !task->of_this_boot)
		mark(checker->store, task, OL_ROW_WRITTEN);
}

static void tell_wrong(ol_checker *checker, const ol_check_task *task)
{
	const char *kind = !task->is_layer ? "blob" : task->is_chain ? "chain" : "layer";
	ol_finding finding = { .kind = kind, .digest = task->digest, .why = task->why };
	char what[200], path[256];

	if (!is_still_a_row(checker->store, task))
		return;
	if (task->state != OL_ROW_DAMAGED)
		mark(checker->store, task, OL_ROW_DAMAGED);
	(void)snprintf(what, sizeof what, "%s %s", kind, ol_digest_format(&task->digest).text);
	if (!task->is_layer)
		(void)snprintf(path, sizeof path, "blobs/%s/%.128s",
			ol_algorithm_name(task->digest.algorithm),
			ol_digest_hex(&task->digest).text);
	else
		(void)snprintf(path, sizeof path, "%ss/%.128s/%s", kind,
			ol_digest_hex(&task->digest).text,
			ol_digest_is_set(&task->index_digest) ? OL_LAYER_INDEX : OL_LAYER_TREE);
	finding.what = what;
	finding.path = path;
	ol_checker_found(checker, &finding);
}

static void tell_progress(struct work *work)
{
	const ol_event event = { .kind = OL_EVENT_PROGRESS,
		.text = "check",
		.done = work->before + work->bytes,
		.total = work->total };

	ol_tell(work->checker->options->listener, &event);
}

static void wait_for(struct work *work, const ol_check_task *task)
{
	bool done = false;

	while (!done) {
		struct timespec until;

		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += TELL_EVERY_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		(void)pthread_mutex_lock(&work->lock);
		if (!task->done)
			(void)pthread_cond_timedwait(&work->changed, &work->lock, &until);
		done = task->done;
		(void)pthread_mutex_unlock(&work->lock);
		if (!done)
			tell_progress(work);
	}
}

/* Whether the check goes on after it. */
static int outcome(const ol_check_task *task, const ol_cancel *cancel, ol_error *err)
{
	if (task->skipped)
		return ol_fail(err, OL_ECANCELED, "interrupted");
	if (!task->sys)
		return ol_cancel_check(cancel, err);
	errno = task->sys;
	return ol_fail_sys(err, "%s: %s", ol_digest_format(&task->digest).text, task->why);
}

/* In order; what was found sound is remembered once a second. */
static int take_results(struct work *work, ol_error *err)
{
	ol_checker *checker = work->checker;
	ol_autofree const ol_check_task **sound =
		ol_alloc_array(work->tasks.count + 1, sizeof(void *));
	uint64_t remembered_ms = ol_now_ms(), told_ms = 0;
	size_t count = 0;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < work->tasks.count; i++) {
		const ol_check_task *task = &work->tasks.list[i];

		wait_for(work, task);
		rc = outcome(task, checker->options->cancel, err);
		if (task->skipped || task->sys)
			break;
		if (task->wrong)
			tell_wrong(checker, task);
		else if (!task->unproved)
			tell_sound(checker, sound[count++] = task);
		if (ol_now_ms() - told_ms >= TELL_EVERY_MS) {
			told_ms = ol_now_ms();
			tell_progress(work);
		}
		if (rc == OL_OK)
			rc = ol_fault("store.check.task", err);
		if (ol_now_ms() - remembered_ms >= REMEMBER_MS || rc < 0) {
			remembered_ms = ol_now_ms();
			ol_check_remember(checker, sound, count);
			count = 0;
		}
	}
	if (rc < 0)
		ol_check_remember(checker, sound, count);
	(void)pthread_mutex_lock(&work->lock);
	work->stop = true;
	(void)pthread_mutex_unlock(&work->lock);
	return rc;
}

static size_t start_threads(struct work *work, pthread_t threads[THREADS_MAX])
{
	const long processors = sysconf(_SC_NPROCESSORS_ONLN);
	const size_t wanted = processors < 1             ? 1
			      : processors > THREADS_MAX ? THREADS_MAX
							 : (size_t)processors;
	size_t started = 0;

	while (started < wanted && started < work->tasks.count &&
		pthread_create(&threads[started], NULL, work_off, work) == 0)
		started++;
	if (started == 0)
		(void)work_off(work); /* no thread to be had: then one after the other, here */
	return started;
}

int ol_check_bytes(ol_checker *checker, ol_error *err)
{
	struct work work = { .checker = checker };
	pthread_t threads[THREADS_MAX];
	size_t started;
	int rc = list_tasks(checker->store, &work.tasks, err);

	for (size_t i = 0; i < work.tasks.count; i++)
		work.total += work.tasks.list[i].size;
	if (rc == OL_OK)
		rc = ol_check_begin(checker, &work.tasks, &work.before, err);
	if (rc < 0) {
		free(work.tasks.list);
		return rc;
	}
	(void)pthread_mutex_init(&work.lock, NULL);
	(void)pthread_cond_init(&work.changed, NULL);
	started = start_threads(&work, threads);
	rc = take_results(&work, err);
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	if (rc == OL_OK) {
		if (!checker->options->quick)
			work.bytes = work.total - work.before;
		tell_progress(&work);
		ol_check_end(checker);
	}
	(void)pthread_cond_destroy(&work.changed);
	(void)pthread_mutex_destroy(&work.lock);
	free(work.tasks.list);
	return rc;
}
