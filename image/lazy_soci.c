#include "base/limits.h"
#include "fetch/referrers.h"
#include "image/lazy.h"
#include "image/lazy_early_priv.h"
#include "image/lazy_soci_priv.h"

void ol_soci_found_done(ol_soci_found *found)
{
	if (found->found)
		ol_soci_index_done(&found->index);
	*found = (ol_soci_found){ 0 };
}

const ol_descriptor *ol_soci_found_ztoc(const ol_soci_found *found, const ol_digest *blob)
{
	const ol_soci_layer *layer = found->found ? ol_soci_layer_of(&found->index, blob) : NULL;

	return layer ? layer->ztoc : NULL;
}

/* The first one is taken: who attached several said no order. */
static int take_first(void *ctx, const ol_referrer *referrer, ol_error *err)
{
	ol_digest *first = ctx;

	(void)err;
	if (!ol_digest_is_set(first))
		*first = referrer->digest;
	return OL_OK;
}

int ol_lazy_soci_named(
	const ol_pull_state *pull, const ol_incoming_image *image, ol_digest *out, ol_error *err)
{
	const ol_descriptor *entry;
	int rc = ol_soci_binding_of(image->document, out, err);

	if (rc != OL_ENOTFOUND)
		return rc;
	entry = pull->incoming.root ? ol_soci_entry_of(pull->incoming.root, &image->manifest)
				    : NULL;
	if (!entry)
		return rc;
	*out = entry->digest;
	return OL_OK;
}

/* Which index is the image's. OL_ENOTFOUND: it has none. */
static int find_index(
	ol_pull_state *pull, const ol_incoming_image *image, ol_digest *out, ol_error *err)
{
	int rc = ol_lazy_soci_named(pull, image, out, err);

	if (rc != OL_ENOTFOUND || !pull->options->lazy->unbound)
		return rc;
	*out = (ol_digest){ 0 };
	rc = ol_registry_referrers(pull->registry, &pull->ref, &image->manifest, OL_SOCI_V1,
		&(ol_referrer_handler){ take_first, out }, err);
	return rc == OL_OK && !ol_digest_is_set(out) ? OL_ENOTFOUND : rc;
}

int ol_lazy_soci_bytes(ol_pull_state *pull, const ol_digest *digest, ol_buf *out, ol_error *err)
{
	ol_store *store = pull->incoming.session->store;
	int rc = ol_lease_add(pull->incoming.lease, digest, err);

	if (rc < 0)
		return rc;
	if (ol_blob_exists(store, digest) &&
		ol_blob_read(store, digest, OL_MANIFEST_BYTES_MAX, out, NULL) == OL_OK)
		return OL_OK;
	rc = ol_registry_get_manifest(pull->registry, &pull->ref, digest, out, NULL, err);
	return rc < 0 ? rc : ol_blob_put(store, digest, ol_buf_view(out), false, err);
}

static int get_index(
	ol_pull_state *pull, const ol_incoming_image *image, ol_soci_found *out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_soci_index index = { 0 };
	int rc;

	ol_lazy_early_wait_indexes(pull->early);
	rc = ol_lazy_soci_bytes(pull, &out->digest, &bytes, err);
	if (rc == OL_OK)
		rc = ol_soci_index_parse(ol_buf_view(&bytes), &index, err);
	if (rc < 0)
		return rc;
	if (index.version == 1 && !ol_digest_eq(&index.subject, &image->manifest)) {
		ol_soci_index_done(&index);
		return ol_fail(err, OL_ECORRUPT, "it belongs to another image");
	}
	out->index = index;
	out->found = true;
	return OL_OK;
}

/* Of no use, whoever is asked. */
static bool is_useless(int rc)
{
	return rc == OL_ENOTFOUND || rc == OL_ECORRUPT || rc == OL_ELIMIT || rc == OL_EUNSUPPORTED;
}

int ol_lazy_soci_find(
	ol_pull_state *pull, const ol_incoming_image *image, ol_soci_found *out, ol_error *err)
{
	ol_error why = { 0 };
	ol_soci_found found = { .sought = true };
	int rc = find_index(pull, image, &found.digest, &why);

	*out = (ol_soci_found){ .sought = true };
	if (rc == OL_ENOTFOUND)
		return OL_OK;
	if (rc == OL_OK)
		rc = get_index(pull, image, &found, &why);
	if (rc == OL_OK) {
		*out = found;
		return OL_OK;
	}
	ol_soci_found_done(&found);
	if (!is_useless(rc)) {
		if (err)
			*err = why;
		return ol_wrap(err, rc, "the image's SOCI index");
	}
	ol_tell_text(&pull->incoming.session->options.listener, OL_EVENT_WARNING,
		"the image's SOCI index cannot be used: %s", why.text);
	return OL_OK;
}
