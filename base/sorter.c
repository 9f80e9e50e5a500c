/*
 * An external merge sort.
 *
 * In memory, records lie one behind the other in one growing buffer, in the order they came; an
 * array of slots is what gets sorted. On disk, a run is the same records in order. All runs are in
 * one unlinked file:
 *
 *	record   u32 key size, u32 value size (native order), key, value
 *	file     run 0, run 1, …   earlier runs hold what came earlier: ties go to the lower run
 *
 * Reading back merges all runs with a heap of cursors. A cursor keeps in memory what it needs to
 * compare, the key, and a small window; a value that lies outside the window is read when its turn
 * comes, so many runs of large values stay cheap. More runs than the budget has windows for are
 * first merged in groups of neighbours, which keeps ties in order.
 */
#include "base/sorter.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/temp.h"

#define KEY_BYTES_MAX    ((size_t)64 << 10)
#define VALUE_BYTES_MAX  ((size_t)16 << 20)
#define HEADER_BYTES     8
#define WINDOW_BYTES     ((size_t)16 << 10)
#define WRITE_BYTES      ((size_t)256 << 10)
#define FAN_IN_MIN       4
#define FAN_IN_MAX       256
#define BUFFER_BYTES_MIN ((size_t)64 << 10)

struct slot {
	/* the key's first eight bytes, so that most comparisons touch nothing else */
	uint64_t prefix;
	size_t offset; /* of the record in the buffer */
};

struct run {
	uint64_t offset, size;
};

/* A place in a run. The record at it: key in window[at + 8 …], the value behind it, perhaps past
 * the window. */
struct cursor {
	uint64_t next,
		end;  /* in the file: the first byte that is not in the window; the run's end */
	char *window; /* owned */
	size_t cap, have, at; /* of the window: room, bytes, the record's header */
	uint32_t key_size, value_size;
	size_t order; /* among the runs */
};

struct ol_sorter {
	int dir_fd; /* lent */
	size_t budget;
	uint64_t count;
	bool sorted;

	char *buffer; /* owned */
	size_t used, cap;
	struct slot *slots; /* owned */
	size_t slot_count, slot_cap;
	size_t position; /* of next, while all is in memory */

	int fd; /* of the runs; -1 until the first */
	uint64_t file_size;
	struct run *runs; /* owned */
	size_t run_count, run_cap;

	struct cursor *cursors; /* owned */
	size_t cursor_count;
	size_t *heap; /* owned: indices of cursors, the least record first */
	size_t heap_count;
	bool lent;   /* the first cursor's record was given out and is to be passed over */
	char *value; /* owned: a value that was not in a window */
	size_t value_cap;
};

ol_sorter *ol_sorter_new(int dir_fd, size_t budget_bytes)
{
	ol_sorter *sorter = ol_alloc(sizeof *sorter);

	sorter->dir_fd = dir_fd;
	sorter->budget = budget_bytes;
	sorter->fd = -1;
	return sorter;
}

static void free_cursors(ol_sorter *sorter)
{
	for (size_t i = 0; i < sorter->cursor_count; i++)
		free(sorter->cursors[i].window);
	free(sorter->cursors);
	free(sorter->heap);
	sorter->cursors = NULL;
	sorter->heap = NULL;
	sorter->cursor_count = sorter->heap_count = 0;
	sorter->lent = false;
}

static void free_memory(ol_sorter *sorter)
{
	free(sorter->buffer);
	free(sorter->slots);
	sorter->buffer = NULL;
	sorter->slots = NULL;
	sorter->used = sorter->cap = sorter->slot_count = sorter->slot_cap = 0;
}

void ol_sorter_free(ol_sorter *sorter)
{
	if (!sorter)
		return;
	free_cursors(sorter);
	free_memory(sorter);
	free(sorter->runs);
	free(sorter->value);
	if (sorter->fd >= 0)
		(void)close(sorter->fd);
	free(sorter);
}

static int compare_keys(const char *a, size_t a_size, const char *b, size_t b_size)
{
	int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

	if (order)
		return order;
	return a_size < b_size ? -1 : a_size > b_size;
}

