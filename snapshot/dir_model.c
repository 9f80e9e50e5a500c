#include "snapshot/dir_model.h"

#include "snapshot/dir_priv.h"

#define BUCKETS_FIRST 1024

void ol_dir_model_init(ol_dir_model *model)
{
	*model = (ol_dir_model){ .arena = ol_arena_new(), .bucket_count = BUCKETS_FIRST };
	model->buckets = ol_alloc_array(model->bucket_count, sizeof(ol_dir_node *));
	model->root = ol_arena_alloc(model->arena, sizeof *model->root + 1);
	model->root->dir = model->root->implied = true;
}

void ol_dir_model_done(ol_dir_model *model)
{
	ol_arena_free(model->arena);
	free(model->buckets);
	*model = (ol_dir_model){ 0 };
}

/* FNV-1a over the parent's address and the name. */
static size_t bucket_of(const ol_dir_model *model, const ol_dir_node *parent, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u ^ (uintptr_t)parent;

	hash *= 0x100000001b3u;
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
	return (size_t)(hash ^ hash >> 32) & (model->bucket_count - 1);
}

ol_dir_node *ol_dir_model_child(
	const ol_dir_model *model, const ol_dir_node *parent, const char *name)
{
	ol_dir_node *node = model->buckets[bucket_of(model, parent, name)];

	while (node && (node->dead || node->parent != parent || strcmp(node->name, name) != 0))
		node = node->chain;
	return node;
}

static void grow(ol_dir_model *model)
{
	size_t old_count = model->bucket_count;
	ol_dir_node **old = model->buckets;

	model->bucket_count *= 4;
	model->buckets = ol_alloc_array(model->bucket_count, sizeof(ol_dir_node *));
	for (size_t i = 0; i < old_count; i++) {
		for (ol_dir_node *node = old[i], *next; node; node = next) {
			size_t at = bucket_of(model, node->parent, node->name);

			next = node->chain;
			node->chain = model->buckets[at];
			model->buckets[at] = node;
		}
	}
	free(old);
}

static ol_dir_node *make(ol_dir_model *model, ol_dir_node *parent, const char *name)
{
	size_t size = strlen(name), at;
	ol_dir_node *node = ol_arena_alloc(model->arena, sizeof *node + size + 1);

	if (++model->count > model->bucket_count)
		grow(model);
	at = bucket_of(model, parent, name);
	memcpy(node->name, name, size + 1);
	node->parent = parent;
	node->next = parent->children;
	parent->children = node;
	node->chain = model->buckets[at];
	model->buckets[at] = node;
	return node;
}

/* What hangs below goes with it: nothing finds the way there any more. */
static void drop(ol_dir_node *node)
{
	node->dead = true;
	if (node->inode)
		node->inode->links--;
	for (ol_dir_node *child = node->children; child; child = child->next)
		if (!child->dead)
			drop(child);
}

static bool is_whiteout(const ol_dir_node *node)
{
	return node->inode && node->inode->type == OL_TAR_WHITEOUT;
}

static void make_opaque(ol_dir_node *node)
{
	node->opaque = true;
	for (ol_dir_node *child = node->children; child; child = child->next)
		if (!child->dead && is_whiteout(child))
			drop(child);
}

/* A directory for name: the one there is, a new one, or one in place of what is there. */
static ol_dir_node *take_dir(ol_dir_model *model, ol_dir_node *parent, const char *name)
{
	ol_dir_node *old = ol_dir_model_child(model, parent, name), *node;

	if (old && old->dir)
		return old;
	if (old)
		drop(old);
	node = make(model, parent, name);
	node->dir = node->implied = true;
	node->opaque = old != NULL;
	return node;
}

/* The directory that holds path, made where it is missing; *base is the last component. */
static ol_dir_node *take_parent(ol_dir_model *model, const char *path, const char **base)
{
	ol_dir_node *node = model->root;
	char part[OL_NAME_MAX + 1];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(path, '/')) {
		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = '\0';
		node = take_dir(model, node, part);
		path = slash + 1;
	}
	*base = path;
	return node;
}

static ol_dir_node *find(const ol_dir_model *model, const char *path)
{
	ol_dir_node *node = model->root;
	char part[OL_NAME_MAX + 1];

	for (const char *slash = strchr(path, '/'); slash && node; slash = strchr(path, '/')) {
		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = '\0';
		node = ol_dir_model_child(model, node, part);
		path = slash + 1;
	}
	return node && path[0] ? ol_dir_model_child(model, node, path) : node;
}

static ol_dir_inode *inode_of(ol_dir_model *model, const ol_tar_entry *entry)
{
	ol_dir_inode *inode = ol_arena_alloc(model->arena, sizeof *inode);
	ol_xattr *xattrs = NULL;

	*inode = (ol_dir_inode){ .type = entry->type,
		.mode = entry->mode,
		.uid = entry->uid,
		.gid = entry->gid,
		.links = 1,
		.mtime = entry->mtime,
		.dev_major = entry->dev_major,
		.dev_minor = entry->dev_minor,
		.size = entry->size,
		.data_offset = entry->data_offset,
		.sparse_count = entry->sparse_count,
		.xattr_count = entry->xattr_count };
	if (entry->type == OL_TAR_SYMLINK)
		inode->target = ol_arena_strdup(model->arena, entry->target);
	if (entry->sparse) {
		size_t size = entry->sparse_count * sizeof *entry->sparse;
		ol_sparse *sparse = ol_arena_alloc(model->arena, size + 1);

		if (size > 0)
			memcpy(sparse, entry->sparse, size);
		inode->sparse = sparse;
	}
	if (entry->xattr_count > 0)
		xattrs = ol_arena_alloc(model->arena, entry->xattr_count * sizeof *xattrs);
	for (size_t i = 0; i < entry->xattr_count; i++) {
		ol_view value = entry->xattrs[i].value;
		char *copy = ol_arena_alloc(model->arena, value.size + 1);

		if (value.size > 0)
			memcpy(copy, value.data, value.size);
		xattrs[i].name =
			ol_view_of(ol_arena_strdup(model->arena, entry->xattrs[i].name.data));
		xattrs[i].value = (ol_view){ copy, value.size };
	}
	inode->xattrs = xattrs;
	return inode;
}

