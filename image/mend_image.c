/*
 * One image, top down: what a document names can be mended once the document can be read.
 *
 *	root ─▶ manifests ─▶ configs ─▶ layers ─▶ chains ─▶ what index.json lists, edges
 */
#include <string.h>

#include "base/alloc.h"
#include "image/mend_priv.h"
#include "image/session_priv.h"
#include "store/name.h"

struct image_mend {
	ol_mend *mend; /* lent, as is root */
	const ol_mend_root *root;
	ol_incoming incoming;
};

/* What a fetch needs; false where there is nothing to fetch from. */
static int reach(struct image_mend *self, ol_registry **registry, ol_ref *ref, ol_error *err)
{
	int rc;

	if (!*self->root->repo)
		return ol_fail(err, OL_ENOTFOUND, "it was not pulled");
	rc = ol_ref_parse(self->root->repo, ref, err);
	return rc < 0 ? rc : ol_session_registry(self->mend->session, registry, err);
}

static int fetch_document(struct image_mend *self, const ol_digest *digest, ol_error *err)
{
	ol_auto_buf ol_buf body = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_registry *registry = NULL;
	ol_resolved got = { 0 };
	ol_ref ref;
	int rc = reach(self, &registry, &ref, err);

	if (rc == OL_OK)
		rc = ol_registry_get_manifest(registry, &ref, digest, &body, &got, err);
	return rc < 0 ? rc
		      : ol_blob_put(
				self->mend->session->store, digest, ol_buf_view(&body), false, err);
}

static int fetch_config(struct image_mend *self, const ol_descriptor *descriptor, ol_error *err)
{
	ol_store *store = self->mend->session->store;
	ol_auto_buf ol_buf body = OL_BUF(OL_CONFIG_BYTES_MAX);
	ol_registry *registry = NULL;
	ol_ref ref;
	int rc;

	if (descriptor->data.size)
		return ol_blob_put(store, &descriptor->digest, descriptor->data, false, err);
	rc = reach(self, &registry, &ref, err);
	if (rc == OL_OK)
		rc = ol_registry_get_small_blob(
			registry, &ref, descriptor, OL_CONFIG_BYTES_MAX, &body, err);
	return rc < 0 ? rc
		      : ol_blob_put(store, &descriptor->digest, ol_buf_view(&body), false, err);
}

/* The blob of a document is sound, or made so, or given up (then the answer is OL_ENOTFOUND). */
static int mend_blob(struct image_mend *self, const ol_digest *digest,
	const ol_descriptor *descriptor, ol_error *err)
{
	ol_mend *mend = self->mend;
	ol_error why = { 0 };
	int rc = ol_lease_add(mend->lease, digest, err);

	if (rc < 0)
		return rc;
	ol_mend_see(mend, digest);
	if (ol_blob_look(mend->session->store, digest) == OL_BLOB_SOUND)
		return OL_OK;
	rc = descriptor ? fetch_config(self, descriptor, &why) : fetch_document(self, digest, &why);
	if (rc == OL_ECANCELED)
		return ol_fail(err, rc, "interrupted");
	if (rc < 0) {
		ol_mend_give_up(mend, self->root, self->root->repo, "blob", digest, &why);
		mend->blind = true;
		return ol_fail(
			err, OL_ENOTFOUND, "%s cannot be mended", ol_digest_format(digest).text);
	}
	ol_mend_tell(mend, true, "blob", digest, "fetched again from %s", self->root->repo);
	return OL_OK;
}

static int get_config(void *ctx, const ol_descriptor *descriptor, ol_config **out, ol_error *err)
{
	struct image_mend *self = ctx;
	int rc = mend_blob(self, &descriptor->digest, descriptor, err);

	return rc < 0 ? rc
		      : ol_config_load(self->mend->session->store, &descriptor->digest, out, err);
}

static int get_document(struct image_mend *self, const ol_digest *digest, const char *media_type,
	ol_document **out, ol_error *err)
{
	int rc = mend_blob(self, digest, NULL, err);

	return rc < 0 ? rc
		      : ol_document_load(self->mend->session->store, digest, media_type, out, err);
}

/* What is not an image, or cannot be mended, is passed over: the others of an index may be well. */
static int pass_over(int rc)
{
	return rc == OL_ENOTFOUND || rc == OL_EUNSUPPORTED || rc == OL_ECORRUPT ||
			       rc == OL_EINVAL || rc == OL_ELIMIT
		       ? OL_OK
		       : rc;
}

static int add_document(struct image_mend *self, const ol_digest *digest, ol_document *document,
	unsigned depth, ol_error *err);

static int add_entry(
	struct image_mend *self, const ol_descriptor *entry, unsigned depth, ol_error *err)
{
	ol_document *document = NULL;
	int rc = get_document(self, &entry->digest, entry->media_type, &document, err);

	if (rc < 0)
		return pass_over(rc);
	return add_document(self, &entry->digest, document, depth + 1, err);
}

/* The platforms that were pulled: those whose manifest has a row. */
static int add_entries(
	struct image_mend *self, const ol_document *index, unsigned depth, ol_error *err)
{
	ol_store *store = self->mend->session->store;
	const size_t before = self->incoming.count;
	const ol_platform host = ol_platform_host();
	const ol_descriptor *best = NULL;
	int rc = OL_OK;

	if (depth >= OL_INDEX_DEPTH_MAX)
		return OL_OK;
	for (size_t i = 0; rc == OL_OK && i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];

