/* The table of transports, and the names that choose among them: skopeo's. */
#include <string.h>

#include "base/alloc.h"
#include "image/transport_priv.h"

const ol_transport ol_transport_store = { .prefix = "store:", .read = ol_store_origin };

const ol_transport *ol_transports(void)
{
	static const ol_transport transports[] = {
		{ .prefix = "docker://",
			.read = ol_registry_origin,
			.write = ol_registry_destination,
			.take_in = ol_registry_take_in },
		{ .prefix = "oci:",
			.has_path = true,
			.read = ol_layout_origin,
			.write = ol_layout_destination,
			.take_in = ol_archive_take_in },
		{ .prefix = "oci-archive:",
			.has_path = true,
			.read = ol_archive_origin,
			.write = ol_archive_destination,
			.take_in = ol_archive_take_in },
		{ .prefix = "docker-archive:",
			.has_path = true,
			.take_in = ol_archive_take_in,
			.give_out = ol_archive_give_out },
		{ 0 },
	};

	return transports;
}

void ol_place_done(ol_place *place)
{
	free(place->path);
	free(place->name);
	*place = (ol_place){ 0 };
}

/* PATH[:NAME]: the path ends at the first colon, as skopeo has it. */
static int take_path(const char *rest, ol_place *place, ol_error *err)
{
	const char *colon = strchr(rest, ':');
	size_t size = colon ? (size_t)(colon - rest) : strlen(rest);

	if (size == 0)
		return ol_fail(err, OL_EINVAL, "%.200s names no file or folder", place->text);
	if (size >= OL_PATH_MAX)
		return ol_fail(err, OL_ELIMIT, "the path is longer than %d bytes", OL_PATH_MAX);
	if (colon && !colon[1])
		return ol_fail(
			err, OL_EINVAL, "%.200s: nothing stands behind the colon", place->text);
	if (colon && strlen(colon + 1) > OL_REF_TEXT_MAX)
		return ol_fail(err, OL_ELIMIT, "the image's name is longer than %d bytes",
			OL_REF_TEXT_MAX);
	place->path = ol_strndup(rest, size);
	place->name = ol_strdup(colon ? colon + 1 : "");
	return OL_OK;
}

/* A reference to a registry or, where it is an ID or a digest, to the store alone. */
static int take_reference(const char *rest, ol_place *place, ol_error *err)
{
	const bool is_store = place->transport == &ol_transport_store;
	ol_ref ref;
	int rc = OL_OK;

	if (!*rest)
		return ol_fail(err, OL_EINVAL, "%.200s names no image", place->text);
	if (!is_store)
		rc = ol_ref_parse(rest, &ref, err);
	if (rc < 0)
		return rc;
	place->path = ol_strdup("");
	place->name = ol_strdup(rest);
	return OL_OK;
}

/* How much of text says how other tools, or none, would go about it: "docker-daemon:", "ftp://". */
static size_t other_prefix(const char *text)
{
	static const char *const others[] = { "dir:", "docker-daemon:", "containers-storage:",
		"ostree:", "sif:", "tarball:", "atomic:", "docker:" };
	const char *scheme = strstr(text, "://");

	if (scheme)
		return (size_t)(scheme - text) + strlen("://");
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (strncmp(text, others[i], strlen(others[i])) == 0)
			return strlen(others[i]);
	return 0;
}

/* In words, so that it is not taken for an image of that name. */
static int refuse_other(const char *text, ol_error *err)
{
	const size_t size = other_prefix(text);

	if (size == 0)
		return OL_OK;
	ol_fail(err, OL_EINVAL, "there is no transport \"%.*s\"", (int)(size < 200 ? size : 200),
		text);
	return ol_hint(err, OL_EINVAL,
		"docker://REF, oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], "
		"or REF for the store");
}

int ol_place_parse(const char *text, ol_place *out, ol_error *err)
{
	ol_place place = { .transport = &ol_transport_store, .text = text };
	const char *rest = text;
	int rc;

	for (const ol_transport *t = ol_transports(); t->prefix; t++)
		if (strncmp(text, t->prefix, strlen(t->prefix)) == 0) {
			place.transport = t;
			rest = text + strlen(t->prefix);
		}
	if (place.transport == &ol_transport_store) {
		rc = refuse_other(text, err);
		if (rc < 0)
			return rc;
		if (strncmp(text, place.transport->prefix, strlen(place.transport->prefix)) == 0)
			rest = text + strlen(place.transport->prefix);
	}
	rc = place.transport->has_path ? take_path(rest, &place, err)
				       : take_reference(rest, &place, err);
	if (rc < 0) {
		ol_place_done(&place);
		return rc;
	}
	*out = place;
	return OL_OK;
}

/* One step down: an index becomes its entry for the platform. */
static int choose_entry(ol_origin *origin, const ol_platform *platform, ol_resolved *root,
	bool *again, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_auto(ol_document_free) ol_document *index = NULL;
	const ol_descriptor *entry = NULL;
	int rc = origin->ops->document(origin, &root->digest, &bytes, err);

	if (rc == OL_OK)
		rc = ol_document_parse(ol_buf_view(&bytes),
			*root->media_type ? root->media_type : NULL, &index, err);
	*again = rc == OL_OK && index->kind == OL_DOCUMENT_INDEX;
	if (rc < 0 || !*again)
		return rc;
	rc = ol_index_choose(index, platform, &entry, err);
	if (rc < 0)
		return rc;
	*root = (ol_resolved){ .digest = entry->digest, .size = entry->size };
	(void)snprintf(root->media_type, sizeof root->media_type, "%s", entry->media_type);
	return OL_OK;
}

int ol_origin_choose(
	ol_origin *origin, const ol_platform *platform, ol_resolved *root, ol_error *err)
{
	bool again = true;
	int rc = OL_OK;

	for (unsigned depth = 0; rc == OL_OK && again; depth++)
		rc = depth > OL_INDEX_DEPTH_MAX
			     ? ol_fail(err, OL_ELIMIT, "indexes are nested more than %d deep",
				       OL_INDEX_DEPTH_MAX)
			     : choose_entry(origin, platform, root, &again, err);
	return rc;
}
