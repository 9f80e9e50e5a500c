/*
 * The builder: tar bytes go to the staging folder as they come, the tar reader tells the writer of
 * each entry, and the index is written at the end. A layer that an index cannot express goes to the
 * dir driver, from the tar that was written.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "snapshot/erofs_driver_priv.h"
#include "snapshot/erofs_format.h"
#include "snapshot/erofs_writer.h"

#define HAND_OVER_BYTES ((size_t)256 << 10)

struct builder {
	ol_builder_options options;
	int tar_fd, index_fd; /* owned */
	uint64_t tar_bytes, entries;
	uint64_t data_end;       /* of the member that reaches furthest */
	ol_tar *tar;             /* owned */
	ol_erofs_writer *writer; /* owned; NULL once the layer turned out not to be expressible */
};

static int take_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	struct builder *self = ctx;
	int rc;

	self->entries++;
	if (entry->type == OL_TAR_FILE && entry->data_offset + entry->data_size > self->data_end)
		self->data_end = entry->data_offset + entry->data_size;
	if (!self->writer)
		return OL_OK;
	rc = ol_erofs_writer_add(self->writer, entry, 1, err);
	if (rc != OL_EUNSUPPORTED)
		return rc;
	ol_erofs_writer_free(ol_steal(&self->writer));
	return OL_OK;
}

void ol_erofs_free(ol_builder *builder)
{
	struct builder *self = (struct builder *)builder;

	if (!self)
		return;
	ol_tar_free(self->tar);
	ol_erofs_writer_free(self->writer);
	if (self->tar_fd >= 0)
		(void)close(self->tar_fd);
	if (self->index_fd >= 0)
		(void)close(self->index_fd);
	free(self);
}

static int open_staged(int dir_fd, const char *name, int *out, ol_error *err)
{
	int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return ol_fail_sys(err, "%s", name);
	*out = fd;
	return OL_OK;
}

int ol_erofs_begin(const ol_builder_options *options, ol_builder **out, ol_error *err)
{
	struct builder *self = ol_alloc(sizeof *self);
	const ol_tar_handler handler = { .entry = take_entry, .ctx = self };
	ol_erofs_writer_options writer = { .temp_fd = options->dir_fd,
		.budget_bytes = options->budget_bytes,
		.userxattr = options->userxattr };
	int rc;

	self->options = *options;
	self->tar_fd = self->index_fd = -1;
	rc = open_staged(options->dir_fd, OL_EROFS_TAR, &self->tar_fd, err);
	if (rc == OL_OK)
		rc = open_staged(options->dir_fd, OL_EROFS_INDEX, &self->index_fd, err);
	if (rc < 0) {
		ol_erofs_free((ol_builder *)self);
		return rc;
	}
	writer.index_fd = self->index_fd;
	self->writer = ol_erofs_writer_new(&writer);
	self->tar = ol_tar_new(&handler);
	*out = (ol_builder *)self;
	return OL_OK;
}

int ol_erofs_push(ol_builder *builder, const void *data, size_t size, ol_error *err)
{
	struct builder *self = (struct builder *)builder;
	int rc = ol_pwrite_all(self->tar_fd, data, size, self->tar_bytes, err);

	if (rc < 0)
		return ol_wrap(err, rc, "layer tar");
	self->tar_bytes += size;
	return ol_tar_push(self->tar, data, size, err);
}

static int hand_over_tar(struct builder *self, const ol_driver *driver, ol_builder *other,
	ol_built *out, ol_error *err)
{
	ol_autofree char *block = ol_alloc(HAND_OVER_BYTES);
	int rc = OL_OK;

	for (uint64_t at = 0; rc == OL_OK && at < self->tar_bytes;) {
		uint64_t left = self->tar_bytes - at;
		size_t n = left < HAND_OVER_BYTES ? (size_t)left : HAND_OVER_BYTES;

		rc = ol_pread_all(self->tar_fd, block, n, at, err);
		if (rc == OL_OK)
			rc = driver->push(other, block, n, err);
		at += n;
	}
	return rc < 0 ? rc : driver->finish(other, out, err);
}

/* What an index cannot express, a tree can. */
static int hand_over(struct builder *self, ol_built *out, ol_error *err)
{
	const ol_driver *driver = ol_driver_named("dir");
	ol_builder *other = NULL;
	ol_built built;
	int rc;

	if (!driver)
		return ol_fail(err, OL_EUNSUPPORTED, "an index cannot express this layer");
	if (unlinkat(self->options.dir_fd, OL_EROFS_INDEX, 0) < 0)
		return ol_fail_sys(err, OL_EROFS_INDEX);
	rc = driver->begin(&self->options, &other, err);
	if (rc < 0)
		return rc;
	rc = hand_over_tar(self, driver, other, &built, err);
	driver->free(other);
	if (rc < 0)
		return rc;
	built.driver = driver->name;
	built.has_tar = true;
	*out = built;
	return OL_OK;
}

int ol_erofs_finish(ol_builder *builder, ol_built *out, ol_error *err)
{
	struct builder *self = (struct builder *)builder;
	const ol_erofs_device tar = { .bytes = self->tar_bytes };
	ol_erofs_written written = { 0 };
	int rc = ol_tar_finish(self->tar, err);

	if (rc < 0)
		return rc;
	/* Data in a last block that is not whole: a loop device would not show it. */
	if (!self->writer || self->data_end > self->tar_bytes / OL_EROFS_BLOCK * OL_EROFS_BLOCK)
		return hand_over(self, out, err);
	rc = ol_erofs_writer_finish(self->writer, &tar, 1, &written, err);
	if (rc == OL_EUNSUPPORTED)
		return hand_over(self, out, err);
	if (rc < 0)
		return rc;
	*out = (ol_built){ .driver = ol_driver_erofs.name,
		.leans = written.leans,
		.entries = self->entries,
		.disk_bytes = written.bytes,
		.index_digest = written.digest,
		.has_tar = true };
	return OL_OK;
}
