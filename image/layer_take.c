#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "image/layer_take_priv.h"
#include "snapshot/decode.h"
#include "store/draft.h"

#define BLOB_FILE "blob"

int ol_layer_keep(ol_store *store, int dir_fd, const ol_unpacked *unpacked,
	const ol_layer_facts *facts, ol_error *err)
{
	const ol_built *built = &unpacked->built;
	ol_layer_info info = {
		.key = unpacked->diff_id,
		.diff_id = unpacked->diff_id,
		.leans = built->leans,
		.tar_bytes = unpacked->tar_bytes,
		.disk_bytes = built->disk_bytes,
		.entries = built->entries,
		.blob = unpacked->blob,
		.blob_size = unpacked->blob_size,
		.index_digest = built->index_digest,
	};
	int rc = OL_OK;

	assert(built->driver);
	(void)snprintf(info.driver, sizeof info.driver, "%s", built->driver);
	(void)snprintf(info.media_type, sizeof info.media_type, "%s", facts->media_type);
	(void)snprintf(info.origin, sizeof info.origin, "%s", facts->origin);
	if (built->has_tar)
		rc = ol_blob_adopt(
			store, &unpacked->diff_id, unpacked->tar_bytes, dir_fd, "tar", err);
	return rc < 0 ? rc
		      : ol_layer_put(store, &info, dir_fd,
				strcmp(built->driver, "dir") == 0 ? "fs" : "index.erofs", err);
}

int ol_layer_clear(int dir_fd, ol_error *err)
{
	static const char *const leftovers[] = { "tar", "index.erofs", "fs" };
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < sizeof leftovers / sizeof *leftovers; i++)
		rc = ol_remove_tree(dir_fd, leftovers[i], err);
	return rc;
}

/* Passes bytes on, and writes them down as well where they are worth keeping: compressed, or for a
 * driver that keeps no tar. */
struct tee {
	ol_reader reader;
	ol_reader *from; /* lent */
	int dir_fd;      /* lent */
	int fd;          /* owned; -1 until the first bytes said that it is wanted */
	bool started, always;
	ol_compression compression;
};

/* A compression is told by four bytes: a first read that is shorter is filled up. */
static int read_head(struct tee *tee, unsigned char *data, size_t size, size_t *got, ol_error *err)
{
	int rc;

	*got = 0;
	do {
		size_t more = 0;

		rc = ol_reader_read(tee->from, data + *got, size - *got, &more, err);
		*got += more;
		if (more == 0)
			break;
	} while (rc == OL_OK && *got < 4 && *got < size);
	if (rc < 0)
		return rc;
	tee->started = true;
	tee->compression = ol_compression_sniff(data, *got);
	if (!tee->always && tee->compression == OL_COMPRESSION_NONE)
		return OL_OK;
	tee->fd = openat(tee->dir_fd, BLOB_FILE,
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return tee->fd < 0 ? ol_fail_sys(err, "write a layer") : OL_OK;
}

static int tee_read(ol_reader *reader, void *data, size_t size, size_t *got, ol_error *err)
{
	struct tee *tee = (struct tee *)reader;
	int rc = tee->started ? ol_reader_read(tee->from, data, size, got, err)
			      : read_head(tee, data, size, got, err);

	return rc < 0 || tee->fd < 0 ? rc : ol_write_all(tee->fd, data, *got, err);
}

static void tee_close(ol_reader *reader)
{
	struct tee *tee = (struct tee *)reader;

	if (tee->fd >= 0)
		(void)close(tee->fd);
}

static const ol_reader_ops tee_ops = { .read = tee_read, .close = tee_close };

/* Leased first, so that nothing is collected between its row and the name. */
static int keep(ol_incoming *incoming, const struct tee *tee, const ol_unpacked *unpacked,
	const char *media_type, ol_error *err)
{
	ol_store *store = incoming->session->store;
	const ol_layer_facts facts = {
		.media_type = media_type ? media_type : ol_media_oci_layer(tee->compression),
		.origin = ""
	};
	int rc = ol_lease_add(incoming->lease, &unpacked->diff_id, err);

	if (rc == OL_OK)
		rc = ol_lease_add(incoming->lease, &unpacked->blob, err);
	if (rc == OL_OK && !ol_layer_is_usable(store, &unpacked->diff_id, NULL))
		rc = ol_layer_keep(store, tee->dir_fd, unpacked, &facts, err);
	if (rc == OL_OK && tee->fd >= 0 && !ol_blob_exists(store, &unpacked->blob))
		rc = ol_blob_adopt(
			store, &unpacked->blob, unpacked->blob_size, tee->dir_fd, BLOB_FILE, err);
	return rc;
}

static int take(ol_incoming *incoming, ol_reader *reader, const ol_layer_take_options *options,
	int dir_fd, ol_layer_taken *out, ol_error *err)
{
	ol_session *session = incoming->session;
	const ol_driver *driver = NULL;
	ol_unpacked unpacked = { 0 };
	struct tee tee = { .reader = { &tee_ops }, .from = reader, .dir_fd = dir_fd, .fd = -1 };
	int rc = ol_session_need_driver(session, &driver, err);

	if (rc == OL_OK) {
		tee.always = driver->keeps_blob;
		rc = ol_unpack(&tee.reader,
			&(ol_unpack_options){ .driver = driver,
				.builder = ol_session_builder(session, dir_fd),
				.blob = options->blob,
				.blob_size = options->blob_size,
				.diff_id = options->diff_id,
				.cancel = session->options.cancel,
				.gate = options->gate,
				.progress = options->progress,
				.ctx = options->ctx },
			&unpacked, err);
	}
	if (rc == OL_OK)
		rc = keep(incoming, &tee, &unpacked, options->media_type, err);
	ol_reader_close(&tee.reader);
	if (rc < 0)
		return rc;
	*out = (ol_layer_taken){
		.blob = unpacked.blob,
		.diff_id = unpacked.diff_id,
		.blob_size = unpacked.blob_size,
		.tar_bytes = unpacked.tar_bytes,
		.compression = tee.compression,
	};
	return OL_OK;
}

int ol_layer_take(ol_incoming *incoming, ol_reader *reader, const ol_layer_take_options *options,
	ol_layer_taken *out, ol_error *err)
{
	ol_draft *draft = NULL;
	int rc = ol_draft_open(incoming->session->store, &draft, err);

	if (rc < 0)
		return rc;
	rc = take(incoming, reader, options, ol_draft_dir_fd(draft), out, err);
	ol_draft_close(draft);
	return rc;
}
