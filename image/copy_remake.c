/* A layer's compressed blob, where the one that the manifest names is nowhere to be had. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "image/layer_reader_priv.h"
#include "image/transport_priv.h"
#include "snapshot/gzip_file.h"
#include "store/draft.h"
#include "store/layer.h"

#define DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"

/* Of the same family as the blob it stands for, so that the manifest stays one. */
static const char *type_of(const ol_descriptor *blob, ol_compression compression)
{
	if (blob->media.docker)
		return compression == OL_COMPRESSION_ZSTD ? DOCKER_LAYER ".zstd"
							  : DOCKER_LAYER ".gzip";
	return compression == OL_COMPRESSION_ZSTD ? OL_MEDIA_OCI_LAYER "+zstd"
						  : OL_MEDIA_OCI_LAYER "+gzip";
}

/* The store has the layer compressed after all, as another image has it. */
static int take_other(ol_copy *copy, const ol_layer_info *layer, const ol_descriptor *blob,
	ol_remade *out, ol_error *err)
{
	const ol_compression compression = ol_media_of(ol_view_of(layer->media_type)).compression;
	int fd, rc;

	if (ol_digest_eq(&layer->blob, &layer->diff_id) ||
		(compression != OL_COMPRESSION_GZIP && compression != OL_COMPRESSION_ZSTD))
		return OL_ENOTFOUND;
	rc = ol_blob_open(copy->session->store, &layer->blob, &fd, err);
	if (rc < 0)
		return rc;
	*out = (ol_remade){ .digest = layer->blob,
		.size = layer->blob_size,
		.media_type = type_of(blob, compression),
		.cargo = { .source = ol_source_of_fd(fd, layer->blob_size) } };
	return OL_OK;
}

static void end_draft(void *ctx, bool whole)
{
	(void)whole;
	ol_draft_close(ctx);
}

static int gzip_into(ol_copy *copy, ol_draft *draft, const ol_layer_reader_options *options,
	int *fd, ol_gzipped *out, ol_error *err)
{
	ol_reader *reader = NULL;
	int rc;

	*fd = openat(ol_draft_dir_fd(draft), "blob", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*fd < 0)
		return ol_fail_sys(err, "write a layer");
	rc = ol_layer_reader_open(copy->session->store, options, &reader, err);
	if (rc < 0)
		return rc;
	rc = ol_gzip_file(reader, *fd, copy->stop, out, err);
	ol_reader_close(reader);
	return rc;
}

static int compress(ol_copy *copy, const ol_layer_info *layer, const ol_descriptor *blob,
	ol_remade *out, ol_error *err)
{
	const bool has_tar = ol_blob_exists(copy->session->store, &layer->diff_id);
	const ol_layer_reader_options options = { .blob = has_tar ? layer->diff_id : layer->blob,
		.decode = true,
		.digest = layer->diff_id,
		.cancel = copy->stop };
	ol_auto(ol_draft_close) ol_draft *draft = NULL;
	ol_autofd int fd = -1;
	ol_gzipped gzipped = { 0 };
	int rc = ol_draft_open(copy->session->store, &draft, err);

	if (rc == OL_OK)
		rc = gzip_into(copy, draft, &options, &fd, &gzipped, err);
	if (rc < 0)
		return rc;
	*out = (ol_remade){ .digest = gzipped.digest,
		.size = gzipped.size,
		.media_type = type_of(blob, OL_COMPRESSION_GZIP),
		.cargo = { .source = ol_source_of_fd(ol_steal_fd(&fd), gzipped.size),
			.end = end_draft,
			.ctx = ol_steal(&draft) } };
	return OL_OK;
}

int ol_remake_layer(ol_copy *copy, const ol_digest *diff_id, const ol_descriptor *blob,
	ol_remade *out, ol_error *err)
{
	ol_layer_info layer;
	int rc = ol_layer_get(copy->session->store, diff_id, false, &layer, err);

	if (rc < 0)
		return rc;
	if (take_other(copy, &layer, blob, out, NULL) == OL_OK)
		return OL_OK;
	return compress(copy, &layer, blob, out, err);
}
