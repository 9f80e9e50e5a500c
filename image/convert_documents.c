#include <string.h>

#include "image/convert_priv.h"

/* What says of a layer or image how it was to be pulled lazily; none of it holds any more. */
static bool is_stale(const char *key)
{
	static const char *const prefixes[] = { "containerd.io/snapshot/stargz/",
		"io.containers.estargz.", "io.github.containers.zstd-chunked.",
		"io.containers.zstd-chunked.", "com.amazon.soci." };

	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static void copy_annotations(ol_json *to, const ol_annotation *annotations, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!is_stale(annotations[i].key))
			ol_json_set_text(to, annotations[i].key, annotations[i].value);
}

static void set_annotations(ol_json *object, ol_json *annotations)
{
	if (ol_json_count(annotations) > 0)
		ol_json_set(object, "annotations", annotations);
	else
		ol_json_free(annotations);
}

static ol_json *layer_json(const ol_convert_layer *layer, const ol_descriptor *was)
{
	ol_json *json = ol_descriptor_json(layer->media_type, &layer->blob, layer->blob_size);
	ol_json *annotations = ol_json_object();

	copy_annotations(annotations, was->annotations, was->annotation_count);
	for (size_t i = 0; i < layer->annotation_count; i++)
		ol_json_set_text(
			annotations, layer->annotations[i].key, layer->annotations[i].value);
	set_annotations(json, annotations);
	return json;
}

/* The same config, over the new layers. One whose layers stay the same stays byte for byte. */
static int put_config(
	ol_convert_state *state, const ol_image *source, ol_resolved *out, ol_error *err)
{
	const ol_config *config = source->config;
	ol_json *json, *rootfs = ol_json_object(), *diff_ids = ol_json_array();
	bool same = true;

	for (size_t i = 0; i < config->diff_id_count; i++) {
		const ol_convert_layer *layer = ol_convert_layer_of(state, &config->diff_ids[i]);

		same = same && ol_digest_eq(&layer->diff_id, &layer->source);
		ol_json_push(diff_ids, ol_json_string(ol_digest_format(&layer->diff_id).text));
	}
	if (same) {
		ol_json_free(rootfs);
		ol_json_free(diff_ids);
		*out = (ol_resolved){ .digest = source->config_digest,
			.size = source->document->config.size };
		(void)snprintf(out->media_type, sizeof out->media_type, "%s", OL_MEDIA_OCI_CONFIG);
		return ol_lease_add(state->incoming.lease, &out->digest, err);
	}
	json = ol_json_copy(config->json);
	ol_json_set_text(rootfs, "type", "layers");
	ol_json_set(rootfs, "diff_ids", diff_ids);
	ol_json_set(json, "rootfs", rootfs);
	return ol_incoming_put(&state->incoming, json, OL_MEDIA_OCI_CONFIG, true, out, err);
}

static int get_config(void *ctx, const ol_descriptor *descriptor, ol_config **out, ol_error *err)
{
	const ol_convert_state *state = ctx;

	return ol_config_load(state->incoming.session->store, &descriptor->digest, out, err);
}

static int put_manifest(
	ol_convert_state *state, const ol_image *source, ol_resolved *out, ol_error *err)
{
	const ol_document *was = source->document;
	ol_json *json = ol_json_object(), *layers = ol_json_array();
	ol_json *annotations = ol_json_object();
	ol_document *document = NULL;
	ol_resolved config;
	int rc = put_config(state, source, &config, err);

	for (size_t i = 0; rc == OL_OK && i < was->layer_count; i++)
		ol_json_push(
			layers, layer_json(ol_convert_layer_of(state, &source->config->diff_ids[i]),
					&was->layers[i]));
	copy_annotations(annotations, was->annotations, was->annotation_count);
	ol_json_set_int(json, "schemaVersion", 2);
	ol_json_set_text(json, "mediaType", OL_MEDIA_OCI_MANIFEST);
	if (rc == OL_OK)
		ol_json_set(json, "config",
			ol_descriptor_json(config.media_type, &config.digest, config.size));
	ol_json_set(json, "layers", layers);
	set_annotations(json, annotations);
	if (rc < 0) {
		ol_json_free(json);
		return rc;
	}
	rc = ol_incoming_put(&state->incoming, json, OL_MEDIA_OCI_MANIFEST, true, out, err);
	if (rc == OL_OK)
		rc = ol_document_load(
			state->incoming.session->store, &out->digest, NULL, &document, err);
	return rc < 0 ? rc
		      : ol_incoming_add(&state->incoming, &out->digest, document, NULL,
				&(ol_incoming_source){ get_config, state }, err);
}

int ol_convert_describe(ol_convert_state *state, ol_error *err)
{
	ol_incoming *incoming = &state->incoming;
	ol_json *index = ol_json_object(), *manifests = ol_json_array();
	ol_resolved made = { 0 };
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < state->source_count; i++) {
		ol_json *entry;

		rc = put_manifest(state, &state->sources[i], &made, err);
		if (rc < 0)
			break;
		entry = ol_descriptor_json(made.media_type, &made.digest, made.size);
		ol_json_set(
			entry, "platform", ol_platform_json(&state->sources[i].config->platform));
		ol_json_push(manifests, entry);
	}
	ol_json_set_int(index, "schemaVersion", 2);
	ol_json_set_text(index, "mediaType", OL_MEDIA_OCI_INDEX);
	ol_json_set(index, "manifests", manifests);
	incoming->resolved = made;
	if (rc < 0 || state->source_count < 2) {
		ol_json_free(index);
		return rc;
	}
	rc = ol_incoming_put(incoming, index, OL_MEDIA_OCI_INDEX, true, &incoming->resolved, err);
	return rc < 0 ? rc
		      : ol_document_load(incoming->session->store, &incoming->resolved.digest, NULL,
				&incoming->root, err);
}
