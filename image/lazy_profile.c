#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "image/index_priv.h"
#include "image/lazy_profile_priv.h"
#include "manifest/profile.h"
#include "store/attached.h"

static const ol_descriptor *find_entry(const ol_soci_index *index)
{
	const ol_document *document = index->document;

	for (size_t i = 0; i < document->layer_count; i++)
		if (strcmp(document->layers[i].media_type, OL_PROFILE_MEDIA_TYPE) == 0)
			return &document->layers[i];
	return NULL;
}

static bool has(ol_store *store, const ol_digest *manifest, const char *kind)
{
	ol_digest blob;

	return ol_attached(store, manifest, kind, &blob, NULL) == OL_OK &&
	       ol_blob_exists(store, &blob);
}

/* Its bytes are in the store then, under the pull's lease. */
static int get_profile(ol_pull_state *pull, const ol_descriptor *entry, ol_error *err)
{
	ol_store *store = pull->incoming.session->store;
	ol_auto_buf ol_buf json = OL_BUF(OL_PROFILE_BYTES_MAX);
	ol_profile profile = { 0 };
	int rc = ol_lease_add(pull->incoming.lease, &entry->digest, err);

	if (rc < 0 || ol_blob_exists(store, &entry->digest))
		return rc;
	rc = ol_registry_get_small_blob(
		pull->registry, &pull->ref, entry, OL_PROFILE_BYTES_MAX, &json, err);
	if (rc == OL_OK)
		rc = ol_profile_parse(ol_buf_view(&json), &profile, err);
	ol_profile_done(&profile);
	return rc < 0 ? rc : ol_blob_put(store, &entry->digest, ol_buf_view(&json), false, err);
}

/* What was recorded or made here comes before what is published. The index is kept so that
 * `orlop index push` can publish it with another profile. */
static int take(
	ol_pull_state *pull, const ol_digest *manifest, const ol_soci_found *found, ol_error *err)
{
	ol_store *store = pull->incoming.session->store;
	const ol_descriptor *entry;
	int rc = OL_OK;

	if (!found->found)
		return OL_OK;
	if (found->index.version == 2 && !has(store, manifest, OL_INDEX_KIND))
		rc = ol_attach(store, manifest, OL_INDEX_KIND, &found->digest, err);
	entry = find_entry(&found->index);
	if (rc < 0 || !entry || has(store, manifest, OL_PROFILE_KIND))
		return rc;
	rc = get_profile(pull, entry, err);
	return rc < 0 ? rc : ol_attach(store, manifest, OL_PROFILE_KIND, &entry->digest, err);
}

void ol_lazy_profile_fetch(ol_pull_state *pull, const ol_digest *index)
{
	ol_auto_buf ol_buf json = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_soci_index parsed = { 0 };
	const ol_descriptor *entry;

	if (ol_lazy_soci_bytes(pull, index, &json, NULL) < 0 ||
		ol_soci_index_parse(ol_buf_view(&json), &parsed, NULL) < 0)
		return;
	entry = find_entry(&parsed);
	if (entry)
		(void)get_profile(pull, entry, NULL);
	ol_soci_index_done(&parsed);
}

static void take_of_image(ol_lazy_profiles *self, size_t i)
{
	const ol_incoming_image *image = &self->pull->incoming.images[i];
	ol_soci_found found = { 0 };
	ol_error why = { 0 };
	int rc = OL_OK;

	if (!self->found[i].found)
		rc = ol_lazy_soci_find(self->pull, image, &found, &why);
	if (rc == OL_OK)
		rc = take(self->pull, &image->manifest,
			self->found[i].found ? &self->found[i] : &found, &why);
	ol_soci_found_done(&found);
	if (rc < 0 && rc != OL_ECANCELED)
		ol_tell_text(&self->pull->incoming.session->options.listener, OL_EVENT_WARNING,
			"the profile of the image's start cannot be used: %s", why.text);
}

static void *run(void *arg)
{
	ol_lazy_profiles *self = arg;

	for (size_t i = 0; i < self->pull->incoming.count; i++)
		if (self->wanted[i])
			take_of_image(self, i);
	pthread_mutex_lock(&self->lock);
	self->over = true;
	pthread_cond_broadcast(&self->ended);
	pthread_mutex_unlock(&self->lock);
	return NULL;
}

/* A layer that may be lazy, and is not there yet. */
static bool has_new_layer(const ol_pull_state *pull, const ol_digest *manifest)
{
	ol_store *store = pull->incoming.session->store;

	for (size_t i = 0; i < pull->layer_count; i++) {
		const ol_pull_layer *layer = &pull->layers[i];

		if (ol_digest_eq(&layer->manifest, manifest) &&
			layer->blob->size > OL_LAZY_BLOB_BYTES_MIN &&
			!ol_layer_is_usable(store, &layer->diff_id, NULL))
			return true;
	}
	return false;
}

void ol_lazy_profiles_begin(ol_lazy_profiles *self, ol_pull_state *pull, ol_soci_found *found)
{
	bool any = false;

	*self = (ol_lazy_profiles){ .pull = pull,
		.found = found,
		.wanted = ol_alloc_array(pull->incoming.count + 1, sizeof *self->wanted) };
	for (size_t i = 0; i < pull->incoming.count; i++) {
		const ol_incoming_image *image = &pull->incoming.images[i];
		ol_digest named;

		/* An index that is not named, and was not found, is not asked for. */
		self->wanted[i] = found[i].found ||
				  (!found[i].sought && has_new_layer(pull, &image->manifest) &&
					  ol_lazy_soci_named(pull, image, &named, NULL) == OL_OK);
		any = any || self->wanted[i];
	}
	(void)pthread_mutex_init(&self->lock, NULL);
	(void)pthread_cond_init(&self->ended, NULL);
	self->over = !any;
	self->runs = any && pthread_create(&self->thread, NULL, run, self) == 0;
	if (any && !self->runs)
		(void)run(self); /* later, not otherwise */
}

void ol_lazy_profiles_wait(ol_lazy_profiles *self)
{
	pthread_mutex_lock(&self->lock);
	while (!self->over)
		pthread_cond_wait(&self->ended, &self->lock);
	pthread_mutex_unlock(&self->lock);
}

void ol_lazy_profiles_end(ol_lazy_profiles *self)
{
	if (self->runs)
		(void)pthread_join(self->thread, NULL);
	(void)pthread_cond_destroy(&self->ended);
	(void)pthread_mutex_destroy(&self->lock);
	free(self->wanted);
	*self = (ol_lazy_profiles){ 0 };
}
