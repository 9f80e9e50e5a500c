#include <string.h>

#include "base/alloc.h"
#include "image/copy_priv.h"

void ol_copy_plan_done(ol_copy_plan *plan)
{
	for (size_t i = 0; i < plan->node_count; i++) {
		ol_document_free(plan->nodes[i].document);
		ol_buf_done(&plan->nodes[i].bytes);
	}
	free(plan->nodes);
	free(plan->items);
}

static ol_copy_node *find_node(ol_copy_plan *plan, const ol_digest *digest)
{
	for (size_t i = 0; i < plan->node_count; i++)
		if (ol_digest_eq(&plan->nodes[i].is.digest, digest))
			return &plan->nodes[i];
	return NULL;
}

static ol_copy_item *find_item(ol_copy_plan *plan, const ol_digest *digest)
{
	for (size_t i = 0; i < plan->item_count; i++)
		if (ol_digest_eq(&plan->items[i].blob.digest, digest))
			return &plan->items[i];
	return NULL;
}

/* Foreign layers are had from their own addresses: docker does not push them either. */
static bool is_foreign(const ol_descriptor *blob)
{
	return blob->media.nondistributable && blob->urls && blob->urls[0];
}

static void add_item(ol_copy_plan *plan, const ol_descriptor *blob, bool is_layer, bool remake)
{
	if (is_foreign(blob) || find_item(plan, &blob->digest))
		return;
	OL_GROW(plan->items, plan->item_count, plan->item_cap);
	plan->items[plan->item_count++] = (ol_copy_item){ .blob = *blob,
		.is_layer = is_layer,
		.remake = remake,
		.index = is_layer ? plan->layers++ : 0 };
}

/*
 * A manifest that was made here, of an archive's or an import's tars: registries and those who pull
 * expect compressed layers, and nobody knows it by its digest yet. It is written with sorted keys,
 * without blanks and annotations, which no other tool does.
 */
static bool is_ours(const ol_copy_node *node)
{
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_auto_str ol_str text = OL_STR(OL_MANIFEST_BYTES_MAX);

	return node->document->annotation_count == 0 && !node->document->has_subject &&
	       ol_json_parse(ol_buf_view(&node->bytes), &json, NULL) == OL_OK &&
	       ol_json_format(json, OL_JSON_SORTED, &text, NULL) == OL_OK &&
	       text.size == node->bytes.size && memcmp(text.data, node->bytes.data, text.size) == 0;
}

static bool is_plain_tar(const ol_descriptor *layer)
{
	return layer->media.kind == OL_MEDIA_LAYER && !layer->media.encrypted &&
	       (layer->media.compression == OL_COMPRESSION_NONE ||
		       layer->media.compression == OL_COMPRESSION_UNKNOWN);
}

static void add_blobs(ol_copy_plan *plan, const ol_copy_node *node)
{
	const ol_document *manifest = node->document;
	const bool remake = plan->destination->ops->wants_compressed && plan->origin->ops->remake &&
			    ol_document_is_image(manifest) && is_ours(node);

	for (size_t i = 0; i < manifest->layer_count; i++)
		add_item(plan, &manifest->layers[i], true,
			remake && is_plain_tar(&manifest->layers[i]));
	add_item(plan, &manifest->config, false, false);
}

static int read_node(ol_copy_plan *plan, const ol_resolved *is, ol_copy_node *node, ol_error *err)
{
	int rc;

	*node = (ol_copy_node){ .is = *is, .bytes = OL_BUF(OL_MANIFEST_BYTES_MAX) };
	rc = plan->origin->ops->document(plan->origin, &is->digest, &node->bytes, err);
	if (rc == OL_OK && (plan->document_bytes += node->bytes.size) > OL_COPY_DOCUMENTS_BYTES_MAX)
		rc = ol_fail(err, OL_ELIMIT, "the image's documents are larger than %zu bytes",
			OL_COPY_DOCUMENTS_BYTES_MAX);
	if (rc == OL_OK)
		rc = ol_document_parse(ol_buf_view(&node->bytes),
			*is->media_type ? is->media_type : NULL, &node->document, err);
	if (rc < 0)
		return ol_wrap(err, rc, "manifest %s", ol_digest_format(&is->digest).text);
	node->is.size = node->bytes.size;
	(void)snprintf(
		node->is.media_type, sizeof node->is.media_type, "%s", node->document->media_type);
	node->becomes = node->is;
	return OL_OK;
}

static int gather(ol_copy_plan *plan, const ol_resolved *is, unsigned depth, ol_error *err);

static int gather_children(
	ol_copy_plan *plan, const ol_document *index, unsigned depth, ol_error *err)
{
	int rc = OL_OK;

	if (depth >= OL_INDEX_DEPTH_MAX)
		return ol_fail(
			err, OL_ELIMIT, "indexes are nested more than %d deep", OL_INDEX_DEPTH_MAX);
	for (size_t i = 0; rc == OL_OK && i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];
		ol_resolved child = { .digest = entry->digest, .size = entry->size };

		if (!ol_digest_is_set(&entry->digest))
			return ol_fail(err, OL_EUNSUPPORTED,
				"entry %zu of the index has a digest that cannot be verified", i);
		(void)snprintf(child.media_type, sizeof child.media_type, "%s", entry->media_type);
		rc = gather(plan, &child, depth + 1, err);
	}
	return rc;
}

