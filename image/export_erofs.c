/*
 * A mounted root file system as an EROFS image of its own: one walk to learn what there is, and
 * where each file's bytes will lie, a second one to write them.
 */
#include "base/alloc.h"
#include "image/export_priv.h"
#include "snapshot/erofs_image.h"

struct imaging {
	ol_export_job *job;    /* lent */
	ol_erofs_image *image; /* lent */
	bool told;             /* what is skipped is told once */
};

struct data_sink {
	ol_sink sink;
	struct imaging *imaging;
};

static int data_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	struct imaging *imaging = ((struct data_sink *)sink)->imaging;

	ol_export_tell(imaging->job, size);
	return ol_erofs_image_data(imaging->image, data, size, err);
}

static int learn(void *ctx, const ol_export_entry *one, ol_error *err)
{
	struct imaging *imaging = ctx;
	ol_autofree ol_sparse *pieces = NULL;
	ol_tar_entry entry = *one->entry;
	size_t count = 0;
	int rc = OL_OK;

	if (one->fd >= 0)
		rc = ol_export_pieces(one->fd, entry.size, imaging->job->session->options.cancel,
			&pieces, &count, err);
	if (rc < 0)
		return ol_wrap(err, rc, "%.300s", entry.name);
	entry.sparse = pieces;
	entry.sparse_count = count;
	return ol_erofs_image_add(imaging->image, &entry, one->target, err);
}

static int write_data(void *ctx, const ol_export_entry *one, ol_error *err)
{
	static const ol_sink_ops ops = { data_write, NULL };
	struct imaging *imaging = ctx;
	struct data_sink sink = { .sink = { &ops }, .imaging = imaging };
	const ol_sparse *parts;
	size_t count;
	int rc = OL_OK;

	if (one->fd < 0)
		return OL_OK;
	parts = ol_erofs_image_parts(imaging->image, one->entry->sequence, &count);
	for (size_t i = 0; rc == OL_OK && i < count; i++)
		rc = ol_export_copy(one->fd, parts[i].offset, parts[i].size,
			imaging->job->session->options.cancel, &sink.sink, err);
	if (rc == OL_OK)
		rc = ol_erofs_image_end_file(imaging->image, one->entry->sequence, err);
	return rc < 0 ? ol_wrap(err, rc, "%.300s", one->entry->name) : OL_OK;
}

static void on_skipped(void *ctx, const char *path, const char *what)
{
	struct imaging *imaging = ctx;
	ol_export_walk walk = ol_export_walk_of(imaging->job);

	if (!imaging->told)
		walk.skipped(walk.ctx, path, what);
}

int ol_export_erofs(ol_export_job *job, ol_error *err)
{
	ol_auto(ol_erofs_image_free) ol_erofs_image *image = ol_erofs_image_new();
	struct imaging imaging = { .job = job, .image = image };
	ol_export_walk walk = ol_export_walk_of(job);
	int rc;

	walk.skipped = on_skipped;
	walk.ctx = &imaging;
	walk.call = learn;
	rc = ol_export_each(&walk, err);
	imaging.told = true;
	if (rc == OL_OK)
		rc = ol_erofs_image_begin(image, job->sink, err);
	walk.call = write_data;
	if (rc == OL_OK)
		rc = ol_export_each(&walk, err);
	return rc < 0 ? rc : ol_erofs_image_finish(image, err);
}
