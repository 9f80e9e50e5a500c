/*
 * Waiting until an image is whole. The worker does the work; this looks at the rows, which say
 * when a layer has become an ordinary one, and at the shared states, which say how far it is.
 */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "image/lazy_list_priv.h"
#include "image/lazy_source_priv.h"
#include "image/lazy_wait_priv.h"
#include "image/pull.h"
#include "image/session_priv.h"
#include "snapshot/lazy_client.h"
#include "store/lazy.h"

#define LOOK_EVERY_MS 100
/* So long nobody may be there to fill, between one holder and the next. */
#define HOLDER_GRACE_MS 5000

struct layer {
	ol_layer_info info;
	ol_lazy_state *state; /* owned; NULL until somebody fills it */
	bool whole;
};

struct wait {
	ol_session *session;
	struct layer *layers; /* owned; each lazy one once */
	size_t count, cap;
	ol_digest *chains; /* owned; of driver "lazy" */
	size_t chain_count, chain_cap;
};

static bool is_lazy(ol_store *store, const ol_digest *key, bool is_chain, ol_layer_info *info)
{
	return ol_layer_recorded(store, key, is_chain, info, NULL) == OL_OK &&
	       strcmp(info->driver, OL_LAZY_DRIVER) == 0;
}

static void add_layer(struct wait *wait, const ol_layer_info *info)
{
	for (size_t i = 0; i < wait->count; i++)
		if (ol_digest_eq(&wait->layers[i].info.key, &info->key))
			return;
	OL_GROW(wait->layers, wait->count, wait->cap);
	wait->layers[wait->count++] = (struct layer){ .info = *info };
}

static void add_config(struct wait *wait, const ol_config *config)
{
	ol_store *store = wait->session->store;

	for (size_t i = 0; i < config->diff_id_count; i++) {
		const ol_digest chain = ol_chain_id(config->diff_ids, i + 1);
		ol_layer_info info;

		if (is_lazy(store, &config->diff_ids[i], false, &info))
			add_layer(wait, &info);
		if (!is_lazy(store, &chain, true, &info))
			continue;
		OL_GROW(wait->chains, wait->chain_count, wait->chain_cap);
		wait->chains[wait->chain_count++] = chain;
	}
}

/* Everything below root that is in the store. */
static int add_root(struct wait *wait, const ol_digest *root, unsigned depth, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_auto(ol_config_free) ol_config *config = NULL;
	int rc = ol_document_load(wait->session->store, root, NULL, &document, err);

	if (rc == OL_ENOTFOUND && depth > 0)
		return OL_OK; /* a platform that was not pulled */
	if (rc < 0)
		return rc;
	if (document->kind == OL_DOCUMENT_INDEX) {
		for (size_t i = 0;
			rc == OL_OK && depth < OL_INDEX_DEPTH_MAX && i < document->manifest_count;
			i++)
			rc = add_root(wait, &document->manifests[i].digest, depth + 1, err);
		return rc;
	}
	if (!ol_document_is_image(document))
		return OL_OK;
	rc = ol_config_load(wait->session->store, &document->config.digest, &config, err);
	if (rc == OL_OK)
		add_config(wait, config);
	return rc;
}

static void wait_done(struct wait *wait)
{
	for (size_t i = 0; i < wait->count; i++)
		ol_lazy_state_close(wait->layers[i].state);
	free(wait->layers);
	free(wait->chains);
}

int ol_lazy_want(ol_store *store, const ol_digest *diff_id, bool *changed, ol_error *err)
{
	ol_lazy_source source = { 0 };
	ol_autofd int dir_fd = -1;
	int rc = OL_OK;

	if (ol_lazy_open(store, diff_id, &dir_fd, NULL) < 0 ||
		ol_lazy_source_read(store, dir_fd, diff_id, &source, NULL) < 0)
		return OL_OK;
	if (source.no_fill) {
		source.no_fill = false;
		rc = ol_lazy_source_write(store, dir_fd, diff_id, &source, err);
		*changed = true;
	}
	ol_lazy_source_done(&source);
	return rc;
}

static int start(struct wait *wait, ol_error *err)
{
	ol_autofree ol_layer_info *infos = ol_alloc_array(wait->count + 1, sizeof *infos);
	bool changed = false;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < wait->count; i++) {
		infos[i] = wait->layers[i].info;
		rc = ol_lazy_want(wait->session->store, &infos[i].key, &changed, err);
	}
	if (rc == OL_OK)
		rc = ol_lazy_start(wait->session, infos, wait->count, err);
	if (rc == OL_OK)
		(void)ol_lazy_wake(wait->session->store);
	return rc;
}

