/*
 * What stays of an index. Of an image in the store it is attached to the image's manifest, and its
 * ztocs to their layers: they go when those go. An image that is not there has nothing to hold
 * them: a kept lease does, "index <manifest> <as it was asked for>", until the index is pushed or
 * removed.
 */
#include <string.h>

#include "base/alloc.h"
#include "image/index_priv.h"
#include "manifest/soci.h"
#include "store/attached.h"

#define WHY_PREFIX "index "

static const char empty_config[] = "{}";

static void add_annotation(ol_json *object, const char *key, const char *value)
{
	ol_json_set_text(object, key, value);
}

static ol_json *ztoc_entry(const ol_index_layer *layer, uint64_t span_bytes)
{
	ol_json *entry =
		ol_descriptor_json("application/octet-stream", &layer->ztoc, layer->ztoc_size);
	ol_json *annotations = ol_json_object();
	char number[24];

	(void)snprintf(number, sizeof number, "%llu", (unsigned long long)span_bytes);
	add_annotation(annotations, "com.amazon.soci.image-layer-mediaType", layer->media_type);
	add_annotation(annotations, "com.amazon.soci.image-layer-digest",
		ol_digest_format(&layer->layer).text);
	add_annotation(annotations, "com.amazon.soci.span-size", number);
	ol_json_set(entry, "annotations", annotations);
	return entry;
}

/* Version 2: nothing in it names the image, whose manifest will name it. */
static ol_json *index_document(
	const ol_indexed *indexed, const ol_digest *config, uint64_t span_bytes)
{
	ol_json *json = ol_json_object(), *layers = ol_json_array(),
		*annotations = ol_json_object();

	for (size_t i = 0; i < indexed->layer_count; i++)
		if (ol_digest_is_set(&indexed->layers[i].ztoc))
			ol_json_push(layers, ztoc_entry(&indexed->layers[i], span_bytes));
	add_annotation(annotations, "com.amazon.soci.build-tool-identifier", OL_INDEX_TOOL);
	ol_json_set_int(json, "schemaVersion", 2);
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_MANIFEST);
	ol_json_set(
		json, "config", ol_descriptor_json(OL_SOCI_V2, config, sizeof empty_config - 1));
	ol_json_set(json, "layers", layers);
	ol_json_set(json, "annotations", annotations);
	return json;
}

static int put(
	ol_store *store, ol_lease *lease, const ol_digest *digest, ol_view bytes, ol_error *err)
{
	int rc = ol_lease_add(lease, digest, err);

	return rc < 0 ? rc : ol_blob_put(store, digest, bytes, false, err);
}

int ol_index_blank(ol_store *store, ol_lease *lease, ol_json **out, ol_error *err)
{
	const ol_digest config = ol_digest_of(OL_SHA256, empty_config, sizeof empty_config - 1);
	const ol_indexed none = { 0 };
	int rc =
		put(store, lease, &config, (ol_view){ empty_config, sizeof empty_config - 1 }, err);

	if (rc == OL_OK)
		*out = index_document(&none, &config, 0);
	return rc;
}

/* The document, its config, and what they need. */
static int put_index(ol_session *session, const ol_index_subject *subject, ol_indexed *indexed,
	uint64_t span_bytes, ol_lease *lease, ol_error *err)
{
	const ol_view config_bytes = { empty_config, sizeof empty_config - 1 };
	const ol_digest config = ol_digest_of(OL_SHA256, empty_config, sizeof empty_config - 1);
	ol_auto(ol_json_free) ol_json *json = index_document(indexed, &config, span_bytes);
	ol_auto_str ol_str text = OL_STR(OL_MANIFEST_BYTES_MAX);
	ol_autofree ol_digest *children =
		ol_alloc_array(indexed->layer_count + 1, sizeof *children);
	size_t count = 0;
	int rc = ol_json_format(json, OL_JSON_COMPACT, &text, err);

	if (rc < 0)
		return rc;
	indexed->index = ol_digest_of(OL_SHA256, text.data, text.size);
	indexed->index_size = text.size;
	children[count++] = config;
	for (size_t i = 0; i < indexed->layer_count; i++)
		if (ol_digest_is_set(&indexed->layers[i].ztoc))
			children[count++] = indexed->layers[i].ztoc;
	rc = put(session->store, lease, &subject->manifest, ol_buf_view(&subject->bytes), err);
	if (rc == OL_OK)
		rc = put(session->store, lease, &config, config_bytes, err);
	if (rc == OL_OK)
		rc = put(session->store, lease, &indexed->index, ol_buf_view(&text), err);
	return rc < 0 ? rc
		      : ol_blob_set_edges(session->store, &indexed->index, children, count, err);
}

