#include "manifest/soci.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

#define ZTOC_TYPE "application/octet-stream"

static const char layer_key[] = "com.amazon.soci.image-layer-digest";
static const char layer_type_key[] = "com.amazon.soci.image-layer-mediaType";
static const char span_key[] = "com.amazon.soci.span-size";
static const char index_key[] = "com.amazon.soci.index-digest";
static const char manifest_key[] = "com.amazon.soci.image-manifest-digest";

/* The version that a media type says; 0 for any other. */
static unsigned version_of(const char *type)
{
	if (!type)
		return 0;
	return strcmp(type, OL_SOCI_V1) == 0 ? 1 : strcmp(type, OL_SOCI_V2) == 0 ? 2 : 0;
}

/* Decimal digits, at most 18 of them. */
static bool read_number(const char *text, uint64_t *out)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value = 0;

	if (digits == 0 || digits > 18 || text[digits])
		return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	*out = value;
	return true;
}

static int read_layer(const ol_descriptor *ztoc, ol_soci_layer *out, ol_error *err)
{
	const char *digest = ol_descriptor_annotation(ztoc, layer_key);
	const char *span = ol_descriptor_annotation(ztoc, span_key);
	ol_soci_layer layer = { .ztoc = ztoc,
		.layer_type = ol_descriptor_annotation(ztoc, layer_type_key) };

	if (!digest)
		return ol_fail(err, OL_ECORRUPT, "%s is missing", layer_key);
	if (ol_digest_parse(ol_view_of(digest), &layer.layer, NULL) < 0)
		return ol_fail(err, OL_ECORRUPT, "%s is no digest", layer_key);
	if (span && !read_number(span, &layer.span_bytes))
		return ol_fail(err, OL_ECORRUPT, "%s is no size", span_key);
	*out = layer;
	return OL_OK;
}

static int read_layers(ol_soci_index *index, ol_error *err)
{
	const ol_document *document = index->document;

	ol_soci_layer *layers = ol_alloc_array(document->layer_count, sizeof *layers);

	assert(layers); /* the analyzer cannot know */
	index->layers = layers;
	for (size_t i = 0; i < document->layer_count; i++) {
		const ol_soci_layer *before;
		ol_soci_layer layer = { 0 };
		int rc;

		if (strcmp(document->layers[i].media_type, ZTOC_TYPE) != 0)
			continue;
		rc = read_layer(&document->layers[i], &layer, err);
		if (rc < 0)
			return ol_wrap(err, rc, "the SOCI index: layers[%zu]", i);
		before = ol_soci_layer_of(index, &layer.layer);
		if (before && !ol_digest_eq(&before->ztoc->digest, &layer.ztoc->digest))
			return ol_fail(err, OL_ECORRUPT,
				"the SOCI index: layers[%zu]: another ztoc of the same layer", i);
		if (!before)
			layers[index->layer_count++] = layer;
	}
	return OL_OK;
}

static int read_document(ol_soci_index *index, ol_error *err)
{
	const ol_document *document = index->document;
	const char *artifact = document->artifact_type;

	if (document->kind != OL_DOCUMENT_MANIFEST)
		return ol_fail(err, OL_EUNSUPPORTED, "no index of SOCI, but one of manifests");
	index->version = version_of(document->config.media_type);
	if (!index->version)
		return ol_fail(err, OL_EUNSUPPORTED, "no index of SOCI that is known");
	if (artifact && version_of(artifact) != index->version)
		return ol_fail(err, OL_ECORRUPT,
			"the SOCI index: its artifactType and its config contradict each other");
	if (index->version == 1) {
		if (!document->has_subject || !ol_digest_is_set(&document->subject.digest))
			return ol_fail(err, OL_ECORRUPT, "the SOCI index says of no image");
		index->subject = document->subject.digest;
	}
	return read_layers(index, err);
}

int ol_soci_index_parse(ol_view bytes, ol_soci_index *out, ol_error *err)
{
	ol_soci_index index = { 0 };
	int rc = ol_document_parse(bytes, NULL, &index.document, err);

	if (rc < 0)
		return ol_wrap(err, rc, "the SOCI index");
	rc = read_document(&index, err);
	if (rc < 0) {
		ol_soci_index_done(&index);
		return rc;
	}
	*out = index;
	return OL_OK;
}

void ol_soci_index_done(ol_soci_index *index)
{
	free(index->layers);
	ol_document_free(index->document);
	*index = (ol_soci_index){ 0 };
}

const ol_soci_layer *ol_soci_layer_of(const ol_soci_index *index, const ol_digest *layer)
{
	for (size_t i = 0; i < index->layer_count; i++)
		if (ol_digest_eq(&index->layers[i].layer, layer))
			return &index->layers[i];
	return NULL;
}

int ol_soci_binding_of(const ol_document *manifest, ol_digest *out, ol_error *err)
{
	for (size_t i = 0; i < manifest->annotation_count; i++) {
		const ol_annotation *annotation = &manifest->annotations[i];

		if (strcmp(annotation->key, index_key) != 0)
			continue;
		return ol_digest_parse(ol_view_of(annotation->value), out, NULL) == OL_OK
			       ? OL_OK
			       : ol_fail(err, OL_ECORRUPT, "the annotation %s is no digest",
					 index_key);
	}
	return ol_fail(err, OL_ENOTFOUND, "the image names no SOCI index");
}

const ol_descriptor *ol_soci_entry_of(const ol_document *index, const ol_digest *manifest)
{
	const ol_digest_text wanted = ol_digest_format(manifest);

	for (size_t i = 0; i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];
		const char *of = ol_descriptor_annotation(entry, manifest_key);

		if (of && strcmp(of, wanted.text) == 0 && version_of(entry->artifact_type) == 2 &&
			ol_digest_is_set(&entry->digest))
			return entry;
	}
	return NULL;
}