		if (!ol_digest_is_set(&entry->digest))
			continue;
		ol_mend_see(self->mend, &entry->digest);
		if (ol_blob_look(store, &entry->digest) != OL_BLOB_ABSENT)
			rc = add_entry(self, entry, depth, err);
	}
	/* A root without any image is one whose manifest lost row and file. */
	if (rc == OL_OK && self->incoming.count == before && depth == 0 && !self->mend->blind &&
		ol_index_choose(index, &host, &best, NULL) == OL_OK)
		rc = add_entry(self, best, depth, err);
	return rc;
}

/* Takes document. */
static int add_document(struct image_mend *self, const ol_digest *digest, ol_document *document,
	unsigned depth, ol_error *err)
{
	int rc;

	if (document->kind == OL_DOCUMENT_INDEX) {
		rc = add_entries(self, document, depth, err);
		ol_document_free(document);
		return rc;
	}
	return pass_over(ol_incoming_add(&self->incoming, digest, document, NULL,
		&(ol_incoming_source){ .get_config = get_config, .ctx = self }, err));
}

static int add_root(struct image_mend *self, ol_error *err)
{
	ol_document *document = NULL;
	int rc = get_document(self, &self->root->root, self->root->media_type, &document, err);

	if (rc < 0)
		return pass_over(rc);
	if (document->kind == OL_DOCUMENT_MANIFEST)
		return add_document(self, &self->root->root, document, 0, err);
	self->incoming.root = document;
	return add_entries(self, document, 0, err);
}

/* Chains that are there but cannot be used, before they are made again. */
static size_t list_chains(struct image_mend *self, const ol_incoming_image *image, ol_digest *list)
{
	ol_store *store = self->mend->session->store;
	size_t count = 0;

	for (size_t k = 0; k < image->config->diff_id_count; k++) {
		const ol_digest id = ol_chain_id(image->config->diff_ids, k + 1);
		ol_layer_info info;

		ol_mend_see(self->mend, &id);
		if (ol_layer_recorded(store, &id, true, &info, NULL) == OL_OK &&
			!ol_layer_exists(store, &id, true))
			list[count++] = id;
	}
	return count;
}

static int mend_layers(struct image_mend *self, bool *whole, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < self->incoming.count; i++) {
		const ol_incoming_image *image = &self->incoming.images[i];

		for (size_t k = 0; rc == OL_OK && k < image->config->diff_id_count; k++) {
			bool sound = false;

			rc = ol_mend_layer(self->mend, self->root, image, k, &sound, err);
			*whole = *whole && sound;
		}
	}
	return rc;
}

static int mend_chains(struct image_mend *self, ol_error *err)
{
	ol_error why = { 0 };
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < self->incoming.count; i++) {
		const ol_incoming_image *image = &self->incoming.images[i];
		ol_autofree ol_digest *chains =
			ol_alloc_array(image->config->diff_id_count + 1, sizeof *chains);
		const size_t count = list_chains(self, image, chains);

		/* All of the images', but only the first finds any to make. */
		rc = ol_incoming_chains(&self->incoming, &why);
		if (rc == OL_ECANCELED)
			return ol_fail(err, rc, "interrupted");
		for (size_t c = 0; c < count; c++) {
			if (rc == OL_OK)
				ol_mend_tell(self->mend, true, "chain", &chains[c],
					"completed anew from its layers");
			else
				ol_mend_give_up(self->mend, self->root, self->root->repo, "chain",
					&chains[c], &why);
		}
	}
	return OL_OK;
}

/* The row of names keeps what it lists: if that is not there, it is made again, and listed. */
static int list(struct image_mend *self, ol_error *err)
{
	const ol_mend_root *root = self->root;
	ol_store *store = self->mend->session->store;
	const bool there = !ol_digest_is_set(&root->listed) ||
			   ol_blob_look(store, &root->listed) == OL_BLOB_SOUND;
	ol_resolved listed = self->incoming.resolved;
	int rc = ol_incoming_derive(&self->incoming, &listed, err);

	if (rc < 0)
		return rc;
	ol_mend_see(self->mend, &listed.digest);
	if (!there && ol_digest_eq(&listed.digest, &root->listed))
		ol_mend_tell(self->mend, true, "blob", &listed.digest, "written anew");
	if (self->mend->rebuilding)
		rc = ol_incoming_link(&self->incoming, &listed.digest, err);
	if (rc == OL_OK && root->has_row && !ol_digest_eq(&listed.digest, &root->listed) &&
		ol_blob_look(store, &root->listed) != OL_BLOB_SOUND)
		rc = ol_incoming_keep(&self->incoming,
			&(ol_keep_as){ .name = root->name,
				.repo = root->repo,
				.imported = root->imported },
			err);
	return rc;
}

int ol_mend_image(ol_mend *mend, const ol_mend_root *root, ol_error *err)
{
	struct image_mend self = { .mend = mend,
		.root = root,
		.incoming = { .session = mend->session, .resolved = { .digest = root->root } } };
	ol_blob_info info;
	bool whole = true;
	int rc = OL_OK;

	/* Shared: it is not this one's to end. */
	self.incoming.lease = mend->lease;
	(void)snprintf(self.incoming.resolved.media_type, sizeof self.incoming.resolved.media_type,
		"%s", root->media_type);
	rc = add_root(&self, err);
	if (rc == OL_OK && self.incoming.count > 0)
		rc = mend_layers(&self, &whole, err);
	if (rc == OL_OK && self.incoming.count > 0 && whole)
		rc = mend_chains(&self, err);
	if (rc == OL_OK && ol_blob_stat(mend->session->store, &root->root, &info, NULL) == OL_OK)
		self.incoming.resolved.size = info.size;
	if (rc == OL_OK && self.incoming.count > 0 && whole)
		rc = pass_over(list(&self, err));
	self.incoming.lease = NULL;
	ol_incoming_done(&self.incoming);
	return rc;
}
