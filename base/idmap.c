#include "base/idmap.h"

#include <inttypes.h>
#include <string.h>

#define ID_END UINT32_MAX /* (uid_t)-1 means "none": ids end before it */

struct cursor {
	const char *text, *at;
};

static int refuse(const struct cursor *c, const char *wanted, ol_error *err)
{
	ol_fail(err, OL_EINVAL, "id map \"%.100s\": %s at byte %zu", c->text, wanted,
		(size_t)(c->at - c->text) + 1);
	return ol_hint(err, OL_EINVAL, "it is CONTAINER:HOST:SIZE, as in 0:100000:65536");
}

/* Decimal digits, no sign, no space. */
static int read_number(struct cursor *c, uint32_t *out, ol_error *err)
{
	uint64_t value = 0;

	if (*c->at < '0' || *c->at > '9')
		return refuse(c, "no number", err);
	for (; *c->at >= '0' && *c->at <= '9'; c->at++) {
		value = value * 10 + (uint64_t)(*c->at - '0');
		if (value > ID_END)
			return refuse(c, "a number past all ids", err);
	}
	*out = (uint32_t)value;
	return OL_OK;
}

static int read_colon(struct cursor *c, ol_error *err)
{
	if (*c->at != ':')
		return refuse(c, "no ':'", err);
	c->at++;
	return OL_OK;
}

static int read_extent(struct cursor *c, ol_idmap_extent *out, ol_error *err)
{
	int rc = read_number(c, &out->inside, err);

	if (rc == OL_OK)
		rc = read_colon(c, err);
	if (rc == OL_OK)
		rc = read_number(c, &out->outside, err);
	if (rc == OL_OK)
		rc = read_colon(c, err);
	if (rc == OL_OK)
		rc = read_number(c, &out->count, err);
	if (rc < 0)
		return rc;
	if (out->count == 0)
		return refuse(c, "a size of 0", err);
	if (out->count > ID_END - out->inside || out->count > ID_END - out->outside)
		return refuse(c, "a range past all ids", err);
	return OL_OK;
}

static bool meet(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
	return a < (uint64_t)b + b_count && b < (uint64_t)a + a_count;
}

/* Extents up to what is no comma. */
static int read_map(struct cursor *c, ol_idmap_ids *out, ol_error *err)
{
	for (;;) {
		ol_idmap_extent extent = { 0 };
		int rc;

		if (out->count == OL_IDMAP_EXTENTS_MAX)
			return ol_fail(err, OL_ELIMIT, "an id map has at most %d ranges",
				OL_IDMAP_EXTENTS_MAX);
		rc = read_extent(c, &extent, err);
		if (rc < 0)
			return rc;
		for (size_t i = 0; i < out->count; i++) {
			const ol_idmap_extent *e = &out->extents[i];

			if (meet(e->inside, e->count, extent.inside, extent.count) ||
				meet(e->outside, e->count, extent.outside, extent.count))
				return refuse(c, "a range that another one meets", err);
		}
		out->extents[out->count++] = extent;
		if (*c->at != ',')
			return OL_OK;
		c->at++;
	}
}

int ol_idmap_ids_parse(const char *text, ol_idmap_ids *out, ol_error *err)
{
	struct cursor c = { text, text };
	ol_idmap_ids map = { .count = 0 };
	int rc = read_map(&c, &map, err);

	if (rc < 0)
		return rc;
	if (*c.at)
		return refuse(&c, "no end", err);
	*out = map;
	return OL_OK;
}

int ol_idmap_parse(const char *text, ol_idmap *out, ol_error *err)
{
	struct cursor c = { text, text };
	ol_idmap map = { .uids = { .count = 0 }, .gids = { .count = 0 } };
	int rc = read_map(&c, &map.uids, err);

	if (rc < 0)
		return rc;
	if (*c.at == ':') {
		c.at++;
		rc = read_map(&c, &map.gids, err);
		if (rc < 0)
			return rc;
	} else {
		map.gids = map.uids;
	}
	if (*c.at)
		return refuse(&c, "no end", err);
	*out = map;
	return OL_OK;
}

void ol_idmap_ids_format(const ol_idmap_ids *map, ol_str *out)
{
	for (size_t i = 0; i < map->count; i++)
		(void)ol_str_addf(out, "%s%" PRIu32 ":%" PRIu32 ":%" PRIu32, i ? "," : "",
			map->extents[i].inside, map->extents[i].outside, map->extents[i].count);
}

static bool is_same(const ol_idmap_ids *a, const ol_idmap_ids *b)
{
	return a->count == b->count &&
	       (a->count == 0 ||
		       memcmp(a->extents, b->extents, a->count * sizeof a->extents[0]) == 0);
}

void ol_idmap_format(const ol_idmap *map, ol_str *out)
{
	ol_idmap_ids_format(&map->uids, out);
	if (is_same(&map->uids, &map->gids))
		return;
	(void)ol_str_addc(out, ':');
	ol_idmap_ids_format(&map->gids, out);
}

void ol_idmap_ids_lines(const ol_idmap_ids *map, ol_str *out)
{
	for (size_t i = 0; i < map->count; i++)
		(void)ol_str_addf(out, "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
			map->extents[i].inside, map->extents[i].outside, map->extents[i].count);
}

bool ol_idmap_ids_outside(const ol_idmap_ids *map, uint32_t inside, uint32_t *out)
{
	for (size_t i = 0; i < map->count; i++) {
		const ol_idmap_extent *e = &map->extents[i];

		if (inside < e->inside || inside - e->inside >= e->count)
			continue;
		*out = e->outside + (inside - e->inside);
		return true;
	}
	return false;
}
