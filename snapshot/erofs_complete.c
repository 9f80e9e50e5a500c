/*
 * Makes of a leaning index one that fits on the layers below, by reading it back and writing it
 * anew with what was missing:
 *
 *	a directory that is implied   gets what the topmost layer below that shows it says of it
 *	a hard link that crosses      becomes an inode over the lower layer's tar, a further device;
 *	                              the paths that name the lower inode become links to it too, as
 *	                              overlayfs itself would copy it up, so that they stay one file
 *
 * Inodes with several names are gathered, in the order of the inode, until all names are known.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/ckd.h"
#include "base/file.h"
#include "base/sorter.h"
#include "base/str.h"
#include "snapshot/erofs_below_priv.h"
#include "snapshot/erofs_reader_priv.h"
#include "snapshot/erofs_writer.h"

struct complete {
	ol_store *store;
	const ol_layer_info *layer;
	ol_erofs *index;          /* owned: the leaning one */
	ol_erofs_below *below;    /* owned */
	ol_erofs_writer *writer;  /* owned */
	ol_sorter *shared;        /* owned: inodes with several names → a name */
	ol_erofs_device *devices; /* owned; the first is the layer's own tar */
	size_t device_count, device_cap;
	ol_sparse *pieces; /* owned */
	size_t piece_count, piece_cap;
};

/* Key of shared: an inode of this index, or of a layer below. */
struct shared_key {
	uint8_t below;
	uint8_t layer[8], node[8]; /* big-endian */
};

