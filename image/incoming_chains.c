/*
 * Layers that lean on those below: directories whose attributes only a lower layer knows, hard
 * links to its files. What such a layer becomes on exactly these lowers belongs to the ChainID, and
 * is made once the lowers are there, bottom up.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/incoming_priv.h"
#include "store/ingest.h"
#include "store/lazy.h"

struct chain {
	ol_incoming *incoming;
	ol_digest id;
	const ol_layer_info *layer; /* lent: what it is made of */
};

/* One that was made of a lazy layer is made anew once that is whole. */
static bool is_there(void *ctx)
{
	const struct chain *chain = ctx;
	ol_layer_info info;

	return ol_layer_get(chain->incoming->session->store, &chain->id, true, &info, NULL) ==
		       OL_OK &&
	       (strcmp(info.driver, OL_LAZY_DRIVER) != 0 ||
		       strcmp(chain->layer->driver, OL_LAZY_DRIVER) == 0);
}

static int complete(struct chain *chain, const ol_layer_info *layer, const ol_layer_info *lowers,
	size_t count, ol_ingest *ingest, ol_error *err)
{
	const ol_driver *driver = ol_driver_named(layer->driver);
	ol_layer_info info = *layer;
	ol_built built = { 0 };
	int rc;

	if (!driver)
		return ol_fail(err, OL_ECORRUPT, "its driver is \"%s\", which there is none of",
			layer->driver);
	rc = driver->complete(chain->incoming->session->store, layer, lowers, count,
		ol_ingest_dir_fd(ingest), &built, err);
	if (rc < 0)
		return rc;
	info.key = chain->id;
	info.is_chain = true;
	info.leans = false;
	info.disk_bytes = built.disk_bytes;
	info.index_digest = built.index_digest;
	(void)snprintf(info.driver, sizeof info.driver, "%s", built.driver);
	return ol_layer_put(chain->incoming->session->store, &info, ol_ingest_dir_fd(ingest),
		strcmp(built.driver, "dir") == 0 ? "fs" : "index.erofs", err);
}

static int make_chain(struct chain *chain, const ol_layer_info *layer, const ol_layer_info *lowers,
	size_t count, ol_error *err)
{
	ol_session *session = chain->incoming->session;
	const ol_ingest_options options = {
		.digest = chain->id,
		.cancel = session->options.cancel,
		.done = is_there,
		.ctx = chain,
	};
	ol_ingest *ingest = NULL;
	int rc;

	chain->layer = layer;
	if (is_there(chain))
		return OL_OK;
	rc = ol_ingest_open(session->store, &options, &ingest, err);
	if (rc < 0)
		return rc == OL_EEXISTS ? OL_OK : rc;
	rc = complete(chain, layer, lowers, count, ingest, err);
	/* Dropped either way: what failed half-way is of no use to the next one. */
	if (ol_ingest_drop(ingest, rc < 0 ? NULL : err) < 0 && rc == OL_OK)
		rc = OL_ESYSTEM;
	return rc;
}

static int complete_image(ol_incoming *incoming, const ol_config *config, ol_error *err)
{
	ol_autofree ol_layer_info *layers = ol_alloc_array(config->diff_id_count, sizeof *layers);
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < config->diff_id_count; i++) {
		struct chain chain = { .incoming = incoming };
		ol_layer_info layer;

		rc = ol_layer_get(
			incoming->session->store, &config->diff_ids[i], false, &layer, err);
		if (rc == OL_OK && layer.leans) {
			chain.id = ol_chain_id(config->diff_ids, i + 1);
			rc = ol_lease_add(incoming->lease, &chain.id, err);
			if (rc == OL_OK)
				rc = make_chain(&chain, &layer, layers, i, err);
			if (rc == OL_OK)
				rc = ol_layer_get(
					incoming->session->store, &chain.id, true, &layer, err);
		}
		layers[i] = layer;
		if (rc < 0)
			(void)ol_wrap(err, rc, "layer %zu of %zu", i + 1, config->diff_id_count);
	}
	return rc;
}

int ol_incoming_chains(ol_incoming *incoming, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < incoming->count; i++)
		rc = complete_image(incoming, incoming->images[i].config, err);
	return rc;
}