static void add_dir(ol_dir_model *model, const ol_tar_entry *entry)
{
	ol_dir_node *node = model->root;

	if (entry->name[0]) {
		const char *base;
		ol_dir_node *parent = take_parent(model, entry->name, &base);

		node = take_dir(model, parent, base);
	}
	node->implied = false;
	node->inode = inode_of(model, entry);
}

static void add_whiteout(ol_dir_model *model, const ol_tar_entry *entry)
{
	const char *base;
	ol_dir_node *parent = take_parent(model, entry->name, &base);
	ol_dir_node *node = ol_dir_model_child(model, parent, base);

	if (parent->opaque)
		return;
	if (!node)
		make(model, parent, base)->inode = inode_of(model, entry);
	else if (node->dir)
		make_opaque(node);
}

static void add_opaque(ol_dir_model *model, const ol_tar_entry *entry)
{
	ol_dir_node *node = model->root;

	if (entry->name[0]) {
		const char *base;
		ol_dir_node *parent = take_parent(model, entry->name, &base);

		node = take_dir(model, parent, base);
	}
	make_opaque(node);
}

/* A new node for a path: what is there goes. */
static ol_dir_node *replace(ol_dir_model *model, const char *path)
{
	const char *base;
	ol_dir_node *parent = take_parent(model, path, &base);
	ol_dir_node *old = ol_dir_model_child(model, parent, base);

	if (old)
		drop(old);
	return make(model, parent, base);
}

static int add_link(ol_dir_model *model, const ol_tar_entry *entry, ol_error *err)
{
	const char *base, *cross = NULL;
	ol_dir_node *parent = take_parent(model, entry->name, &base), *target, *node;
	ol_dir_inode *inode = NULL;

	target = find(model, entry->target);
	if (target && target->dir)
		return ol_fail(err, OL_ECORRUPT, "a hard link to a directory");
	if (target && target == ol_dir_model_child(model, parent, base) && !is_whiteout(target))
		return OL_OK;
	if (!target || is_whiteout(target))
		cross = ol_arena_strdup(model->arena, entry->target);
	else if (target->cross)
		cross = target->cross;
	else
		inode = target->inode;
	node = replace(model, entry->name);
	node->cross = cross;
	node->inode = inode;
	if (inode)
		inode->links++;
	return OL_OK;
}

int ol_dir_model_add(ol_dir_model *model, const ol_tar_entry *entry, ol_error *err)
{
	switch (entry->type) {
	case OL_TAR_FILE:
	case OL_TAR_SYMLINK:
	case OL_TAR_CHAR:
	case OL_TAR_BLOCK:
	case OL_TAR_FIFO:
		replace(model, entry->name)->inode = inode_of(model, entry);
		break;
	case OL_TAR_DIR:
		add_dir(model, entry);
		break;
	case OL_TAR_WHITEOUT:
		add_whiteout(model, entry);
		break;
	case OL_TAR_OPAQUE:
		add_opaque(model, entry);
		break;
	case OL_TAR_HARDLINK:
		return add_link(model, entry, err);
	}
	return OL_OK;
}

/* A link's target is copied up to its own path, in directories that are implied. Where the tree
 * hides the target it is not: then the nodes on the way are there already or end in what is no
 * directory. */
static void add_optional(ol_dir_model *model, const char *path)
{
	ol_dir_node *node = model->root;
	char part[OL_NAME_MAX + 1];

	while (*path && node->dir) {
		const char *slash = strchrnul(path, '/');
		ol_dir_node *next;

		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = '\0';
		next = ol_dir_model_child(model, node, part);
		if (!next) {
			next = make(model, node, part);
			next->dir = next->implied = *slash != '\0';
			next->optional = true;
		}
		node = next;
		path = *slash ? slash + 1 : slash;
	}
}

void ol_dir_model_end(ol_dir_model *model)
{
	ol_dir_node *links = NULL; /* apart from the table, which grows */

	for (size_t i = 0; i < model->bucket_count; i++)
		for (ol_dir_node *node = model->buckets[i]; node; node = node->chain)
			if (node->cross && !node->dead) {
				node->waiting = links;
				links = node;
			}
	for (; links; links = links->waiting)
		add_optional(model, links->cross);
}

char *ol_dir_model_path(const ol_dir_node *node)
{
	size_t size = 0;
	char *path;

	for (const ol_dir_node *at = node; at->parent; at = at->parent)
		size += strlen(at->name) + 1;
	path = ol_alloc(size + 1);
	for (const ol_dir_node *at = node; at->parent; at = at->parent) {
		size_t part = strlen(at->name);

		size -= part + 1;
		memcpy(path + size, at->name, part);
		path[size + part] = at == node ? '\0' : '/';
	}
	return path;
}
