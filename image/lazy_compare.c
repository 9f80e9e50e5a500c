/*
 * Two indexes of one layer, one made from its table of contents and one from its tar: they show the
 * same tree, but for what the format of the table cannot carry (docs/differences.md).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "image/lazy_settle_priv.h"

struct comparison {
	ol_erofs *lazy, *real;
	bool packed;
	ol_settle_map map;
	char target[2][OL_PATH_MAX + 1];
};

static int differs(const ol_erofs_visit *visit, const char *what, ol_error *err)
{
	return ol_fail(err, OL_ECORRUPT, "/%.300s has another %s in the layer", visit->path, what);
}

/* A table that does not carry a time says 0, and none carries less than a second when packed. */
static bool same_time(
	const struct comparison *self, const struct timespec *lazy, const struct timespec *real)
{
	if (!self->packed)
		return lazy->tv_sec == real->tv_sec && lazy->tv_nsec == real->tv_nsec;
	return lazy->tv_sec == real->tv_sec || lazy->tv_sec == 0 || real->tv_sec == 0;
}

static int compare_inode(const struct comparison *self, const ol_erofs_visit *visit,
	const ol_erofs_inode *real, ol_error *err)
{
	const ol_erofs_inode *lazy = &visit->inode;

	if (lazy->mode != real->mode)
		return differs(visit, "mode", err);
	if (lazy->uid != real->uid || lazy->gid != real->gid)
		return differs(visit, "owner", err);
	if (lazy->nlink != real->nlink)
		return differs(visit, "number of links", err);
	if (lazy->dev_major != real->dev_major || lazy->dev_minor != real->dev_minor)
		return differs(visit, "device", err);
	if (!S_ISDIR(lazy->mode) && lazy->size != real->size)
		return differs(visit, "size", err);
	if (!same_time(self, &lazy->mtime, &real->mtime))
		return differs(visit, "time", err);
	return OL_OK;
}

static const ol_xattr *find_xattr(const ol_xattr *list, size_t count, ol_view name)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].name.size == name.size &&
			memcmp(list[i].name.data, name.data, name.size) == 0)
			return &list[i];
	return NULL;
}

/* All of a are in b with the same value; those that are not may be empty if that is allowed. */
static bool are_in(const ol_xattr *a, size_t a_count, const ol_xattr *b, size_t b_count, bool empty)
{
	for (size_t i = 0; i < a_count; i++) {
		const ol_xattr *found = find_xattr(b, b_count, a[i].name);

		if (!found && empty && a[i].value.size == 0)
			continue;
		if (!found || found->value.size != a[i].value.size ||
			memcmp(found->value.data, a[i].value.data, a[i].value.size) != 0)
			return false;
	}
	return true;
}

static int compare_xattrs(const struct comparison *self, const ol_erofs_visit *visit,
	const ol_erofs_inode *real, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_xattr *a = NULL, *b = NULL;
	size_t a_count = 0, b_count = 0;
	int rc = ol_erofs_xattrs(self->lazy, &visit->inode, arena, &a, &a_count, err);

	if (rc == OL_OK)
		rc = ol_erofs_xattrs(self->real, real, arena, &b, &b_count, err);
	if (rc < 0)
		return rc;
	return are_in(a, a_count, b, b_count, false) && are_in(b, b_count, a, a_count, true)
		       ? OL_OK
		       : differs(visit, "extended attribute", err);
}

static int compare_target(struct comparison *self, const ol_erofs_visit *visit,
	const ol_erofs_inode *real, ol_error *err)
{
	int rc = ol_erofs_readlink(self->lazy, &visit->inode, self->target[0], err);

	if (rc == OL_OK)
		rc = ol_erofs_readlink(self->real, real, self->target[1], err);
	if (rc < 0)
		return rc;
	return strcmp(self->target[0], self->target[1]) == 0 ? OL_OK
							     : differs(visit, "target", err);
}

