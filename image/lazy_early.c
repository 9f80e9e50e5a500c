#include <pthread.h>

#include "base/alloc.h"
#include "image/lazy.h"
#include "image/lazy_early_priv.h"
#include "image/lazy_profile_priv.h"
#include "image/lazy_toc_priv.h"
#include "store/reach.h"

/* Of a manifest with more layers the rest is asked for later. */
#define EARLY_MAX 16

/* Of one layer, or of one image. */
struct fetch {
	ol_lazy_early *early;
	ol_descriptor blob;     /* the layer's, or the SOCI index's: digest and size, no strings */
	ol_toc_binding binding; /* the layer's */
	bool is_index;
	pthread_t thread;
	bool over; /* guarded by the lock */
};

struct ol_lazy_early {
	ol_pull_state *pull; /* lent */
	struct fetch list[EARLY_MAX];
	size_t count;
	pthread_mutex_t lock;
	pthread_cond_t ended;
};

/* What fails here fails again where somebody says so. */
static void fetch_toc(const struct fetch *fetch)
{
	ol_pull_state *pull = fetch->early->pull;
	ol_lazy_blob blob;

	if (ol_lease_add(pull->incoming.lease, &fetch->blob.digest, NULL) < 0 ||
		ol_lazy_blob_open(
			&blob, pull, &fetch->blob, &(ol_lazy_blob_wait){ .never = true }, NULL) < 0)
		return;
	(void)ol_toc_fetch(&fetch->binding, &blob, NULL);
	ol_lazy_blob_close(&blob);
}

static void *run(void *arg)
{
	struct fetch *fetch = arg;
	ol_lazy_early *early = fetch->early;

	if (fetch->is_index)
		ol_lazy_profile_fetch(early->pull, &fetch->blob.digest);
	else
		fetch_toc(fetch);
	pthread_mutex_lock(&early->lock);
	fetch->over = true;
	pthread_cond_broadcast(&early->ended);
	pthread_mutex_unlock(&early->lock);
	return NULL;
}

/* An image of the store has it: then the layer is here, whole or lazily. */
static bool is_known(ol_store *store, const ol_digest *blob)
{
	ol_autofree ol_digest *roots = NULL;
	size_t count = 0;

	return ol_reach_roots(store, blob, 1, &roots, &count, NULL) == OL_OK && count > 0;
}

static ol_lazy_early *early_of(ol_pull_state *pull)
{
	if (!pull->early) {
		pull->early = ol_alloc(sizeof *pull->early);
		pull->early->pull = pull;
		(void)pthread_mutex_init(&pull->early->lock, NULL);
		(void)pthread_cond_init(&pull->early->ended, NULL);
	}
	return pull->early;
}

static void start(ol_lazy_early *early, const struct fetch *what)
{
	struct fetch *fetch = &early->list[early->count];

	if (early->count == EARLY_MAX)
		return;
	for (size_t i = 0; i < early->count; i++)
		if (ol_digest_eq(&early->list[i].blob.digest, &what->blob.digest))
			return;
	*fetch = *what;
	fetch->early = early;
	fetch->blob.media_type = "";
	if (pthread_create(&fetch->thread, NULL, run, fetch) == 0)
		early->count++;
}

static void start_layer(ol_pull_state *pull, const ol_descriptor *layer)
{
	struct fetch fetch = { .blob = { .digest = layer->digest, .size = layer->size } };

	if (ol_toc_binding_of(layer, &fetch.binding, NULL) == OL_OK)
		start(early_of(pull), &fetch);
}

void ol_lazy_early_begin(ol_pull_state *pull, const ol_incoming_image *image)
{
	ol_session *session = pull->incoming.session;
	struct fetch index = { .is_index = true };
	bool lacks = false;

	if (!pull->registry && ol_session_registry(session, &pull->registry, NULL) < 0)
		return;
	for (size_t i = 0; i < image->document->layer_count; i++) {
		const ol_descriptor *layer = &image->document->layers[i];

		if (layer->size <= OL_LAZY_BLOB_BYTES_MIN ||
			is_known(session->store, &layer->digest))
			continue;
		start_layer(pull, layer);
		lacks = true;
	}
	if (lacks && ol_lazy_soci_named(pull, image, &index.blob.digest, NULL) == OL_OK)
		start(early_of(pull), &index);
}

static void wait_for(ol_lazy_early *early, const struct fetch *fetch)
{
	pthread_mutex_lock(&early->lock);
	while (!fetch->over)
		pthread_cond_wait(&early->ended, &early->lock);
	pthread_mutex_unlock(&early->lock);
}

void ol_lazy_early_wait(ol_lazy_early *early, const ol_digest *blob)
{
	for (size_t i = 0; early && i < early->count; i++)
		if (!early->list[i].is_index && ol_digest_eq(&early->list[i].blob.digest, blob))
			wait_for(early, &early->list[i]);
}

void ol_lazy_early_wait_indexes(ol_lazy_early *early)
{
	for (size_t i = 0; early && i < early->count; i++)
		if (early->list[i].is_index)
			wait_for(early, &early->list[i]);
}

void ol_lazy_early_end(ol_lazy_early *early)
{
	if (!early)
		return;
	for (size_t i = 0; i < early->count; i++)
		(void)pthread_join(early->list[i].thread, NULL);
	(void)pthread_cond_destroy(&early->ended);
	(void)pthread_mutex_destroy(&early->lock);
	free(early);
}
