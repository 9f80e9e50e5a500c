/*
 * The driver of layers that are not whole yet: an index, as the erofs driver's, whose first device
 * is the layer's payload. What is in it is asked of the holder (snapshot/lazy_client.h). Once the
 * layer is whole its row is the erofs driver's.
 */
#include "snapshot/erofs_driver_priv.h"
#include "snapshot/lazy_client.h"
#include "store/lazy.h"

static int lazy_probe(ol_store *store, ol_error *err)
{
	return ol_erofs_probe(store, err);
}

static int cannot_build(ol_error *err)
{
	return ol_fail(err, OL_EUNSUPPORTED,
		"a lazy layer is made of its table of contents, not of its tar");
}

static int lazy_begin(const ol_builder_options *options, ol_builder **out, ol_error *err)
{
	(void)options;
	(void)out;
	return cannot_build(err);
}

static int lazy_push(ol_builder *builder, const void *data, size_t size, ol_error *err)
{
	(void)builder;
	(void)data;
	(void)size;
	return cannot_build(err);
}

static int lazy_finish(ol_builder *builder, ol_built *out, ol_error *err)
{
	(void)builder;
	(void)out;
	return cannot_build(err);
}

static void lazy_free(ol_builder *builder)
{
	(void)builder; /* begin makes none */
}

/* NOLINTNEXTLINE(readability-function-size): the table of drivers gives it seven parameters */
static int lazy_complete(ol_store *store, const ol_layer_info *layer, const ol_layer_info *lowers,
	size_t count, int dir_fd, ol_built *out, ol_error *err)
{
	int rc = ol_erofs_complete(store, layer, lowers, count, dir_fd, out, err);

	if (rc == OL_OK)
		out->driver = ol_driver_lazy.name;
	return rc;
}

/* From now on it is watched. OL_EBUSY: it became whole since its row was read, and the index over
 * its tar may be another. */
static int open_device(const ol_erofs_mounting *m, unsigned device, int *out, ol_error *err)
{
	ol_autofd int fd = -1;
	ol_layer_info now;
	int rc;

	if (device != 1)
		return ol_erofs_tar_open(m, device, out, err);
	rc = ol_lazy_watch(
		m->store, &m->layer->diff_id, ol_erofs_device_bytes(m->index, 1), &fd, err);
	if (rc == OL_EUNAVAILABLE)
		return ol_wrap(err, rc, "it is not whole yet and nobody fills it");
	if (rc == OL_OK || rc == OL_ENOTFOUND)
		rc = ol_layer_get(m->store, &m->layer->key, m->layer->is_chain, &now,
			rc == OL_OK ? err : NULL);
	if (rc < 0)
		return rc;
	if (fd < 0 || strcmp(now.driver, ol_driver_lazy.name) != 0)
		return ol_fail(err, OL_EBUSY, "it changes");
	*out = ol_steal_fd(&fd);
	return OL_OK;
}

static int lazy_lower(ol_store *store, const ol_layer_info *layer, int *fd, ol_error *err)
{
	ol_erofs_mounting m = { .store = store, .layer = layer, .open = open_device };
	const ol_driver *driver;
	ol_layer_info now;
	int rc = ol_erofs_lower_by(&m, fd, err);

	if (rc != OL_EBUSY)
		return rc;
	(void)ol_lazy_unwatch(store, &layer->diff_id, NULL);
	rc = ol_layer_get(store, &layer->key, layer->is_chain, &now, err);
	if (rc < 0)
		return rc;
	driver = ol_driver_named(now.driver);
	if (!driver || driver == &ol_driver_lazy)
		return ol_fail(err, OL_EBUSY, "the layer changes while it is mounted: try again");
	return driver->lower(store, &now, fd, err);
}

static int lazy_root(
	ol_store *store, const ol_layer_info *layer, ol_root_attributes *out, ol_error *err)
{
	return ol_driver_erofs.root(store, layer, out, err);
}

static int visit_nothing(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	(void)ctx;
	(void)visit;
	(void)err;
	return OL_OK;
}

/* There is no tar to compare with. The index can be read from end to end and is the one that was
 * recorded; its bytes are proved chunk by chunk as they come, and the layer once it is whole. */
static int lazy_verify(ol_store *store, const ol_layer_info *layer, ol_source *tar, ol_error *err)
{
	ol_auto(ol_erofs_close) ol_erofs *index = NULL;
	ol_autofd int index_fd = -1;
	ol_digest digest = { 0 };
	int rc = ol_erofs_layer_open(store, layer, &index, &index_fd, err);

	(void)tar;
	if (rc == OL_OK)
		rc = ol_erofs_index_hash(index_fd, &digest, err);
	if (rc == OL_OK)
		rc = ol_digest_check(&layer->index_digest, &digest, err);
	return rc < 0 ? rc : ol_erofs_walk(index, visit_nothing, NULL, err);
}

const ol_driver ol_driver_lazy = {
	.name = OL_LAZY_DRIVER,
	.keeps_blob = false,
	.probe = lazy_probe,
	.begin = lazy_begin,
	.push = lazy_push,
	.finish = lazy_finish,
	.free = lazy_free,
	.complete = lazy_complete,
	.lower = lazy_lower,
	.root = lazy_root,
	.verify = lazy_verify,
	.reindex = NULL,
};
