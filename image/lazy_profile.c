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

/* Under the pull's lease, until the manifest is reached. */
static int keep(ol_pull_state *pull, const ol_digest *manifest, const char *kind,
	const ol_digest *digest, ol_view bytes, ol_error *err)
{
	ol_store *store = pull->incoming.session->store;
	int rc = ol_lease_add(pull->incoming.lease, digest, err);

	if (rc == OL_OK)
		rc = ol_blob_put(store, digest, bytes, false, err);
	return rc < 0 ? rc : ol_attach(store, manifest, kind, digest, err);
}

static bool has(ol_store *store, const ol_digest *manifest, const char *kind)
{
	ol_digest blob;

	return ol_attached(store, manifest, kind, &blob, NULL) == OL_OK &&
	       ol_blob_exists(store, &blob);
}

static int take_profile(
	ol_pull_state *pull, const ol_digest *manifest, const ol_descriptor *entry, ol_error *err)
{
	ol_auto_buf ol_buf json = OL_BUF(OL_PROFILE_BYTES_MAX);
	ol_profile profile = { 0 };
	int rc = ol_registry_get_small_blob(
		pull->registry, &pull->ref, entry, OL_PROFILE_BYTES_MAX, &json, err);

	if (rc == OL_OK)
		rc = ol_profile_parse(ol_buf_view(&json), &profile, err);
	ol_profile_done(&profile);
	return rc < 0 ? rc
		      : keep(pull, manifest, OL_PROFILE_KIND, &entry->digest, ol_buf_view(&json),
				err);
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
		rc = keep(pull, manifest, OL_INDEX_KIND, &found->digest, ol_buf_view(&found->bytes),
			err);
	entry = find_entry(&found->index);
	if (rc < 0 || !entry || has(store, manifest, OL_PROFILE_KIND))
		return rc;
	return take_profile(pull, manifest, entry, err);
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
	self->runs = any && pthread_create(&self->thread, NULL, run, self) == 0;
	if (any && !self->runs)
		(void)run(self); /* later, not otherwise */
}

void ol_lazy_profiles_end(ol_lazy_profiles *self)
{
	if (self->runs)
		(void)pthread_join(self->thread, NULL);
	free(self->wanted);
	*self = (ol_lazy_profiles){ 0 };
}
