/* A mounted root file system as a tar. */
#include "base/alloc.h"
#include "image/export_priv.h"
#include "manifest/tar_writer.h"

struct taring {
	ol_export_job *job;    /* lent */
	ol_tar_writer *writer; /* lent */
};

struct data_sink {
	ol_sink sink;
	struct taring *taring;
};

static int data_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	struct taring *taring = ((struct data_sink *)sink)->taring;

	ol_export_tell(taring->job, size);
	return ol_tar_writer_data(taring->writer, data, size, err);
}

static int write_file(struct taring *taring, const ol_tar_entry *file, int fd, ol_error *err)
{
	static const ol_sink_ops ops = { data_write, NULL };
	const ol_cancel *cancel = taring->job->session->options.cancel;
	struct data_sink sink = { .sink = { &ops }, .taring = taring };
	ol_autofree ol_sparse *pieces = NULL;
	ol_tar_entry entry = *file;
	const ol_sparse whole = { 0, file->size }, *list;
	size_t count = 0;
	int rc = ol_export_pieces(fd, file->size, cancel, &pieces, &count, err);

	if (rc < 0)
		return rc;
	if (pieces) {
		entry.sparse = pieces;
		entry.sparse_count = count;
		entry.data_size = 0;
		for (size_t i = 0; i < count; i++)
			entry.data_size += pieces[i].size;
	}
	list = pieces ? pieces : &whole;
	rc = ol_tar_writer_add(taring->writer, &entry, err);
	for (size_t i = 0; rc == OL_OK && i < (pieces ? count : 1); i++)
		rc = ol_export_copy(fd, list[i].offset, list[i].size, cancel, &sink.sink, err);
	return rc;
}

static int on_entry(void *ctx, const ol_export_entry *one, ol_error *err)
{
	struct taring *taring = ctx;
	int rc;

	if (one->fd < 0)
		return ol_tar_writer_add(taring->writer, one->entry, err);
	rc = write_file(taring, one->entry, one->fd, err);
	return rc < 0 ? ol_wrap(err, rc, "%.300s", one->entry->name) : OL_OK;
}

/* The walk's context is the job, so that it can count. */
static void on_skipped(void *ctx, const char *path, const char *what)
{
	const struct taring *taring = ctx;
	ol_export_walk walk = ol_export_walk_of(taring->job);

	walk.skipped(walk.ctx, path, what);
}

int ol_export_tar(ol_export_job *job, ol_error *err)
{
	ol_auto(ol_tar_writer_free) ol_tar_writer *writer = ol_tar_writer_new(job->sink);
	struct taring taring = { job, writer };
	ol_export_walk walk = ol_export_walk_of(job);
	int rc;

	walk.call = on_entry;
	walk.skipped = on_skipped;
	walk.ctx = &taring;
	rc = ol_export_each(&walk, err);
	return rc < 0 ? rc : ol_tar_writer_finish(writer, err);
}
