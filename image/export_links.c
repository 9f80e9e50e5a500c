/* A table with open addressing: a file's device and number to where it was met first. */
#include "base/alloc.h"
#include "image/export_priv.h"

struct link {
	uint64_t device, inode;
	char *path; /* owned; NULL: free */
	uint64_t sequence;
};

struct ol_export_links {
	struct link *slots; /* owned; a power of two of them */
	size_t count, cap;
};

ol_export_links *ol_export_links_new(void)
{
	return ol_alloc(sizeof(ol_export_links));
}

void ol_export_links_free(ol_export_links *links)
{
	if (!links)
		return;
	for (size_t i = 0; i < links->cap; i++)
		free(links->slots[i].path);
	free(links->slots);
	free(links);
}

static struct link *slot_of(struct link *slots, size_t cap, uint64_t device, uint64_t inode)
{
	size_t at = (size_t)((inode * 0x9e3779b97f4a7c15U + device) >> 20) & (cap - 1);

	while (slots[at].path && (slots[at].device != device || slots[at].inode != inode))
		at = (at + 1) & (cap - 1);
	return &slots[at];
}

static void grow(ol_export_links *links)
{
	size_t cap = links->cap ? links->cap * 2 : 256;
	struct link *slots = ol_alloc_array(cap, sizeof *slots);

	for (size_t i = 0; i < links->cap; i++)
		if (links->slots[i].path)
			*slot_of(slots, cap, links->slots[i].device, links->slots[i].inode) =
				links->slots[i];
	free(links->slots);
	links->slots = slots;
	links->cap = cap;
}

bool ol_export_links_seen(ol_export_links *links, uint64_t device, uint64_t inode,
	const char **path, uint64_t *sequence)
{
	struct link *slot;

	if (links->count * 2 >= links->cap)
		grow(links);
	slot = slot_of(links->slots, links->cap, device, inode);
	if (slot->path) {
		*path = slot->path;
		*sequence = slot->sequence;
		return true;
	}
	*slot = (struct link){ device, inode, ol_strdup(*path), *sequence };
	links->count++;
	return false;
}
