#include <assert.h>
#include <endian.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "store/range_map_priv.h"

#define MAP_VERSION 1
static const char magic[8] = "orlopmap";

void ol_range_set_done(ol_range_set *set)
{
	free(set->ranges);
	*set = (ol_range_set){ 0 };
}

/* The first range that ends at or after at: the one that a range from there on may touch. */
static size_t lower_bound(const ol_range_set *set, uint64_t at)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->ranges[middle].end < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void move(ol_range_set *set, size_t from, size_t to)
{
	memmove(set->ranges + to, set->ranges + from, (set->count - from) * sizeof *set->ranges);
}

void ol_range_set_add(ol_range_set *set, uint64_t start, uint64_t end)
{
	size_t first = lower_bound(set, start), last = first;

	assert(start < end);
	/* Swallow all that overlap or touch. */
	while (last < set->count && set->ranges[last].start <= end) {
		const ol_range *old = &set->ranges[last++];

		start = old->start < start ? old->start : start;
		end = old->end > end ? old->end : end;
		set->present -= old->end - old->start;
	}
	if (first == last) {
		OL_GROW(set->ranges, set->count, set->cap);
		move(set, first, first + 1);
		set->count++;
	} else {
		move(set, last, first + 1);
		set->count -= last - first - 1;
	}
	set->ranges[first] = (ol_range){ start, end };
	set->present += end - start;
}

const ol_range *ol_range_set_find(const ol_range_set *set, uint64_t at)
{
	size_t i = lower_bound(set, at + 1);

	return i < set->count && set->ranges[i].start <= at ? &set->ranges[i] : NULL;
}

void ol_range_set_remove(ol_range_set *set, const ol_range *range)
{
	size_t i = (size_t)(range - set->ranges);

	assert(i < set->count);
	set->present -= range->end - range->start;
	move(set, i + 1, i);
	set->count--;
}

static void insert(ol_range_set *set, size_t at, ol_range range)
{
	OL_GROW(set->ranges, set->count, set->cap);
	move(set, at, at + 1);
	set->ranges[at] = range;
	set->count++;
}

void ol_range_set_cut(ol_range_set *set, uint64_t start, uint64_t end)
{
	assert(start < end);
	for (size_t i = lower_bound(set, start + 1);
		i < set->count && set->ranges[i].start < end;) {
		const ol_range old = set->ranges[i];

		ol_range_set_remove(set, &set->ranges[i]);
		if (old.start < start) {
			insert(set, i++, (ol_range){ old.start, start });
			set->present += start - old.start;
		}
		if (old.end > end) {
			insert(set, i++, (ol_range){ end, old.end });
			set->present += old.end - end;
		}
	}
}

bool ol_range_set_has(const ol_range_set *set, uint64_t start, uint64_t end)
{
	const ol_range *range = start < end ? ol_range_set_find(set, start) : NULL;

	return start >= end || (range && range->end >= end);
}

uint64_t ol_range_set_prefix(const ol_range_set *set)
{
	return set->count && set->ranges[0].start == 0 ? set->ranges[0].end : 0;
}

size_t ol_range_set_missing(const ol_range_set *set, uint64_t size, ol_range *ranges, size_t count)
{
	uint64_t at = 0;
	size_t found = 0;

	for (size_t i = 0; i < set->count && found < count; i++) {
		if (set->ranges[i].start > at)
			ranges[found++] = (ol_range){ at, set->ranges[i].start };
		at = set->ranges[i].end;
	}
	if (found < count && at < size)
		ranges[found++] = (ol_range){ at, size };
	return found;
}

static uint64_t get64(const char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof value);
	return le64toh(value);
}

static void put64(unsigned char *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof value);
}

/* FNV-1a, 64 bits: against torn and stray writes, not against anybody; the blob's digest decides in
 * the end. */
static uint64_t fnv(const void *data, size_t size, uint64_t more)
{
	const unsigned char *p = data;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ p[i]) * 0x100000001b3;
	for (size_t i = 0; i < sizeof more; i++, more >>= 8)
		hash = (hash ^ (more & 0xff)) * 0x100000001b3;
	return hash;
}

void ol_range_map_header(
	uint64_t size, const char *boot, unsigned char out[OL_RANGE_MAP_HEADER_BYTES])
{
	assert(strlen(boot) < OL_RANGE_MAP_BOOT_BYTES);
	memset(out, 0, OL_RANGE_MAP_HEADER_BYTES);
	memcpy(out, magic, sizeof magic);
	put64(out + 8, MAP_VERSION);
	put64(out + 16, size);
	(void)snprintf((char *)out + 24, OL_RANGE_MAP_BOOT_BYTES, "%s", boot);
	put64(out + 88, fnv(out, 88, 0));
}

void ol_range_map_record(
	const ol_range *range, uint64_t at, unsigned char out[OL_RANGE_MAP_RECORD_BYTES])
{
	put64(out, range->start);
	put64(out + 8, range->end);
	put64(out + 16, fnv(out, 16, at));
}

static int parse_header(ol_view bytes, ol_range_map *map, ol_error *err)
{
	if (bytes.size < OL_RANGE_MAP_HEADER_BYTES || memcmp(bytes.data, magic, sizeof magic) != 0)
		return ol_fail(err, OL_ECORRUPT, "not a range map");
	if (get64(bytes.data + 8) != MAP_VERSION)
		return ol_fail(err, OL_ECORRUPT, "a range map of an unknown version");
	if (get64(bytes.data + 88) != fnv(bytes.data, 88, 0))
		return ol_fail(err, OL_ECORRUPT, "range map: bad header");
	if (bytes.data[24 + OL_RANGE_MAP_BOOT_BYTES - 1] != '\0')
		return ol_fail(err, OL_ECORRUPT, "range map: boot id without an end");
	map->size = get64(bytes.data + 16);
	if (map->size > OL_DESCRIPTOR_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "range map: of something too large");
	memcpy(map->boot, bytes.data + 24, OL_RANGE_MAP_BOOT_BYTES);
	return OL_OK;
}

int ol_range_map_parse(ol_view bytes, ol_range_map *out, ol_error *err)
{
	ol_range_map map = { 0 };
	int rc;

	if (bytes.size > OL_RANGE_MAP_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "range map of %zu bytes", bytes.size);
	rc = parse_header(bytes, &map, err);
	for (size_t at = OL_RANGE_MAP_HEADER_BYTES;
		rc == OL_OK && bytes.size - at >= OL_RANGE_MAP_RECORD_BYTES;
		at += OL_RANGE_MAP_RECORD_BYTES) {
		const char *record = bytes.data + at;
		ol_range range = { get64(record), get64(record + 8) };

		if (get64(record + 16) != fnv(record, 16, at) || range.start >= range.end ||
			range.end > map.size)
			rc = ol_fail(err, OL_ECORRUPT, "range map: bad record at byte %zu", at);
		else
			ol_range_set_add(&map.set, range.start, range.end);
	}
	if (rc < 0)
		ol_range_set_done(&map.set);
	else
		*out = map;
	return rc;
}
