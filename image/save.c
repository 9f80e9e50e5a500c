/*
 * Saving images, as a story:
 *
 *	plan     images → platforms → layers; nothing was written yet      save_plan.c
 *	top      what says what is in the archive                          save_listing.c
 *	blobs    documents, then layers, each verified as it passes        layer_reader.c
 *	finish   only now does the file appear                             archive_writer.c
 *
 * The first file of an archive says that it is one, the last block of it that it is whole.
 */
#include "image/save.h"

#include <errno.h>
#include <fcntl.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/archive_writer_priv.h"
#include "image/layer_reader_priv.h"
#include "image/save_priv.h"

/* A layout that is added to lists this many images at most: store/index_json.c has the same. */
#define LISTING_BYTES_MAX ((size_t)64 << 20)

struct saving {
	const ol_save_plan *plan;  /* lent */
	ol_archive_writer *writer; /* lent */
	uint64_t done, total;      /* bytes of layers */
};

static void tell(const struct saving *saving)
{
	if (saving->total == 0)
		return;
	ol_tell(&saving->plan->session->options.listener, &(ol_event){ .kind = OL_EVENT_PROGRESS,
								  .text = "Saving",
								  .done = saving->done,
								  .total = saving->total });
}

static void on_bytes(void *ctx, uint64_t bytes)
{
	struct saving *saving = ctx;

	saving->done += bytes;
	tell(saving);
}

static int write_blob(struct saving *saving, const ol_save_blob *blob, ol_error *err)
{
	ol_blob_path path = ol_blob_path_of(&blob->digest);
	const ol_layer_reader_options options = {
		.blob = blob->source,
		.decode = blob->decode,
		.digest = blob->digest,
		.cancel = saving->plan->session->options.cancel,
		.progress = on_bytes,
		.ctx = saving,
	};
	ol_reader *reader;
	int rc;

	if (blob->bytes)
		return ol_archive_writer_add_bytes(
			saving->writer, path.text, ol_view_from(blob->bytes, blob->size), err);
	rc = ol_layer_reader_open(saving->plan->session->store, &options, &reader, err);
	if (rc == OL_OK) {
		rc = ol_archive_writer_add(saving->writer, path.text, blob->size, reader, err);
		ol_reader_close(reader);
	}
	return rc < 0 ? ol_wrap(err, rc, "%s (%s)", blob->what,
				ol_digest_format(&blob->digest).text)
		      : OL_OK;
}

/* index.json of the layout that is added to, if it is one. */
static int read_existing(const ol_save_options *options, ol_json **out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(LISTING_BYTES_MAX);
	ol_autofd int fd = -1;
	int rc;

	if (options->format != OL_ARCHIVE_OCI_DIR)
		return OL_OK;
	fd = open(options->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? OL_OK : ol_fail_sys(err, "%s", options->output);
	rc = ol_file_read(fd, "index.json", true, &bytes, err);
	if (rc == OL_ENOTFOUND)
		return OL_OK;
	if (rc == OL_OK)
		rc = ol_json_parse(ol_buf_view(&bytes), out, err);
	return rc < 0 ? ol_wrap(err, rc, "%s/index.json", options->output) : OL_OK;
}

static int write_top(struct saving *saving, ol_error *err)
{
	const ol_save_plan *plan = saving->plan;
	ol_auto(ol_json_free) ol_json *existing = NULL;
	ol_auto_str ol_str index = OL_STR(LISTING_BYTES_MAX), manifest = OL_STR(LISTING_BYTES_MAX);
	ol_auto_str ol_str repositories = OL_STR(LISTING_BYTES_MAX);
	int rc = read_existing(plan->options, &existing, err);

	if (rc == OL_OK)
		rc = ol_archive_writer_add_bytes(saving->writer, "oci-layout",
			ol_view_of("{\"imageLayoutVersion\":\"1.0.0\"}"), err);
	if (rc == OL_OK)
		rc = ol_save_index(plan, existing, &index, err);
	if (rc == OL_OK)
		rc = ol_archive_writer_add_bytes(
			saving->writer, "index.json", ol_buf_view(&index), err);
	if (rc < 0 || plan->options->format != OL_ARCHIVE_DOCKER)
		return rc;
	rc = ol_save_manifest(plan, &manifest, err);
	if (rc == OL_OK)
		rc = ol_archive_writer_add_bytes(
			saving->writer, "manifest.json", ol_buf_view(&manifest), err);
	if (rc == OL_OK)
		rc = ol_save_repositories(plan, &repositories, err);
	if (rc == OL_OK)
		rc = ol_archive_writer_add_bytes(
			saving->writer, "repositories", ol_buf_view(&repositories), err);
	return rc;
}

static int write_archive(struct saving *saving, ol_error *err)
{
	const ol_save_plan *plan = saving->plan;
	int rc;

	for (size_t i = 0; i < plan->blob_count; i++)
		saving->total += plan->blobs[i].bytes ? 0 : plan->blobs[i].size;
	rc = write_top(saving, err);
	for (size_t i = 0; rc == OL_OK && i < plan->blob_count; i++)
		rc = write_blob(saving, &plan->blobs[i], err);
	if (rc == OL_OK)
		rc = ol_archive_writer_finish(saving->writer, err);
	saving->done = saving->total;
	tell(saving);
	return rc;
}

int ol_save(ol_session *session, const ol_save_options *options, ol_error *err)
{
	ol_save_plan plan = { 0 };
	struct saving saving = { .plan = &plan };
	int rc;

	if (options->format == OL_ARCHIVE_OCI_DIR && !options->output)
		return ol_fail(err, OL_EINVAL, "an OCI layout is a folder: name it");
	rc = ol_save_plan_make(session, options, &plan, err);
	if (rc < 0)
		return rc;
	rc = options->format == OL_ARCHIVE_OCI_DIR
		     ? ol_archive_writer_dir(options->output, &saving.writer, err)
		     : ol_archive_writer_tar(options->output, &saving.writer, err);
	if (rc == OL_OK)
		rc = write_archive(&saving, err);
	ol_archive_writer_free(saving.writer);
	ol_save_plan_done(&plan);
	return rc;
}
