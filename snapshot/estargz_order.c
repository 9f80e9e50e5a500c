#include <string.h>

#include "snapshot/estargz_order_priv.h"

/* Links to links to links: no tar has more. */
#define LINKS_MAX 32

struct sorter {
	const ol_scan *scan;
	ol_estargz_order *order;
	size_t *by_name; /* owned: members by clean name */
	size_t count;
	bool *picked; /* owned: of the members */
};

/* From a table or landmark of before. */
static bool is_ours(const ol_scan_member *member)
{
	return strcmp(member->clean, OL_LANDMARK_PREFETCH) == 0 ||
	       strcmp(member->clean, OL_LANDMARK_NONE) == 0 ||
	       strcmp(member->clean, "stargz.index.json") == 0;
}

static int by_name(const void *a, const void *b, void *ctx)
{
	const ol_scan_member *members = ctx;

	return strcmp(members[*(const size_t *)a].clean, members[*(const size_t *)b].clean);
}

/* False: there is no such member. */
static bool find(const struct sorter *self, const char *name, size_t size, size_t *out)
{
	size_t low = 0, high = self->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const char *other = self->scan->members[self->by_name[middle]].clean;
		int order = strncmp(other, name, size);

		if (order == 0)
			order = other[size] != '\0';
		if (order == 0) {
			*out = self->by_name[middle];
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static void pick(struct sorter *self, size_t member)
{
	if (self->picked[member])
		return;
	self->picked[member] = true;
	self->order->members[self->order->count++] = member;
}

/* The member, and the folders above it in front; false if it is not there. */
static bool move(struct sorter *self, const char *name, unsigned links)
{
	const size_t size = strlen(name);
	size_t member, folder;
	const char *link;

	if (!find(self, name, size, &member))
		return false;
	if (size > 0 && find(self, "", 0, &folder))
		pick(self, folder);
	for (size_t i = 1; i < size; i++)
		if (name[i] == '/' && find(self, name, i, &folder))
			pick(self, folder);
	link = self->scan->members[member].link;
	if (link && links < LINKS_MAX)
		(void)move(self, link, links + 1);
	pick(self, member);
	return true;
}

/* As typed, cleaned: "/usr//bin/./node" is usr/bin/node. */
static char *clean_path(const char *path)
{
	char *clean = ol_alloc(strlen(path) + 1);
	size_t size = 0;

	while (*path) {
		const size_t part = strcspn(path, "/");

		if (part > 0 && !(part == 1 && path[0] == '.')) {
			if (size > 0)
				clean[size++] = '/';
			memcpy(clean + size, path, part);
			size += part;
		}
		path += part + (path[part] == '/');
	}
	return clean;
}

void ol_estargz_order_make(
	ol_estargz_order *order, const ol_scan *scan, const char *const *paths, bool *found)
{
	struct sorter self = { .scan = scan, .order = order };

	*order = (ol_estargz_order){ .members = ol_alloc_array(scan->count + 1, sizeof(size_t)) };
	self.by_name = ol_alloc_array(scan->count + 1, sizeof *self.by_name);
	self.picked = ol_alloc_array(scan->count + 1, sizeof *self.picked);
	for (size_t i = 0; i < scan->count; i++) {
		self.picked[i] = is_ours(&scan->members[i]);
		if (!self.picked[i])
			self.by_name[self.count++] = i;
	}
	if (self.count)
		qsort_r(self.by_name, self.count, sizeof *self.by_name, by_name, scan->members);
	for (size_t i = 0; paths && paths[i]; i++) {
		ol_autofree char *clean = clean_path(paths[i]);

		if (move(&self, clean, 0))
			found[i] = true;
	}
	order->first = order->count;
	for (size_t i = 0; i < scan->count; i++)
		pick(&self, i);
	free(self.by_name);
	free(self.picked);
}

void ol_estargz_order_done(ol_estargz_order *order)
{
	free(order->members);
	*order = (ol_estargz_order){ 0 };
}
