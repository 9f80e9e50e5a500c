/*
 * Tar in, tree out. Data go from the pushed block straight into the file.
 */
#include <fcntl.h>

#include "base/file.h"
#include "snapshot/dir_priv.h"

struct builder {
	ol_dir_tree tree;
	ol_tar *tar; /* owned */
	ol_dir_file file;
	char name[OL_PATH_MAX]; /* of file, for errors */
	ol_sparse *pieces;      /* owned: of file */
	size_t piece_count, piece_cap;
	size_t piece;        /* the one at work */
	uint64_t piece_data; /* offset in the data at which it begins */
	bool sparse;
	uint64_t entries;
};

static int end_file(struct builder *self, ol_error *err)
{
	int rc = ol_dir_end_file(&self->tree, &self->file, err);

	return rc < 0 ? ol_dir_wrap(rc, self->name, err) : OL_OK;
}

static void keep_pieces(struct builder *self, const ol_tar_entry *entry)
{
	self->sparse = entry->sparse != NULL;
	self->piece = self->piece_count = 0;
	self->piece_data = 0;
	for (size_t i = 0; entry->sparse && i < entry->sparse_count; i++) {
		OL_GROW(self->pieces, self->piece_count, self->piece_cap);
		self->pieces[self->piece_count++] = entry->sparse[i];
	}
}

static int on_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	struct builder *self = ctx;
	int rc = end_file(self, err);

	if (rc < 0)
		return rc;
	self->entries++;
	if (entry->type == OL_TAR_FILE) {
		memcpy(self->name, entry->name, strlen(entry->name) + 1);
		keep_pieces(self, entry);
	}
	return ol_dir_extract(&self->tree, entry, &self->file, err);
}

/* Data of a sparse file go where its map says. */
static int write_pieces(
	struct builder *self, uint64_t offset, const char *data, size_t size, ol_error *err)
{
	while (size > 0) {
		const ol_sparse *piece = &self->pieces[self->piece];
		uint64_t done = offset - self->piece_data;
		uint64_t left = piece->size - done;
		size_t n = size < left ? size : (size_t)left;
		int rc = ol_pwrite_all(self->file.fd, data, n, piece->offset + done, err);

		if (rc < 0)
			return rc;
		offset += n;
		data += n;
		size -= n;
		if (n == left) {
			self->piece_data += piece->size;
			self->piece++;
		}
	}
	return OL_OK;
}

static int on_data(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	struct builder *self = ctx;
	int rc = self->sparse ? write_pieces(self, offset, data, size, err)
			      : ol_write_all(self->file.fd, data, size, err);

	return rc < 0 ? ol_dir_wrap(rc, self->name, err) : OL_OK;
}

void ol_dir_free(ol_builder *builder)
{
	struct builder *self = (struct builder *)builder;

	if (!self)
		return;
	ol_fd_p(&self->file.fd);
	ol_arena_free(self->file.arena);
	ol_tar_free(self->tar);
	ol_dir_tree_done(&self->tree);
	free(self->pieces);
	free(self);
}

int ol_dir_begin(const ol_builder_options *options, ol_builder **out, ol_error *err)
{
	struct builder *self = ol_alloc(sizeof *self);
	const ol_tar_handler handler = { .entry = on_entry, .data = on_data, .ctx = self };
	int rc;

	self->file.fd = -1;
	self->tree.root_fd = self->tree.leans_fd = -1;
	self->tree.lacks = options->lacks;
	self->tar = ol_tar_new(&handler);
	rc = ol_dir_tree_make(
		&self->tree, options->dir_fd, options->userxattr, options->budget_bytes, err);
	if (rc < 0) {
		ol_dir_free((ol_builder *)self);
		return rc;
	}
	*out = (ol_builder *)self;
	return OL_OK;
}

int ol_dir_push(ol_builder *builder, const void *data, size_t size, ol_error *err)
{
	struct builder *self = (struct builder *)builder;

	return ol_tar_push(self->tar, data, size, err);
}

int ol_dir_finish(ol_builder *builder, ol_built *out, ol_error *err)
{
	struct builder *self = (struct builder *)builder;
	bool leans;
	int rc = ol_tar_finish(self->tar, err);

	if (rc == OL_OK)
		rc = end_file(self, err);
	if (rc == OL_OK)
		rc = ol_dir_tree_finish(&self->tree, &leans, err);
	if (rc < 0)
		return rc;
	*out = (ol_built){ .driver = "dir",
		.leans = leans,
		.entries = self->entries,
		.disk_bytes = self->tree.disk_bytes };
	return OL_OK;
}
