/* Manifests and tags of a registry: the small requests of a push. */
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "fetch/access_priv.h"
#include "fetch/upload.h"
#include "fetch/upload_priv.h"
#include "fetch/url.h"
#include "manifest/document.h"
#include "manifest/json.h"

void ol_referrers_tag(const ol_digest *subject, char tag[OL_TAG_MAX + 1])
{
	(void)snprintf(tag, OL_TAG_MAX + 1, "%s-%.64s", ol_algorithm_name(subject->algorithm),
		ol_digest_hex(subject).text);
}

static int put_bytes(ol_registry *registry, const ol_ref *ref, const ol_manifest_put *manifest,
	bool *keeps_referrers, ol_error *err)
{
	ol_digest_text digest = ol_digest_format(&manifest->digest);
	const char *name = manifest->tag ? manifest->tag : digest.text;
	ol_autofree char *path = ol_text("/v2/%s/manifests/%s", ref->path, name);
	ol_autofree char *what = ol_text("manifest %s", name);
	ol_autofree char *scope = ol_text("repository:%s:pull,push", ref->path);
	ol_source *source = ol_source_of_memory(manifest->bytes.data, manifest->bytes.size);
	ol_payload payload = { .source = source, .size = manifest->bytes.size };
	ol_patience patience = ol_registry_patience(registry);
	ol_ask ask = { .method = OL_METHOD_PUT,
		.repository = ref->path,
		.path = path,
		.content_type = manifest->media_type,
		.payload = &payload,
		.body_max = OL_ERROR_BODY_BYTES_MAX,
		.decode = true,
		.patience = &patience };
	ol_reply reply = { 0 };
	ol_view header;
	int rc = ol_route_itself(registry, ref, &ask.host, err);

	if (rc == OL_OK) {
		ol_access_widen(ol_access_get(ask.host, ref->path), scope);
		rc = ol_exchange(registry, &ask, &reply, err);
	}
	if (rc == OL_OK && (reply.status < 200 || reply.status > 299))
		rc = ol_exchange_refusal(&ask, &reply, what, err);
	if (rc == OL_OK) {
		rc = ol_reply_check_digest(&reply, ask.host->name, &manifest->digest, err);
		if (rc < 0)
			rc = ol_wrap(err, rc, "%s", what);
	}
	*keeps_referrers = rc == OL_OK && ol_reply_header(&reply, "oci-subject", 0, &header);
	ol_reply_done(&reply);
	ol_source_close(source);
	return rc;
}

static ol_json *annotations_json(const ol_document *document)
{
	ol_json *json = ol_json_object();

	for (size_t i = 0; i < document->annotation_count; i++)
		ol_json_set_text(
			json, document->annotations[i].key, document->annotations[i].value);
	return json;
}

/* How the manifest is listed among its subject's referrers. */
static ol_json *referrer_json(const ol_manifest_put *manifest, const ol_document *document)
{
	ol_json *json =
		ol_descriptor_json(manifest->media_type, &manifest->digest, manifest->bytes.size);
	const char *type = document->artifact_type                  ? document->artifact_type
			   : document->kind == OL_DOCUMENT_MANIFEST ? document->config.media_type
								    : NULL;

	if (type)
		ol_json_set_text(json, "artifactType", type);
	if (document->annotation_count)
		ol_json_set(json, "annotations", annotations_json(document));
	return json;
}

static ol_json *new_index(void)
{
	ol_json *index = ol_json_object();

	ol_json_set_int(index, "schemaVersion", 2);
	ol_json_set_text(index, "mediaType", OL_MEDIA_OCI_INDEX);
	ol_json_set(index, "manifests", ol_json_array());
	return index;
}

/* The list as it is now. */
static int get_referrers(ol_registry *registry, const ol_ref *ref, ol_json **out, ol_error *err)
{
	ol_auto_buf ol_buf body = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_resolved resolved;
	int rc = ol_registry_resolve(registry, ref, &resolved, err);

	if (rc == OL_ENOTFOUND) {
		*out = new_index();
		return OL_OK;
	}
	if (rc == OL_OK)
		rc = ol_registry_get_manifest(registry, ref, &resolved.digest, &body, NULL, err);
	if (rc == OL_OK)
		rc = ol_json_parse(ol_buf_view(&body), out, err);
	if (rc == OL_OK && !ol_json_is_array(ol_json_get(*out, "manifests"))) {
		ol_json_free(*out);
		*out = NULL;
		return ol_fail(err, OL_ECORRUPT, "it is no index");
	}
	return rc;
}

