#include <string.h>

#include "base/limits.h"
#include "image/lazy_external_priv.h"

#define SUFFIX   "-esgztoc"
#define LAYER_OF "containerd.io/snapshot/stargz/layer.digest"

void ol_lazy_external_init(ol_lazy_external *external)
{
	*external = (ol_lazy_external){ 0 };
	(void)pthread_mutex_init(&external->lock, NULL);
}

void ol_lazy_external_done(ol_lazy_external *external)
{
	ol_document_free(external->document);
	external->document = NULL;
	(void)pthread_mutex_destroy(&external->lock);
}

static int seek(ol_lazy_external *self, ol_pull_state *pull, ol_error *err)
{
	ol_auto_buf ol_buf body = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_resolved resolved = { 0 };
	int rc;

	self->ref = pull->ref;
	self->ref.digest = (ol_digest){ 0 };
	if (!*self->ref.tag || strlen(self->ref.tag) + strlen(SUFFIX) > OL_TAG_MAX)
		return ol_fail(err, OL_ENOTFOUND,
			"its table of contents is in an image whose tag is not known");
	memcpy(self->ref.tag + strlen(self->ref.tag), SUFFIX, sizeof SUFFIX);
	rc = ol_registry_resolve(pull->registry, &self->ref, &resolved, err);
	if (rc == OL_OK)
		rc = ol_registry_get_manifest(
			pull->registry, &self->ref, &resolved.digest, &body, NULL, err);
	return rc < 0 ? rc
		      : ol_document_parse(
				ol_buf_view(&body), resolved.media_type, &self->document, err);
}

int ol_lazy_external_get(ol_lazy_external *external, ol_pull_state *pull, const ol_digest *layer,
	ol_buf *out, ol_error *err)
{
	const ol_digest_text want = ol_digest_format(layer);

	(void)pthread_mutex_lock(&external->lock);
	if (!external->sought)
		external->rc = seek(external, pull, &external->error);
	external->sought = true;
	(void)pthread_mutex_unlock(&external->lock);
	if (external->rc < 0) {
		if (err)
			*err = external->error;
		return external->rc;
	}
	for (size_t i = 0; i < external->document->layer_count; i++) {
		const ol_descriptor *entry = &external->document->layers[i];
		const char *of = ol_descriptor_annotation(entry, LAYER_OF);

		if (of && strcmp(of, want.text) == 0)
			return ol_registry_get_small_blob(
				pull->registry, &external->ref, entry, OL_TOC_BYTES_MAX, out, err);
	}
	return ol_fail(err, OL_ENOTFOUND, "%s has no table of contents for it",
		ol_ref_format_familiar(&external->ref).text);
}