static uint64_t prefix_of(const char *key, size_t size)
{
	unsigned char bytes[8] = { 0 };
	uint64_t prefix = 0;

	if (size)
		memcpy(bytes, key, size < sizeof bytes ? size : sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		prefix = prefix << 8 | bytes[i];
	return prefix;
}

static void sizes_at(const char *record, uint32_t *key_size, uint32_t *value_size)
{
	memcpy(key_size, record, sizeof *key_size);
	memcpy(value_size, record + sizeof *key_size, sizeof *value_size);
}

/* Total: records that are equal keep the order in which they came, which is that of
 * their offsets. */
static int compare_slots(const void *pa, const void *pb, void *buffer)
{
	const struct slot *a = pa, *b = pb;
	const char *ra = (const char *)buffer + a->offset, *rb = (const char *)buffer + b->offset;
	uint32_t ka, kb, value_size;
	int order;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	sizes_at(ra, &ka, &value_size);
	sizes_at(rb, &kb, &value_size);
	order = compare_keys(ra + HEADER_BYTES, ka, rb + HEADER_BYTES, kb);
	if (order)
		return order;
	return a->offset < b->offset ? -1 : 1;
}

static void sort_memory(ol_sorter *sorter)
{
	if (sorter->slot_count)
		qsort_r(sorter->slots, sorter->slot_count, sizeof *sorter->slots, compare_slots,
			sorter->buffer);
}

/* Writing a run: many small records become few large writes. */
struct run_writer {
	ol_sorter *sorter;
	uint64_t start;
	char *data; /* owned */
	size_t used;
};

static int run_begin(struct run_writer *writer, ol_sorter *sorter, ol_error *err)
{
	int rc = OL_OK;

	if (sorter->fd < 0)
		rc = ol_temp_open(sorter->dir_fd, &sorter->fd, err);
	if (rc < 0)
		return rc;
	*writer = (struct run_writer){ .sorter = sorter, .start = sorter->file_size };
	writer->data = ol_alloc(WRITE_BYTES);
	return OL_OK;
}

static int run_flush(struct run_writer *writer, ol_error *err)
{
	ol_sorter *sorter = writer->sorter;
	int rc = ol_pwrite_all(sorter->fd, writer->data, writer->used, sorter->file_size, err);

	if (rc < 0)
		return rc;
	sorter->file_size += writer->used;
	writer->used = 0;
	return OL_OK;
}

static int run_add(struct run_writer *writer, const char *data, size_t size, ol_error *err)
{
	while (size) {
		size_t room = WRITE_BYTES - writer->used;
		size_t n = size < room ? size : room;
		int rc = OL_OK;

		memcpy(writer->data + writer->used, data, n);
		writer->used += n;
		data += n;
		size -= n;
		if (writer->used == WRITE_BYTES)
			rc = run_flush(writer, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

/* The run's end; *run says where it lies. */
static int run_end(struct run_writer *writer, struct run *run, ol_error *err)
{
	int rc = run_flush(writer, err);

	*run = (struct run){ writer->start, writer->sorter->file_size - writer->start };
	return rc;
}

static int spill(ol_sorter *sorter, ol_error *err)
{
	struct run_writer writer;
	struct run run = { 0 };
	int rc = run_begin(&writer, sorter, err);

	if (rc < 0)
		return rc;
	sort_memory(sorter);
	for (size_t i = 0; rc == OL_OK && i < sorter->slot_count; i++) {
		const char *record = sorter->buffer + sorter->slots[i].offset;
		uint32_t key_size, value_size;

		sizes_at(record, &key_size, &value_size);
		rc = run_add(&writer, record, (size_t)HEADER_BYTES + key_size + value_size, err);
	}
	if (rc == OL_OK)
		rc = run_end(&writer, &run, err);
	free(writer.data);
	if (rc < 0)
		return rc;
	OL_GROW(sorter->runs, sorter->run_count, sorter->run_cap);
	sorter->runs[sorter->run_count++] = run;
	sorter->used = sorter->slot_count = 0;
	return OL_OK;
}

/* What one more record of size bytes would make it: twice the slots, for qsort has a copy
 * of them. */
static bool is_over_budget(const ol_sorter *sorter, size_t size)
{
	return sorter->used + size + 2 * (sorter->slot_count + 1) * sizeof(struct slot) >
	       sorter->budget;
}

static void make_room(ol_sorter *sorter, size_t size)
{
	size_t cap = sorter->cap ? sorter->cap : BUFFER_BYTES_MIN;

	while (cap - sorter->used < size)
		cap *= 2;
	if (cap != sorter->cap)
		sorter->buffer = ol_realloc_array(sorter->buffer, cap, 1);
	sorter->cap = cap;
}

int ol_sorter_add(ol_sorter *sorter, ol_view key, ol_view value, ol_error *err)
{
	size_t size = HEADER_BYTES + key.size + value.size;
	const uint32_t sizes[2] = { (uint32_t)key.size, (uint32_t)value.size };
	char *record;

	if (key.size > KEY_BYTES_MAX || value.size > VALUE_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "record of %zu bytes is too large to sort", size);
	if (sorter->sorted)
		return ol_fail(err, OL_EINVAL, "the records are sorted already");
	if (sorter->slot_count && is_over_budget(sorter, size)) {
		int rc = spill(sorter, err);

		if (rc < 0)
			return rc;
	}
	make_room(sorter, size);
	OL_GROW(sorter->slots, sorter->slot_count, sorter->slot_cap);
	record = sorter->buffer + sorter->used;
	memcpy(record, sizes, sizeof sizes);
	if (key.size)
		memcpy(record + HEADER_BYTES, key.data, key.size);
	if (value.size)
		memcpy(record + HEADER_BYTES + key.size, value.data, value.size);
	sorter->slots[sorter->slot_count++] =
		(struct slot){ .prefix = prefix_of(key.data, key.size), .offset = sorter->used };
	sorter->used += size;
	sorter->count++;
	return OL_OK;
}

/* Makes the window hold size bytes from the record on. */
static int cursor_need(ol_sorter *sorter, struct cursor *cursor, size_t size, ol_error *err)
{
	size_t left = cursor->have - cursor->at;
	uint64_t rest = cursor->end - cursor->next;
	size_t more;
	int rc;

	if (left >= size)
		return OL_OK;
	memmove(cursor->window, cursor->window + cursor->at, left);
	cursor->at = 0;
	cursor->have = left;
	if (size > cursor->cap) {
		cursor->window = ol_realloc_array(cursor->window, size, 1);
		cursor->cap = size;
	}
	more = cursor->cap - left;
	if (more > rest)
		more = (size_t)rest;
	if (left + more < size)
		return ol_fail(err, OL_ECORRUPT, "a sorted run ends early");
	rc = ol_pread_all(sorter->fd, cursor->window + left, more, cursor->next, err);
	if (rc < 0)
		return ol_wrap(err, rc, "sorted records");
	cursor->next += more;
	cursor->have += more;
	return OL_OK;
}

static bool cursor_at_end(const struct cursor *cursor)
{
	return cursor->at == cursor->have && cursor->next == cursor->end;
}

/* Reads the record's sizes and key. */
static int cursor_load(ol_sorter *sorter, struct cursor *cursor, ol_error *err)
{
	int rc = cursor_need(sorter, cursor, HEADER_BYTES, err);

	if (rc < 0)
		return rc;
	sizes_at(cursor->window + cursor->at, &cursor->key_size, &cursor->value_size);
	return cursor_need(sorter, cursor, (size_t)HEADER_BYTES + cursor->key_size, err);
}

/* To the next record; at the end nothing is loaded. */
static int cursor_advance(ol_sorter *sorter, struct cursor *cursor, ol_error *err)
{
	size_t size = (size_t)HEADER_BYTES + cursor->key_size + cursor->value_size;
	size_t left = cursor->have - cursor->at;

	if (size <= left) {
		cursor->at += size;
	} else {
		cursor->next += size - left;
		cursor->at = cursor->have = 0;
	}
	if (cursor_at_end(cursor))
		return OL_OK;
	return cursor_load(sorter, cursor, err);
}

static bool heap_less(const ol_sorter *sorter, size_t a, size_t b)
{
	const struct cursor *ca = &sorter->cursors[a], *cb = &sorter->cursors[b];
	int order = compare_keys(ca->window + ca->at + HEADER_BYTES, ca->key_size,
		cb->window + cb->at + HEADER_BYTES, cb->key_size);

	return order ? order < 0 : ca->order < cb->order;
}

static void heap_sift(ol_sorter *sorter, size_t i)
{
	size_t *heap = sorter->heap, count = sorter->heap_count;

	for (;;) {
		size_t child = 2 * i + 1, held = heap[i];

		if (child >= count)
			return;
		if (child + 1 < count && heap_less(sorter, heap[child + 1], heap[child]))
			child++;
		if (!heap_less(sorter, heap[child], held))
			return;
		heap[i] = heap[child];
		heap[child] = held;
		i = child;
	}
}

/* Cursors at the start of count runs, and the heap over them. */
static int merge_open(ol_sorter *sorter, const struct run *runs, size_t count, ol_error *err)
{
	size_t window = sorter->budget / (count ? count : 1);

	if (window < WINDOW_BYTES)
		window = WINDOW_BYTES;
	if (window > WRITE_BYTES)
		window = WRITE_BYTES;
	free_cursors(sorter);
	sorter->cursors = ol_alloc_array(count, sizeof *sorter->cursors);
	sorter->heap = ol_alloc_array(count, sizeof *sorter->heap);
	sorter->cursor_count = count;
	for (size_t i = 0; i < count; i++) {
		struct cursor *cursor = &sorter->cursors[i];
		int rc;

		*cursor = (struct cursor){
			.next = runs[i].offset, .end = runs[i].offset + runs[i].size, .order = i
		};
		cursor->window = ol_alloc(window);
		cursor->cap = window;
		if (cursor_at_end(cursor))
			continue;
		rc = cursor_load(sorter, cursor, err);
		if (rc < 0)
			return rc;
		sorter->heap[sorter->heap_count++] = i;
	}
	for (size_t i = sorter->heap_count / 2; i-- > 0;)
		heap_sift(sorter, i);
	return OL_OK;
}

/* The value of the first cursor's record: in its window, or read on its own. */
static int merge_value(
	ol_sorter *sorter, const struct cursor *cursor, ol_view *value, ol_error *err)
{
	size_t start = cursor->at + HEADER_BYTES + cursor->key_size;
	size_t here = cursor->have - start;
	int rc;

	if (here >= cursor->value_size) {
		*value = ol_view_from(cursor->window + start, cursor->value_size);
		return OL_OK;
	}
	if (sorter->value_cap < cursor->value_size) {
		sorter->value = ol_realloc_array(sorter->value, cursor->value_size, 1);
		sorter->value_cap = cursor->value_size;
	}
	memcpy(sorter->value, cursor->window + start, here);
	rc = ol_pread_all(
		sorter->fd, sorter->value + here, cursor->value_size - here, cursor->next, err);
	if (rc < 0)
		return ol_wrap(err, rc, "sorted records");
	*value = ol_view_from(sorter->value, cursor->value_size);
	return OL_OK;
}

static int merge_next(ol_sorter *sorter, ol_view *key, ol_view *value, bool *more, ol_error *err)
{
	struct cursor *cursor;
	int rc;

	if (sorter->lent) {
		cursor = &sorter->cursors[sorter->heap[0]];
		rc = cursor_advance(sorter, cursor, err);
		if (rc < 0)
			return rc;
		if (cursor_at_end(cursor))
			sorter->heap[0] = sorter->heap[--sorter->heap_count];
		heap_sift(sorter, 0);
		sorter->lent = false;
	}
	*more = sorter->heap_count > 0;
	if (!*more)
		return OL_OK;
	cursor = &sorter->cursors[sorter->heap[0]];
	*key = ol_view_from(cursor->window + cursor->at + HEADER_BYTES, cursor->key_size);
	sorter->lent = true;
	return merge_value(sorter, cursor, value, err);
}

/* Makes one run of count neighbours. */
static int merge_runs(
	ol_sorter *sorter, const struct run *runs, size_t count, struct run *out, ol_error *err)
{
	struct run_writer writer;
	bool more = true;
	int rc = merge_open(sorter, runs, count, err);

	if (rc < 0)
		return rc;
	rc = run_begin(&writer, sorter, err);
	if (rc < 0)
		return rc;
	while (rc == OL_OK && more) {
		ol_view key = { "", 0 }, value = { "", 0 };
		uint32_t sizes[2];

		rc = merge_next(sorter, &key, &value, &more, err);
		if (rc < 0 || !more)
			break;
		sizes[0] = (uint32_t)key.size;
		sizes[1] = (uint32_t)value.size;
		rc = run_add(&writer, (const char *)sizes, sizeof sizes, err);
		if (rc == OL_OK)
			rc = run_add(&writer, key.data, key.size, err);
		if (rc == OL_OK)
			rc = run_add(&writer, value.data, value.size, err);
	}
	if (rc == OL_OK)
		rc = run_end(&writer, out, err);
	free(writer.data);
	return rc;
}

/* Fewer runs, each pass dividing their number by the fan-in; what was merged gives its
 * blocks back. */
static int reduce_runs(ol_sorter *sorter, ol_error *err)
{
	size_t fan_in = sorter->budget / WINDOW_BYTES;

	if (fan_in < FAN_IN_MIN)
		fan_in = FAN_IN_MIN;
	if (fan_in > FAN_IN_MAX)
		fan_in = FAN_IN_MAX;
	while (sorter->run_count > fan_in) {
		uint64_t start = sorter->runs[0].offset, end = sorter->file_size;
		size_t made = 0;

		for (size_t i = 0; i < sorter->run_count; i += fan_in) {
			size_t left = sorter->run_count - i;
			struct run run = { 0 };
			int rc = merge_runs(
				sorter, sorter->runs + i, left < fan_in ? left : fan_in, &run, err);

			if (rc < 0)
				return rc;
			sorter->runs[made++] = run;
		}
		sorter->run_count = made;
		/* A courtesy to a full disk: a file system without holes keeps them until
		 * the end. */
		(void)fallocate(sorter->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)start, (off_t)(end - start));
	}
	return OL_OK;
}

int ol_sorter_sort(ol_sorter *sorter, ol_error *err)
{
	int rc = OL_OK;

	if (sorter->sorted)
		return ol_sorter_rewind(sorter, err);
	if (!sorter->run_count) {
		sort_memory(sorter);
		sorter->sorted = true;
		return OL_OK;
	}
	if (sorter->slot_count)
		rc = spill(sorter, err);
	if (rc < 0)
		return rc;
	free_memory(sorter);
	rc = reduce_runs(sorter, err);
	if (rc < 0)
		return rc;
	sorter->sorted = true;
	return merge_open(sorter, sorter->runs, sorter->run_count, err);
}

int ol_sorter_next(ol_sorter *sorter, ol_view *key, ol_view *value, bool *more, ol_error *err)
{
	const char *record;
	uint32_t key_size, value_size;

	if (!sorter->sorted)
		return ol_fail(err, OL_EINVAL, "the records are not sorted yet");
	if (sorter->run_count)
		return merge_next(sorter, key, value, more, err);
	*more = sorter->position < sorter->slot_count;
	if (!*more)
		return OL_OK;
	record = sorter->buffer + sorter->slots[sorter->position++].offset;
	sizes_at(record, &key_size, &value_size);
	*key = ol_view_from(record + HEADER_BYTES, key_size);
	*value = ol_view_from(record + HEADER_BYTES + key_size, value_size);
	return OL_OK;
}

int ol_sorter_rewind(ol_sorter *sorter, ol_error *err)
{
	if (!sorter->sorted)
		return ol_fail(err, OL_EINVAL, "the records are not sorted yet");
	sorter->position = 0;
	if (!sorter->run_count)
		return OL_OK;
	return merge_open(sorter, sorter->runs, sorter->run_count, err);
}

uint64_t ol_sorter_count(const ol_sorter *sorter)
{
	return sorter->count;
}

bool ol_sorter_spilled(const ol_sorter *sorter)
{
	return sorter->run_count > 0;
}
