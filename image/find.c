/*
 * From what a user types to an image of the store. In this order, as docker has it: a whole digest
 * (image ID, manifest or index), a name, a unique prefix of an image ID or digest.
 */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "image/session_priv.h"
#include "store/name.h"
#include "store/reach.h"

/* With so many, two are images. */
#define PREFIX_BLOBS_MAX 4096

/* How to choose where an index is met. */
struct choice {
	const ol_platform *want;
	bool strict;    /* no other platform will do */
	unsigned depth; /* how many indexes we stand in */
};

static int open_manifest(ol_session *session, struct choice choice, ol_image *image, ol_error *err);

/* Chooses among an index's entries one whose manifest is in the store: the wanted platform, else
 * (not strict) the first there is. */
static int open_index(ol_session *session, struct choice choice, ol_image *image, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *index = ol_steal(&image->document);
	ol_autofree const ol_descriptor **candidates =
		ol_alloc_array(index->manifest_count + 1, sizeof(void *));
	size_t count = ol_index_candidates(index, choice.want, candidates);
	ol_platform_text want = ol_platform_format(choice.want);

	if (++choice.depth > OL_INDEX_DEPTH_MAX)
		return ol_fail(
			err, OL_ELIMIT, "indexes are nested more than %d deep", OL_INDEX_DEPTH_MAX);
	for (size_t i = 0; i < count; i++)
		if (ol_blob_exists(session->store, &candidates[i]->digest)) {
			image->manifest = candidates[i]->digest;
			return open_manifest(session, choice, image, err);
		}
	for (size_t i = 0; !choice.strict && i < index->manifest_count; i++) {
		const ol_descriptor *entry = &index->manifests[i];

		if (ol_descriptor_is_attestation(entry) || !ol_digest_is_set(&entry->digest) ||
			!ol_blob_exists(session->store, &entry->digest))
			continue;
		image->manifest = entry->digest;
		return open_manifest(session, choice, image, err);
	}
	ol_fail(err, OL_ENOTFOUND, "platform %s of this image is not in the store", want.text);
	return ol_hint(err, OL_ENOTFOUND, "pull it with --platform %s", want.text);
}

/* Fills in what follows from image->manifest: its document and config, through an index where it is
 * one. */
static int open_manifest(ol_session *session, struct choice choice, ol_image *image, ol_error *err)
{
	int rc = ol_document_load(session->store, &image->manifest, NULL, &image->document, err);

	if (rc < 0)
		return rc;
	assert(image->document);
	if (image->document->kind == OL_DOCUMENT_INDEX)
		return open_index(session, choice, image, err);
	if (!ol_document_is_image(image->document))
		return ol_fail(err, OL_EUNSUPPORTED, "is an artifact of type %s, not an image",
			image->document->artifact_type ? image->document->artifact_type
						       : image->document->config.media_type);
	image->config_digest = image->document->config.digest;
	return ol_config_load(session->store, &image->config_digest, &image->config, err);
}

static int open_root(ol_session *session, const ol_digest *root, const ol_platform *platform,
	ol_image *image, ol_error *err)
{
	ol_platform want;
	int rc = ol_platform_wanted(platform, &want, err);

	if (rc < 0)
		return rc;
	image->root = image->manifest = *root;
	return open_manifest(
		session, (struct choice){ .want = &want, .strict = platform != NULL }, image, err);
}

int ol_image_open(ol_session *session, const ol_digest *root, const ol_platform *platform,
	ol_image *out, ol_error *err)
{
	ol_image image = { 0 };
	int rc = open_root(session, root, platform, &image, err);

	if (rc < 0) {
		ol_image_done(&image);
		return rc;
	}
	*out = image;
	return OL_OK;
}

/* A search for a digest that begins with these hex digits. */
struct search {
	ol_session *session;
	const char *hex;       /* what the digest's hex must begin with */
	ol_digest root, image; /* what was found: the row, and the id it was found by */
	unsigned hits;
};

static void hit(struct search *search, const ol_digest *root, const ol_digest *image)
{
	if (strncmp(ol_digest_hex(image).text, search->hex, strlen(search->hex)) != 0)
		return;
	if (search->hits &&
		(ol_digest_eq(&search->image, image) || ol_digest_eq(&search->root, root)))
		return; /* the same image under another name */
	search->root = *root;
	search->image = *image;
	search->hits++;
}

