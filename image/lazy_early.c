#include <pthread.h>

#include "base/alloc.h"
#include "image/lazy.h"
#include "image/lazy_early_priv.h"
#include "image/lazy_profile_priv.h"
#include "image/lazy_toc_priv.h"

/* Of a manifest with more layers the rest is asked for later. */
#define EARLY_MAX 16

/* Of one layer, or of one image. */
struct fetch {
	ol_lazy_early *early;
	ol_descriptor
		blob; /* the layer's digest and size, no strings; or the SOCI index's digest */
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

/* That a row of the store came from one of them. */
static int drop_known(void *ctx, const ol_layer_info *info, ol_error *err)
{
	const ol_descriptor **layers = ctx;

	(void)err;
	for (size_t i = 0; i < EARLY_MAX; i++)
		if (layers[i] && ol_digest_eq(&layers[i]->digest, &info->blob))
			layers[i] = NULL;
	return OL_OK;
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

void ol_lazy_early_begin(ol_pull_state *pull, const ol_digest *digest, const ol_document *manifest)
{
	const ol_incoming_image image = { .manifest = *digest,
		.document = (ol_document *)manifest };
	const ol_descriptor *layers[EARLY_MAX] = { NULL };
	ol_session *session = pull->incoming.session;
	struct fetch index = { .is_index = true };
	size_t count = 0, started = 0;

	for (size_t i = 0; i < manifest->layer_count && count < EARLY_MAX; i++)
		if (manifest->layers[i].size > OL_LAZY_BLOB_BYTES_MIN)
			layers[count++] = &manifest->layers[i];
	if ((!pull->registry && ol_session_registry(session, &pull->registry, NULL) < 0) ||
		ol_layer_each(session->store, drop_known, layers, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (layers[i]) {
			start_layer(pull, layers[i]);
			started++;
		}
	if (started > 0 && ol_lazy_soci_named(pull, &image, &index.blob.digest, NULL) == OL_OK)
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
