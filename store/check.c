/*
 * Check: is every byte what its row promises, and does every row have its bytes?
 *
 * Hashing goes to one thread a core; the calling thread waits for the results in order and is the
 * only one that tells anything, so callbacks need no locks. What is found wrong is marked damaged,
 * and the next pull replaces it.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "store/check_priv.h"

#define THREADS_MAX 8

struct task {
	int64_t id;
	ol_digest digest, index_digest;
	uint64_t size;
	ol_row_state state;
	bool is_layer, is_chain, of_this_boot;
	char origin[200];
	/* set by a worker */
	bool done, wrong;
	char why[160];
};

struct work {
	ol_checker *checker; /* lent */
	struct task *tasks;  /* owned; an entry is the worker's that took it until it is done */
	size_t count, cap;
	pthread_mutex_t lock; /* guards next, stop, and done of the tasks */
	pthread_cond_t changed;
	size_t next;
	bool stop;
};

void ol_checker_found(ol_checker *checker, const char *what, const char *why, const char *hint)
{
	const ol_finding finding = { what, why,
		hint ? hint : "pull the image again to replace it" };

	checker->faults++;
	if (checker->options->found)
		checker->options->found(checker->options->ctx, &finding);
}

/* A row that cannot be read is a finding of ol_check_rows, and no task. */
static void read_task(ol_store *store, sqlite3_stmt *stmt, struct work *work)
{
	struct task task = {
		.id = sqlite3_column_int64(stmt, 0),
		.state = (ol_row_state)sqlite3_column_int(stmt, 3),
		.is_layer = sqlite3_column_int(stmt, 5) != 0,
		.is_chain = sqlite3_column_int(stmt, 6) != 0,
	};
	const char *boot = (const char *)sqlite3_column_text(stmt, 4);

	if (ol_column_digest(stmt, 1, false, &task.digest, NULL) < 0 ||
		ol_column_u64(stmt, 2, &task.size, NULL) < 0 ||
		ol_column_digest(stmt, 7, true, &task.index_digest, NULL) < 0 ||
		ol_column_copy(stmt, 8, task.origin, sizeof task.origin, NULL) < 0)
		return;
	task.of_this_boot = boot && strcmp(boot, store->boot) == 0;
	OL_GROW(work->tasks, work->count, work->cap);
	work->tasks[work->count++] = task;
}

static int list_tasks(ol_store *store, struct work *work, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT id, digest, size, state, boot, 0, 0, NULL, '' FROM blobs UNION ALL"
		" SELECT id, key, disk_bytes, state, boot, 1, is_chain, index_digest, "
		"substr(origin, 1, 190) FROM layers"
		" ORDER BY 6, 2",
		"");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1)
		read_task(store, stmt, work);
	return rc;
}

static void is_wrong(struct task *task, const char *why)
{
	task->wrong = true;
	(void)snprintf(task->why, sizeof task->why, "%s", why);
}

static void check_bytes(struct work *work, struct task *task, int fd, const ol_digest *want)
{
	ol_error err = { 0 };
	ol_digest got;
	int rc = ol_hash_fd(fd, want->algorithm, work->checker->options->cancel, &got, &err);

	if (rc == OL_ECANCELED)
		return;
	if (rc < 0)
		is_wrong(task, err.text);
	else if (!ol_digest_eq(want, &got))
		is_wrong(task, "its bytes have another digest");
}

static void check_blob(struct work *work, struct task *task)
{
	ol_store *store = work->checker->store;
	ol_autofd int fd = openat(store->blobs_fd[task->digest.algorithm],
		ol_digest_hex(&task->digest).text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (task->state == OL_ROW_DAMAGED)
		is_wrong(task, "it was found damaged before");
	else if (fd < 0)
		is_wrong(task,
			errno == ENOENT ? "its file is missing" : "its file cannot be opened");
	else if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != task->size)
		is_wrong(task, "its file has the wrong size");
	else if (!work->checker->options->quick)
		check_bytes(work, task, fd, &task->digest);
}