static void tell(
	const struct wait *wait, const struct layer *layer, ol_layer_state state, uint64_t done)
{
	ol_tell(&wait->session->options.listener, &(ol_event){ .kind = OL_EVENT_LAYER,
							  .state = state,
							  .digest = layer->info.blob,
							  .done = done,
							  .total = layer->info.blob_size,
							  .layer = (unsigned)(layer - wait->layers),
							  .layers = (unsigned)wait->count });
}

/* The layer turned out to be another than its table said. */
static int fail_poisoned(const struct layer *layer, ol_error *err)
{
	char words[OL_LAZY_WORDS_BYTES];

	ol_lazy_state_words(layer->state, words);
	ol_fail(err, OL_ECORRUPT, "layer %s: %s", ol_digest_short(&layer->info.key).text, words);
	return ol_hint(
		err, OL_ECORRUPT, "remove the image with `orlop rmi` and pull it without --lazy");
}

static int look_at(struct wait *wait, struct layer *layer, ol_error *err)
{
	const ol_lazy_counters *counters;
	ol_layer_info now;
	uint64_t done;

	if (layer->whole)
		return OL_OK;
	if (!is_lazy(wait->session->store, &layer->info.key, false, &now)) {
		layer->whole = true;
		tell(wait, layer, OL_LAYER_COMPLETE, layer->info.blob_size);
		return OL_OK;
	}
	if (!layer->state)
		layer->state = ol_lazy_state_of(wait->session->store, &layer->info.key);
	if (!layer->state)
		return OL_OK;
	counters = ol_lazy_state_counters(layer->state);
	if (counters->phase == OL_LAZY_POISONED)
		return fail_poisoned(layer, err);
	done = counters->blob_bytes < layer->info.blob_size ? counters->blob_bytes
							    : layer->info.blob_size;
	tell(wait, layer,
		counters->phase == OL_LAZY_CHECKING ? OL_LAYER_UNPACKING : OL_LAYER_FETCHING, done);
	return OL_OK;
}

static bool is_whole(const struct wait *wait)
{
	ol_layer_info info;

	for (size_t i = 0; i < wait->count; i++)
		if (!wait->layers[i].whole)
			return false;
	for (size_t i = 0; i < wait->chain_count; i++)
		if (is_lazy(wait->session->store, &wait->chains[i], true, &info))
			return false;
	return true;
}

static int wait_for_it(struct wait *wait, ol_error *err)
{
	ol_session *session = wait->session;
	uint64_t held = ol_now_ms();
	int rc = start(wait, err);

	for (size_t i = 0; rc == OL_OK && i < wait->count; i++)
		tell(wait, &wait->layers[i], OL_LAYER_WAITING, 0);
	while (rc == OL_OK) {
		for (size_t i = 0; rc == OL_OK && i < wait->count; i++)
			rc = look_at(wait, &wait->layers[i], err);
		if (rc < 0 || is_whole(wait))
			return rc;
		if (ol_lazy_is_held(session->store))
			held = ol_now_ms();
		else if (ol_now_ms() - held > HOLDER_GRACE_MS) {
			rc = start(wait, err);
			held = ol_now_ms();
		}
		ol_sleep_ms(LOOK_EVERY_MS);
		if (rc == OL_OK)
			rc = ol_cancel_check(session->options.cancel, err);
	}
	return rc;
}

int ol_lazy_wait_root(ol_session *session, const ol_digest *root, ol_error *err)
{
	struct wait wait = { .session = session };
	int rc = add_root(&wait, root, 0, err);

	if (rc == OL_OK && wait.count + wait.chain_count > 0) {
		ol_tell_text(&session->options.listener, OL_EVENT_NOTE,
			"fetching what is not there yet: %zu %s lazy", wait.count,
			wait.count == 1 ? "layer is" : "layers are");
		rc = wait_for_it(&wait, err);
	}
	wait_done(&wait);
	return rc;
}

int ol_lazy_wait(ol_session *session, const char *image, ol_error *err)
{
	ol_image found = { 0 };
	int rc = ol_image_find(session, image, NULL, &found, err);

	if (rc == OL_OK)
		rc = ol_lazy_wait_root(session, &found.root, err);
	ol_image_done(&found);
	return rc < 0 ? ol_wrap(err, rc, "%.255s is not complete", image) : OL_OK;
}