/* Where its bytes are in the payload, and where in the tar. What the payload has no place for must
 * be a hole in the layer too. */
static int map_file(struct comparison *self, const ol_erofs_visit *visit,
	const ol_erofs_inode *real, ol_error *err)
{
	for (uint64_t at = 0; at < real->size;) {
		ol_erofs_extent a = { 0 }, b = { 0 };
		uint64_t size;
		int rc = ol_erofs_extent_at(self->lazy, &visit->inode, at, &a, err);

		if (rc == OL_OK)
			rc = ol_erofs_extent_at(self->real, real, at, &b, err);
		if (rc < 0)
			return rc;
		size = a.size < b.size ? a.size : b.size;
		if ((!a.hole && a.device != 1) || (!b.hole && b.device != 1) || (a.hole && !b.hole))
			return differs(visit, "place", err);
		if (!a.hole)
			ol_settle_map_add(
				&self->map, &(ol_settle_run){ .payload = a.address,
						    .size = size,
						    .tar = b.hole ? OL_SETTLE_ZEROS : b.address });
		at += size;
	}
	return OL_OK;
}

static int compare_entry(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	struct comparison *self = ctx;
	ol_erofs_inode real;
	int rc = ol_erofs_find(self->real, visit->path, &real, err);

	if (rc == OL_ENOTFOUND)
		return ol_fail(err, OL_ECORRUPT, "/%.300s is not in the layer", visit->path);
	if (rc == OL_OK)
		rc = compare_inode(self, visit, &real, err);
	if (rc == OL_OK)
		rc = compare_xattrs(self, visit, &real, err);
	if (rc == OL_OK && S_ISLNK(real.mode))
		rc = compare_target(self, visit, &real, err);
	if (rc == OL_OK && S_ISREG(real.mode))
		rc = map_file(self, visit, &real, err);
	return rc;
}

/* Everything of the layer is in the table too. */
static int find_more(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	struct comparison *self = ctx;
	ol_erofs_inode inode;
	int rc = ol_erofs_find(self->lazy, visit->path, &inode, err);

	return rc == OL_ENOTFOUND ? ol_fail(err, OL_ECORRUPT,
					    "/%.300s is in the layer, its table of contents does "
					    "not have it",
					    visit->path)
				  : rc;
}

static int by_payload(const void *a, const void *b)
{
	const ol_settle_run *x = a, *y = b;

	return x->payload < y->payload ? -1 : x->payload > y->payload;
}

/* Hard links bring a run more than once; two files at one place are a lie. */
static int sort_map(ol_settle_map *map, ol_error *err)
{
	size_t kept = 0;

	if (map->count)
		qsort(map->runs, map->count, sizeof *map->runs, by_payload);
	for (size_t i = 0; i < map->count; i++) {
		const ol_settle_run *run = &map->runs[i],
				    *last = kept ? &map->runs[kept - 1] : NULL;

		if (last && last->payload == run->payload && last->size == run->size &&
			last->tar == run->tar)
			continue;
		if (last && last->payload + last->size > run->payload)
			return ol_fail(err, OL_ECORRUPT, "two files share byte %llu of its payload",
				(unsigned long long)run->payload);
		map->runs[kept++] = *run;
	}
	map->count = kept;
	return OL_OK;
}

int ol_lazy_compare(ol_erofs *lazy, ol_erofs *real, bool packed, ol_settle_map *out, ol_error *err)
{
	ol_autofree struct comparison *self = ol_alloc(sizeof *self);
	int rc;

	self->lazy = lazy;
	self->real = real;
	self->packed = packed;
	rc = ol_erofs_walk(lazy, compare_entry, self, err);
	if (rc == OL_OK)
		rc = ol_erofs_walk(real, find_more, self, err);
	if (rc == OL_OK)
		rc = sort_map(&self->map, err);
	if (rc < 0) {
		ol_settle_map_done(&self->map);
		return rc;
	}
	*out = self->map;
	return OL_OK;
}
