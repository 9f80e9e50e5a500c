/*
 * What follows when a lazy pull has all it needs: chains, which may take more than the tables say,
 * and the background fill.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/lazy.h"
#include "image/lazy_wait_priv.h"
#include "image/pull_priv.h"
#include "snapshot/lazy_client.h"
#include "store/lazy.h"

/* The error names the layer that another one links into. */
static bool is_named(const ol_pull_layer *layer, const ol_error *why)
{
	return layer->lazy && strstr(why->text, ol_digest_short(&layer->diff_id).text) != NULL;
}

/* Where it names none of ours, all lazy ones are meant. False: there is none. */
static bool give_up_lazy(ol_pull_state *pull, const ol_error *why)
{
	bool named = false, any = false;

	for (size_t i = 0; i < pull->layer_count; i++)
		named = named || is_named(&pull->layers[i], why);
	for (size_t i = 0; i < pull->layer_count; i++) {
		ol_pull_layer *layer = &pull->layers[i];

		if (named ? !is_named(layer, why) : !layer->lazy)
			continue;
		layer->lazy = false;
		any = true;
		ol_tell_text(&pull->incoming.session->options.listener, OL_EVENT_NOTE,
			"layer %s is pulled whole: another layer has hard links into it",
			ol_digest_short(&layer->blob->digest).text);
	}
	return any;
}

int ol_pull_lazy_chains(ol_pull_state *pull, ol_error *err)
{
	for (;;) {
		ol_error why = { 0 };
		int rc = ol_incoming_chains(&pull->incoming, &why);

		/* Each round makes at least one layer whole: there is an end. */
		if (rc == OL_EUNSUPPORTED && give_up_lazy(pull, &why)) {
			rc = ol_pull_layers(pull, &why);
			if (rc == OL_OK)
				continue;
		}
		if (rc < 0 && err)
			*err = why;
		return rc;
	}
}

int ol_pull_lazy_want(ol_pull_state *pull, ol_error *err)
{
	ol_store *store = pull->incoming.session->store;
	bool changed = false;
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < pull->layer_count; i++)
		rc = ol_lazy_want(store, &pull->layers[i].diff_id, &changed, err);
	/* Whoever holds their ingests goes on with them; where nobody does we take them ourselves.
	 */
	if (rc == OL_OK && changed)
		(void)ol_lazy_wake(store);
	return rc;
}

int ol_pull_lazy_begin(ol_pull_state *pull, ol_pull_result *out, ol_error *err)
{
	ol_session *session = pull->incoming.session;
	ol_autofree ol_layer_info *layers = NULL;
	ol_error why = { 0 };
	int rc;

	if (!pull->layers)
		ol_pull_plan(pull);
	layers = ol_alloc_array(pull->layer_count + 1, sizeof *layers);
	for (size_t i = 0; i < pull->layer_count; i++) {
		ol_layer_info *info = &layers[out->lazy_layers];

		rc = ol_layer_get(session->store, &pull->layers[i].diff_id, false, info, err);
		if (rc < 0)
			return rc;
		if (strcmp(info->driver, OL_LAZY_DRIVER) != 0)
			continue;
		out->lazy_layers++;
		out->missing_bytes += info->blob_size > pull->layers[i].present
					      ? info->blob_size - pull->layers[i].present
					      : 0;
	}
	out->eager_layers = pull->layer_count - out->lazy_layers;
	if (out->lazy_layers == 0 || pull->options->lazy->no_fill)
		return OL_OK;
	rc = ol_pull_lazy_want(pull, err);
	if (rc < 0)
		return rc;
	/* It is usable as it is; whoever mounts it starts one too. */
	if (ol_lazy_start(session, layers, out->lazy_layers, &why) < 0)
		ol_tell_text(&session->options.listener, OL_EVENT_WARNING,
			"nothing is fetched in the background: %s", why.text);
	return OL_OK;
}