/* An image is known by its root, by each manifest in an index, and by each config. */
static int search_document(struct search *search, const ol_digest *root, const ol_digest *digest,
	unsigned depth, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	int rc;

	hit(search, root, digest);
	rc = ol_document_load(search->session->store, digest, NULL, &document, err);
	if (rc == OL_ENOTFOUND)
		return OL_OK; /* a platform that was not pulled */
	if (rc < 0)
		return rc;
	if (document->kind == OL_DOCUMENT_MANIFEST) {
		hit(search, root, &document->config.digest);
		return OL_OK;
	}
	for (size_t i = 0; depth < OL_INDEX_DEPTH_MAX && i < document->manifest_count; i++) {
		rc = search_document(search, root, &document->manifests[i].digest, depth + 1, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

static bool is_hex(const char *text)
{
	return *text && strspn(text, "0123456789abcdef") == strlen(text);
}

static int no_such_image(const char *text, ol_error *err)
{
	ol_fail(err, OL_ENOTFOUND, "No such image: %.255s", text);
	return ol_hint(
		err, OL_ENOTFOUND, "`orlop images` lists those there are, `orlop pull` gets more");
}

/* Blobs that begin so are few, and each leads to an image that needs it: only that one's documents
 * are read, to see what the digest is to it. One damaged image must not hide the others. */
static int find_by_prefix(
	ol_session *session, const char *hex, ol_digest *root, ol_digest *found, ol_error *err)
{
	struct search search = { .session = session, .hex = hex };
	ol_autofree ol_digest *blobs = NULL;
	size_t count = 0;
	int rc = ol_reach_prefix(session->store, hex, PREFIX_BLOBS_MAX, &blobs, &count, err);

	for (size_t i = 0; rc == OL_OK && i < count && search.hits < 2; i++) {
		ol_autofree ol_digest *roots = NULL;
		size_t root_count = 0;

		rc = ol_reach_roots(session->store, &blobs[i], 1, &roots, &root_count, err);
		if (rc == OL_OK && root_count)
			(void)search_document(&search, roots, roots, 0, NULL);
	}
	if (rc < 0)
		return rc;
	if (search.hits == 0)
		return OL_ENOTFOUND;
	if (search.hits > 1)
		return ol_fail(err, OL_EINVAL, "%s is the beginning of several images' IDs", hex);
	*root = search.root;
	*found = search.image;
	return OL_OK;
}

static int find_by_ref(ol_session *session, ol_image *image, ol_digest *root, ol_error *err)
{
	ol_name_info info = { 0 };
	int rc;

	if (ol_digest_is_set(&image->ref.digest)) {
		image->has_ref = true;
		*root = image->ref.digest;
		return ol_blob_exists(session->store, root) ? OL_OK : OL_ENOTFOUND;
	}
	rc = ol_name_get(session->store, ol_ref_format(&image->ref).text, &info, err);
	if (rc < 0)
		return rc;
	image->has_ref = true;
	*root = info.root;
	ol_name_info_done(&info);
	return OL_OK;
}

/* A short name is looked for as a pull would, so that it means what was pulled by it. A
 * registries.conf that cannot be read is the pull's concern: the store can be used without it. */
static int find_by_name(
	ol_session *session, const char *text, ol_image *image, ol_digest *root, ol_error *err)
{
	ol_name_choices choices = { 0 };
	int rc = ol_ref_parse(text, &image->ref, err);

	if (rc < 0)
		return rc;
	if (ol_session_names(session, text, &choices, NULL) < 0)
		return find_by_ref(session, image, root, err);
	rc = OL_ENOTFOUND;
	for (size_t i = 0; rc == OL_ENOTFOUND && i < choices.count; i++) {
		image->ref = choices.refs[i];
		rc = find_by_ref(session, image, root, err);
	}
	ol_name_choices_done(&choices);
	return rc;
}

/* A digest that was typed may be of a config or of one platform's manifest: the image is then that
 * one, not the root's best. */
static int open_found(ol_session *session, const ol_digest *root, const ol_digest *found,
	const ol_platform *platform, ol_image *image, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *index = NULL;
	int rc = ol_document_load(session->store, root, NULL, &index, err);

	if (rc < 0)
		return rc;
	if (index->kind == OL_DOCUMENT_MANIFEST || ol_digest_eq(root, found))
		return open_root(session, root, platform, image, err);
	for (size_t i = 0; i < index->manifest_count; i++) {
		ol_image candidate = { .ref = image->ref, .has_ref = image->has_ref };

		candidate.root = *root;
		candidate.manifest = index->manifests[i].digest;
		if (ol_descriptor_is_attestation(&index->manifests[i]) ||
			!ol_blob_exists(session->store, &candidate.manifest))
			continue;
		rc = open_manifest(session,
			(struct choice){ .want = &index->manifests[i].platform }, &candidate, err);
		if (rc == OL_OK && (ol_digest_eq(&candidate.manifest, found) ||
					   ol_digest_eq(&candidate.config_digest, found))) {
			*image = candidate;
			return OL_OK;
		}
		ol_image_done(&candidate);
	}
	return open_root(session, root, platform, image, err);
}

int ol_image_find(ol_session *session, const char *text, const ol_platform *platform, ol_image *out,
	ol_error *err)
{
	const char *hex = strncmp(text, "sha256:", 7) == 0 ? text + 7 : text;
	ol_image image = { 0 };
	ol_digest root, found = { 0 };
	ol_error name_error = { 0 };
	int rc = OL_ENOTFOUND;

	if (!*text)
		return ol_fail(err, OL_EINVAL, "the image's name is empty");
	if (hex == text && strlen(hex) != 64)
		rc = find_by_name(session, text, &image, &root, &name_error);
	if (rc == OL_OK) {
		found = root;
	} else if ((rc == OL_ENOTFOUND || rc == OL_EINVAL) && is_hex(hex)) {
		rc = find_by_prefix(session, hex, &root, &found, err);
		if (rc < 0 && rc != OL_ENOTFOUND)
			return rc;
	} else if (rc != OL_ENOTFOUND) {
		if (err)
			*err = name_error;
		return rc;
	}
	if (rc < 0)
		return no_such_image(text, err);
	rc = open_found(session, &root, &found, platform, &image, err);
	if (rc < 0) {
		ol_image_done(&image);
		return ol_wrap(err, rc, "image %.255s", text);
	}
	*out = image;
	return OL_OK;
}

void ol_image_done(ol_image *image)
{
	ol_document_free(image->document);
	ol_config_free(image->config);
	*image = (ol_image){ 0 };
}