static void check_layer(struct work *work, struct task *task)
{
	ol_store *store = work->checker->store;
	ol_autofree char *path = ol_text("%s/%s", ol_digest_hex(&task->digest).text,
		ol_digest_is_set(&task->index_digest) ? OL_LAYER_INDEX : OL_LAYER_TREE);
	ol_autofd int fd = openat(ol_layers_dir(store, task->is_chain), path,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (task->state == OL_ROW_DAMAGED)
		is_wrong(task, "it was found damaged before");
	else if (fd < 0)
		is_wrong(task, errno == ENOENT ? "its index or tree is missing"
					       : "its folder cannot be opened");
	else if (ol_digest_is_set(&task->index_digest) && !work->checker->options->quick)
		check_bytes(work, task, fd, &task->index_digest);
}

static void *work_off(void *ctx)
{
	struct work *work = ctx;

	(void)pthread_mutex_lock(&work->lock);
	while (!work->stop && work->next < work->count) {
		struct task *task = &work->tasks[work->next++];

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
static bool is_still_a_row(ol_store *store, const struct task *task)
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

static void mark(ol_store *store, const struct task *task, ol_row_state state)
{
	if (store->read_only)
		return;
	/* Only advice to the next pull: what check says does not depend on it. */
	if (task->is_layer)
		(void)ol_layer_mark(store, task->id, state, NULL);
	else
		(void)ol_blob_mark(store, task->id, state, NULL);
}

/* An extracted tree is beyond the store: whoever knows trees is asked, from this thread alone. */
static int ask_about_tree(ol_checker *checker, struct task *task, ol_error *err)
{
	const ol_check_options *options = checker->options;
	ol_error inner = { 0 };
	int rc;

	if (task->wrong || !task->is_layer || ol_digest_is_set(&task->index_digest) ||
		options->quick || !options->verify_tree)
		return OL_OK;
	rc = options->verify_tree(options->verify_ctx, &task->digest, task->is_chain, &inner);
	if (rc == OL_ECANCELED) {
		if (err)
			*err = inner;
		return rc;
	}
	if (rc < 0)
		is_wrong(task, inner.text);
	return OL_OK;
}

static void tell_result(ol_checker *checker, const struct task *task)
{
	char what[200], hint[256];

	if (!task->wrong) {
		/* Proved for this boot, if it was not: invariant 4. A tree only if somebody proved
		 * it. */
		bool proved = !checker->options->quick &&
			      (!task->is_layer || ol_digest_is_set(&task->index_digest) ||
				      checker->options->verify_tree);

		if (proved && task->state == OL_ROW_WRITTEN && !task->of_this_boot)
			mark(checker->store, task, OL_ROW_WRITTEN);
		return;
	}
	if (!is_still_a_row(checker->store, task))
		return;
	if (task->state != OL_ROW_DAMAGED)
		mark(checker->store, task, OL_ROW_DAMAGED);
	(void)snprintf(what, sizeof what, "%s %s",
		!task->is_layer  ? "blob"
		: task->is_chain ? "chain"
				 : "layer",
		ol_digest_format(&task->digest).text);
	(void)snprintf(hint, sizeof hint, "run `orlop pull %s` to make it anew", task->origin);
	ol_checker_found(checker, what, task->why, task->origin[0] ? hint : NULL);
}

static void wait_for(struct work *work, const struct task *task)
{
	(void)pthread_mutex_lock(&work->lock);
	while (!task->done)
		(void)pthread_cond_wait(&work->changed, &work->lock);
	(void)pthread_mutex_unlock(&work->lock);
}

static int take_results(struct work *work, ol_error *err)
{
	ol_checker *checker = work->checker;
	ol_event event = { .kind = OL_EVENT_PROGRESS, .text = "check" };
	int rc = OL_OK;

	for (size_t i = 0; i < work->count; i++)
		event.total += work->tasks[i].size;
	for (size_t i = 0; rc == OL_OK && i < work->count; i++) {
		struct task *task = &work->tasks[i];

		wait_for(work, task);
		rc = ol_cancel_check(checker->options->cancel, err);
		if (rc == OL_OK)
			rc = ask_about_tree(checker, task, err);
		if (rc < 0)
			break;
		tell_result(checker, task);
		event.done += task->size;
		ol_tell(checker->options->listener, &event);
	}
	(void)pthread_mutex_lock(&work->lock);
	work->stop = true;
	(void)pthread_mutex_unlock(&work->lock);
	return rc;
}

static int check_all(ol_checker *checker, ol_error *err)
{
	struct work work = { .checker = checker };
	pthread_t threads[THREADS_MAX];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t wanted = cores < 1             ? 1
			: cores > THREADS_MAX ? THREADS_MAX
					      : (size_t)cores,
	       started = 0;
	int rc = list_tasks(checker->store, &work, err);

	if (rc < 0) {
		free(work.tasks);
		return rc;
	}
	(void)pthread_mutex_init(&work.lock, NULL);
	(void)pthread_cond_init(&work.changed, NULL);
	while (started < wanted && pthread_create(&threads[started], NULL, work_off, &work) == 0)
		started++;
	if (started == 0)
		(void)work_off(&work); /* no thread to be had: then one after the other, here */
	rc = take_results(&work, err);
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	(void)pthread_cond_destroy(&work.changed);
	(void)pthread_mutex_destroy(&work.lock);
	free(work.tasks);
	return rc;
}

int ol_check(ol_store *store, const ol_check_options *options, uint64_t *faults, ol_error *err)
{
	ol_checker checker = { .store = store, .options = options };
	int rc = ol_check_rows(&checker, err);

	if (rc == OL_OK)
		rc = check_all(&checker, err);
	if (rc == OL_OK)
		rc = ol_check_orphans(&checker, err);
	if (rc < 0)
		return ol_wrap(err, rc, "check");
	*faults = checker.faults;
	return OL_OK;
}