static void put_big(uint8_t *p, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t get_big(const uint8_t *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* target: of a link to a layer below, else "". */
static int share(struct complete *self, const struct shared_key *key, const char *path,
	const char *target, ol_error *err)
{
	ol_auto_str ol_str names = OL_STR((size_t)2 * OL_PATH_MAX + 2);
	int rc;

	ol_buf_add(&names, path, strlen(path) + 1);
	ol_buf_add(&names, target, strlen(target) + 1);
	rc = ol_str_error(&names, err);
	return rc < 0 ? rc
		      : ol_sorter_add(self->shared, ol_view_from(key, sizeof *key),
				ol_buf_view(&names), err);
}

static struct shared_key key_of(bool below, uint64_t layer, uint64_t node)
{
	struct shared_key key = { .below = below };

	put_big(key.layer, layer);
	put_big(key.node, node);
	return key;
}

/* The number under which the new index has a tar. */
static unsigned device_of(struct complete *self, const ol_digest *tar, uint64_t bytes)
{
	if (ol_digest_eq(tar, &self->layer->diff_id))
		return 1;
	for (size_t i = 1; i < self->device_count; i++)
		if (ol_digest_eq(tar, &self->devices[i].digest))
			return (unsigned)i + 1;
	OL_GROW(self->devices, self->device_count, self->device_cap);
	self->devices[self->device_count++] = (ol_erofs_device){ .bytes = bytes, .digest = *tar };
	return (unsigned)self->device_count;
}

/* One more piece, which the tar must have right behind those before it. */
static int add_piece(struct complete *self, uint64_t at, const ol_erofs_extent *extent,
	ol_tar_entry *entry, unsigned *device, ol_error *err)
{
	if (!self->piece_count) {
		*device = extent->device;
		entry->data_offset = extent->address;
	}
	if (extent->device != *device || extent->address != entry->data_offset + entry->data_size)
		return ol_fail(err, OL_ECORRUPT, "index: scattered data");
	OL_GROW(self->pieces, self->piece_count, self->piece_cap);
	self->pieces[self->piece_count++] = (ol_sparse){ at, extent->size };
	entry->data_size += extent->size;
	return OL_OK;
}

/* Where the data of a file are. */
static int gather_pieces(struct complete *self, ol_erofs *index, const ol_erofs_inode *inode,
	ol_tar_entry *entry, unsigned *device, ol_error *err)
{
	static const ol_sparse none[1];
	bool sparse = false;
	int rc = OL_OK;

	self->piece_count = 0;
	*device = 0;
	for (uint64_t at = 0; rc == OL_OK && at < inode->size;) {
		ol_erofs_extent extent = { 0 };

		rc = ol_erofs_extent_at(index, inode, at, &extent, err);
		sparse = sparse || extent.hole;
		if (rc == OL_OK && !extent.hole)
			rc = add_piece(self, at, &extent, entry, device, err);
		at += extent.size;
	}
	entry->size = inode->size;
	entry->sparse_count = sparse ? self->piece_count : 0;
	/* Not NULL even without any: a file that is one hole. */
	if (sparse)
		entry->sparse = self->piece_count ? self->pieces : none;
	return rc;
}

/* Data that an index itself holds, as a source. */
struct embedded {
	ol_source source;
	ol_erofs *index; /* lent */
	uint64_t address;
};

static int embedded_read(ol_source *source, uint64_t offset, void *data, size_t size, ol_error *err)
{
	struct embedded *self = (struct embedded *)source;

	return ol_erofs_bytes(self->index, self->address + offset, data, size, err);
}

static const ol_source_ops embedded_ops = { .read_at = embedded_read };

/* A file of an index: this layer's, or one below. */
static int add_index_file(struct complete *self, ol_erofs *index, const ol_erofs_inode *inode,
	const ol_layer_info *layer, ol_tar_entry *entry, ol_error *err)
{
	unsigned device;
	ol_digest tar;
	int rc = gather_pieces(self, index, inode, entry, &device, err);

	if (rc < 0)
		return rc;
	if (inode->size && !device && self->piece_count) {
		struct embedded data = { .source = { &embedded_ops, inode->size },
			.index = index,
			.address = entry->data_offset };

		return ol_erofs_writer_add_embedded(self->writer, entry, &data.source, err);
	}
	if (!device)
		return ol_erofs_writer_add(self->writer, entry, 1, err);
	if (device == 1 && layer != self->layer && strcmp(layer->driver, ol_driver_lazy.name) == 0)
		return ol_fail(err, OL_EUNSUPPORTED,
			"a hard link leads into layer %s, which is not whole yet",
			ol_digest_short(&layer->diff_id).text);
	rc = ol_erofs_layer_tar(index, layer, device, &tar, err);
	if (rc < 0)
		return rc;
	return ol_erofs_writer_add(self->writer, entry,
		device_of(self, &tar, ol_erofs_device_bytes(index, device)), err);
}

/* A file of a tree: there is no tar to point into, so the index takes its data. */
static int add_tree_file(
	struct complete *self, const ol_erofs_found *found, ol_tar_entry *entry, ol_error *err)
{
	int fd = open(ol_fd_path_of(found->fd).text, O_RDONLY | O_CLOEXEC);
	ol_source *data;
	int rc;

	if (fd < 0)
		return ol_fail_sys(err, "a file of a layer below");
	data = ol_source_of_fd(fd, (uint64_t)found->st.st_size);
	rc = ol_erofs_writer_add_embedded(self->writer, entry, data, err);
	ol_source_close(data);
	return rc;
}

/* What was found, under a path of this layer. */
static int add_found(
	struct complete *self, const ol_erofs_found *found, const char *path, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	const ol_layer_info *layer = found->index == self->index
					     ? self->layer
					     : ol_erofs_below_layer(self->below, found->layer);
	ol_tar_entry entry;
	int rc = ol_erofs_found_entry(found, arena, &entry, err);

	if (rc < 0)
		return rc;
	entry.name = path;
	if (entry.type != OL_TAR_FILE)
		return ol_erofs_writer_add(self->writer, &entry, 1, err);
	if (!found->index)
		return add_tree_file(self, found, &entry, err);
	return add_index_file(self, found->index, &found->inode, layer, &entry, err);
}

/* A directory that this layer does not list, as the layers below show it. */
static int add_borrowed_dir(struct complete *self, const char *path, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_tar_entry entry = { .type = OL_TAR_DIR, .target = "", .mode = 0755 };
	ol_erofs_found found;
	ol_tar_entry shown;
	int rc = ol_erofs_below_find(
		self->below, ol_erofs_below_count(self->below), path, &found, err);

	if (rc == OL_OK)
		rc = ol_erofs_found_entry(&found, arena, &shown, err);
	if (rc < 0 && rc != OL_ENOTFOUND)
		return rc;
	if (rc == OL_OK && shown.type == OL_TAR_DIR)
		entry = shown;
	entry.name = path;
	return ol_erofs_writer_add(self->writer, &entry, 1, err);
}

static int add_marker(struct complete *self, ol_tar_type type, const char *path, ol_error *err)
{
	const ol_tar_entry entry = { .type = type, .name = path, .target = "" };

	return ol_erofs_writer_add(self->writer, &entry, 1, err);
}

static int visit_dir(struct complete *self, const ol_erofs_visit *visit,
	const ol_erofs_marks *marks, ol_error *err)
{
	const ol_erofs_found own = { .index = self->index, .inode = visit->inode, .fd = -1 };
	int rc = OL_OK;

	if (!marks->implied)
		rc = add_found(self, &own, visit->path, err);
	else if (*visit->path) /* an unlisted root stays one */
		rc = add_borrowed_dir(self, visit->path, err);
	if (rc == OL_OK && marks->opaque)
		rc = add_marker(self, OL_TAR_OPAQUE, visit->path, err);
	return rc;
}

/* A hard link to a path of the layers below. */
static int visit_crossing(
	struct complete *self, const char *path, const char *target, ol_error *err)
{
	struct shared_key key;
	ol_erofs_found found;
	int rc = ol_erofs_below_find(
		self->below, ol_erofs_below_count(self->below), target, &found, err);

	if (rc == OL_ENOTFOUND)
		return ol_fail(err, OL_ECORRUPT, "hard link %s: no layer has its target", path);
	if (rc < 0)
		return rc;
	if (S_ISDIR(found.index ? found.inode.mode : found.st.st_mode))
		return ol_fail(err, OL_ECORRUPT, "hard link %s: its target is a directory", path);
	key = key_of(true, found.layer, found.index ? found.inode.node : found.st.st_ino);
	return share(self, &key, path, target, err);
}

static int visit(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	struct complete *self = ctx;
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	const ol_erofs_inode *inode = &visit->inode;
	const ol_erofs_found own = { .index = self->index, .inode = *inode, .fd = -1 };
	ol_tar_entry ignored = { 0 };
	struct shared_key key = key_of(false, 0, inode->node);
	ol_erofs_marks marks;
	int rc = ol_erofs_marks_get(self->index, inode, arena, &ignored, &marks, err);

	if (rc < 0)
		return rc;
	if (S_ISDIR(inode->mode))
		return visit_dir(self, visit, &marks, err);
	if (S_ISCHR(inode->mode) && !inode->dev_major && !inode->dev_minor)
		return add_marker(self, OL_TAR_WHITEOUT, visit->path, err);
	if (*marks.link)
		return visit_crossing(self, visit->path, marks.link, err);
	if (inode->nlink > 1)
		return share(self, &key, visit->path, "", err);
	return add_found(self, &own, visit->path, err);
}

static int add_link(struct complete *self, const char *path, const char *target, ol_error *err)
{
	const ol_tar_entry entry = { .type = OL_TAR_HARDLINK, .name = path, .target = target };

	return ol_erofs_writer_add(self->writer, &entry, 1, err);
}

/* The names of one inode: the first is it, the others are links to the first. */
struct group {
	struct complete *self;
	struct shared_key key;
	bool open;
	char first[OL_PATH_MAX + 1];  /* name */
	char target[OL_PATH_MAX + 1]; /* of links to a layer below: its path there */
	char parent[OL_PATH_MAX + 1]; /* made sure of last */
	ol_erofs_found found;         /* of the layer below */
};

/* Directories above a path that only the layers below have. */
static int borrow_parents(struct group *group, const char *path, ol_error *err)
{
	struct complete *self = group->self;
	const char *end = strrchr(path, '/');
	size_t size = end ? (size_t)(end - path) : 0;
	char parent[OL_PATH_MAX + 1];

	memcpy(parent, path, size);
	parent[size] = '\0';
	if (strcmp(parent, group->parent) == 0)
		return OL_OK;
	for (size_t i = 1; i <= size; i++) {
		ol_erofs_sight sight = OL_EROFS_SEES_NOTHING;
		ol_erofs_inode inode;
		int rc = OL_OK;

		if (path[i] != '/')
			continue;
		parent[i] = '\0';
		rc = ol_erofs_see(self->index, parent, &sight, &inode, err);
		if (rc == OL_OK && sight == OL_EROFS_SEES_NOTHING)
			rc = add_borrowed_dir(self, parent, err);
		if (rc < 0)
			return rc;
		parent[i] = path[i];
	}
	parent[size] = '\0';
	memcpy(group->parent, parent, size + 1);
	return OL_OK;
}

/* A path that names the lower inode becomes a link too, where this layer lets it show. */
static int add_alias(struct group *group, const char *path, ol_error *err)
{
	struct complete *self = group->self;
	ol_erofs_sight sight = OL_EROFS_SEES_END;
	ol_erofs_inode inode;
	int rc = ol_erofs_see(self->index, path, &sight, &inode, err);

	if (rc < 0 || sight != OL_EROFS_SEES_NOTHING)
		return rc;
	rc = borrow_parents(group, path, err);
	return rc < 0 ? rc : add_link(self, path, group->first, err);
}

static int visit_below(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	struct group *group = ctx;
	struct complete *self = group->self;
	ol_erofs_found found;
	int rc;

	if (visit->inode.node != get_big(group->key.node) ||
		strcmp(visit->path, group->target) == 0)
		return OL_OK;
	rc = ol_erofs_below_find(
		self->below, ol_erofs_below_count(self->below), visit->path, &found, err);
	if (rc == OL_ENOTFOUND || (rc == OL_OK && found.layer != get_big(group->key.layer)))
		return OL_OK;
	return rc < 0 ? rc : add_alias(group, visit->path, err);
}

/* The other names that the lower inode has below. Of a tree only the one that was linked to is
 * known. */
static int add_aliases(struct group *group, ol_error *err)
{
	struct complete *self = group->self;
	ol_auto(ol_erofs_close) ol_erofs *own = NULL;
	size_t layer = (size_t)get_big(group->key.layer);
	int rc = add_alias(group, group->target, err);

	if (rc < 0 || !group->found.index || group->found.inode.nlink < 2)
		return rc;
	/* A reader of its own: searches on the way may close the shared ones. */
	rc = ol_erofs_layer_open(
		self->store, ol_erofs_below_layer(self->below, layer), &own, NULL, err);
	return rc < 0 ? rc : ol_erofs_walk(own, visit_below, group, err);
}

static int end_group(struct group *group, ol_error *err)
{
	if (!group->open || !group->key.below)
		return OL_OK;
	return add_aliases(group, err);
}

static int begin_group(struct group *group, const char *path, const char *target, ol_error *err)
{
	struct complete *self = group->self;
	ol_erofs_found own = { .index = self->index, .fd = -1 };
	int rc;

	group->open = true;
	memcpy(group->first, path, strlen(path) + 1);
	memcpy(group->target, target, strlen(target) + 1);
	if (!group->key.below) {
		rc = ol_erofs_inode_get(self->index, get_big(group->key.node), &own.inode, err);
		return rc < 0 ? rc : add_found(self, &own, path, err);
	}
	rc = ol_erofs_below_find(
		self->below, ol_erofs_below_count(self->below), target, &group->found, err);
	return rc < 0 ? rc : add_found(self, &group->found, path, err);
}

static int add_shared(struct complete *self, ol_error *err)
{
	ol_autofree struct group *group = ol_alloc(sizeof *group);
	bool more = true;
	int rc = ol_sorter_sort(self->shared, err);

	group->self = self;
	while (rc == OL_OK) {
		ol_view key, value;
		const char *path, *target;

		rc = ol_sorter_next(self->shared, &key, &value, &more, err);
		if (rc < 0 || !more)
			break;
		path = value.data;
		target = path + strlen(path) + 1;
		if (group->open && memcmp(&group->key, key.data, sizeof group->key) == 0) {
			rc = add_link(self, path, group->first, err);
			continue;
		}
		rc = end_group(group, err);
		memcpy(&group->key, key.data, sizeof group->key);
		if (rc == OL_OK)
			rc = begin_group(group, path, target, err);
	}
	return rc < 0 ? rc : end_group(group, err);
}

static int rewrite(struct complete *self, ol_erofs_written *out, ol_error *err)
{
	int rc = ol_erofs_walk(self->index, visit, self, err);

	if (rc == OL_OK)
		rc = add_shared(self, err);
	if (rc == OL_OK)
		rc = ol_erofs_writer_finish(
			self->writer, self->devices, self->device_count, out, err);
	if (rc == OL_OK && out->leans)
		rc = ol_fail(err, OL_ECORRUPT, "index: still leans on the layers below");
	return rc;
}

static int open_all(struct complete *self, const ol_layer_info *lowers, size_t count, int dir_fd,
	int *index_fd, ol_error *err)
{
	ol_erofs_writer_options options = { .temp_fd = dir_fd };
	int rc = ol_erofs_layer_open(self->store, self->layer, &self->index, NULL, err);

	if (rc < 0)
		return rc;
	*index_fd = openat(
		dir_fd, OL_EROFS_INDEX, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (*index_fd < 0)
		return ol_fail_sys(err, OL_EROFS_INDEX);
	options.index_fd = *index_fd;
	self->writer = ol_erofs_writer_new(&options);
	self->below = ol_erofs_below_new(self->store, lowers, count);
	self->shared = ol_sorter_new(dir_fd, OL_UNPACK_BUDGET_BYTES / 4);
	OL_GROW(self->devices, self->device_count, self->device_cap);
	self->devices[self->device_count++] =
		(ol_erofs_device){ .bytes = ol_erofs_device_bytes(self->index, 1) };
	return OL_OK;
}

/* NOLINTNEXTLINE(readability-function-size): the table of drivers gives it seven parameters */
int ol_erofs_complete(ol_store *store, const ol_layer_info *layer, const ol_layer_info *lowers,
	size_t count, int dir_fd, ol_built *out, ol_error *err)
{
	struct complete self = { .store = store, .layer = layer };
	ol_autofd int index_fd = -1;
	ol_erofs_written written = { 0 };
	int rc = open_all(&self, lowers, count, dir_fd, &index_fd, err);

	if (rc == OL_OK)
		rc = rewrite(&self, &written, err);
	ol_erofs_writer_free(self.writer);
	ol_erofs_below_free(self.below);
	ol_erofs_close(self.index);
	ol_sorter_free(self.shared);
	free(self.devices);
	free(self.pieces);
	if (rc < 0)
		return rc;
	*out = (ol_built){ .driver = ol_driver_erofs.name,
		.entries = layer->entries,
		.disk_bytes = written.bytes,
		.index_digest = written.digest };
	return OL_OK;
}