/* A ztoc is of use as long as its layer is here, with this image or another. */
static int attach_ztocs(ol_session *session, const ol_index_subject *subject,
	const ol_indexed *indexed, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < indexed->layer_count; i++) {
		const ol_index_layer *layer = &indexed->layers[i];

		if (ol_digest_is_set(&layer->ztoc) && !layer->existed)
			rc = ol_attach(session->store, &subject->config->diff_ids[i],
				ol_ztoc_kind_of(&layer->layer).text, &layer->ztoc, err);
	}
	return rc;
}

static char *why_of(const ol_digest *manifest, const char *text)
{
	return ol_text(WHY_PREFIX "%s %.300s", ol_digest_format(manifest).text, text);
}

int ol_index_keep(ol_session *session, const ol_index_subject *subject,
	const ol_index_options *options, ol_indexed *indexed, ol_lease *lease, ol_error *err)
{
	ol_autofree char *why = why_of(&subject->manifest, options->ref);
	int rc = put_index(session, subject, indexed, ol_index_span_bytes(options), lease, err);

	if (rc == OL_OK)
		rc = ol_attach(
			session->store, &subject->manifest, OL_INDEX_KIND, &indexed->index, err);
	if (rc == OL_OK && subject->in_store)
		rc = attach_ztocs(session, subject, indexed, err);
	if (rc < 0 || subject->in_store)
		return rc;
	rc = ol_index_unkeep(session, &subject->manifest, NULL);
	if (rc < 0 && rc != OL_ENOTFOUND)
		return ol_fail(err, rc, "the index that was kept before");
	return ol_lease_keep(lease, why, err);
}

/* --- what is kept --- */

bool ol_index_why_parse(const char *why, ol_digest *manifest, const char **text)
{
	const char *digest = why + strlen(WHY_PREFIX), *space;

	if (strncmp(why, WHY_PREFIX, strlen(WHY_PREFIX)) != 0)
		return false;
	space = strchr(digest, ' ');
	if (!space ||
		ol_digest_parse((ol_view){ digest, (size_t)(space - digest) }, manifest, NULL) < 0)
		return false;
	*text = space + 1;
	return true;
}

struct search {
	ol_session *session;
	const ol_digest *manifest;
	bool found;
};

static int forget_if_meant(void *ctx, const char *why, ol_error *err)
{
	struct search *search = ctx;
	ol_digest manifest;
	const char *text;
	int rc;

	if (!ol_index_why_parse(why, &manifest, &text) ||
		!ol_digest_eq(&manifest, search->manifest))
		return OL_OK;
	rc = ol_lease_forget(search->session->store, why, err);
	search->found = search->found || rc == OL_OK;
	return rc == OL_ENOTFOUND ? OL_OK : rc;
}

int ol_index_unkeep(ol_session *session, const ol_digest *manifest, ol_error *err)
{
	struct search search = { .session = session, .manifest = manifest };
	int rc = ol_lease_each_kept(session->store, forget_if_meant, &search, err);

	if (rc == OL_OK && !search.found)
		return ol_fail(err, OL_ENOTFOUND, "no index is kept of %s",
			ol_digest_format(manifest).text);
	return rc;
}
