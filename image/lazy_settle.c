#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/lazy_settle_priv.h"

#define CHUNK_BYTES ((size_t)1 << 20) /* a multiple of OL_LAZY_BLOCK */

void ol_settle_map_done(ol_settle_map *map)
{
	free(map->runs);
	*map = (ol_settle_map){ 0 };
}

void ol_settle_map_add(ol_settle_map *map, const ol_settle_run *run)
{
	OL_GROW(map->runs, map->count, map->cap);
	map->runs[map->count++] = *run;
}

void ol_lazy_settle_init(ol_lazy_settle *settle, int payload_fd, int tar_fd, ol_lazy_state *state)
{
	*settle = (ol_lazy_settle){ .payload_fd = payload_fd,
		.tar_fd = tar_fd,
		.state = state,
		.want = ol_alloc(CHUNK_BYTES),
		.have = ol_alloc(CHUNK_BYTES) };
	(void)pthread_mutex_init(&settle->lock, NULL);
}

void ol_lazy_settle_done(ol_lazy_settle *settle)
{
	ol_settle_map_done(&settle->map);
	free(settle->want);
	free(settle->have);
	(void)pthread_mutex_destroy(&settle->lock);
}

/* The first run that ends behind offset. */
static size_t find_run(const ol_settle_map *map, uint64_t offset)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (map->runs[middle].payload + map->runs[middle].size <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What the payload must hold at start..end-1. */
static int read_tar(ol_lazy_settle *settle, uint64_t start, uint64_t end, ol_error *err)
{
	const ol_settle_map *map = &settle->map;
	int rc = OL_OK;

	memset(settle->want, 0, (size_t)(end - start));
	for (size_t i = find_run(map, start);
		rc == OL_OK && i < map->count && map->runs[i].payload < end; i++) {
		const ol_settle_run *run = &map->runs[i];
		const uint64_t from = run->payload > start ? run->payload : start;
		const uint64_t to = run->payload + run->size < end ? run->payload + run->size : end;

		if (run->tar != OL_SETTLE_ZEROS)
			rc = ol_pread_all(settle->tar_fd, settle->want + (from - start),
				(size_t)(to - from), run->tar + (from - run->payload), err);
	}
	return rc;
}

/* Gaps between runs are nobody's: what is there of them is not looked at. */
static int compare(ol_lazy_settle *settle, uint64_t start, uint64_t end, const unsigned char *want,
	ol_error *err)
{
	const ol_settle_map *map = &settle->map;
	int rc = ol_pread_all(settle->payload_fd, settle->have, (size_t)(end - start), start, err);

	for (size_t i = find_run(map, start);
		rc == OL_OK && i < map->count && map->runs[i].payload < end; i++) {
		const ol_settle_run *run = &map->runs[i];
		const uint64_t from = run->payload > start ? run->payload : start;
		const uint64_t to = run->payload + run->size < end ? run->payload + run->size : end;

		if (memcmp(settle->have + (from - start), want + (from - start),
			    (size_t)(to - from)) != 0)
			return ol_fail(err, OL_ECORRUPT,
				"bytes %llu to %llu of its payload differ from the layer",
				(unsigned long long)from, (unsigned long long)to);
	}
	return rc;
}

/* How far from start on blocks are all there, or all not. */
static uint64_t run_end(const ol_lazy_state *state, uint64_t start, uint64_t end, bool there)
{
	uint64_t at = start;

	while (at < end && ol_lazy_state_has(state, at, at + 1) == there)
		at += OL_LAZY_BLOCK;
	return at < end ? at : end;
}

static int settle_chunk(ol_lazy_settle *settle, uint64_t start, uint64_t end, ol_error *err)
{
	int rc = read_tar(settle, start, end, err);

	for (uint64_t at = start, stop; rc == OL_OK && at < end; at = stop) {
		const unsigned char *want = settle->want + (at - start);
		const bool there = ol_lazy_state_has(settle->state, at, at + 1);

		stop = run_end(settle->state, at, end, there);
		if (there) {
			rc = compare(settle, at, stop, want, err);
			continue;
		}
		rc = ol_pwrite_all(settle->payload_fd, want, (size_t)(stop - at), at, err);
		if (rc == OL_OK)
			ol_lazy_state_add(settle->state, at, stop);
	}
	return rc;
}

int ol_lazy_settle_range(ol_lazy_settle *settle, uint64_t start, uint64_t end,
	const ol_cancel *cancel, ol_error *err)
{
	const uint64_t size = ol_lazy_state_payload_bytes(settle->state);
	int rc = OL_OK;

	start -= start % OL_LAZY_BLOCK;
	end += (OL_LAZY_BLOCK - end % OL_LAZY_BLOCK) % OL_LAZY_BLOCK;
	if (end > size)
		end = size;
	while (rc == OL_OK && start < end) {
		const uint64_t stop = end - start < CHUNK_BYTES ? end : start + CHUNK_BYTES;

		rc = ol_cancel_check(cancel, err);
		if (rc < 0)
			break;
		pthread_mutex_lock(&settle->lock);
		rc = settle_chunk(settle, start, stop, err);
		pthread_mutex_unlock(&settle->lock);
		start = stop;
	}
	return rc;
}