static int gather(ol_copy_plan *plan, const ol_resolved *is, unsigned depth, ol_error *err)
{
	ol_copy_node node;
	int rc;

	if (find_node(plan, &is->digest))
		return OL_OK;
	if (plan->node_count >= OL_INDEX_ENTRIES_MAX)
		return ol_fail(err, OL_ELIMIT, "the image has more than %d manifests",
			OL_INDEX_ENTRIES_MAX);
	rc = ol_copy_check(plan->copy, err);
	if (rc < 0)
		return rc;
	rc = read_node(plan, is, &node, err);
	if (rc == OL_OK && node.document->kind == OL_DOCUMENT_INDEX)
		rc = gather_children(plan, node.document, depth, err);
	else if (rc == OL_OK)
		add_blobs(plan, &node);
	if (rc < 0) {
		ol_document_free(node.document);
		ol_buf_done(&node.bytes);
		return rc;
	}
	OL_GROW(plan->nodes, plan->node_count, plan->node_cap);
	plan->nodes[plan->node_count++] = node;
	return OL_OK;
}

int ol_copy_plan_make(ol_copy_plan *plan, const ol_resolved *root, ol_error *err)
{
	return gather(plan, root, 0, err);
}

/* --- documents --- */

/* What a descriptor's digest became; NULL: it is the same. */
static const ol_copy_item *changed_item(ol_copy_plan *plan, const ol_digest *digest)
{
	const ol_copy_item *item = find_item(plan, digest);

	return item && ol_digest_is_set(&item->became) ? item : NULL;
}

static const ol_copy_node *changed_node(ol_copy_plan *plan, const ol_digest *digest)
{
	const ol_copy_node *node = find_node(plan, digest);

	return node && !ol_digest_eq(&node->is.digest, &node->becomes.digest) ? node : NULL;
}

static void set_digest(ol_json *json, const ol_digest *digest, uint64_t size)
{
	ol_json_set_text(json, "digest", ol_digest_format(digest).text);
	ol_json_set_int(json, "size", (int64_t)size);
}

/* A layer's annotations speak of the bytes it had. */
static ol_json *new_layer(const ol_json *layer, const ol_copy_item *item)
{
	ol_json *json = ol_json_copy(layer);

	set_digest(json, &item->became, item->became_size);
	ol_json_set_text(json, "mediaType", item->became_type);
	ol_json_remove(json, "annotations");
	ol_json_remove(json, "data");
	return json;
}

/* BuildKit's attestations say whose they are. */
static void rename_subject(ol_copy_plan *plan, ol_json *entry)
{
	static const char key[] = "vnd.docker.reference.digest";
	const ol_json *annotations = ol_json_get(entry, "annotations");
	const char *text = ol_json_text(ol_json_get(annotations, key));
	const ol_copy_node *node = NULL;
	ol_digest digest;
	ol_json *renamed;

	if (text && ol_digest_parse(ol_view_of(text), &digest, NULL) == OL_OK)
		node = changed_node(plan, &digest);
	if (!node)
		return;
	renamed = ol_json_copy(annotations);
	ol_json_set_text(renamed, key, ol_digest_format(&node->becomes.digest).text);
	ol_json_set(entry, "annotations", renamed);
}

static ol_json *new_list(ol_copy_plan *plan, const ol_document *document, const ol_json *list)
{
	const bool is_index = document->kind == OL_DOCUMENT_INDEX;
	ol_json *json = ol_json_array();

	for (size_t i = 0; i < ol_json_count(list); i++) {
		const ol_descriptor *blob =
			is_index ? &document->manifests[i] : &document->layers[i];
		const ol_copy_item *item = is_index ? NULL : changed_item(plan, &blob->digest);
		const ol_copy_node *node = is_index ? changed_node(plan, &blob->digest) : NULL;
		ol_json *entry = item ? new_layer(ol_json_at(list, i), item)
				      : ol_json_copy(ol_json_at(list, i));

		if (node)
			set_digest(entry, &node->becomes.digest, node->becomes.size);
		if (is_index)
			rename_subject(plan, entry);
		ol_json_push(json, entry);
	}
	return json;
}

static bool is_changed(ol_copy_plan *plan, const ol_document *document)
{
	for (size_t i = 0; i < document->manifest_count; i++)
		if (changed_node(plan, &document->manifests[i].digest))
			return true;
	for (size_t i = 0; i < document->layer_count; i++)
		if (changed_item(plan, &document->layers[i].digest))
			return true;
	return false;
}

/* The document over what its parts became. All else stays as it is, in its order. */
static int rewrite(ol_copy_plan *plan, ol_copy_node *node, ol_error *err)
{
	const char *key = node->document->kind == OL_DOCUMENT_INDEX ? "manifests" : "layers";
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_auto_str ol_str text = OL_STR(OL_MANIFEST_BYTES_MAX);
	int rc = ol_json_parse(ol_buf_view(&node->bytes), &json, err);

	if (rc < 0)
		return rc;
	ol_json_set(json, key, new_list(plan, node->document, ol_json_get(json, key)));
	rc = ol_json_format(json, OL_JSON_COMPACT, &text, err);
	if (rc < 0)
		return rc;
	node->becomes.digest = ol_digest_of(OL_SHA256, text.data, text.size);
	node->becomes.size = text.size;
	ol_buf_clear(&node->bytes);
	(void)ol_buf_add(&node->bytes, text.data, text.size);
	return OL_OK;
}

int ol_copy_documents(ol_copy_plan *plan, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < plan->node_count; i++) {
		ol_copy_node *node = &plan->nodes[i];

		rc = ol_copy_check(plan->copy, err);
		if (rc == OL_OK && is_changed(plan, node->document))
			rc = rewrite(plan, node, err);
		if (rc == OL_OK)
			rc = plan->destination->ops->document(plan->destination, &node->becomes,
				ol_buf_view(&node->bytes), i + 1 == plan->node_count, err);
	}
	return rc;
}
