/* An archive as a tar, to a file or a stream. */
#include "base/alloc.h"
#include "image/archive_rows_priv.h"
#include "image/output_priv.h"
#include "manifest/tar_writer.h"

struct tar_archive {
	ol_archive_writer writer;
	ol_output *output;  /* owned */
	ol_tar_writer *tar; /* owned */
};

/* What is copied into the archive passes through here as data of the last member. */
struct data_sink {
	ol_sink sink;
	ol_tar_writer *tar; /* lent */
};

static int data_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	return ol_tar_writer_data(((struct data_sink *)sink)->tar, data, size, err);
}

static void data_close(ol_sink *sink)
{
	(void)sink;
}

/* Folders on the way to path that were not written yet. */
static int add_parents(struct tar_archive *archive, const char *path, ol_error *err)
{
	int rc = OL_OK;

	for (const char *slash = strchr(path, '/'); rc == OL_OK && slash;
		slash = strchr(slash + 1, '/')) {
		ol_autofree char *noted = ol_strndup(path, (size_t)(slash - path) + 1);
		ol_autofree char *name = ol_strndup(path, (size_t)(slash - path));

		if (ol_archive_writer_note(&archive->writer, noted))
			rc = ol_tar_writer_add(archive->tar,
				&(ol_tar_entry){ .type = OL_TAR_DIR,
					.name = name,
					.target = "",
					.mode = 0755 },
				err);
	}
	return rc;
}

static int tar_add(ol_archive_writer *writer, const char *path, uint64_t size, ol_reader *reader,
	ol_error *err)
{
	static const ol_sink_ops ops = { data_write, data_close };
	struct tar_archive *archive = (struct tar_archive *)writer;
	struct data_sink sink = { .sink = { &ops }, .tar = archive->tar };
	const ol_tar_entry entry = { .type = OL_TAR_FILE,
		.name = path,
		.target = "",
		.mode = 0644,
		.size = size,
		.data_size = size };
	int rc = add_parents(archive, path, err);

	if (rc == OL_OK)
		rc = ol_tar_writer_add(archive->tar, &entry, err);
	return rc < 0 ? rc : ol_archive_writer_copy(reader, size, &sink.sink, err);
}

static int tar_finish(ol_archive_writer *writer, ol_error *err)
{
	struct tar_archive *archive = (struct tar_archive *)writer;
	int rc = ol_tar_writer_finish(archive->tar, err);

	return rc < 0 ? rc : ol_output_finish(archive->output, err);
}

static void tar_free(ol_archive_writer *writer)
{
	struct tar_archive *archive = (struct tar_archive *)writer;

	ol_tar_writer_free(archive->tar);
	ol_output_free(archive->output);
	free(archive);
}

int ol_archive_writer_tar(const char *output, ol_archive_writer **out, ol_error *err)
{
	static const ol_archive_writer_ops ops = { tar_add, tar_finish, tar_free };
	struct tar_archive *archive = ol_alloc(sizeof *archive);
	int rc = ol_output_open(output, &archive->output, err);

	if (rc < 0) {
		free(archive);
		return rc;
	}
	ol_archive_writer_init(&archive->writer, &ops);
	archive->tar = ol_tar_writer_new(ol_output_sink(archive->output));
	*out = &archive->writer;
	return OL_OK;
}
