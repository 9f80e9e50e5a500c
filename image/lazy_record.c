#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "image/lazy_record_priv.h"
#include "image/lazy_worker_priv.h"
#include "manifest/profile.h"
#include "store/attached.h"
#include "store/lazy.h"
#include "store/lease.h"

/* A recording is looked for so often, and only when somebody reads. */
#define LOOK_MS          200
#define LINE_BYTES_MAX   64
#define RECORD_BYTES_MAX (OL_PROFILE_RANGES_MAX * LINE_BYTES_MAX)
/* Of threads that find room at one time each writes a line. */
#define READ_BYTES_MAX (2 * RECORD_BYTES_MAX)

struct line {
	uint64_t when;
	ol_profile_range range;
};

struct lines {
	struct line *list; /* owned */
	size_t count, cap;
};

static char *path_of(const ol_digest *diff_id)
{
	return ol_text(OL_LAZY_RUN_DIR "/%s.record", ol_digest_hex(diff_id).text);
}

/* Space or newline, as is wanted, must follow. */
static bool read_number(const char **at, char behind, uint64_t *out)
{
	char *end = NULL;

	if (**at < '0' || **at > '9')
		return false;
	*out = strtoull(*at, &end, 10);
	if (*end != behind)
		return false;
	*at = end + 1;
	return true;
}

static uint64_t deadline_of(int run_fd, const char *path)
{
	ol_autofd int fd = openat(run_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[LINE_BYTES_MAX] = "";
	const char *at = text;
	uint64_t deadline = 0;

	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		return 0;
	return read_number(&at, '\n', &deadline) ? deadline : 0;
}

static bool is_recorded(ol_lazy_job *job, const char *path, uint64_t now)
{
	ol_lazy_worker *worker = job->worker;
	bool recorded;

	pthread_mutex_lock(&worker->lock);
	if (now >= job->record_look_ms) {
		job->record_look_ms = now + LOOK_MS;
		job->record_until_ms = deadline_of(ol_store_run_fd(worker->session->store), path);
	}
	recorded = now < job->record_until_ms;
	pthread_mutex_unlock(&worker->lock);
	return recorded;
}

bool ol_lazy_is_recorded(ol_lazy_job *job)
{
	ol_autofree char *path = path_of(&job->diff_id);

	return is_recorded(job, path, ol_now_ms());
}

void ol_lazy_record_ask(ol_lazy_job *job, uint64_t start, uint64_t end)
{
	const ol_lazy_table *table = &job->table;
	const uint64_t now = ol_now_ms();
	ol_autofree char *path = path_of(&job->diff_id);
	ol_auto_str ol_str text = OL_STR(RECORD_BYTES_MAX);
	ol_range last = { 0 };
	ol_autofd int fd = -1;
	struct stat st;

	if (!is_recorded(job, path, now))
		return;
	for (size_t i = ol_lazy_table_find(table, start);
		i < table->extent_count && table->extents[i].offset < end; i++) {
		const ol_lazy_piece *piece = &table->pieces[table->extents[i].piece];

		if (piece->begin == last.start && piece->end == last.end)
			continue;
		last = (ol_range){ piece->begin, piece->end };
		(void)ol_str_addf(
			&text, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", now, last.start, last.end);
	}
	/* One write: lines of several threads do not mix. A recording that ends just now is gone,
	 * and is not made again. One that is full keeps what was read first. */
	fd = openat(ol_store_run_fd(job->worker->session->store), path,
		O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && text.size > 0 && fstat(fd, &st) == 0 &&
		(uint64_t)st.st_size + text.size <= RECORD_BYTES_MAX)
		(void)ol_write_all(fd, text.data, text.size, NULL);
}

int ol_lazy_record_begin(
	ol_session *session, const ol_layer_info *layers, size_t count, ol_error *err)
{
	const int run_fd = ol_store_run_fd(session->store);
	ol_autofree char *head = ol_text("%" PRIu64 "\n", ol_now_ms() + OL_RECORD_MS);
	size_t lazy = 0;
	int rc = ol_mkdirs(run_fd, OL_LAZY_RUN_DIR, 0700, err);

	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		ol_autofree char *path = path_of(&layers[i].diff_id);

		if (strcmp(layers[i].driver, OL_LAZY_DRIVER) != 0)
			continue;
		lazy++;
		rc = ol_publish(run_fd, path, ol_view_of(head), 0600, OL_PUBLISH_REPLACE, err);
	}
	if (rc == OL_OK && lazy == 0) {
		ol_fail(err, OL_EINVAL, "no layer of the image is lazy: nobody sees what it reads");
		return ol_hint(err, OL_EINVAL,
			"remove the image, and record its start as it is pulled lazily");
	}
	return rc;
}

static void read_lines(const char *text, const ol_digest *blob, struct lines *lines)
{
	uint64_t deadline;

	if (!read_number(&text, '\n', &deadline))
		return;
	for (;;) {
		struct line line = { .range = { .blob = *blob } };

		if (!read_number(&text, ' ', &line.when) ||
			!read_number(&text, ' ', &line.range.start) ||
			!read_number(&text, '\n', &line.range.end) ||
			line.range.start >= line.range.end)
			return;
		OL_GROW(lines->list, lines->count, lines->cap);
		lines->list[lines->count++] = line;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return x->range.start < y->range.start ? -1 : x->range.start > y->range.start;
}

static int keep(
	ol_store *store, const ol_digest *manifest, const ol_profile *profile, ol_error *err)
{
	ol_auto_buf ol_buf json = OL_BUF(OL_PROFILE_BYTES_MAX);
	ol_auto(ol_lease_end) ol_lease *lease = NULL;
	ol_digest digest;
	int rc = ol_profile_format(profile, &json, err);

	if (rc < 0)
		return rc;
	digest = ol_digest_of(OL_SHA256, json.data, json.size);
	rc = ol_lease_begin(store, "record", &lease, err);
	if (rc == OL_OK)
		rc = ol_lease_add(lease, &digest, err);
	if (rc == OL_OK)
		rc = ol_blob_put(store, &digest, ol_buf_view(&json), false, err);
	return rc < 0 ? rc : ol_attach(store, manifest, OL_PROFILE_KIND, &digest, err);
}

int ol_lazy_record_end(ol_session *session, const ol_digest *manifest, const ol_layer_info *layers,
	size_t count, size_t *ranges, ol_error *err)
{
	const int run_fd = ol_store_run_fd(session->store);
	struct lines lines = { 0 };
	ol_profile profile = { 0 };
	int rc = OL_OK;

	for (size_t i = 0; i < count; i++) {
		ol_autofree char *path = path_of(&layers[i].diff_id);
		ol_auto_buf ol_buf text = OL_BUF(READ_BYTES_MAX);
		ol_error why = { 0 };
		const int failed = ol_file_read(run_fd, path, true, &text, &why);

		if (failed == OL_OK)
			read_lines(ol_str_text(&text), &layers[i].blob, &lines);
		(void)unlinkat(run_fd, path, 0);
		if (rc < 0 || failed == OL_OK || failed == OL_ENOTFOUND)
			continue;
		rc = failed;
		if (err)
			*err = why;
	}
	if (lines.count)
		qsort(lines.list, lines.count, sizeof *lines.list, by_time);
	for (size_t i = 0; i < lines.count; i++)
		ol_profile_add(&profile, &lines.list[i].range);
	*ranges = profile.count;
	if (rc == OL_OK && profile.count)
		rc = keep(session->store, manifest, &profile, err);
	ol_profile_done(&profile);
	free(lines.list);
	return rc;
}