static bool lists(const ol_json *manifests, const char *digest)
{
	for (size_t i = 0; i < ol_json_count(manifests); i++) {
		const char *text = ol_json_text(ol_json_get(ol_json_at(manifests, i), "digest"));

		if (text && strcmp(text, digest) == 0)
			return true;
	}
	return false;
}

/* Two pushes at once may lose one of their entries; the specification has nothing better. */
static int add_referrer(ol_registry *registry, const ol_ref *ref, const ol_manifest_put *manifest,
	const ol_document *document, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(OL_MANIFEST_BYTES_MAX);
	ol_auto(ol_json_free) ol_json *index = NULL;
	ol_json *manifests;
	ol_ref tagged = *ref;
	ol_manifest_put put = { .tag = tagged.tag, .media_type = OL_MEDIA_OCI_INDEX };
	bool ignored;
	int rc;

	tagged.digest = (ol_digest){ 0 };
	ol_referrers_tag(&document->subject.digest, tagged.tag);
	rc = get_referrers(registry, &tagged, &index, err);
	if (rc < 0)
		return ol_wrap(err, rc, "referrers tag %s", tagged.tag);
	if (lists(ol_json_get(index, "manifests"), ol_digest_format(&manifest->digest).text))
		return OL_OK;
	manifests = ol_json_copy(ol_json_get(index, "manifests"));
	ol_json_push(manifests, referrer_json(manifest, document));
	ol_json_set(index, "manifests", manifests);
	rc = ol_json_format(index, OL_JSON_COMPACT, &text, err);
	if (rc == OL_OK) {
		put.bytes = ol_buf_view(&text);
		put.digest = ol_digest_of(OL_SHA256, text.data, text.size);
		rc = put_bytes(registry, &tagged, &put, &ignored, err);
	}
	return rc < 0 ? ol_wrap(err, rc, "referrers tag %s", tagged.tag) : OL_OK;
}

int ol_registry_put_manifest(
	ol_registry *registry, const ol_ref *ref, const ol_manifest_put *manifest, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	bool keeps_referrers;
	int rc = ol_document_parse(manifest->bytes, manifest->media_type, &document, err);

	if (rc == OL_OK)
		rc = put_bytes(registry, ref, manifest, &keeps_referrers, err);
	if (rc == OL_OK && document->has_subject && !keeps_referrers &&
		ol_digest_is_set(&document->subject.digest))
		rc = add_referrer(registry, ref, manifest, document, err);
	return rc;
}

/* --- tags --- */

/* Behind what ends with a separator that is not in quotes. */
static const char *end_of(const char *at, const char *end, char separator)
{
	bool quoted = false;

	for (; at < end && (quoted || *at != separator); at++)
		if (*at == '"')
			quoted = !quoted;
	return at;
}

/* Among a link's parameters is rel=next, its value in quotes or without. */
static bool is_next(ol_view parameters)
{
	const char *at = parameters.data, *end = at + parameters.size;

	while (at < end) {
		const char *stop = end_of(at, end, ';');
		const char *last = stop;

		while (at < last && (*at == ' ' || *at == '\t'))
			at++;
		while (last > at && (last[-1] == ' ' || last[-1] == '\t'))
			last--;
		if ((last - at == 8 && strncasecmp(at, "rel=next", 8) == 0) ||
			(last - at == 10 && strncasecmp(at, "rel=\"next\"", 10) == 0))
			return true;
		at = stop < end ? stop + 1 : end;
	}
	return false;
}

