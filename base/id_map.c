#include "base/id_map.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define IDS ((uint64_t)UINT32_MAX) /* 2^32 - 1 is nobody's: -1 to chown */

/* A number of at most 32 bits at *text, which moves behind it. */
static bool take_number(ol_view *text, uint32_t *out)
{
	uint64_t value = 0;
	size_t i = 0;

	for (; i < text->size && text->data[i] >= '0' && text->data[i] <= '9'; i++) {
		value = value * 10 + (uint64_t)(text->data[i] - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*text = ol_view_from(text->data + i, text->size - i);
	*out = (uint32_t)value;
	return i > 0;
}

static void skip_blanks(ol_view *text)
{
	size_t i = 0;

	while (i < text->size && (text->data[i] == ' ' || text->data[i] == '\t'))
		i++;
	*text = ol_view_from(text->data + i, text->size - i);
}

/* Takes a line, without its end. */
static bool take_line(ol_view *text, ol_view *line)
{
	const char *end;

	if (text->size == 0)
		return false;
	end = memchr(text->data, '\n', text->size);
	*line = ol_view_from(text->data, end ? (size_t)(end - text->data) : text->size);
	*text = end ? ol_view_from(end + 1, text->size - line->size - 1)
		    : ol_view_from(text->data + text->size, 0);
	return true;
}

static bool is_sound(uint32_t inside, uint32_t outside, uint32_t count)
{
	return count > 0 && (uint64_t)inside + count <= IDS && (uint64_t)outside + count <= IDS;
}

static int append(ol_id_map *map, ol_id_range range, ol_error *err)
{
	if (map->count == OL_ID_RANGES_MAX)
		return ol_fail(err, OL_ELIMIT, "more than %d ranges of ids", OL_ID_RANGES_MAX);
	map->ranges[map->count++] = range;
	return OL_OK;
}

int ol_id_map_parse(ol_view text, ol_id_map *out, ol_error *err)
{
	ol_id_map map = { .count = 0 };
	ol_view line;
	int rc = OL_OK;

	for (size_t number = 1; rc == OL_OK && take_line(&text, &line); number++) {
		ol_id_range range;
		bool sound;

		skip_blanks(&line);
		sound = take_number(&line, &range.inside);
		skip_blanks(&line);
		sound = sound && take_number(&line, &range.outside);
		skip_blanks(&line);
		sound = sound && take_number(&line, &range.count);
		skip_blanks(&line);
		if (!sound || line.size > 0 || !is_sound(range.inside, range.outside, range.count))
			return ol_fail(err, OL_EINVAL, "line %zu is no range of ids", number);
		rc = append(&map, range, err);
	}
	if (rc == OL_OK)
		*out = map;
	return rc;
}

void ol_id_map_format(const ol_id_map *map, ol_str *out)
{
	for (size_t i = 0; i < map->count; i++)
		(void)ol_str_addf(out, "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
			map->ranges[i].inside, map->ranges[i].outside, map->ranges[i].count);
}

bool ol_id_map_outside(const ol_id_map *map, uint32_t inside, uint32_t *outside)
{
	for (size_t i = 0; i < map->count; i++) {
		const ol_id_range *r = &map->ranges[i];

		if (inside >= r->inside && inside - r->inside < r->count) {
			*outside = r->outside + (inside - r->inside);
			return true;
		}
	}
	return false;
}

bool ol_id_map_has(const ol_id_map *map, uint32_t inside)
{
	uint32_t outside;

	return ol_id_map_outside(map, inside, &outside);
}

bool ol_id_map_is_all(const ol_id_map *map)
{
	return map->count == 1 && map->ranges[0].inside == 0 && map->ranges[0].outside == 0 &&
	       map->ranges[0].count == UINT32_MAX;
}

/* Where a range stops being one of map's; 0 when its first id is not there as it should be. */
static uint32_t covered(const ol_id_map *map, uint32_t inside, uint32_t outside, uint32_t count)
{
	for (size_t i = 0; i < map->count; i++) {
		const ol_id_range *r = &map->ranges[i];
		uint32_t into = inside - r->inside;

		if (inside < r->inside || into >= r->count)
			continue;
		if (r->outside + into != outside)
			return 0;
		return count < r->count - into ? count : r->count - into;
	}
	return 0;
}

bool ol_id_map_covers(const ol_id_map *map, const ol_id_map *part)
{
	for (size_t i = 0; i < part->count; i++) {
		const ol_id_range *r = &part->ranges[i];

		for (uint32_t at = 0, n; at < r->count; at += n) {
			n = covered(map, r->inside + at, r->outside + at, r->count - at);
			if (n == 0)
				return false;
		}
	}
	return true;
}

static int by_inside(const void *a, const void *b)
{
	const ol_id_range *left = a, *right = b;

	return (left->inside > right->inside) - (left->inside < right->inside);
}

void ol_id_map_inside(const ol_id_map *map, ol_id_map *out)
{
	ol_id_map sorted = *map;

	qsort(sorted.ranges, sorted.count, sizeof sorted.ranges[0], by_inside);
	out->count = 0;
	for (size_t i = 0; i < sorted.count; i++) {
		const ol_id_range *r = &sorted.ranges[i];
		ol_id_range *last = out->count ? &out->ranges[out->count - 1] : NULL;

		if (last && last->inside + last->count == r->inside)
			last->count += r->count;
		else
			out->ranges[out->count++] = (ol_id_range){ r->inside, r->inside, r->count };
	}
}

uint32_t ol_id_map_last(const ol_id_map *map)
{
	uint32_t next = 0;

	/* Ranges may stand in any order; each round adds the one that goes on. */
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < map->count; i++) {
			const ol_id_range *r = &map->ranges[i];

			if (next >= r->inside && next - r->inside < r->count) {
				next = r->inside + r->count;
				more = true;
			}
		}
	}
	return next > 0 ? next - 1 : 0;
}

