/* `ps --lazy`: every layer that is not whole yet, and how far it is. */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "image/lazy_list_priv.h"
#include "image/lazy_source_priv.h"
#include "image/session_priv.h"
#include "snapshot/lazy_client.h"
#include "snapshot/lazy_table.h"
#include "store/lazy.h"

ol_lazy_state *ol_lazy_state_of(ol_store *store, const ol_digest *diff_id)
{
	ol_lazy_state *state = NULL;

	return ol_lazy_state_find(ol_store_run_fd(store), diff_id, ol_store_boot_id(store), &state,
		       NULL) == OL_OK
		       ? state
		       : NULL;
}

struct each {
	ol_session *session;
	char engine[16];
	int (*call)(void *ctx, const ol_lazy_row *row, ol_error *err);
	void *ctx;
};

/* What its folder says; without one (it became whole just now, or is damaged) little is known. */
static int describe(struct each *each, const ol_layer_info *layer, ol_lazy_row *row, char **image,
	ol_lazy_table *table, ol_error *err)
{
	ol_store *store = each->session->store;
	ol_lazy_source source = { 0 };
	ol_autofd int dir_fd = -1;
	int rc = ol_lazy_open(store, &layer->key, &dir_fd, err);

	if (rc == OL_OK)
		rc = ol_lazy_table_load(dir_fd, table, err);
	if (rc == OL_OK)
		rc = ol_lazy_source_read(store, dir_fd, &layer->key, &source, err);
	if (rc == OL_OK) {
		*image = ol_strdup(ol_ref_format_familiar(&source.ref).text);
		row->image = *image;
		row->format = table->about.format;
		row->payload_bytes = table->about.payload_bytes;
	}
	ol_lazy_source_done(&source);
	return rc;
}

static int on_layer(void *ctx, const ol_layer_info *layer, ol_error *err)
{
	static const ol_lazy_counters none;
	struct each *each = ctx;
	ol_lazy_row row = { .image = "", .layer = *layer, .format = "", .engine = "", .words = "" };
	ol_auto(ol_lazy_state_close) ol_lazy_state *state = NULL;
	ol_lazy_table table = { 0 };
	char words[OL_LAZY_WORDS_BYTES] = "";
	ol_autofree char *image = NULL;
	ol_error why = { 0 };
	int rc;

	if (layer->is_chain || strcmp(layer->driver, OL_LAZY_DRIVER) != 0)
		return OL_OK;
	rc = describe(each, layer, &row, &image, &table, &why);
	if (rc == OL_ENOTFOUND) {
		ol_lazy_table_done(&table);
		return OL_OK;
	}
	if (rc < 0)
		ol_tell_text(&each->session->options.listener, OL_EVENT_WARNING, "layer %s: %s",
			ol_digest_short(&layer->key).text, why.text);
	state = ol_lazy_state_of(each->session->store, &layer->key);
	row.counters = state ? ol_lazy_state_counters(state) : &none;
	if (row.counters->phase == OL_LAZY_STALLED || row.counters->phase == OL_LAZY_POISONED)
		ol_lazy_state_words(state, words);
	row.words = words;
	if (row.counters->mounted)
		row.engine = each->engine;
	rc = each->call(each->ctx, &row, err);
	ol_lazy_table_done(&table);
	return rc;
}

int ol_lazy_each(ol_session *session, int (*call)(void *ctx, const ol_lazy_row *row, ol_error *err),
	void *ctx, ol_error *err)
{
	struct each each = { .session = session, .call = call, .ctx = ctx };

	if (ol_lazy_engine_of(session->store, each.engine, NULL) < 0)
		each.engine[0] = '\0';
	return ol_layer_each(session->store, on_layer, &each, err);
}
