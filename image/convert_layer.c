#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "image/convert_priv.h"
#include "image/layer_reader_priv.h"
#include "image/layer_take_priv.h"
#include "snapshot/estargz_writer.h"
#include "snapshot/plain_writer.h"
#include "snapshot/zstd_chunked_writer.h"
#include "store/draft.h"

#define COPY_BYTES ((size_t)256 << 10)

/* One layer under way. */
struct conversion {
	ol_convert_state *state; /* lent */
	ol_digest diff_id;
	ol_draft *draft; /* owned */
	int fd;          /* owned: the tar */
	ol_scan scan;
	ol_convert_layer result;
};

/* Where the value goes that is said next. */
static char *annotate(ol_convert_layer *layer, const char *key)
{
	layer->annotations[layer->annotation_count].key = key;
	return layer->annotations[layer->annotation_count++].value;
}

/* --- the tar --- */

static int copy_to_file(ol_reader *reader, int fd, ol_error *err)
{
	ol_autofree char *buffer = ol_alloc(COPY_BYTES);
	size_t got = 1;
	int rc = OL_OK;

	while (rc == OL_OK && got > 0) {
		rc = ol_reader_read(reader, buffer, COPY_BYTES, &got, err);
		if (rc == OL_OK)
			rc = ol_write_all(fd, buffer, got, err);
	}
	return rc;
}