int ol_id_map_add(ol_id_map *map, uint32_t inside, uint32_t outside, uint32_t count, ol_error *err)
{
	if (!is_sound(inside, outside, count))
		return ol_fail(err, OL_EINVAL, "%" PRIu32 " ids from %" PRIu32 " are too many",
			count, outside);
	return append(map, (ol_id_range){ inside, outside, count }, err);
}

/* Is the word before the first colon the user's name, or id? */
static bool is_users(ol_view line, const char *name, uint32_t uid)
{
	const char *colon = memchr(line.data, ':', line.size);
	ol_view word = ol_view_from(line.data, colon ? (size_t)(colon - line.data) : 0);
	uint32_t number;

	if (!colon || word.size == 0)
		return false;
	if (name && ol_view_is(word, name))
		return true;
	return take_number(&word, &number) && word.size == 0 && number == uid;
}

/* ":first:count" */
static bool read_range(ol_view rest, uint32_t *first, uint32_t *count)
{
	if (!ol_view_starts(rest, ":"))
		return false;
	rest = ol_view_from(rest.data + 1, rest.size - 1);
	if (!take_number(&rest, first) || !ol_view_starts(rest, ":"))
		return false;
	rest = ol_view_from(rest.data + 1, rest.size - 1);
	return take_number(&rest, count) && rest.size == 0;
}

static uint32_t next_free(const ol_id_map *map)
{
	uint32_t next = 0;

	for (size_t i = 0; i < map->count; i++)
		if (map->ranges[i].inside + map->ranges[i].count > next)
			next = map->ranges[i].inside + map->ranges[i].count;
	return next;
}

int ol_subid_parse(ol_view text, const char *name, uint32_t uid, ol_id_map *map, ol_error *err)
{
	ol_view line;

	for (size_t number = 1; take_line(&text, &line); number++) {
		uint32_t first = 0, count = 0;
		const char *colon;
		int rc;

		if (!is_users(line, name, uid))
			continue;
		colon = memchr(line.data, ':', line.size);
		if (!read_range(ol_view_from(colon, line.size - (size_t)(colon - line.data)),
			    &first, &count))
			return ol_fail(err, OL_EINVAL, "line %zu is not NAME:FIRST:COUNT", number);
		if (count == 0)
			continue;
		rc = ol_id_map_add(map, next_free(map), first, count, err);
		if (rc < 0)
			return ol_wrap(err, rc, "line %zu", number);
	}
	return OL_OK;
}