int ol_link_next(ol_view header, ol_view *out, ol_error *err)
{
	const char *at = header.data, *end = at + header.size;

	while (at < end) {
		const char *open = memchr(at, '<', (size_t)(end - at));
		const char *close = open ? memchr(open, '>', (size_t)(end - open)) : NULL;

		if (!close)
			break;
		at = end_of(close, end, ',');
		if (is_next(ol_view_from(close + 1, (size_t)(at - close - 1)))) {
			*out = ol_view_from(open + 1, (size_t)(close - open - 1));
			return OL_OK;
		}
	}
	return ol_fail(err, OL_ENOTFOUND, "no next link");
}

static int take_tags(const ol_reply *reply, int (*call)(void *ctx, const char *tag, ol_error *err),
	void *ctx, size_t *count, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *page = NULL;
	const ol_json *tags;
	int rc = ol_json_parse(ol_buf_view(&reply->body), &page, err);

	if (rc < 0)
		return ol_wrap(err, OL_EUNAVAILABLE, "the list of tags");
	tags = ol_json_get(page, "tags");
	for (size_t i = 0; i < ol_json_count(tags); i++) {
		const char *tag = ol_json_text(ol_json_at(tags, i));

		if (!tag || strlen(tag) > OL_TAG_MAX)
			return ol_fail(err, OL_EUNAVAILABLE, "the list of tags holds what is none");
		if (++*count > OL_TAGS_MAX)
			return ol_fail(err, OL_ELIMIT, "more than %d tags", OL_TAGS_MAX);
		rc = call(ctx, tag, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

int ol_reply_next_page(
	const ol_ask *ask, const ol_reply *reply, const char *what, char **url, ol_error *err)
{
	ol_autofree char *base = ol_host_base(ask->host);
	ol_autofree char *here = ask->url ? ol_strdup(ask->url) : ol_text("%s%s", base, ask->path);
	ol_autofree char *text = NULL;
	char *next = NULL;
	ol_view header, target = { 0 };
	int rc;

	if (!ol_reply_header(reply, "link", 0, &header) ||
		ol_link_next(header, &target, NULL) < 0) {
		free(*url);
		*url = NULL;
		return OL_OK;
	}
	text = ol_strndup(target.data, target.size);
	rc = ol_url_join(here, text, &next, err);
	if (rc == OL_OK && (!ol_url_same_origin(next, base) || strcmp(next, here) == 0)) {
		free(next);
		rc = ol_fail(err, OL_EINVAL, "somewhere else");
	}
	if (rc < 0)
		return ol_wrap(err, OL_EUNAVAILABLE, "%s goes on", what);
	free(*url);
	*url = next;
	return OL_OK;
}

int ol_registry_list_tags(ol_registry *registry, const ol_ref *ref,
	int (*call)(void *ctx, const char *tag, ol_error *err), void *ctx, ol_error *err)
{
	ol_autofree char *path = ol_text("/v2/%s/tags/list", ref->path);
	ol_autofree char *what = ol_text("repository %s", ol_ref_name_familiar(ref).text);
	ol_autofree char *url = NULL;
	ol_patience patience = ol_registry_patience(registry);
	ol_ask ask = { .method = OL_METHOD_GET,
		.repository = ref->path,
		.path = path,
		.body_max = OL_MANIFEST_BYTES_MAX,
		.decode = true,
		.patience = &patience };
	size_t count = 0;
	int rc = ol_route_itself(registry, ref, &ask.host, err);

	if (rc < 0)
		return rc;
	for (unsigned pages = 0; rc == OL_OK; pages++) {
		ol_reply reply;

		if (pages > OL_TAG_PAGES_MAX)
			return ol_fail(err, OL_ELIMIT, "the list of tags has more than %d pages",
				OL_TAG_PAGES_MAX);
		ask.url = url;
		rc = ol_exchange(registry, &ask, &reply, err);
		if (rc == OL_OK && reply.status != 200)
			rc = ol_exchange_refusal(&ask, &reply, what, err);
		if (rc == OL_OK)
			rc = take_tags(&reply, call, ctx, &count, err);
		if (rc == OL_OK)
			rc = ol_reply_next_page(&ask, &reply, "the list of tags", &url, err);
		ol_reply_done(&reply);
		if (!url)
			break;
	}
	return rc;
}
