#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "image/blob_stream_priv.h"
#include "image/index_priv.h"
#include "image/pull.h"
#include "store/layer.h"

ol_ztoc_kind ol_ztoc_kind_of(const ol_digest *blob)
{
	ol_ztoc_kind kind;

	(void)snprintf(kind.text, sizeof kind.text, "ztoc %s", ol_digest_format(blob).text);
	return kind;
}

void ol_index_subject_done(ol_index_subject *subject)
{
	ol_buf_done(&subject->bytes);
	ol_buf_done(&subject->config_bytes);
	ol_document_free(subject->document);
	ol_config_free(subject->config);
	*subject = (ol_index_subject){ 0 };
}

static int read_documents(ol_index_subject *subject, ol_error *err)
{
	int rc = ol_document_parse(ol_buf_view(&subject->bytes), NULL, &subject->document, err);

	if (rc == OL_OK && !ol_document_is_image(subject->document))
		rc = ol_fail(err, OL_EUNSUPPORTED, "it is an artifact and no image");
	return rc;
}

static int read_config(ol_index_subject *subject, ol_error *err)
{
	int rc = ol_config_parse(ol_buf_view(&subject->config_bytes), &subject->config, err);

	if (rc == OL_OK && subject->config->diff_id_count != subject->document->layer_count)
		rc = ol_fail(err, OL_ECORRUPT, "its config speaks of %zu layers, not %zu",
			subject->config->diff_id_count, subject->document->layer_count);
	return rc;
}

static int find_in_store(ol_session *session, const char *text, const ol_platform *platform,
	ol_index_subject *out, ol_error *err)
{
	ol_image image = { 0 };
	int rc = ol_image_find(session, text, platform, &image, err);

	if (rc < 0)
		return rc;
	out->in_store = true;
	out->manifest = image.manifest;
	if (image.has_ref)
		out->ref = image.ref;
	rc = ol_blob_read(session->store, &image.manifest, OL_MANIFEST_BYTES_MAX, &out->bytes, err);
	if (rc == OL_OK)
		rc = ol_blob_read(session->store, &image.config_digest, OL_CONFIG_BYTES_MAX,
			&out->config_bytes, err);
	ol_image_done(&image);
	if (rc == OL_OK)
		rc = read_documents(out, err);
	return rc < 0 ? rc : read_config(out, err);
}

/* The manifest for the platform, through indexes. */
static int get_manifest(ol_registry *registry, const ol_platform *want, ol_index_subject *out,
	unsigned depth, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	const ol_descriptor *entry = NULL;
	int rc;

	if (depth >= OL_INDEX_DEPTH_MAX)
		return ol_fail(
			err, OL_ELIMIT, "indexes are nested more than %d deep", OL_INDEX_DEPTH_MAX);
	ol_buf_clear(&out->bytes);
	rc = ol_registry_get_manifest(registry, &out->ref, &out->manifest, &out->bytes, NULL, err);
	if (rc == OL_OK)
		rc = ol_document_parse(ol_buf_view(&out->bytes), NULL, &document, err);
	if (rc < 0)
		return rc;
	assert(document);
	if (document->kind == OL_DOCUMENT_MANIFEST)
		return OL_OK;
	rc = ol_index_choose(document, want, &entry, err);
	if (rc < 0)
		return rc;
	out->manifest = entry->digest;
	return get_manifest(registry, want, out, depth + 1, err);
}

static int find_in_registry(ol_session *session, const char *text, const ol_platform *platform,
	ol_index_subject *out, ol_error *err)
{
	ol_registry *registry = NULL;
	ol_resolved resolved;
	ol_platform want;
	int rc = ol_platform_wanted(platform, &want, err);

	if (rc == OL_OK)
		rc = ol_pull_ref(session, text, &out->ref, err);
	if (rc == OL_OK)
		rc = ol_session_registry(session, &registry, err);
	if (rc == OL_OK)
		rc = ol_registry_resolve(registry, &out->ref, &resolved, err);
	if (rc < 0)
		return rc;
	out->manifest = resolved.digest;
	rc = get_manifest(registry, &want, out, 0, err);
	if (rc == OL_OK)
		rc = read_documents(out, err);
	if (rc < 0)
		return rc;
	rc = ol_registry_get_small_blob(registry, &out->ref, &out->document->config,
		OL_CONFIG_BYTES_MAX, &out->config_bytes, err);
	return rc < 0 ? ol_wrap(err, rc, "config") : read_config(out, err);
}

int ol_index_subject_find(ol_session *session, const char *text, const ol_platform *platform,
	ol_index_subject *out, ol_error *err)
{
	int rc;

	*out = (ol_index_subject){ .bytes = OL_BUF(OL_MANIFEST_BYTES_MAX),
		.config_bytes = OL_BUF(OL_CONFIG_BYTES_MAX) };
	rc = find_in_store(session, text, platform, out, err);
	if (rc == OL_ENOTFOUND) {
		ol_index_subject_done(out);
		*out = (ol_index_subject){ .bytes = OL_BUF(OL_MANIFEST_BYTES_MAX),
			.config_bytes = OL_BUF(OL_CONFIG_BYTES_MAX) };
		rc = find_in_registry(session, text, platform, out, err);
	}
	if (rc < 0)
		ol_index_subject_done(out);
	return rc;
}

/* The layer's own origin, else the image's. */
static int home_of(ol_session *session, const ol_index_subject *subject, size_t layer, ol_ref *out,
	ol_error *err)
{
	ol_layer_info info;

	if (subject->in_store &&
		ol_layer_get(session->store, &subject->config->diff_ids[layer], false, &info,
			NULL) == OL_OK &&
		ol_digest_eq(&info.blob, &subject->document->layers[layer].digest) &&
		*info.origin && ol_ref_parse(info.origin, out, NULL) == OL_OK)
		return OL_OK;
	if (!*subject->ref.domain)
		return ol_fail(err, OL_ENOTFOUND,
			"its compressed bytes are not in the store, and it was pulled from "
			"nowhere");
	*out = subject->ref;
	return OL_OK;
}

int ol_index_layer_open(ol_session *session, const ol_index_subject *subject, size_t layer,
	ol_ref *ref, ol_reader **out, ol_error *err)
{
	const ol_descriptor *blob = &subject->document->layers[layer];
	ol_registry *registry = NULL;
	int fd, rc;

	assert(layer < subject->document->layer_count);
	if (ol_blob_open(session->store, &blob->digest, &fd, NULL) == OL_OK) {
		*out = ol_reader_of_fd(fd);
		return OL_OK;
	}
	rc = home_of(session, subject, layer, ref, err);
	if (rc == OL_OK)
		rc = ol_session_registry(session, &registry, err);
	if (rc < 0)
		return rc;
	*out = ol_blob_stream(registry, ref, blob);
	return *out ? OL_OK : ol_fail(err, OL_ESYSTEM, "cannot start a thread");
}