/* A driver that keeps trees keeps the compressed blob: it is inflated beside. */
static int inflate(struct conversion *self, ol_error *err)
{
	const ol_session *session = self->state->incoming.session;
	ol_layer_info layer;
	ol_reader *reader = NULL;
	int rc = ol_layer_get(session->store, &self->diff_id, false, &layer, err);

	if (rc == OL_OK)
		rc = ol_layer_reader_open(session->store,
			&(ol_layer_reader_options){ .blob = layer.blob,
				.decode = true,
				.digest = self->diff_id,
				.cancel = session->options.cancel },
			&reader, err);
	if (rc < 0)
		return rc;
	assert(reader);
	self->fd = openat(ol_draft_dir_fd(self->draft), "source",
		O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	rc = self->fd < 0 ? ol_fail_sys(err, "write a layer") : copy_to_file(reader, self->fd, err);
	ol_reader_close(reader);
	return rc;
}

static int open_tar(struct conversion *self, ol_error *err)
{
	int rc = ol_draft_open(self->state->incoming.session->store, &self->draft, err);

	if (rc < 0)
		return rc;
	rc = ol_blob_open(self->state->incoming.session->store, &self->diff_id, &self->fd, err);
	if (rc == OL_ENOTFOUND)
		rc = inflate(self, err);
	return rc == OL_ENOTFOUND ? ol_hint(err, rc, "pull the image again, whole") : rc;
}

static int scan(struct conversion *self, ol_error *err)
{
	const ol_convert_options *options = self->state->options;
	const bool estargz = options->format == OL_CONVERT_ESTARGZ;
	const ol_scan_options how = {
		.chunk_bytes = !estargz               ? 0
			       : options->chunk_bytes ? options->chunk_bytes
						      : OL_ESTARGZ_CHUNK_BYTES,
		.all_times = !estargz,
		.cancel = self->state->incoming.session->options.cancel,
	};
	int rc = ol_tar_scan(self->fd, &how, &self->scan, err);

	return rc < 0 ? rc : ol_digest_check(&self->diff_id, &self->scan.diff_id, err);
}

/* --- into the store --- */

/* A new tar: it is inflated and looked at as one that was pulled. */
static int take_new(struct conversion *self, ol_reader *reader, ol_error *err)
{
	ol_layer_taken taken;
	int rc = ol_layer_take(
		&self->state->incoming, reader, &(ol_layer_take_options){ 0 }, &taken, err);

	if (rc < 0)
		return rc;
	self->result.blob = taken.blob;
	self->result.blob_size = taken.blob_size;
	self->result.diff_id = taken.diff_id;
	(void)snprintf(annotate(&self->result, "io.containers.estargz.uncompressed-size"),
		OL_CONVERT_VALUE_BYTES, "%llu", (unsigned long long)taken.tar_bytes);
	return OL_OK;
}

/* Written down as it is read. */
static int write_blob(struct conversion *self, ol_reader *reader, ol_error *err)
{
	ol_autofree char *buffer = ol_alloc(COPY_BYTES);
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	ol_autofd int fd = openat(ol_draft_dir_fd(self->draft), "blob",
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t got = 1;
	int rc = fd < 0 ? ol_fail_sys(err, "write a layer") : OL_OK;

	while (rc == OL_OK && got > 0) {
		rc = ol_reader_read(reader, buffer, COPY_BYTES, &got, err);
		if (rc < 0)
			return rc;
		ol_hasher_update(hasher, buffer, got);
		self->result.blob_size += got;
		rc = ol_write_all(fd, buffer, got, err);
	}
	self->result.blob = ol_hasher_final(hasher);
	return rc;
}

/* The same tar, compressed otherwise: the layer is there, its blob is proved to give it. */
static int take_same(struct conversion *self, ol_reader *reader, ol_error *err)
{
	ol_incoming *incoming = &self->state->incoming;
	ol_store *store = incoming->session->store;
	const ol_layer_reader_options proof = {
		.decode = true, .digest = self->diff_id, .cancel = incoming->session->options.cancel
	};
	ol_layer_reader_options options = proof;
	ol_reader *decoded = NULL;
	ol_autofree char *buffer = ol_alloc(COPY_BYTES);
	size_t got = 1;
	int rc = write_blob(self, reader, err);

	self->result.diff_id = self->diff_id;
	if (rc == OL_OK)
		rc = ol_lease_add(incoming->lease, &self->diff_id, err);
	if (rc == OL_OK)
		rc = ol_lease_add(incoming->lease, &self->result.blob, err);
	if (rc == OL_OK && !ol_blob_exists(store, &self->result.blob))
		rc = ol_blob_adopt(store, &self->result.blob, self->result.blob_size,
			ol_draft_dir_fd(self->draft), "blob", err);
	options.blob = self->result.blob;
	if (rc == OL_OK)
		rc = ol_layer_reader_open(store, &options, &decoded, err);
	while (rc == OL_OK && got > 0)
		rc = ol_reader_read(decoded, buffer, COPY_BYTES, &got, err);
	ol_reader_close(decoded);
	return rc;
}

/* --- the formats --- */

static ol_frame_pool_options frames_of(const struct conversion *self)
{
	ol_convert_state *state = self->state;

	return (ol_frame_pool_options){ .fd = self->fd,
		.codec = state->options->format == OL_CONVERT_ESTARGZ ? OL_FRAME_GZIP
								      : OL_FRAME_ZSTD,
		.level = state->options->level,
		.cancel = state->incoming.session->options.cancel,
		.progress = ol_convert_tell,
		.ctx = state };
}

static int write_estargz(struct conversion *self, ol_error *err)
{
	ol_convert_state *state = self->state;
	const ol_convert_options *options = state->options;
	ol_auto(ol_estargz_free) ol_estargz *writer = NULL;
	int rc = ol_estargz_new(&self->scan,
		&(ol_estargz_options){ .frames = frames_of(self),
			.min_chunk_bytes = options->min_chunk_bytes,
			.first = options->first,
			.found = state->found },
		&writer, err);

	if (rc == OL_OK)
		rc = take_new(self, ol_estargz_reader(writer), err);
	if (rc == OL_OK)
		(void)snprintf(annotate(&self->result, "containerd.io/snapshot/stargz/toc.digest"),
			OL_CONVERT_VALUE_BYTES, "%s",
			ol_digest_format(ol_estargz_toc(writer)).text);
	return rc;
}

static int write_zstd_chunked(struct conversion *self, ol_error *err)
{
	const ol_frame_pool_options frames = frames_of(self);
	ol_auto(ol_zstd_chunked_free) ol_zstd_chunked *writer = NULL;
	const ol_toc_place *place;
	int rc = ol_zstd_chunked_new(&self->scan, &frames, &writer, err);

	if (rc == OL_OK)
		rc = take_same(self, ol_zstd_chunked_reader(writer), err);
	if (rc < 0)
		return rc;
	place = ol_zstd_chunked_place(writer);
	(void)snprintf(
		annotate(&self->result, "io.github.containers.zstd-chunked.manifest-checksum"),
		OL_CONVERT_VALUE_BYTES, "%s", ol_digest_format(ol_zstd_chunked_toc(writer)).text);
	(void)snprintf(
		annotate(&self->result, "io.github.containers.zstd-chunked.manifest-position"),
		OL_CONVERT_VALUE_BYTES, "%llu:%llu:%llu:1", (unsigned long long)place->toc.offset,
		(unsigned long long)place->toc.size, (unsigned long long)place->toc_raw_size);
	(void)snprintf(
		annotate(&self->result, "io.github.containers.zstd-chunked.tarsplit-position"),
		OL_CONVERT_VALUE_BYTES, "%llu:%llu:%llu",
		(unsigned long long)place->tar_split.offset,
		(unsigned long long)place->tar_split.size,
		(unsigned long long)place->tar_split_raw_size);
	return OL_OK;
}

/* A layer that goes without a table of contents. */
static int write_plain(struct conversion *self, ol_error *err)
{
	ol_convert_state *state = self->state;
	const ol_frame_pool_options frames = frames_of(self);
	ol_auto(ol_plain_writer_free) ol_plain_writer *writer = NULL;
	int rc = ol_plain_writer_new(self->scan.tar_bytes, &frames, &writer, err);

	state->plain++;
	ol_tell_text(&state->incoming.session->options.listener, OL_EVENT_WARNING,
		"layer %s cannot be pulled lazily: %s", ol_digest_short(&self->diff_id).text,
		self->scan.odd);
	return rc < 0 ? rc : take_same(self, ol_plain_writer_reader(writer), err);
}

static int write_layer(struct conversion *self, ol_error *err)
{
	int rc = open_tar(self, err);

	if (rc == OL_OK)
		rc = scan(self, err);
	if (rc < 0)
		return rc;
	if (*self->scan.odd)
		return write_plain(self, err);
	return self->state->options->format == OL_CONVERT_ESTARGZ ? write_estargz(self, err)
								  : write_zstd_chunked(self, err);
}

int ol_convert_layer_run(ol_convert_state *state, const ol_digest *diff_id, ol_error *err)
{
	const bool gzip = state->options->format == OL_CONVERT_ESTARGZ;
	struct conversion self = { .state = state, .diff_id = *diff_id, .fd = -1 };
	int rc;

	self.result.source = *diff_id;
	self.result.media_type =
		ol_media_oci_layer(gzip ? OL_COMPRESSION_GZIP : OL_COMPRESSION_ZSTD);
	rc = write_layer(&self, err);
	if (rc == OL_OK) {
		OL_GROW(state->layers, state->layer_count, state->layer_cap);
		state->layers[state->layer_count++] = self.result;
	}
	ol_scan_done(&self.scan);
	if (self.fd >= 0)
		(void)close(self.fd);
	ol_draft_close(self.draft);
	return rc;
}
