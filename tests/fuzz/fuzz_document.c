#include <stdlib.h>

#include "base/alloc.h"
#include "manifest/document.h"
#include "tests/fuzz/fuzz.h"

/* Every descriptor of a document that parses keeps its promises, and choosing stays within the
 * index. */
static void check(const ol_descriptor *descriptor)
{
	if (!descriptor->media_type ||
		(descriptor->data.data && descriptor->data.size != descriptor->size))
		abort();
	for (size_t i = 0; i < descriptor->annotation_count; i++)
		if (!ol_descriptor_annotation(descriptor, descriptor->annotations[i].key))
			abort();
	for (size_t i = 0; descriptor->urls && descriptor->urls[i]; i++)
		if (strlen(descriptor->urls[i]) == SIZE_MAX)
			abort();
	(void)ol_descriptor_is_attestation(descriptor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	ol_platform host = ol_platform_host();
	const ol_descriptor *chosen = NULL;
	ol_error err;

	if (ol_document_parse(ol_view_from(data, size), NULL, &document, &err) < 0)
		return 0;
	for (size_t i = 0; i < document->layer_count; i++)
		check(&document->layers[i]);
	for (size_t i = 0; i < document->manifest_count; i++)
		check(&document->manifests[i]);
	(void)ol_document_is_image(document);
	if (ol_index_choose(document, &host, &chosen, &err) == OL_OK &&
		(chosen < document->manifests ||
			chosen >= document->manifests + document->manifest_count))
		abort();
	return 0;
}
