#include "base/idmap.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>

#include "base/file.h"

#define ID_END UINT32_MAX /* (uid_t)-1 means "none": ids end before it */
#define NO_ID  UINT32_MAX

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

static int read_extent(struct cursor *c, ol_id_range *out, ol_error *err)
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
static int read_map(struct cursor *c, ol_id_map *out, ol_error *err)
{
	for (;;) {
		ol_id_range extent = { 0 };
		int rc;

		if (out->count == OL_IDMAP_RANGES_MAX)
			return ol_fail(err, OL_ELIMIT, "an id map has at most %d ranges",
				OL_IDMAP_RANGES_MAX);
		rc = read_extent(c, &extent, err);
		if (rc < 0)
			return rc;
		for (size_t i = 0; i < out->count; i++) {
			const ol_id_range *e = &out->ranges[i];

			if (meet(e->inside, e->count, extent.inside, extent.count) ||
				meet(e->outside, e->count, extent.outside, extent.count))
				return refuse(c, "a range that another one meets", err);
		}
		out->ranges[out->count++] = extent;
		if (*c->at != ',')
			return OL_OK;
		c->at++;
	}
}

int ol_idmap_parse_ids(const char *text, ol_id_map *out, ol_error *err)
{
	struct cursor c = { text, text };
	ol_id_map map = { .count = 0 };
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

static int read_ranges(const char *path, const char *name, ol_id_map *out, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_CONFIG_FILE_BYTES_MAX);
	const struct passwd *user = getpwnam(name);
	int rc = ol_file_read(AT_FDCWD, path, false, &text, err);

	/* Without a user of the name (podman's "containers" is none) only the name can match. */
	if (rc == OL_OK)
		rc = ol_subid_parse(
			ol_buf_view(&text), name, user ? user->pw_uid : NO_ID, out, err);
	if (rc < 0 && rc != OL_ENOTFOUND)
		return ol_wrap(err, rc, "%s", path);
	if (out->count > OL_IDMAP_RANGES_MAX)
		return ol_fail(err, OL_ELIMIT, "%s has more than %d ranges for %.100s", path,
			OL_IDMAP_RANGES_MAX, name);
	if (out->count > 0)
		return OL_OK;
	ol_fail(err, OL_ENOTFOUND, "%s has no range for %.100s", path, name);
	return ol_hint(err, OL_ENOTFOUND, "add a line \"%.100s:100000:65536\"", name);
}

int ol_idmap_of_user(const char *name, ol_idmap *out, ol_error *err)
{
	ol_idmap map = { .uids = { .count = 0 }, .gids = { .count = 0 } };
	int rc = read_ranges("/etc/subuid", name, &map.uids, err);

	if (rc == OL_OK)
		rc = read_ranges("/etc/subgid", name, &map.gids, err);
	if (rc == OL_OK)
		*out = map;
	return rc;
}

static void format_ids(const ol_id_map *map, ol_str *out)
{
	for (size_t i = 0; i < map->count; i++)
		(void)ol_str_addf(out, "%s%" PRIu32 ":%" PRIu32 ":%" PRIu32, i ? "," : "",
			map->ranges[i].inside, map->ranges[i].outside, map->ranges[i].count);
}

static bool is_same(const ol_id_map *a, const ol_id_map *b)
{
	return a->count == b->count &&
	       (a->count == 0 || memcmp(a->ranges, b->ranges, a->count * sizeof a->ranges[0]) == 0);
}

void ol_idmap_format(const ol_idmap *map, ol_str *out)
{
	format_ids(&map->uids, out);
	if (is_same(&map->uids, &map->gids))
		return;
	(void)ol_str_addc(out, ':');
	format_ids(&map->gids, out);
}
